//! Walks over the live objects of a type, a word of the map at a time.
//!
//! # What the unsafe code here relies on
//!
//! What `typed.rs` says of a [`Typed`]: the slots of a walk are those of `T`. A word of the map, with the bits beyond the
//! last slot taken out, speaks only of slots that are there. A walk moves forward only, so it hands out each slot once.
#![allow(unsafe_code)]

use crate::object::{Id, LIVE, PoolObject};
use crate::pool::store::slot::Slot;
use crate::pool::store::slots::Slots;
use crate::pool::store::typed::{Typed, TypedMut};
use std::marker::PhantomData;
use std::ptr::NonNull;

impl<'a, T: PoolObject> Typed<'a, T> {
    /// A walk over all live objects.
    #[inline]
    pub(crate) fn walk(self) -> Walk<'a, T> {
        Walk::from(self.slots(), 0)
    }
}

impl<'a, T: PoolObject> TypedMut<'a, T> {
    /// A walk that hands out each live object once, to be written, from slot `from` on.
    pub(crate) fn into_walk(self, from: u32) -> WalkMut<'a, T> {
        WalkMut { walk: Walk::from(self.into_slots(), from), _exclusive: PhantomData }
    }
}

/// A walk over the live objects of a type in the order of their slots, a word of the map at a time.
pub(crate) struct Walk<'a, T> {
    slots: &'a Slots,
    /// Bits of the current word that are still to come.
    bits: u64,
    /// Slot of its first bit, and its number.
    start: *mut u8,
    first: u32,
    /// The word behind it.
    next: u32,
    _type: PhantomData<&'a T>,
}

impl<'a, T: PoolObject> Walk<'a, T> {
    fn from(slots: &'a Slots, from: u32) -> Self {
        let mut walk =
            Walk { slots, bits: 0, start: std::ptr::null_mut(), first: 0, next: 0, _type: PhantomData };
        if from != 0 {
            let number = slots.word_of(from);
            walk.next = number;
            if walk.refill().is_some() && walk.next == number + 1 {
                walk.bits &= u64::MAX << (from - slots.first_of_word(number));
            }
        }
        walk
    }

