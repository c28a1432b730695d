//! The named slot: how slots are allocated and freed.
//!
//! `TypeInfo::tally` names the slot that changed last, and counts it as if an object lived in it;
//! see `layout/tally.rs`. If its object was freed, its bit stays set and the slot is *at hand*: the
//! next alloc takes it. Only the next free of another slot clears its bit.
//!
//! | step | state if killed after this step |
//! |---|---|
//! | no slot is at hand: a free one is named, then its bit is set | it is named and free; the next owner clears its bit |
//! | alloc: the header of the slot at hand is stored | the object |
//! | free of another slot: the bit of the slot at hand is cleared | it is named and free, as before |
//! | the slot to be freed is named | it is named and live |
//! | its header is stored | it is named and free |
//!
//! # What the unsafe code here relies on
//!
//! The rules in `slots.rs` for addresses. `current.map` is a word of the map or `NO_WORD`. Unless
//! `named` is `NO_NAME`, it is the header of an existing slot, and `named_at` is the address of
//! that slot: whatever sets one of them sets both.
#![allow(unsafe_code)]

use super::{Current, NO_NAME, Slots};
use crate::commits::Commit;
use crate::layout::{Last, Tally};
use crate::mutants::{Mutant, planted};
use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, LIVE, TYPE_SHIFT};
use crate::pool::store::slot::{RETIRED, Slot};
use crate::word::Word;
use std::ptr::{NonNull, null_mut};

