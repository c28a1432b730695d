//! What the slots of a type tell the write barrier of an image before they change.
//!
//! The paths without an image ask nothing of it. While pages are watched, these values lead every
//! change here instead:
//!
//! | value | without a barrier | with one |
//! |---|---|---|
//! | `list_to_write` | the list of extents | an empty one: no handle leads to a slot for writing |
//! | `named` | the slot that changed last, at hand if it is free | if it is free, none until the barrier was told of it |
//!
//! The barrier is told of a slot at hand, and of its word of the map, before it is at hand. So
//! an alloc in it, and the return of its bit, need no word to the barrier. Of all changes only these may come
//! long after the word, and a step of an image may watch pages again: before that the slot is withdrawn.

use super::{NO_NAME, Slots};
use crate::mutants::{Mutant, planted};
use crate::object::{INDEX_SHIFT, LIVE};
use crate::pool::store::barrier::Barrier;
use crate::pool::store::slot::Slot;
use crate::pool::store::ways::Addresses;
use crate::word::Word;
use std::sync::Arc;

impl Slots {
    /// Tells the barrier of every change from here on.
    pub(crate) fn watch(&mut self, barrier: &Arc<Barrier>) {
        self.barrier = Some(Arc::clone(barrier));
        self.set_list_to_write();
        self.withdraw();
    }

    /// Makes the next change of the slot at hand tell the barrier again, whose watch may begin anew.
    pub(crate) fn withdraw(&mut self) {
        if self.is_at_hand() && !planted(Mutant::UnwatchedHand) {
            self.withdrawn = self.named;
            self.set_named(NO_NAME, self.named_at, self.len());
        }
    }

    /// Tells the barrier of no more changes.
    pub(crate) fn end_watch(&mut self) {
        self.barrier = None;
        self.set_list_to_write();
        self.end_withdrawal();
    }

    /// Sets `list_to_write`, after the list or the barrier has changed.
    pub(super) fn set_list_to_write(&mut self) {
        let is_watched = self.barrier.is_some();
        self.list_to_write = if is_watched { Addresses::none() } else { self.addresses.list() };
    }

    /// Returns whether pages are watched.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        self.barrier.is_some()
    }

    /// Returns the slot of a live object that is about to change, after the barrier was told.
    #[cold]
    #[inline(never)]
    pub(crate) fn watched(&self, bits: u64) -> Option<Slot> {
        let barrier = self.barrier.as_ref()?;
        let slot = self.slot((bits >> INDEX_SHIFT) as u32).filter(|slot| slot.header().load() == bits)?;
        if !planted(Mutant::UnwatchedLoan) {
            barrier.before(slot.start.as_ptr(), self.stride);
        }
        Some(slot)
    }

    /// Tells the barrier of a slot whose header is about to change, and which may be at hand then.
    pub(crate) fn before_slot(&self, index: u32, mutant: Mutant) {
        let Some(barrier) = self.barrier.as_ref().filter(|_| !planted(mutant)) else { return };
        if let Some(slot) = self.slot(index) {
            barrier.before(slot.start.as_ptr(), self.stride);
        }
        if let Some(word) = self.word(self.word_of(index)) {
            self.before_word(word, Mutant::UnwatchedMap);
        }
    }

    /// Tells the barrier of a word of the map.
    pub(crate) fn before_word(&self, word: &Word, mutant: Mutant) {
        if let Some(barrier) = self.barrier.as_ref().filter(|_| !planted(mutant)) {
            barrier.before(std::ptr::from_ref(word).cast(), size_of::<Word>());
        }
    }

    /// Tells the barrier of the live objects of a word of the map, which a walk is about to lend.
    #[cold]
    #[inline(never)]
    pub(crate) fn before_walk(&self, number: u32, mut bits: u64) {
        let Some(barrier) = self.barrier.as_ref().filter(|_| !planted(Mutant::UnwatchedWalk)) else { return };
        while bits != 0 {
            let index = self.first_of_word(number) + bits.trailing_zeros();
            bits &= bits - 1;
            if let Some(slot) = self.slot(index).filter(|slot| slot.header().load() & LIVE != 0) {
                barrier.before(slot.start.as_ptr(), self.stride);
            }
        }
    }

    /// Has the slot at hand again that `watch` has withdrawn; returns whether there is one.
    pub(super) fn take_back(&mut self) -> bool {
        if self.withdrawn == NO_NAME {
            return false;
        }
        self.before_slot((self.withdrawn >> INDEX_SHIFT) as u32, Mutant::UnwatchedHand);
        self.end_withdrawal();
        true
    }

    /// Has the slot at hand again that was withdrawn, if there is one.
    fn end_withdrawal(&mut self) {
        if self.withdrawn != NO_NAME {
            self.set_named(self.withdrawn, self.named_at, self.len());
            self.withdrawn = NO_NAME;
        }
    }

    /// Frees an object while pages are watched.
    #[cold]
    #[inline(never)]
    pub(super) fn release_watched(&mut self, type_id: u16, bits: u64) -> Option<Slot> {
        self.barrier.as_ref()?;
        let index = (bits >> INDEX_SHIFT) as u32;
        let slot = self.slot(index).filter(|slot| slot.header().load() == bits)?;
        self.take_back();
        self.before_slot(index, Mutant::UnwatchedFree);
        Some(self.release_found(type_id, bits, slot))
    }
}
