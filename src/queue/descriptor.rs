//! A file descriptor that is readable when a reader may have a message, for programs that wait with
//! `epoll`.
//!
//! A thread of its own waits on the bell of the queue, as a blocked reader does, and makes the
//! descriptor readable. It waits for one message: that with the number for which the reader has armed
//! it. Then it sleeps until the reader arms it again.

use super::record::{Control, Packed, Shape};
use super::ring::Ring;
use crate::region::{At, Table};
use crate::sync::{FOR_A_MESSAGE, ForAll, Patience, ring as wake};
use crate::sys::{self, eventfd::EventFd};
use crate::word::Shared;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread::{Builder, JoinHandle};

/// Number of no message: the thread sleeps.
const NOTHING: u64 = u64::MAX;
/// Number of no message: the thread ends.
const STOP: u64 = u64::MAX - 1;

/// What the thread and the reader share.
struct Common {
    event: EventFd,
    /// Number of the message that the thread waits for.
    wanted: AtomicU64,
}

/// A descriptor, and the thread that makes it readable. The thread ends when this is dropped, before
/// the memory of the queue is unmapped.
pub(super) struct Descriptor {
    common: Arc<Common>,
    control: ForAll<At<Control>>,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread. A forked child has neither the thread nor the memory.
    pid: u32,
}

/// The part of a queue that the thread reads.
struct Watched {
    control: ForAll<At<Control>>,
    places: ForAll<Table<Shared>>,
    shape: Shape,
}

impl Watched {
    /// Returns whether a message was sent, or overwritten since.
    fn is_there(&self, number: u64) -> bool {
        let (place, lap) = self.shape.place(number);
        self.places.get(place).is_none_or(|word| Packed(word.load()).number() >= lap)
    }

    fn run(&self, common: &Common) {
        loop {
            let number = common.wanted.load(SeqCst);
            match number {
                STOP => return,
                NOTHING => std::thread::park(),
                _ => self.wait_for(number, common),
            }
        }
    }

    /// Waits for a message, and makes the descriptor readable when it is there. Returns early if the
    /// reader wants another one.
    fn wait_for(&self, number: u64, common: &Common) {
        let mut patience = Patience::new(None, FOR_A_MESSAGE);
        loop {
            if self.is_there(number) {
                if common.wanted.compare_exchange(number, NOTHING, SeqCst, SeqCst).is_ok() {
                    common.event.raise();
                }
                return;
            }
            self.control.bell.swap(1);
            // A message that comes from here on finds the bell at 1.
            if common.wanted.load(SeqCst) != number {
                return;
            }
            if !self.is_there(number) {
                patience.sleep(&self.control.bell, 1);
            }
        }
    }
}

impl Descriptor {
    /// Starts the thread, which waits for the message `number`.
    pub(super) fn start(ring: &Ring, number: u64) -> io::Result<Self> {
        let common = Arc::new(Common { event: EventFd::new()?, wanted: AtomicU64::new(number) });
        let watched = Watched { control: ring.control, places: ring.places(), shape: ring.shape };
        let its = Arc::clone(&common);
        let thread = Builder::new().name("hotpool-bell".into()).spawn(move || watched.run(&its))?;
        Ok(Descriptor { common, control: ring.control, thread: Some(thread), pid: sys::pid() })
    }

    /// Makes the descriptor unreadable until the message `number` is there.
    #[cold]
    pub(super) fn arm(&self, number: u64) {
        self.common.event.clear();
        self.want(number);
    }

    fn want(&self, number: u64) {
        let before = self.common.wanted.swap(number, SeqCst);
        if before != NOTHING && before != number && self.pid == sys::pid() {
            // It sleeps on the bell, and has to look at the new number.
            wake(&self.control.bell);
        }
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.common.event.as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take().filter(|_| self.pid == sys::pid()) else { return };
        self.common.wanted.store(STOP, SeqCst);
        thread.thread().unpark();
        // The thread has either seen the number, or finds the bell at 0.
        wake(&self.control.bell);
        // It fails if the thread panicked, which it does not.
        let _ = thread.join();
    }
}
