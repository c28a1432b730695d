//! Sending: a writer fills a private chunk, and publishes it with one store.

use super::area::{Area, Extent};
use super::error::SendError;
use super::payload::Payload;
use super::record::{ClaimState, EVICTED, NONE, Packed, ReaderRec};
use super::ring::Ring;
use crate::conf::{OnDead, OnSlow, QueueConf};
use crate::layout::Broken;
use crate::limits;
use crate::region::OutOfBounds;
use crate::sync::slips::{Slip, planted};
use crate::sync::{FOR_A_LOCK, OpenError, Patience, Role, ring};
use crate::sys;
use crate::sys::clock::WallClock;
use crate::word::{look_after_store, write_after};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A writer of a queue.
///
/// At most one process at a time is the writer under a name. If it dies, the next process under
/// this name continues. From [`sent`](Sender::sent) that process learns how many messages were sent
/// under the name, and so whether the interrupted message was among them.
pub struct Sender<T: Payload + ?Sized> {
    /// Number of the private chunk.
    chunk: u64,
    clock: u64,
    /// Messages below this number have room: no reader makes the writer wait for them.
    room: u64,
    time: WallClock,
    /// The bytes that large messages of this writer have.
    pub(super) area: Area,
    /// The bytes for the next large message.
    pub(super) next: Extent,
    pub(super) me: usize,
    pub(super) ring: Ring,
    _payload: PhantomData<fn(&T)>,
}

/// Memory of a queue in which a message is written in place. If it is dropped without
/// [`commit`](Loan::commit), nothing is sent.
#[must_use = "nothing is sent without a commit"]
pub struct Loan<'a, T: Payload + ?Sized> {
    sender: &'a mut Sender<T>,
    length: u64,
}

fn no_chunk(_: OutOfBounds) -> SendError {
    Broken::NoChunk.into()
}