    /// Goes on to the next word with a bit set.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        // By value, so that an iteration keeps its state in registers.
        let (bits, start, next) = next_word(self.slots, self.next)?;
        self.bits = bits;
        self.start = start;
        self.next = next;
        self.first = self.slots.first_of_word(next - 1);
        Some(())
    }

    /// The next live object, with its handle.
    #[inline(always)]
    fn next(&mut self) -> Option<(Id<T>, NonNull<T>)> {
        loop {
            if self.bits == 0 {
                self.refill()?;
            }
            let at = self.next_bit();
            if let Some(found) = self.look_at(at) {
                return Some(found);
            }
        }
    }

    /// The next bit of the current word, which has one.
    #[inline(always)]
    fn next_bit(&mut self) -> usize {
        let at = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        at
    }

    /// The object in the slot of bit `at` of the current word, if one lives there.
    #[inline(always)]
    fn look_at(&self, at: usize) -> Option<(Id<T>, NonNull<T>)> {
        let start = self.start.wrapping_add(at * Typed::<T>::STRIDE);
        // SAFETY: a word of the map speaks of slots that are there, and bit 0 of it of `start`.
        let slot = Slot { start: unsafe { NonNull::new_unchecked(start) } };
        let id = Id::of_slot(slot.header().load(), self.first + at as u32)?;
        // SAFETY: the slots are those of `T`.
        Some((id, unsafe { Typed::<T>::object(slot) }))
    }

    /// All the objects that are still to come, in one loop: full words are not looked at bit by bit.
    #[inline(always)]
    fn fold<B>(mut self, init: B, mut f: impl FnMut(B, (Id<T>, NonNull<T>)) -> B) -> B {
        let (mut all, asks_ahead) = (init, Typed::<T>::STRIDE >= LONG && self.slots.is_far());
        loop {
            if self.bits == u64::MAX {
                for at in 0..64 {
                    if asks_ahead {
                        fetch(self.start.wrapping_add((at + 16) * Typed::<T>::STRIDE));
                    }
                    if let Some(found) = self.look_at(at) {
                        all = f(all, found);
                    }
                }
                self.bits = 0;
            }
            while self.bits != 0 {
                let at = self.next_bit();
                if let Some(found) = self.look_at(at) {
                    all = f(all, found);
                }
            }
            if self.refill().is_none() {
                return all;
            }
        }
    }

    /// The first slot that is still to come. It follows from the map, not from what a slot says of itself.
    fn position(&self) -> u32 {
        match self.bits {
            0 => self.slots.first_of_word(self.next),
            bits => self.slots.first_of_word(self.next - 1) + bits.trailing_zeros(),
        }
    }

    /// The next live object, to be read.
    #[inline(always)]
    pub(crate) fn next_ref(&mut self) -> Option<(Id<T>, &'a T)> {
        // SAFETY: as in `Typed::get`.
        self.next().map(|(id, object)| (id, unsafe { object.as_ref() }))
    }

    /// The same for all that are still to come.
    #[inline(always)]
    pub(crate) fn fold_refs<B>(self, init: B, mut f: impl FnMut(B, (Id<T>, &'a T)) -> B) -> B {
        // SAFETY: as in `Typed::get`.
        self.fold(init, |all, (id, object)| f(all, (id, unsafe { object.as_ref() })))
    }
}

/// Where slots are no longer than this and so many of a word are in use at least, all of them are looked at in a row.
const SHORT: usize = 128;
const MANY: u32 = 16;
/// From this length on a walk over all slots in a row asks ahead: it may want the first lines of each alone, and a
/// processor that sees whole slots go by finds the next one by itself.
const LONG: usize = 512;
/// So many words ahead of a walk memory is asked for, where few slots are in use.
const AHEAD: u32 = 4;

/// The first word at or behind word `number` with a bit set: its bits, the slot of its first bit, and
/// the number of the word behind it.
#[inline(never)]
fn next_word(slots: &Slots, mut number: u32) -> Option<(u64, *mut u8, u32)> {
    while let Some(word) = slots.word(number) {
        // Stray writes may have set bits that no slot belongs to.
        let mut bits = word.load() & slots.full;
        number += 1;
        if bits == 0 {
            continue;
        }
        let first = slots.slot(slots.first_of_word(number - 1))?;
        if slots.is_far() {
            bits = come_near(slots, number, first, bits);
        }
        if bits != 0 {
            return Some((bits, first.start.as_ptr(), number));
        }
    }
    None
}

/// Sees to it that memory that is not in the nearer caches is there when the walk is. `bits` are those of the word in
/// front of word `next`, its first slot is `first`; those of slots in which nothing lives may be left out.
#[inline(always)]
fn come_near(slots: &Slots, next: u32, first: Slot, bits: u64) -> u64 {
    fetch_few(slots, next + AHEAD - 1);
    if bits != u64::MAX && in_a_row(slots, bits) { bits & live(slots, first) } else { bits }
}

/// Whether the slots of a word are looked at in a row, or memory is asked for them ahead.
#[inline(always)]
fn in_a_row(slots: &Slots, bits: u64) -> bool {
    let is_dense = slots.stride <= SHORT && bits.count_ones() >= MANY;
    // A word of fewer slots has none behind them that could be looked at.
    slots.full == u64::MAX && (is_dense || bits == u64::MAX)
}

/// The bits of the 64 slots from `first` on in which an object lives. `in_a_row` has said that the word has so many. What is read in a row, free slots
/// too, the processor foresees; what is read with gaps it does not.
#[inline(always)]
fn live(slots: &Slots, first: Slot) -> u64 {
    (0..64).fold(0, |live, at| {
        let start = first.start.as_ptr().wrapping_add(at * slots.stride);
        // SAFETY: a word whose `full` has 64 bits speaks of as many slots, one behind the other from `first` on.
        let slot = Slot { start: unsafe { NonNull::new_unchecked(start) } };
        live | (slot.header().load() & LIVE) << at
    })
}

/// Asks for the slots of a word of few, so that they are there when the walk is.
#[inline(always)]
fn fetch_few(slots: &Slots, number: u32) {
    let bits = slots.word(number).map_or(0, |word| word.load() & slots.full);
    let Some(first) = slots.slot(slots.first_of_word(number)).filter(|_| !in_a_row(slots, bits)) else {
        return;
    };
    let mut bits = bits;
    while bits != 0 {
        let at = bits.trailing_zeros() as usize;
        bits &= bits - 1;
        fetch(first.start.as_ptr().wrapping_add(at * slots.stride));
    }
}

/// Asks for a line of memory, which may be anywhere.
#[inline(always)]
fn fetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which no address makes wrong.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// The same, to be written.
pub(crate) struct WalkMut<'a, T> {
    walk: Walk<'a, T>,
    _exclusive: PhantomData<&'a mut T>,
}

impl<'a, T: PoolObject> WalkMut<'a, T> {
    /// The first slot that is still to come.
    pub(crate) fn position(&self) -> u32 {
        self.walk.position()
    }

    /// The next live object, to be written.
    #[inline(always)]
    pub(crate) fn next_mut(&mut self) -> Option<(Id<T>, &'a mut T)> {
        // SAFETY: mapped and aligned; the walk borrows the slots exclusively for `'a`, and, moving
        // forward only, hands out each slot once.
        self.walk.next().map(|(id, mut object)| (id, unsafe { object.as_mut() }))
    }

    /// The same for all that are still to come.
    #[inline(always)]
    pub(crate) fn fold_muts<B>(self, init: B, mut f: impl FnMut(B, (Id<T>, &'a mut T)) -> B) -> B {
        // SAFETY: as in `next_mut`.
        self.walk.fold(init, |all, (id, mut object)| f(all, (id, unsafe { object.as_mut() })))
    }
}
