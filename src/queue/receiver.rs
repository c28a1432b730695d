//! Receiving: each message in the order of its number, from the position of the predecessor on.

use super::descriptor::Descriptor;
use super::entry::{Found, Gone, Look, Message, Meta};
use super::error::RecvError;
use super::payload::Payload;
use super::record::ReaderRec;
use super::ring::Ring;
use crate::conf::{QueueConf, QueueKind};
use crate::layout::Broken;
use crate::limits;
use crate::sync::slips::{Slip, planted};
use crate::sync::{FOR_A_MESSAGE, OpenError, Patience, ring as wake};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A reader of a queue.
///
/// At most one process at a time is the reader under a name. A message counts as read when the
/// reader requests the next one, or calls [`ack`](Receiver::ack). If the process dies before that,
/// the next process under this name gets the message again, marked as
/// [`redelivered`](Meta::redelivered). It gets every other message once.
pub struct Receiver<T: Payload + ?Sized> {
    /// Number of the next message.
    pub(super) at: u64,
    /// The position after the next acknowledgement.
    pub(super) next: Option<u64>,
    /// Messages below this number were given before.
    pub(super) given: u64,
    /// The chunk of the next message, if the queue has one writer: the one that its last message has
    /// replaced.
    ahead: Option<u64>,
    /// Identity of the pool in whose transactions this reader receives.
    pub(super) pool: Option<[u64; 2]>,
    pub(super) me: usize,
    /// Dropped before the ring, which keeps the memory mapped.
    pub(super) descriptor: Option<Descriptor>,
    pub(super) ring: Ring,
    _payload: PhantomData<fn() -> T::Owned>,
}

/// A message that is lent in place.
pub struct View<'a> {
    /// The metadata of the message.
    pub meta: Meta,
    pub(super) bytes: &'a [u8],
}

impl Deref for View<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("meta", &self.meta).field("bytes", &self.bytes.len()).finish()
    }
}

