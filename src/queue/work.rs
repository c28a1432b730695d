//! Taking messages of a work queue: each goes to one consumer.
//!
//! The claim of an entry alone decides which consumer has its message. A consumer names the message
//! in its record before it tries to claim it, so that the others find what a dead one had.

use super::entry::{Found, Look, Message};
use super::error::RecvError;
use super::payload::Payload;
use super::receiver::View;
use super::record::{ClaimState, Packed, ReaderRec};
use super::ring::Ring;
use crate::conf::{QueueConf, QueueKind};
use crate::layout::Broken;
use crate::sync::slips::{Slip, planted};
use crate::sync::{FOR_A_LOCK, FOR_A_MESSAGE, OpenError, Patience, ring as wake};
use crate::word::Shared;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Messages after which a consumer that finds new ones looks for those of the dead.
const ROUNDS: u32 = 64;

/// A consumer of a work queue.
///
/// Each message goes to one consumer. It is finished when that consumer requests the next one, or
/// calls [`ack`](WorkQueue::ack). If the consumer dies or is dropped before that, the message goes to
/// the next process under its name, or to another consumer, marked as
/// [`redelivered`](super::Meta::redelivered). The kernel proves a death; a consumer that is only slow
/// or stopped keeps its message.
///
/// Writers wait until the message that they overwrite is finished. So `Capacity` limits how far the
/// newest message can be ahead of the oldest unfinished one.
///
/// # Examples
///
/// ```
/// use hotpool::conf::{QueueConf, QueueKind};
/// use hotpool::queue::{Sender, WorkQueue};
/// use hotpool::units::{Bytes, Key};
///
/// let mut conf = QueueConf::new("jobs", Key(0x4850_0f05), QueueKind::Work, 64, Bytes(8));
/// conf.writers = vec!["zone".into()];
/// conf.readers = vec!["one".into(), "two".into()];
///
/// let mut tx: Sender<u64> = Sender::open(&conf, "zone")?;
/// let mut one: WorkQueue<u64> = WorkQueue::open(&conf, "one")?;
/// let mut two: WorkQueue<u64> = WorkQueue::open(&conf, "two")?;
/// tx.send(&7)?;
/// tx.send(&8)?;
/// assert_eq!((one.recv()?.value, two.recv()?.value), (7, 8));
/// drop(one); // without `ack`
/// let again = two.recv()?;
/// assert_eq!((again.value, again.meta.redelivered), (7, true));
/// # drop((tx, two));
/// # hotpool::sync::remove(conf.key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WorkQueue<T: Payload + ?Sized> {
    /// The message that this consumer has and was given.
    held: Option<u64>,
    /// The message that this consumer has and is to be given next.
    next: Option<Claimed>,
    rounds: u32,
    me: usize,
    ring: Ring,
    _payload: PhantomData<fn() -> T::Owned>,
}

/// A message that belongs to this consumer.
#[derive(Clone, Copy)]
struct Claimed {
    number: u64,
    again: bool,
}

