//! Sending messages that are larger than a chunk.
//!
//! Their bytes lie in the payload area of their writer, to which no other process writes. The head of
//! the chunk names the place. So the store that publishes the chunk publishes the bytes, and a kill
//! before it leaves bytes that belong to no message.

use super::area::{Area, Extent};
use super::error::SendError;
use super::payload::Payload;
use super::record::{ClaimState, EVICTED, Packed};
use super::sender::Sender;
use crate::layout::Broken;
use crate::limits;
use crate::sync::slips::{Slip, planted};
use crate::sync::{FOR_A_LOCK, Patience};
use crate::word::{read_before, write_after};
use std::time::Duration;

impl<T: Payload + ?Sized> Sender<T> {
    /// Sends a message that is larger than a chunk. One deadline limits the waits for bytes and for
    /// an entry.
    #[cold]
    pub(super) fn send_large(&mut self, bytes: &[u8], most: Option<Duration>) -> Result<u64, SendError> {
        let length = self.check_length(bytes.len() as u64)?;
        let mut patience = Patience::new(most, FOR_A_LOCK);
        self.until_room(&mut patience, |sender| sender.reserve(length))?;
        self.write_large(bytes)?;
        self.until_room(&mut patience, |sender| sender.publish(length, true))
    }

    /// Sends a message that is larger than a chunk, if no reader makes the writer wait.
    #[cold]
    pub(super) fn try_send_large(&mut self, bytes: &[u8], wakes: bool) -> Result<u64, SendError> {
        let length = self.check_length(bytes.len() as u64)?;
        self.reserve(length)?;
        self.write_large(bytes)?;
        self.publish(length, wakes)
    }

    /// Finds bytes for a loan, and waits for readers.
    #[cold]
    pub(super) fn wait_for_bytes(&mut self, length: u64) -> Result<(), SendError> {
        self.until_room(&mut Patience::new(None, FOR_A_LOCK), |sender| sender.reserve(length))
    }

    /// Returns the offset of the bytes that the next large message has.
    #[cold]
    pub(super) fn large_at(&self) -> Result<u64, Broken> {
        self.ring.payload_at(self.me as u64, &self.next)
    }

    fn write_large(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let at = self.private_at(bytes.len() as u64)?;
        self.ring.span(at).write(bytes).map_err(|_| Broken::PayloadOutside)?;
        if planted(Slip::VoidLast) {
            self.void(self.ring.control.tail.load());
        }
        Ok(())
    }

    /// Finds bytes for a message, whose length is valid; returns `Full` if a reader makes the writer
    /// wait for them. They count as taken after the message is published.
    pub(super) fn reserve(&mut self, length: u64) -> Result<(), SendError> {
        self.release_passed();
        loop {
            if let Some(extent) = self.area.fit(length) {
                self.next = extent;
                return Ok(());
            }
            let oldest = self.area.oldest().ok_or(Broken::PayloadOutside)?;
            if self.is_waited_for(oldest)? && !planted(Slip::ReuseUnasked) {
                return Err(SendError::Full);
            }
            self.release_oldest(oldest);
        }
    }

    /// Releases the bytes of messages that no reader needs.
    fn release_passed(&mut self) {
        if self.ring.policy.is_work {
            let Self { area, ring, .. } = self;
            return area.release_all(|number| ring.is_finished(number));
        }
        let passed = self.ring.passed();
        while let Some(oldest) = self.area.oldest().filter(|oldest| *oldest < passed) {
            self.release_oldest(oldest);
        }
    }

    /// Releases the bytes of the oldest message that has some.
    fn release_oldest(&mut self, oldest: u64) {
        if !self.ring.policy.is_lossless && !planted(Slip::VoidLast) {
            self.void(oldest.saturating_add(1));
        }
        self.area.release_oldest();
    }

    /// Tells readers that the messages below a number have lost their bytes, before these change.
    fn void(&self, below: u64) {
        if let Some(rec) = self.ring.writers.get(self.me) {
            rec.void.store(below);
        }
        write_after();
    }

    /// Returns whether writers wait for a reader that has not passed a message. The message is the
    /// oldest that has bytes.
    fn is_waited_for(&self, number: u64) -> Result<bool, SendError> {
        let policy = &self.ring.policy;
        if policy.is_work || !policy.gates {
            return Ok(policy.is_work);
        }
        for reader in 0..self.ring.readers.len() {
            let Some(rec) = self.ring.readers.get(reader) else { continue };
            let is_past = rec.gate.load() & EVICTED != 0 || rec.at.load() > number;
            if !is_past && self.holds_up(reader, rec)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds the bytes that messages of this writer have, those of its predecessors included.
    pub(super) fn find_area(&self) -> Result<Area, Broken> {
        let ring = &self.ring;
        let mut area = Area::new(ring.shape.area_bytes());
        if ring.shape.payload_bytes == 0 || planted(Slip::ForgetHeld) {
            return Ok(area);
        }
        let mut held = Vec::new();
        for place in 0..ring.places().len() {
            held.extend(self.held_at(place)?);
        }
        held.sort_unstable_by_key(|(number, _)| *number);
        for (number, extent) in held {
            ring.payload_at(self.me as u64, &extent)?;
            if !area.hold(number, extent) {
                return Err(Broken::PayloadTwice);
            }
        }
        Ok(area)
    }

    /// Returns the number and the bytes of a large message of this writer that readers may need.
    fn held_at(&self, place: usize) -> Result<Option<(u64, Extent)>, Broken> {
        let ring = &self.ring;
        let word = ring.place(place).ok_or(Broken::NoPlace)?;
        let found = Packed(word.load());
        if found.number() == 0 {
            return Ok(None);
        }
        let head = ring.head(found.chunk()).map_err(|_| Broken::PlaceChunk)?;
        let (number, length) = (head.id.load(), u64::from(head.length.load()));
        let (writer, at) = (head.writer.load(), head.payload.load());
        read_before();
        let is_mine = writer as usize == self.me && length > ring.shape.message_bytes;
        // Another writer may have overwritten the message meanwhile.
        if !is_mine || word.load() != found.0 {
            return Ok(None);
        }
        if number >= limits::MAX_MESSAGES || ring.order.place(number) != (place, found.number()) {
            return Err(Broken::MessageNumber);
        }
        let is_over = match () {
            () if ring.policy.is_work => ring.is_finished(number),
            () if ring.policy.is_lossless => number < ring.passed(),
            () => ring.is_void(number, writer)?,
        };
        Ok((!is_over).then(|| (number, Extent::new(at, length))))
    }
}

impl super::ring::Ring {
    /// Returns the number up to which every reader has finished all messages.
    fn passed(&self) -> u64 {
        let readers = (0..self.readers.len()).filter_map(|reader| self.readers.get(reader));
        readers.map(|rec| rec.at.load()).min().unwrap_or(0)
    }

    /// Returns whether a consumer of a work queue has finished a message.
    pub(super) fn is_finished(&self, number: u64) -> bool {
        let (place, lap) = self.order.place(number);
        let Some(claim) = self.claim(place).map(|claim| Packed(claim.load())) else { return false };
        claim == ClaimState::DONE.in_lap(lap) || claim.number() > lap
    }
}