impl Slots {
    /// Returns the number of live objects.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        // A tally with a stray write may count fewer than there are.
        (self.others + (self.named & LIVE) as i64).max(0) as u64
    }

    /// Returns the number of live objects in other slots than the named one, which is the number of all
    /// while a slot is at hand.
    #[inline(always)]
    pub(crate) fn others(&self) -> i64 {
        self.others
    }

    /// Names a slot, or none, and sets the number of live objects.
    #[inline(always)]
    pub(super) fn set_named(&mut self, header: u64, at: *mut u8, len: u64) {
        (self.named, self.named_at) = (header, at);
        self.others = len as i64 - (header & LIVE) as i64;
    }

    /// Names no slot in this process.
    fn forget_name(&mut self) {
        self.set_named(NO_NAME, null_mut(), self.len());
    }

    /// Returns whether a slot is at hand for an alloc.
    #[inline(always)]
    pub(crate) fn is_at_hand(&self) -> bool {
        self.named & LIVE == 0
    }

    /// Returns the header of the slot at hand, which stays at hand.
    pub(crate) fn header_at_hand(&self) -> Option<u64> {
        self.is_at_hand().then_some(self.named)
    }

    /// Returns the slot at hand with its header. It stays at hand until `took`.
    #[inline(always)]
    pub(crate) fn at_hand(&self) -> Option<(Slot, u64)> {
        let named = self.named;
        if named & LIVE != 0 {
            return None;
        }
        // SAFETY: a slot is named, so this is its address.
        Some((Slot { start: unsafe { NonNull::new_unchecked(self.named_at) } }, named))
    }

    /// Records that the slot at hand now holds `header`, that of a new object.
    #[inline(always)]
    pub(crate) fn took(&mut self, header: u64) {
        self.named = header;
    }

    /// Takes a slot out of the map to have it at hand; returns false if the present memory has no
    /// free slot.
    #[inline(never)]
    pub(crate) fn refill(&mut self) -> bool {
        if self.take_back() {
            return true;
        }
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
            // Headers of retired slots and of slots in quarantine have no slot number.
            if Slot::is_live(old) || old >= u64::MAX << INDEX_SHIFT {
                self.mend_taken(index);
                continue;
            }
            let bits_above = u64::from(index) << INDEX_SHIFT | u64::from(self.shape.type_id) << TYPE_SHIFT;
            self.before_slot(index, Mutant::UnwatchedRefill);
            let header = bits_above | (old & GENERATION_MASK).max(self.first_generation);
            self.set_named(header, slot.start.as_ptr(), self.len());
            self.keep_at_hand(word, bits | 1 << at, index);
            return true;
        }
    }

    /// Names the slot at hand, then sets its bit in the map; `bits` is the word with the bit set.
    #[inline(always)]
    fn keep_at_hand(&mut self, word: &Word, bits: u64, index: u32) {
        let info = self.info;
        if planted(Mutant::RefillMarksFirst) {
            word.store(bits);
        }
        if !planted(Mutant::RefillNamesNothing) {
            Commit::AllocTally.store(&info.tally, Tally::naming(self.len() + 1, self.named));
        }
        word.store(bits);
        if bits == self.full {
            self.current = Current::NONE;
        }
        if u64::from(index) >= info.high_water.load() {
            info.high_water.store(u64::from(index) + 1);
        }
    }

    /// Mends the map after a stray write marked a used slot as free. The header decides, so the bit
    /// is set.
    #[cold]
    fn mend_taken(&mut self, index: u32) {
        log::error!(
            "{} slot {index} is used, but the map marked it as free; the map is corrected",
            self.info.name()
        );
        self.mend(index, true);
    }

    /// Reads the tally: the number of objects, and the named slot.
    ///
    /// It returns that slot if it is free; the caller must then recover the type before anything
    /// else.
    pub(crate) fn recall(&mut self) -> Option<(u32, Slot)> {
        let tally = Tally::parse(self.info.tally.load());
        let found = tally.named.and_then(|index| Some((index, self.slot(index)?)));
        let header = found.map_or(0, |(_, slot)| slot.header().load());
        let lives = Slot::is_live(header);
        let len = tally.len(lives);
        match found.filter(|_| lives) {
            Some((_, slot)) => self.set_named(header, slot.start.as_ptr(), len),
            None => self.set_named(NO_NAME, null_mut(), len),
        }
        found.filter(|_| !lives)
    }

    /// Names no slot, and clears the bit of the slot at hand.
    pub(crate) fn name_none(&mut self) {
        self.take_back();
        self.put_back();
        self.forget_name();
        Commit::NoneNamed.store(&self.info.tally, Tally::of(self.len()));
    }

    /// Names the slot of `object`, and counts an object in it, for a change of its header.
    ///
    /// No slot is at hand after this.
    pub(crate) fn name(&mut self, object: Handle, len: u64, commit: Commit) {
        self.take_back();
        self.put_back();
        if let Some(slot) = self.slot(object.index()) {
            self.set_named(object.to_bits(), slot.start.as_ptr(), self.len());
        }
        commit.store(&self.info.tally, Tally::naming(len, object.to_bits()));
    }

    /// Names no slot any more: the named one is neither free nor in use, and the type has `len`
    /// objects.
    pub(crate) fn leave(&mut self, len: u64) {
        self.set_named(self.named, self.named_at, len);
        self.name_none();
    }

    /// Records that the named slot now holds `header`, and that the type has `len` objects.
    pub(crate) fn changed(&mut self, slot: Slot, header: u64, len: u64) {
        self.set_named(header, slot.start.as_ptr(), len);
    }

    /// Clears the bit of the slot at hand, so that none is. The slot stays named until the next one
    /// is.
    #[inline(always)]
    fn put_back(&mut self) {
        if !self.is_at_hand() {
            return;
        }
        let Some(position) = self.place(self.named) else { return };
        self.forget_name();
        if position.used == self.full {
            self.reopen(position.number);
        }
        // SAFETY: `place` found it: the word of the map that has the slot's bit.
        unsafe { &*position.map }.store(position.used & !(1 << position.at));
        if position.number < self.current.number {
            self.current = Current { number: position.number, map: position.map };
        }
    }

    /// Frees the object with the handle `bits`, and returns its slot; `None` if the handle does not
    /// resolve.
    ///
    /// # Safety
    ///
    /// `stride` is the stride of these slots.
    #[inline(always)]
    pub(crate) unsafe fn release(&mut self, type_id: u16, bits: u64, stride: usize) -> Option<Slot> {
        // SAFETY: the stride is that of these slots.
        let Some(slot) = (unsafe { self.ways_to_write().slot_of(bits, stride) }) else {
            return self.release_watched(type_id, bits);
        };
        if slot.header().load() != bits {
            return None;
        }
        Some(self.release_found(type_id, bits, slot))
    }

    /// Frees the object with the handle `bits`, which lives in a slot.
    #[inline(always)]
    pub(super) fn release_found(&mut self, type_id: u16, bits: u64, slot: Slot) -> Slot {
        if self.is_at_hand() || bits & GENERATION_MASK >= self.last_generation {
            return self.release_slowly(type_id, bits, slot);
        }
        self.end_life(type_id, bits, slot);
        slot
    }

    /// Completes a free while no slot is at hand: names the slot, stores its header, and has it at
    /// hand.
    #[inline(always)]
    fn end_life(&mut self, type_id: u16, bits: u64, slot: Slot) {
        let (header, info) = (self.header, self.info);
        let is_named = (bits ^ self.named) >> TYPE_SHIFT == 0;
        if !is_named {
            let len = self.len();
            if !planted(Mutant::FreeNamesNothing) && !planted(Mutant::FreeNamesLast) {
                Commit::FreeTally.store(&info.tally, Tally::naming(len, bits));
            }
            // The slot that was named is one of the others now, and this one is none of them.
            self.named_at = slot.start.as_ptr();
        }
        header.last.store(Last::free(type_id));
        Commit::FreeHeader.store(slot.header(), bits + 1);
        if planted(Mutant::FreeNamesLast) {
            Commit::FreeTally.store(&info.tally, Tally::naming(self.len(), bits));
        }
        self.named = bits + 1;
    }

    /// Frees an object while another slot is at hand, whose bit is cleared first, or retires the
    /// slot.
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
        let len = self.len();
        Commit::FreeTally.store(&info.tally, Tally::naming(len, bits));
        header.last.store(Last::free(type_id));
        self.retire(slot, (bits >> INDEX_SHIFT) as u32);
        self.leave(len.saturating_sub(1));
        slot
    }

    /// Frees an object whose Rust type is unknown.
    pub(crate) fn release_untyped(&mut self, handle: Handle) -> Option<Slot> {
        self.lists.note(handle.index());
        // SAFETY: the stride is that of these slots.
        unsafe { self.release(self.type_id(), handle.to_bits(), self.stride) }
    }

    /// Retires a slot in its last generation: its bit stays set, and it is never used again.
    #[cold]
    #[inline(never)]
    pub(crate) fn retire(&self, slot: Slot, index: u32) {
        Commit::RetireHeader.store(slot.header(), RETIRED);
        self.count_retired(index);
    }

    /// Counts slot `index` as retired, once, however often it is called in a row for it.
    pub(crate) fn count_retired(&self, index: u32) {
        let word = self.info.retired.load();
        let last = u64::from(index) + 1;
        if word & u64::from(u32::MAX) != last {
            self.info.retired.store(((word >> 32) + 1) << 32 | last);
        }
    }
}