impl<T: Payload + ?Sized> WorkQueue<T> {
    /// Opens a queue with `Kind = work` as the consumer `me`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &QueueConf, me: &str) -> Result<Self, OpenError> {
        let ring = Ring::open_reader::<T>(conf, me, &[QueueKind::Work])?;
        let me = ring.reader();
        let mut work = WorkQueue { held: None, next: None, rounds: 0, me, ring, _payload: PhantomData };
        let left = work.left_by(me).map_err(|_| work.ring.site.damaged(Broken::NoClaim))?;
        // Its seat proves that the predecessor is dead.
        work.next = left.map(|(number, _)| Claimed { number, again: true });
        // The predecessor may have died before it woke the writers that wait for its last message.
        wake(&work.ring.control.space);
        Ok(work)
    }

    /// Receives the next message, and waits for it without a deadline.
    ///
    /// # Errors
    ///
    /// The queue is damaged, or the semaphores were removed.
    pub fn recv(&mut self) -> Result<Message<T::Owned>, RecvError> {
        self.wait(None)?;
        self.give()
    }

    /// Receives the next message, and waits for it up to a deadline of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `RecvError::TimedOut` if no message came before the deadline; otherwise as for `recv`.
    pub fn recv_timeout(&mut self, most: Duration) -> Result<Message<T::Owned>, RecvError> {
        self.wait(Some(most))?;
        self.give()
    }

    /// Receives the next message without waiting.
    ///
    /// # Errors
    ///
    /// `RecvError::Empty` if there is none; otherwise as for `recv`.
    pub fn try_recv(&mut self) -> Result<Message<T::Owned>, RecvError> {
        self.ack()?;
        self.take(true)?;
        self.give()
    }

    /// Lends the next message in place, and waits for it without a deadline. It stays unchanged
    /// until this consumer requests the next one.
    ///
    /// # Errors
    ///
    /// As for `recv`.
    pub fn recv_ref(&mut self) -> Result<View<'_>, RecvError> {
        self.wait(None)?;
        self.lend()
    }

    /// Lends the next message in place, without waiting, as [`recv_ref`](WorkQueue::recv_ref) does.
    ///
    /// # Errors
    ///
    /// As for `try_recv`.
    pub fn try_recv_ref(&mut self) -> Result<View<'_>, RecvError> {
        self.ack()?;
        self.take(true)?;
        self.lend()
    }

    /// Finishes the last message: no consumer gets it again. Requesting the next message does the
    /// same.
    ///
    /// # Errors
    ///
    /// The queue is damaged.
    pub fn ack(&mut self) -> Result<(), RecvError> {
        let Some(number) = self.held else { return Ok(()) };
        let (claim, found, lap) = self.claim_of(number)?;
        let is_mine = found == ClaimState::of(self.me).in_lap(lap);
        if !is_mine || claim.replace(found.0, ClaimState::DONE.in_lap(lap).0).is_err() {
            return Err(Broken::HeldByOther.into());
        }
        self.held = None;
        wake(&self.ring.control.space);
        Ok(())
    }

    /// Returns the number of sent messages that no consumer has taken yet.
    pub fn waiting(&self) -> u64 {
        let control = &self.ring.control;
        control.tail.load().saturating_sub(control.taken.load())
    }

    fn rec(&self) -> Result<&ReaderRec, RecvError> {
        self.ring.readers.get(self.me).ok_or(Broken::NoReader.into())
    }

    /// Returns the claim of a message, its value, and the lap of the message.
    #[inline]
    fn claim_of(&self, number: u64) -> Result<(&Shared, Packed, u64), RecvError> {
        let (place, lap) = self.ring.order.place(number);
        let claim = self.ring.claim(place).ok_or(Broken::NoClaim)?;
        Ok((claim, Packed(claim.load()), lap))
    }

    /// Waits until this consumer has a message to be given.
    fn wait(&mut self, most: Option<Duration>) -> Result<(), RecvError> {
        self.ack()?;
        let mut patience = Patience::new(most, FOR_A_MESSAGE);
        let mut looks = true;
        loop {
            let sleeps = !patience.spin();
            if sleeps {
                self.ring.control.bell.swap(1);
            }
            match self.take(looks) {
                Err(RecvError::Empty) => {}
                answer => return answer,
            }
            if patience.is_over() {
                return Err(RecvError::TimedOut);
            }
            looks = sleeps;
            if sleeps {
                // No process rings a bell for a message whose consumer has died.
                patience.up_to(if self.others_work()? { FOR_A_LOCK } else { FOR_A_MESSAGE });
                patience.sleep(&self.ring.control.bell, 1);
            }
        }
    }

    /// Takes a message: that of a predecessor, a new one, or that of a dead consumer, for which this
    /// looks if there is no new one or `looks` is set often enough.
    fn take(&mut self, looks: bool) -> Result<(), RecvError> {
        if self.next.is_some() {
            return Ok(());
        }
        self.rounds = self.rounds.wrapping_add(1);
        let first = if looks && self.rounds.is_multiple_of(ROUNDS) { self.adopt()? } else { None };
        let mut taken = match first {
            Some(number) => Some(Claimed { number, again: true }),
            None => self.claim()?.map(|number| Claimed { number, again: false }),
        };
        if taken.is_none() && looks {
            taken = self.adopt()?.map(|number| Claimed { number, again: true });
        }
        self.next = taken;
        if taken.is_some() { Ok(()) } else { Err(RecvError::Empty) }
    }

    /// Claims the oldest new message.
    #[inline]
    fn claim(&self) -> Result<Option<u64>, RecvError> {
        let control = &self.ring.control;
        loop {
            let number = control.taken.load();
            let (word, lap) = self.ring.word_of(number)?;
            if word.number() < lap {
                return Ok(None);
            }
            if word.number() > lap {
                // The consumer of this message died before it advanced the number, and another one
                // has finished it. All messages that are overwritten were finished.
                let oldest = control.tail.load().saturating_sub(self.ring.shape.capacity);
                let _ = control.taken.replace(number, oldest.max(number.saturating_add(1)));
                continue;
            }
            let (claim, found, _) = self.claim_of(number)?;
            if found.number() < lap && self.try_claim(number, claim, found)? {
                let _ = control.taken.replace(number, number.saturating_add(1));
                return Ok(Some(number));
            }
            // A consumer has it. It may have died before it advanced the number.
            if Packed(claim.load()).number() >= lap {
                let _ = control.taken.replace(number, number.saturating_add(1));
            }
        }
    }

    /// Tries to get a message whose claim is `found`.
    #[inline]
    fn try_claim(&self, number: u64, claim: &Shared, found: Packed) -> Result<bool, RecvError> {
        let (_, lap) = self.ring.order.place(number);
        let (rec, mine) = (self.rec()?, ClaimState::of(self.me).in_lap(lap));
        if planted(Slip::ClaimUnnamed) {
            let is_mine = claim.replace(found.0, mine.0).is_ok();
            rec.at.store(number.saturating_add(1));
            return Ok(is_mine);
        }
        rec.at.store(number.saturating_add(1));
        Ok(claim.replace(found.0, mine.0).is_ok())
    }

    /// Returns the message that a consumer has not finished, and its claim.
    fn left_by(&self, consumer: usize) -> Result<Option<(u64, Packed)>, RecvError> {
        let rec = self.ring.readers.get(consumer).ok_or(Broken::NoReader)?;
        let Some(number) = rec.at.load().checked_sub(1) else { return Ok(None) };
        let (_, found, lap) = self.claim_of(number)?;
        Ok((found == ClaimState::of(consumer).in_lap(lap)).then_some((number, found)))
    }

    /// Returns whether another consumer has a message.
    fn others_work(&self) -> Result<bool, RecvError> {
        for consumer in (0..self.ring.readers.len()).filter(|consumer| *consumer != self.me) {
            if self.left_by(consumer)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the message of a consumer that is proven dead.
    #[cold]
    fn adopt(&self) -> Result<Option<u64>, RecvError> {
        let site = &self.ring.site;
        for consumer in (0..self.ring.readers.len()).filter(|consumer| *consumer != self.me) {
            let Some((number, found)) = self.left_by(consumer)? else { continue };
            let member = self.ring.shape.writers as usize + consumer;
            let proof = site.seats.prove_dead(member).map_err(|error| RecvError::System(error.kind()))?;
            if proof.is_none() && !planted(Slip::AdoptLiving) {
                continue;
            }
            // While the proof lives, no successor can claim the seat of the dead consumer.
            let (claim, _, _) = self.claim_of(number)?;
            if self.try_claim(number, claim, found)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Finds the message that this consumer has taken.
    fn find(&mut self) -> Result<(Claimed, Found), RecvError> {
        let claimed = self.next.ok_or(RecvError::Empty)?;
        let again = if claimed.again { claimed.number.saturating_add(1) } else { 0 };
        match self.ring.look(claimed.number, again)? {
            Look::There(found) => Ok((claimed, found)),
            Look::NotYet | Look::Overwritten(_) => Err(Broken::HeldMessage.into()),
        }
    }

    fn give(&mut self) -> Result<Message<T::Owned>, RecvError> {
        let (claimed, found) = self.find()?;
        let value = self.ring.copy::<T>(&found)?;
        let value = value.ok_or(Broken::MessageLength)?;
        (self.held, self.next) = (Some(claimed.number), None);
        Ok(Message { meta: found.meta, value })
    }

    fn lend(&mut self) -> Result<View<'_>, RecvError> {
        let (claimed, found) = self.find()?;
        (self.held, self.next) = (Some(claimed.number), None);
        let bytes = self.ring.span(found.at).lend(found.length, &*self).ok_or(RecvError::Lossy)?;
        Ok(View { meta: found.meta, bytes })
    }
}

impl<T: Payload + ?Sized> fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").field("key", &self.ring.site.key).field("held", &self.held).finish()
    }
}
