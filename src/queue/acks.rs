//! Waiting until the readers have finished a message.

use super::error::AckError;
use super::payload::Payload;
use super::record::{ClaimState, EVICTED, Packed};
use super::ring::Ring;
use super::sender::Sender;
use crate::limits;
use crate::sync::{FOR_A_LOCK, Patience};
use std::time::Duration;

impl<T: Payload + ?Sized> Sender<T> {
    /// Waits until the readers have finished the message with this number, up to one deadline of the
    /// monotonic clock for all of them together.
    ///
    /// A reader has finished a message when it acknowledges it or requests the next one. In a channel
    /// every reader counts, a dead one too, unless it is evicted or has lost the message. In a work
    /// queue the consumer of the message counts. The message stays sent in either case.
    ///
    /// # Errors
    ///
    /// `AckError::TimedOut` names the readers that had not finished it at the deadline.
    /// `AckError::NoAcks`: the readers of a broadcast or a last value do not tell their writers.
    pub fn wait_acks(&self, number: u64, most: Duration) -> Result<(), AckError> {
        let policy = &self.ring.policy;
        // No message has a higher number.
        let number = number.min(limits::MAX_MESSAGES);
        if !policy.gates && !policy.is_work {
            return Err(AckError::NoAcks);
        }
        let mut patience = Patience::new(Some(most), FOR_A_LOCK);
        loop {
            let sleeps = !patience.spin();
            if sleeps {
                self.ring.control.space.swap(1);
            }
            if self.ring.is_acked(number) {
                return Ok(());
            }
            if patience.is_over() {
                return Err(AckError::TimedOut(self.ring.without_ack(number)));
            }
            if sleeps {
                patience.sleep(&self.ring.control.space, 1);
            }
        }
    }
}

impl Ring {
    /// Returns whether the readers have finished a message.
    fn is_acked(&self, number: u64) -> bool {
        match self.policy.is_work {
            true => self.is_finished(number),
            false => !(0..self.readers.len()).any(|reader| self.lacks_ack(reader, number)),
        }
    }

    /// Returns whether a reader of a channel has not finished a message.
    fn lacks_ack(&self, reader: usize, number: u64) -> bool {
        let rec = self.readers.get(reader);
        rec.is_some_and(|rec| rec.gate.load() & EVICTED == 0 && rec.at.load() <= number)
    }

    /// Returns the name of each reader that has not finished a message, and whether it is alive.
    #[cold]
    fn without_ack(&self, number: u64) -> Vec<(String, bool)> {
        let missing: Vec<usize> = match self.policy.is_work {
            true => self.consumer_of(number).into_iter().collect(),
            false => (0..self.readers.len()).filter(|reader| self.lacks_ack(*reader, number)).collect(),
        };
        let member = |reader: usize| (self.shape.writers as usize).saturating_add(reader);
        let is_alive = |reader| self.site.seats.is_taken(member(reader)).unwrap_or(false);
        missing.into_iter().map(|reader| (self.site.name(member(reader)), is_alive(reader))).collect()
    }

    /// Returns the consumer of a work queue that has a message; `None` if none has it.
    fn consumer_of(&self, number: u64) -> Option<usize> {
        let (place, lap) = self.order.place(number);
        let claim = Packed(self.claim(place)?.load());
        (0..self.readers.len()).find(|consumer| claim == ClaimState::of(*consumer).in_lap(lap))
    }
}
