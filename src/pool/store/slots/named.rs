//! The slot of a type that was the last to change: how slots are taken and given back.
//!
//! `TypeInfo::tally` names the slot that was the last to change, and counts it as if an object lived in it; see
//! `layout/tally.rs`. If its object has died, its bit is left as it is and the slot is *at hand*: the next
//! alloc takes it, and only the next free of another slot clears its bit.
//!
//! | step | a kill behind it leaves |
//! |---|---|
//! | no slot is at hand: a free one is named, then its bit is set | it is named and free; the next owner clears its bit |
//! | alloc: the header of the slot at hand is stored | the object |
//! | free of another slot: the bit of the one at hand is cleared | it is named and free, as before |
//! | the slot to be freed is named | it is named and lives |
//! | its header is stored | it is free and named |
//!
//! # What the unsafe code here relies on
//!
//! What `slots.rs` says of addresses. `current.map` is a word of the map or `NO_WORD`; `named` is below the limit
//! while `at_hand` leads to its slot.
#![allow(unsafe_code)]

use super::{Current, Slots};
use crate::commits::Commit;
use crate::layout::{Last, Tally};
use crate::mutants::{Mutant, planted};
use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, TYPE_SHIFT};
use crate::pool::store::slot::{RETIRED, Slot};
use crate::word::Word;
use std::ptr::NonNull;

impl Slots {
    /// Live objects.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether a slot is at hand for an alloc.
    #[inline(always)]
    pub(crate) fn is_at_hand(&self) -> bool {
        !self.at_hand.is_null()
    }

    /// The slot at hand, which stays at hand.
    pub(crate) fn at_hand(&self) -> Option<Slot> {
        NonNull::new(self.at_hand).map(|start| Slot { start })
    }