impl<T: Payload + ?Sized> Sender<T> {
    /// Opens a queue as the writer `me`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &QueueConf, me: &str) -> Result<Self, OpenError> {
        let ring = Ring::open::<T>(conf, me, Role::Writer)?;
        let me = ring.site.me;
        let time = WallClock::new();
        let (area, next) = (Area::default(), Extent::default());
        let mut sender =
            Sender { chunk: 0, clock: 0, room: 0, time, area, next, me, ring, _payload: PhantomData };
        sender.recover().map_err(|what| sender.ring.site.damaged(what))?;
        sender.area = sender.find_area().map_err(|what| sender.ring.site.damaged(what))?;
        Ok(sender)
    }

    /// Finishes the interrupted send of a predecessor of this name.
    fn recover(&mut self) -> Result<(), Broken> {
        let rec = self.ring.writers.get(self.me).ok_or(Broken::NoWriter)?;
        let work = Packed(rec.work.load());
        if work.number() != NONE && !planted(Slip::TakeUnasked) {
            let (place, lap) = self.ring.order.place(work.number());
            let found = Packed(self.ring.place(place).ok_or(Broken::NoPlace)?.load());
            if found == Packed::new(lap, work.chunk()) {
                let head = self.ring.head(work.chunk()).map_err(|OutOfBounds| Broken::NoChunk)?;
                self.ring.finish_as(self.me, work, head.clock.load(), head.replaces.load())?;
            }
        }
        // If the message was not published, or another process has finished it, `work` names the
        // private chunk.
        let chunk = Packed(rec.work.load()).chunk();
        rec.work.store(Packed::new(NONE, chunk).0);
        self.ring.head(chunk).map_err(|OutOfBounds| Broken::NoChunk)?;
        (self.chunk, self.clock) = (chunk, rec.clock.load());
        if self.clock > limits::MAX_MESSAGES {
            return Err(Broken::Sent);
        }
        write_after();
        // The predecessor may have died between its commit store and the wake-up.
        ring(&self.ring.control.bell);
        Ok(())
    }

    /// Returns how many messages were sent under this name, by this process and its predecessors.
    pub fn sent(&self) -> u64 {
        self.clock
    }

    /// Sends a message, and returns its number. In a channel it waits for the readers. The messages
    /// of a queue are numbered from 0 without a gap.
    ///
    /// # Errors
    ///
    /// The message is too long, the queue is damaged or has used up its message numbers, or a
    /// system call failed.
    pub fn send(&mut self, message: &T) -> Result<u64, SendError> {
        self.send_in(message, None)
    }

    /// Sends a message if no reader makes the writer wait.
    ///
    /// # Errors
    ///
    /// `SendError::Full` if a reader has not read the oldest message; otherwise as for `send`.
    pub fn try_send(&mut self, message: &T) -> Result<u64, SendError> {
        self.try_send_in(message, true)
    }

    /// Sends a message, and waits for readers up to a deadline of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `SendError::TimedOut` if the queue stayed full until the deadline; otherwise as for `send`.
    pub fn send_timeout(&mut self, message: &T, most: Duration) -> Result<u64, SendError> {
        self.send_in(message, Some(most))
    }

    /// Sends messages, and wakes the readers once, after the last. Returns how many were sent, and
    /// the error of the first that was not.
    pub fn send_batch<'a>(&mut self, messages: impl IntoIterator<Item = &'a T>) -> (usize, Option<SendError>)
    where
        T: 'a,
    {
        let mut sent = 0;
        for message in messages {
            match self.try_send_in(message, false) {
                Ok(_) => sent += 1,
                Err(error) => {
                    self.wake_readers();
                    return (sent, Some(error));
                }
            }
        }
        self.wake_readers();
        (sent, None)
    }

    /// Wakes the readers that sleep, after messages were published.
    #[inline(always)]
    fn wake_readers(&self) {
        // The compare-and-swap of one of several writers is a fence in itself.
        if self.ring.has_one_writer() {
            look_after_store();
        }
        ring(&self.ring.control.bell);
    }

    pub(super) fn check_length(&self, length: u64) -> Result<u64, SendError> {
        let max = self.ring.shape.most_bytes();
        if length > max { Err(SendError::TooLong { found: length, max }) } else { Ok(length) }
    }

    /// Returns whether a message lies in the payload area, because it is larger than a chunk.
    #[inline(always)]
    fn is_large(&self, length: u64) -> bool {
        length > self.ring.shape.message_bytes
    }

    /// Returns the offset at which a message of `length` bytes is written before it is published.
    #[inline(always)]
    pub(super) fn private_at(&self, length: u64) -> Result<u64, Broken> {
        match self.is_large(length) {
            true => self.large_at(),
            false => self.ring.bytes_at(self.chunk).map_err(|OutOfBounds| Broken::NoChunk),
        }
    }

    #[inline(always)]
    fn send_in(&mut self, message: &T, most: Option<Duration>) -> Result<u64, SendError> {
        let bytes = message.bytes();
        if self.is_large(bytes.len() as u64) {
            return self.send_large(bytes, most);
        }
        self.write(bytes)?;
        self.publish_in(bytes.len() as u64, most)
    }

    #[inline(always)]
    fn try_send_in(&mut self, message: &T, wakes: bool) -> Result<u64, SendError> {
        let bytes = message.bytes();
        if self.is_large(bytes.len() as u64) {
            return self.try_send_large(bytes, wakes);
        }
        self.write(bytes)?;
        self.publish(bytes.len() as u64, wakes)
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let at = self.ring.bytes_at(self.chunk).map_err(no_chunk)?;
        self.ring.span(at).write(bytes).map_err(no_chunk)
    }

    /// Publishes the private chunk, and waits for readers.
    fn publish_in(&mut self, length: u64, most: Option<Duration>) -> Result<u64, SendError> {
        match self.publish(length, true) {
            Err(SendError::Full) => {}
            answer => return answer,
        }
        self.publish_later(length, most)
    }

    #[cold]
    fn publish_later(&mut self, length: u64, most: Option<Duration>) -> Result<u64, SendError> {
        self.until_room(&mut Patience::new(most, FOR_A_LOCK), |sender| sender.publish(length, true))
    }

    /// Repeats a step while a reader makes the writer wait.
    pub(super) fn until_room<R>(
        &mut self,
        patience: &mut Patience,
        mut step: impl FnMut(&mut Self) -> Result<R, SendError>,
    ) -> Result<R, SendError> {
        loop {
            if !patience.spin() {
                self.ring.control.space.swap(1);
            }
            match step(self) {
                Err(SendError::Full) if patience.is_over() => return Err(SendError::TimedOut),
                Err(SendError::Full) => {}
                answer => return answer,
            }
            if !patience.spin() {
                patience.sleep(&self.ring.control.space, 1);
            }
        }
    }

    /// Publishes the private chunk with the next number. The chunk that it replaces becomes the
    /// private one.
    #[inline]
    pub(super) fn publish(&mut self, length: u64, wakes: bool) -> Result<u64, SendError> {
        loop {
            let number = self.ring.control.tail.load();
            if number >= limits::MAX_MESSAGES {
                return Err(SendError::Exhausted);
            }
            let (place, lap) = self.ring.order.place(number);
            let word = self.ring.place(place).ok_or(Broken::NoPlace)?;
            let found = Packed(word.load());
            if found.number() == lap {
                // The number is taken, and its writer has not advanced the tail yet.
                let _ = self.ring.control.tail.replace(number, number + 1);
                continue;
            }
            if found.number() != lap - 1 {
                if self.ring.control.tail.load() == number {
                    return Err(Broken::Lap.into());
                }
                continue;
            }
            if number >= self.room {
                self.make_room(number)?;
            }
            // A single writer has finished all its messages, or did so for its predecessor.
            if found.number() != 0 && !self.ring.has_one_writer() && !planted(Slip::ForgetOther) {
                let before = number - self.ring.shape.capacity;
                self.ring.finish(before, found, self.me)?;
            }
            if self.commit_as(number, (place, lap), length, found)? {
                if wakes {
                    self.wake_readers();
                }
                return Ok(number);
            }
        }
    }

    /// Publishes the private chunk as `number` in its entry and lap, instead of the message `found`;
    /// returns `false` if another writer was faster.
    #[inline(always)]
    fn commit_as(
        &mut self,
        number: u64,
        (place, lap): (usize, u64),
        length: u64,
        found: Packed,
    ) -> Result<bool, SendError> {
        let word = self.ring.place(place).ok_or(Broken::NoPlace)?;
        let rec = self.ring.writers.get(self.me).ok_or(Broken::NoWriter)?;
        let head = self.ring.head(self.chunk).map_err(no_chunk)?;
        let target = Packed::new(lap, self.chunk).0;
        let early = planted(Slip::PublishFirst) && word.replace(found.0, target).is_ok();
        head.id.fill(number);
        head.time.fill(self.time.nanos());
        head.clock.fill(self.clock + 1);
        head.replaces.fill(found.chunk());
        head.writer.fill(self.me as u32);
        head.length.fill(length as u32);
        if self.is_large(length) {
            head.payload.fill(self.next.at);
        }
        let work = Packed::new(number, self.chunk);
        if !planted(Slip::NameNoWork) {
            rec.work.store(work.0);
        }
        if self.ring.has_one_writer() {
            // No other process stores in an entry.
            if !early {
                word.store(target);
            }
        } else if !early && word.replace(found.0, target).is_err() {
            return Ok(false);
        }
        if planted(Slip::NameNoWork) {
            rec.work.store(work.0);
        }
        self.clock += 1;
        if self.is_large(length) {
            self.area.hold(number, self.next);
        }
        if planted(Slip::ClockLast) {
            let _ = rec.work.replace(work.0, Packed::new(NONE, found.chunk()).0);
        }
        rec.clock.store(self.clock);
        let done = Packed::new(NONE, found.chunk());
        if self.ring.has_one_writer() {
            rec.work.store(done.0);
            self.ring.control.tail.store(number + 1);
        } else {
            // It fails if another process has finished this message, and that one stored the same.
            let _ = rec.work.replace(work.0, done.0);
            let _ = self.ring.control.tail.replace(number, number + 1);
        }
        self.chunk = found.chunk();
        self.ring.fetch_to_write(self.chunk, length);
        // A reader may still read the chunk, because it has not noticed yet that its message was
        // overwritten.
        write_after();
        Ok(true)
    }

    /// Checks without waiting whether `number` has room; returns `Full` if a reader makes the
    /// writer wait.
    #[cold]
    fn make_room(&mut self, number: u64) -> Result<(), SendError> {
        if self.ring.policy.is_work {
            return self.make_room_for_work(number);
        }
        if !self.ring.policy.gates {
            self.room = u64::MAX;
            return Ok(());
        }
        let capacity = self.ring.shape.capacity;
        let mut room = number + 1;
        let mut first = u64::MAX;
        for reader in 0..self.ring.readers.len() {
            let Some(rec) = self.ring.readers.get(reader) else { continue };
            if rec.gate.load() & EVICTED != 0 {
                continue;
            }
            let at = rec.at.load();
            if number.saturating_sub(at) < capacity {
                first = first.min(at);
            } else if self.holds_up(reader, rec)? {
                return Err(SendError::Full);
            }
        }
        if first != u64::MAX {
            room = room.max(first.saturating_add(capacity));
        }
        self.room = room;
        Ok(())
    }

    /// Checks whether a consumer has finished the message that `number` overwrites.
    fn make_room_for_work(&mut self, number: u64) -> Result<(), SendError> {
        let (place, lap) = self.ring.order.place(number);
        let claim = Packed(self.ring.claim(place).ok_or(Broken::NoPlace)?.load());
        if lap != 1 && claim != ClaimState::DONE.in_lap(lap - 1) {
            return Err(SendError::Full);
        }
        self.room = number + 1;
        Ok(())
    }

    /// Returns whether writers wait for a reader that has not passed the oldest message.
    pub(super) fn holds_up(&self, reader: usize, rec: &ReaderRec) -> Result<bool, SendError> {
        let policy = &self.ring.policy;
        if policy.on_dead == OnDead::Hold && policy.on_slow == OnSlow::Block {
            return Ok(true);
        }
        let member = self.ring.shape.writers as usize + reader;
        let proof = self.ring.site.seats.prove_dead(member).map_err(SendError::System)?;
        let Some(_proof) = proof else {
            match policy.on_slow {
                OnSlow::Block => return Ok(true),
                OnSlow::DropOldest => {}
                OnSlow::Evict => {
                    rec.gate.swap(EVICTED);
                }
            }
            return Ok(false);
        };
        // While the proof lives, no successor of the reader can claim its seat.
        match policy.on_dead {
            OnDead::Hold => return Ok(true),
            OnDead::Evict => {}
            OnDead::HoldFor(time) => {
                let now = sys::boot_nanos().max(1);
                let since = rec.gone.load();
                if since == 0 {
                    rec.gone.store(now);
                    return Ok(true);
                }
                if u128::from(now.saturating_sub(since)) < time.as_nanos() {
                    return Ok(true);
                }
            }
        }
        rec.gate.store(EVICTED);
        Ok(false)
    }

    /// Lends `length` bytes of the queue, in which the message is written in place. They hold the
    /// bytes of an earlier message. Only a work queue, and a channel that never overtakes a reader, lend
    /// memory. For more bytes than `MessageSize`, this waits for readers until `PayloadBytes` has them.
    ///
    /// # Errors
    ///
    /// The queue does not lend memory, or the message is too long.
    pub fn loan(&mut self, length: usize) -> Result<Loan<'_, T>, SendError> {
        let length = self.check_loan(length)?;
        if self.is_large(length) {
            self.wait_for_bytes(length)?;
        }
        Ok(Loan { sender: self, length })
    }

    /// Lends `length` bytes of the queue, as [`loan`](Sender::loan) does, without waiting.
    ///
    /// # Errors
    ///
    /// `SendError::Full` if `PayloadBytes` has no bytes for a message larger than `MessageSize`;
    /// otherwise as for `loan`.
    pub fn try_loan(&mut self, length: usize) -> Result<Loan<'_, T>, SendError> {
        let length = self.check_loan(length)?;
        if self.is_large(length) {
            self.reserve(length)?;
        }
        Ok(Loan { sender: self, length })
    }

    fn check_loan(&self, length: usize) -> Result<u64, SendError> {
        let length = self.check_length(length as u64)?;
        if T::most_bytes().is_some_and(|exact| exact != length) {
            return Err(SendError::TooLong { found: length, max: T::most_bytes().unwrap_or(0) });
        }
        if !self.ring.policy.is_lossless {
            return Err(SendError::Lossy);
        }
        Ok(length)
    }
}

impl<T: Payload + ?Sized> Loan<'_, T> {
    /// Returns the lent bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        let Loan { sender, length } = self;
        let span = sender.private_at(*length).map(|at| sender.ring.span(at));
        span.ok().and_then(|span| span.lend_mut(*length, *sender)).unwrap_or_default()
    }

    /// Sends the message, and waits for readers.
    ///
    /// # Errors
    ///
    /// As for `Sender::send`.
    pub fn commit(self) -> Result<u64, SendError> {
        self.sender.publish_in(self.length, None)
    }

    /// Sends the message if no reader makes the writer wait. The loan ends in either case.
    ///
    /// # Errors
    ///
    /// As for `Sender::try_send`.
    pub fn try_commit(self) -> Result<u64, SendError> {
        self.sender.publish(self.length, true)
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("key", &self.ring.site.key).field("sent", &self.clock).finish()
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loan({} bytes)", self.length)
    }
}
