//! Pages that the kernel write-protects: the first store to each is reported (userfaultfd).
//!
//! A thread takes the faults. It notes a page of which the barrier was not told, and lets the store
//! go on.

#![allow(unreachable_pub, reason = "as in the other modules of tests")]

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const PAGE: usize = 4096;

#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    calls: u64,
}

#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    calls: u64,
}

#[repr(C)]
struct WriteProtect {
    start: u64,
    len: u64,
    mode: u64,
}

#[repr(C)]
#[derive(Default)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    flags: u64,
    address: u64,
    rest: u64,
}

// The numbers of `linux/userfaultfd.h`.
const API: u64 = 0xaa;
const WP_IN_SHARED_MEMORY: u64 = 1 << 12;
const FOR_WRITES: u64 = 2;
const PROTECT: u64 = 1;
const PAGE_FAULT: u8 = 0x12;
const CALL_API: u64 = 0xc018_aa3f;
const CALL_REGISTER: u64 = 0xc020_aa00;
const CALL_WRITE_PROTECT: u64 = 0xc018_aa06;

/// Write-protected memory.
pub struct Protected {
    faults: Option<JoinHandle<Found>>,
    is_over: Arc<AtomicBool>,
}

/// What the thread has seen.
#[derive(Default)]
pub struct Found {
    /// First stores to pages.
    pub faults: usize,
    /// Those of which the barrier was not told.
    pub untold: Vec<usize>,
}

fn call<T>(fd: &OwnedFd, number: u64, what: &mut T) -> io::Result<()> {
    // SAFETY: the number belongs to this struct, which outlives the call.
    match unsafe { libc::ioctl(fd.as_raw_fd(), number, std::ptr::from_mut(what)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(fd: &OwnedFd, range: &Range<usize>, mode: u64) -> io::Result<()> {
    let (start, len) = (range.start as u64, range.len() as u64);
    call(fd, CALL_WRITE_PROTECT, &mut WriteProtect { start, len, mode })
}

impl Protected {
    /// Protects ranges of memory; `watches` tells whether the barrier still watches an address.
    pub fn begin(
        ranges: Vec<Range<usize>>,
        watches: impl Fn(usize) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        // SAFETY: integers only.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just returned it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        call(&fd, CALL_API, &mut Api { api: API, features: WP_IN_SHARED_MEMORY, calls: 0 })?;
        for range in &ranges {
            let (start, len) = (range.start as u64, range.len() as u64);
            call(&fd, CALL_REGISTER, &mut Register { start, len, mode: FOR_WRITES, calls: 0 })?;
            set(&fd, range, PROTECT)?;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let faults = std::thread::spawn(move || take_faults(&fd, &over, &watches));
        Ok(Protected { faults: Some(faults), is_over })
    }

    /// Ends the protection and returns what was seen.
    pub fn end(mut self) -> Found {
        self.is_over.store(true, Ordering::SeqCst);
        self.faults.take().expect("it ends once").join().expect("the thread does not panic")
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

fn take_faults(fd: &OwnedFd, is_over: &AtomicBool, watches: &dyn Fn(usize) -> bool) -> Found {
    let mut found = Found::default();
    while !is_over.load(Ordering::SeqCst) {
        let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one record, which outlives the call.
        unsafe { libc::poll(&raw mut poll, 1, 2) };
        let mut message = Message::default();
        // SAFETY: the kernel writes one message of this size.
        let got = unsafe { libc::read(fd.as_raw_fd(), (&raw mut message).cast(), size_of::<Message>()) };
        if got != size_of::<Message>() as isize || message.event != PAGE_FAULT {
            continue;
        }
        let page = message.address as usize & !(PAGE - 1);
        found.faults += 1;
        if watches(page) {
            found.untold.push(page);
        }
        set(fd, &(page..page + PAGE), 0).expect("the page is registered");
    }
    found
}