    /// The slot at hand and what its header holds. The caller makes an object in it.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<(Slot, u64)> {
        let start = NonNull::new(self.at_hand)?;
        self.at_hand = std::ptr::null_mut();
        self.len += 1;
        Some((Slot { start }, self.named))
    }

    /// The slot that `take` has returned holds `header` now.
    #[inline(always)]
    pub(crate) fn took(&mut self, header: u64) {
        self.named = header;
    }

    /// Takes a slot out of the map to have it at hand. False if the memory there is has none free.
    #[inline(never)]
    pub(crate) fn refill(&mut self) -> bool {
        loop {
            // SAFETY: `map` is a word of the map or `NO_WORD`.
            let word = unsafe { &*self.current.map };
            let bits = word.load();
            let free = !bits & self.full;
            if free == 0 {
                match self.search() {
                    Some(()) => continue,
                    None => return false,
                }
            }
            let at = free.trailing_zeros();
            let index = self.first_of_word(self.current.number) + at;
            let Some(slot) = self.slot(index) else { return false };
            let old = slot.header().load();
            // Headers of retired slots and of those in quarantine have no slot's number.
            if Slot::is_live(old) || old >= u64::MAX << INDEX_SHIFT {
                self.mend_taken(index);
                continue;
            }
            let place = u64::from(index) << INDEX_SHIFT | u64::from(self.shape.type_id) << TYPE_SHIFT;
            self.named = place | (old & GENERATION_MASK).max(self.first_generation);
            self.at_hand = slot.start.as_ptr();
            self.keep_at_hand(word, bits | 1 << at, index);
            return true;
        }
    }

    /// Names the slot at hand, then says in the map that it is used; `bits` is its word with its bit set.
    #[inline(always)]
    fn keep_at_hand(&mut self, word: &Word, bits: u64, index: u32) {
        let info = self.info;
        if planted(Mutant::RefillMarksFirst) {
            word.store(bits);
        }
        if !planted(Mutant::RefillNamesNothing) {
            Commit::AllocTally.store(&info.tally, Tally::naming(self.len + 1, self.named));
        }
        word.store(bits);
        if bits == self.full {
            self.current = Current::NONE;
        }
        if u64::from(index) >= info.high_water.load() {
            info.high_water.store(u64::from(index) + 1);
        }
    }

    /// The map calls a slot free that is not: a stray write changed the map. What the header says stays, the bit is mended.
    #[cold]
    fn mend_taken(&mut self, index: u32) {
        log::error!("{} slot {index} is taken but was marked free; the mark is mended", self.info.name());
        self.mend(index, true);
    }

    /// Takes over what the tally says: how many objects there are, and the slot that was the last to change. If
    /// that is free, the caller has to settle it before anything else.
    pub(crate) fn recall(&mut self) -> Option<(u32, Slot)> {
        let tally = Tally::parse(self.info.tally.load());
        let found = tally.named.and_then(|index| Some((index, self.slot(index)?)));
        let header = found.map_or(0, |(_, slot)| slot.header().load());
        let lives = Slot::is_live(header);
        self.len = tally.len(lives);
        self.named = if lives { header } else { 0 };
        found.filter(|_| !lives)
    }

    /// Names no slot; the one at hand gets its bit cleared.
    pub(crate) fn name_none(&mut self) {
        self.put_back();
        self.named = 0;
        Commit::NoneNamed.store(&self.info.tally, Tally::of(self.len));
    }

    /// Names the slot of `object`, and counts an object in it, for a change of its header. No slot is at
    /// hand then.
    pub(crate) fn name(&mut self, object: Handle, len: u64, commit: Commit) {
        self.put_back();
        self.named = object.to_bits();
        commit.store(&self.info.tally, Tally::naming(len, object.to_bits()));
    }

    /// Names no slot any more: the one that was named is neither free nor in use, and there are `len` objects.
    pub(crate) fn leave(&mut self, len: u64) {
        self.len = len;
        self.name_none();
    }

    /// The named slot holds `header` from now on, and there are `len` objects.
    pub(crate) fn changed(&mut self, slot: Slot, header: u64, len: u64) {
        (self.named, self.len) = (header, len);
        self.at_hand = if Slot::is_live(header) { std::ptr::null_mut() } else { slot.start.as_ptr() };
    }

    /// Has no slot at hand: the one there was gets its bit cleared. It is named until the next one is.
    #[inline(always)]
    fn put_back(&mut self) {
        if self.at_hand.is_null() {
            return;
        }
        self.at_hand = std::ptr::null_mut();
        // SAFETY: `release` and `refill` found it below the limit.
        let place = unsafe { self.place(self.named) };
        if place.used == self.full {
            self.reopen(place.number);
        }
        // SAFETY: `place` found it: the word of the map that speaks of the slot.
        unsafe { &*place.map }.store(place.used & !(1 << place.at));
        if place.number < self.current.number {
            self.current = Current { number: place.number, map: place.map };
        }
    }

    /// Ends the life that the handle `bits` names, and returns its slot; `None` if it is not going on.
    ///
    /// # Safety
    ///
    /// `stride` is that of these slots.
    #[inline(always)]
    pub(crate) unsafe fn release(&mut self, type_id: u16, bits: u64, stride: usize) -> Option<Slot> {
        // SAFETY: the stride is that of these slots.
        let slot = unsafe { self.slot_of(bits, stride) }?;
        if slot.header().load() != bits {
            return None;
        }
        if self.is_at_hand() || bits & GENERATION_MASK >= self.last_generation {
            return Some(self.release_slowly(type_id, bits, slot));
        }
        self.end_life(type_id, bits, slot);
        Some(slot)
    }

    /// The last steps of a free: the slot is named, dies and is at hand.
    #[inline(always)]
    fn end_life(&mut self, type_id: u16, bits: u64, slot: Slot) {
        let (header, info, len) = (self.header, self.info, self.len);
        let is_named = (bits ^ self.named) >> TYPE_SHIFT == 0;
        if !is_named && !planted(Mutant::FreeNamesNothing) && !planted(Mutant::FreeNamesLast) {
            Commit::FreeTally.store(&info.tally, Tally::naming(len, bits));
        }
        header.last.store(Last::free(type_id));
        Commit::FreeHeader.store(slot.header(), bits + 1);
        if planted(Mutant::FreeNamesLast) {
            Commit::FreeTally.store(&info.tally, Tally::naming(len, bits));
        }
        self.named = bits + 1;
        self.at_hand = slot.start.as_ptr();
        self.len = len.saturating_sub(1);
    }

    /// The same where another slot is at hand, which goes back to the map first, or the slot ends its last life.
    #[inline(never)]
    fn release_slowly(&mut self, type_id: u16, bits: u64, slot: Slot) -> Slot {
        if !planted(Mutant::FreeForgetsOther) {
            self.put_back();
        }
        if bits & GENERATION_MASK < self.last_generation {
            self.end_life(type_id, bits, slot);
            return slot;
        }
        let (header, info) = (self.header, self.info);
        Commit::FreeTally.store(&info.tally, Tally::naming(self.len, bits));
        header.last.store(Last::free(type_id));
        self.retire(slot, (bits >> INDEX_SHIFT) as u32);
        self.len = self.len.saturating_sub(1);
        self.name_none();
        slot
    }

    /// The same where the Rust type is not known.
    pub(crate) fn release_untyped(&mut self, handle: Handle) -> Option<Slot> {
        // SAFETY: the stride is that of these slots.
        unsafe { self.release(self.type_id(), handle.to_bits(), self.stride) }
    }

    /// Ends the life of a slot in its last generation: its bit stays, it is never used again.
    #[cold]
    #[inline(never)]
    pub(crate) fn retire(&self, slot: Slot, index: u32) {
        Commit::RetireHeader.store(slot.header(), RETIRED);
        self.count_retired(index);
    }

    /// Counts slot `index` as retired, once, however often it is called for it in a row.
    pub(crate) fn count_retired(&self, index: u32) {
        let word = self.info.retired.load();
        let last = u64::from(index) + 1;
        if word & u64::from(u32::MAX) != last {
            self.info.retired.store(((word >> 32) + 1) << 32 | last);
        }
    }
}