impl<T: Payload + ?Sized> Receiver<T> {
    /// Opens a queue as the reader `me`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &QueueConf, me: &str) -> Result<Self, OpenError> {
        let ring = Ring::open_reader::<T>(conf, me, &[QueueKind::Broadcast, QueueKind::Channel])?;
        let me = ring.reader();
        let rec = ring.readers.get(me).ok_or_else(|| ring.site.damaged(Broken::NoReader))?;
        rec.gone.store(0);
        let at = rec.at.load();
        if at > limits::MAX_MESSAGES {
            return Err(ring.site.damaged(Broken::Read));
        }
        // The predecessor may have died before it woke the writers that wait for it.
        wake(&ring.control.space);
        let given = rec.given.load();
        let (next, ahead, pool, descriptor) = (None, None, None, None);
        Ok(Receiver { at, next, given, ahead, pool, me, descriptor, ring, _payload: PhantomData })
    }

    /// Receives the next message, and waits for it without a deadline.
    ///
    /// # Errors
    ///
    /// `RecvError::Lagged` if messages were overwritten, or the queue is damaged.
    pub fn recv(&mut self) -> Result<Message<T::Owned>, RecvError> {
        self.wait(None)?;
        self.try_recv()
    }

    /// Receives the next message, and waits for it up to a deadline of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `RecvError::TimedOut` if no message arrived before the deadline; otherwise as for `recv`.
    pub fn recv_timeout(&mut self, most: Duration) -> Result<Message<T::Owned>, RecvError> {
        self.wait(Some(most))?;
        self.try_recv()
    }

    /// Receives the next message without waiting.
    ///
    /// # Errors
    ///
    /// `RecvError::Empty` if the queue has no message for this reader; otherwise as for `recv`.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Message<T::Owned>, RecvError> {
        self.is_plain()?;
        self.ack();
        self.take()
    }

    /// Receives the message at the position of this reader.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Result<Message<T::Owned>, RecvError> {
        let found = self.find()?;
        let value = self.ring.copy::<T>(&found)?;
        if let Some(gone) = self.ring.replaced(self.at, &found)? {
            return Err(self.lagged(gone));
        }
        let Some(value) = value else { return Err(Broken::MessageLength.into()) };
        self.give(&found)?;
        Ok(Message { meta: found.meta, value })
    }

    /// Lends the next message in place, without waiting. The message counts as read when the reader
    /// requests the next one, and stays unchanged until then. Only a channel that never overtakes a
    /// living reader lends memory.
    ///
    /// # Errors
    ///
    /// The queue does not lend memory; otherwise as for `try_recv`.
    pub fn try_recv_ref(&mut self) -> Result<View<'_>, RecvError> {
        if !self.ring.policy.is_lossless {
            return Err(RecvError::Lossy);
        }
        self.is_plain()?;
        self.ack();
        let found = self.find()?;
        self.give(&found)?;
        let bytes = self.ring.span(found.at).lend(found.length, &*self).ok_or(RecvError::Lossy)?;
        Ok(View { meta: found.meta, bytes })
    }

    /// Lends the next message in place, and waits for it without a deadline.
    ///
    /// # Errors
    ///
    /// The queue does not lend memory; otherwise as for `recv`.
    pub fn recv_ref(&mut self) -> Result<View<'_>, RecvError> {
        if !self.ring.policy.is_lossless {
            return Err(RecvError::Lossy);
        }
        self.wait(None)?;
        self.try_recv_ref()
    }

    /// Acknowledges the last message: no process under this name gets it again, and writers need
    /// not wait for it. Requesting the next message does the same.
    #[inline]
    pub fn ack(&mut self) {
        let Some(next) = self.next.take() else { return };
        self.at = next;
        if let Some(rec) = self.rec() {
            rec.at.swap(next);
            if self.ring.policy.gates {
                wake(&self.ring.control.space);
            }
        }
    }

    /// Returns a file descriptor that is readable when this reader may have a message, to be polled
    /// with `epoll`, mio or tokio.
    ///
    /// The program waits until the descriptor is readable, and then receives without waiting until
    /// [`RecvError::Empty`]. After that the descriptor is unreadable until the next message is there.
    /// This works with level and edge triggers. The program does not read from the descriptor.
    ///
    /// The first call starts a thread, which waits for the queue. It ends when this reader is
    /// dropped.
    ///
    /// # Errors
    ///
    /// The system has no descriptor or thread left.
    pub fn descriptor(&mut self) -> io::Result<BorrowedFd<'_>> {
        let descriptor = match self.descriptor.take() {
            Some(descriptor) => descriptor,
            None => Descriptor::start(&self.ring, self.next_id())?,
        };
        Ok(self.descriptor.insert(descriptor).as_fd())
    }

    /// Returns the number of the message that this reader receives next, unless it is overwritten
    /// first.
    pub fn next_id(&self) -> u64 {
        self.next.unwrap_or(self.at)
    }

    /// Returns the number of sent messages that this reader has not been given.
    pub fn lag(&self) -> u64 {
        self.ring.control.tail.load().saturating_sub(self.next_id())
    }

    /// Waits until a message is there, or messages were overwritten that have to be reported.
    fn wait(&mut self, most: Option<Duration>) -> Result<(), RecvError> {
        self.is_plain()?;
        self.ack();
        self.wait_here(most)
    }

    /// Waits until a message is at the position of this reader, or was overwritten there.
    pub(super) fn wait_here(&self, most: Option<Duration>) -> Result<(), RecvError> {
        if !self.is_empty() {
            return Ok(());
        }
        let mut patience = Patience::new(most, FOR_A_MESSAGE);
        loop {
            if patience.spin() {
                if !self.is_empty() {
                    return Ok(());
                }
                self.fetch_next();
                continue;
            }
            self.ring.control.bell.swap(1);
            if !self.is_empty() {
                return Ok(());
            }
            if patience.is_over() {
                return Err(self.empty(RecvError::TimedOut));
            }
            patience.sleep(&self.ring.control.bell, 1);
        }
    }

    /// Returns whether the next message has not been sent yet.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.ring.word_of(self.at).is_ok_and(|(word, lap)| word.number() < lap)
    }

    /// Checks that this reader has not received in a transaction, which alone has its position.
    #[inline]
    fn is_plain(&self) -> Result<(), RecvError> {
        if self.pool.is_some() { Err(RecvError::InTransactions) } else { Ok(()) }
    }

    pub(super) fn rec(&self) -> Option<&ReaderRec> {
        self.ring.readers.get(self.me)
    }

    /// Finds the next message.
    #[inline]
    fn find(&mut self) -> Result<Found, RecvError> {
        let rec = self.rec().ok_or(Broken::NoReader)?;
        if rec.gate.load() != 0 {
            // Writers wait for this reader again from here on; overwritten messages are reported
            // below.
            rec.gate.swap(0);
        }
        match self.ring.look(self.at, self.given)? {
            Look::NotYet => {
                self.fetch_next();
                Err(self.empty(RecvError::Empty))
            }
            Look::There(found) => Ok(found),
            Look::Overwritten(gone) => Err(self.lagged(gone)),
        }
    }

    /// Fetches the first lines of the next message into the cache, which is not there yet.
    #[inline(always)]
    fn fetch_next(&self) {
        if let Some(chunk) = self.ahead {
            self.ring.fetch_to_read(chunk);
        }
    }

    /// Returns an error that says that there is no message. A descriptor becomes readable when there
    /// is one.
    #[inline]
    fn empty(&self, error: RecvError) -> RecvError {
        if let Some(descriptor) = &self.descriptor {
            descriptor.arm(self.at);
        }
        error
    }

    /// Records that the message was given.
    #[inline]
    fn give(&mut self, found: &Found) -> Result<(), RecvError> {
        let next = found.meta.id + 1;
        let rec = self.rec().ok_or(Broken::NoReader)?;
        if planted(Slip::GiveFirst) {
            rec.at.store(next);
        }
        // A message that comes again after a rollback may be followed by others that were given.
        if rec.given.load() < next && !planted(Slip::GiveNothing) {
            rec.given.store(next);
        }
        self.next = Some(next);
        self.ahead = self.ring.has_one_writer().then_some(found.replaces);
        Ok(())
    }

    /// Returns how many messages were overwritten, if the next one is gone. The next acknowledgement
    /// moves this reader after them.
    #[cold]
    fn lagged(&mut self, gone: Gone) -> RecvError {
        let word = match gone {
            Gone::Entry(word) => word,
            Gone::Bytes => return self.lost_bytes(),
        };
        let capacity = self.ring.shape.capacity;
        let (_, lap) = self.ring.order.place(self.at);
        if word.number() <= lap {
            return Broken::EarlierLap.into();
        }
        // The message in that entry is sent, even if the tail lags.
        let there = (word.number() - lap).saturating_mul(capacity).saturating_add(self.at);
        let tail = self.ring.control.tail.load().max(there.saturating_add(1));
        if tail > limits::MAX_MESSAGES {
            return Broken::Messages.into();
        }
        let oldest = tail - capacity;
        self.next = Some(oldest);
        RecvError::Lagged(oldest - self.at)
    }

    /// Returns how many messages in a row have lost their bytes. The next one has.
    fn lost_bytes(&mut self) -> RecvError {
        let lap = self.at..self.at.saturating_add(self.ring.shape.capacity);
        let lost = lap.skip(1).take_while(|number| self.ring.has_lost_bytes(*number)).count() as u64 + 1;
        self.next = Some(self.at + lost);
        RecvError::Lagged(lost)
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("key", &self.ring.site.key).field("at", &self.at).finish()
    }
}
