//! Walks over the live objects of a type, one word of the map at a time.
//!
//! # What the unsafe code here relies on
//!
//! The rules in `typed.rs` for a [`Typed`]: the slots of a walk are those of `T`. A word of the
//! map, without the bits past the last slot, covers only existing slots. A walk only moves forward,
//! so it hands out each slot once.
#![allow(unsafe_code)]

use crate::object::{INDEX_SHIFT, Id, LIVE, PoolObject};
use crate::pool::store::slot::{Slot, fetch};
use crate::pool::store::slots::Slots;
use crate::pool::store::typed::{Typed, TypedMut};
use std::marker::PhantomData;
use std::ptr::NonNull;

impl<'a, T: PoolObject> Typed<'a, T> {
    /// Returns a walk over all live objects.
    #[inline]
    pub(crate) fn walk(self) -> Walk<'a, T> {
        Walk::from(self.slots(), 0)
    }
}

impl<'a, T: PoolObject> TypedMut<'a, T> {
    /// Returns a walk that hands out each live object from slot `from` on once, for writing.
    pub(crate) fn into_walk(self, from: u32) -> WalkMut<'a, T> {
        WalkMut { walk: Walk::from(self.into_slots(), from), _exclusive: PhantomData }
    }
}

impl<T> WalkMut<'_, T> {
    /// A walk over nothing, for a type without slots.
    pub(crate) const EMPTY: Self = WalkMut { walk: Walk::EMPTY, _exclusive: PhantomData };
}

impl<T, const WRITES: bool> Walk<'_, T, WRITES> {
    /// A walk over nothing.
    pub(crate) const EMPTY: Self = Walk {
        slots: None,
        is_far: false,
        at: std::ptr::null_mut(),
        end: std::ptr::null_mut(),
        expected: 0,
        bits: 0,
        next: 0,
        _type: PhantomData,
    };
}

/// A walk over the live objects of a type in the order of their slots, one word of the map at a
/// time.
///
/// `WRITES` tells whether it lends the objects for writing.
pub(crate) struct Walk<'a, T, const WRITES: bool = false> {
    /// `None` if there is nothing to walk over.
    slots: Option<&'a Slots>,
    /// Whether the slots exceed the nearer caches.
    is_far: bool,
    /// Addresses of the next slot of a run of used slots, and of the end of the run. The slots are visited one
    /// after the other, without their bits.
    at: *mut u8,
    end: *mut u8,
    /// The handle of an object in slot `at`, but for its generation.
    expected: u64,
    /// Bits of the current word after the run; bit 0 stands for slot `end`.
    bits: u64,
    /// Number of the next word.
    next: u32,
    _type: PhantomData<&'a T>,
}

impl<'a, T: PoolObject, const WRITES: bool> Walk<'a, T, WRITES> {
    fn from(slots: &'a Slots, from: u32) -> Self {
        let mut walk = Walk { slots: Some(slots), is_far: slots.is_far(), ..Walk::EMPTY };
        if from != 0 {
            let number = slots.word_of(from);
            walk.next = number;
            if walk.next_word().is_some() && walk.next == number + 1 {
                walk.bits &= u64::MAX << (from - slots.first_of_word(number));
            }
        }
        walk
    }

    /// Moves on to the next word with a bit set, before its first slot.
    #[inline(always)]
    fn next_word(&mut self) -> Option<()> {
        // By value, so that an iteration keeps its state in registers.
        let slots = self.slots?;
        let find = if WRITES { next_word_to_write } else { next_word };
        let found = find(slots, self.next, self.is_far);
        let (bits, start, next) = found?;
        self.bits = bits;
        (self.at, self.end) = (start, start);
        self.expected = Id::<T>::first_of_slot(slots.first_of_word(next - 1));
        self.next = next;
        Some(())
    }

    /// Moves on to the next run of used slots, after the end of the one before.
    #[inline(always)]
    fn next_run(&mut self) -> Option<()> {
        if self.bits == 0 {
            self.next_word()?;
        }
        let free = self.bits.trailing_zeros();
        let bits = self.bits >> (free & 63);
        let used = bits.trailing_ones();
        self.bits = bits >> (used - 1) >> 1;
        self.at = self.at.wrapping_add(free as usize * Typed::<T>::STRIDE);
        self.end = self.at.wrapping_add(used as usize * Typed::<T>::STRIDE);
        self.expected = self.expected.wrapping_add(u64::from(free) << INDEX_SHIFT);
        Some(())
    }

    /// Returns the next live object with its handle.
    #[inline(always)]
    fn next(&mut self) -> Option<(Id<T>, NonNull<T>)> {
        loop {
            if self.at == self.end {
                self.next_run()?;
            }
            if let Some(found) = self.step() {
                return Some(found);
            }
        }
    }

    /// Visits the next slot of a run, and returns its object, if one lives there.
    #[inline(always)]
    fn step(&mut self) -> Option<(Id<T>, NonNull<T>)> {
        // SAFETY: a run covers existing slots, the last one before `end`, which `at` has not reached.
        let slot = Slot { start: unsafe { NonNull::new_unchecked(self.at) } };
        let id = Self::id_in(slot.bits(), self.expected);
        self.at = self.at.wrapping_add(Typed::<T>::STRIDE);
        self.expected = self.expected.wrapping_add(1 << INDEX_SHIFT);
        // SAFETY: the slots are those of `T`.
        Some((id?, unsafe { Typed::<T>::object(slot) }))
    }

    /// Returns the handle in a header, if an object lives in the slot of `expected`.
    #[inline(always)]
    fn id_in(header: u64, expected: u64) -> Option<Id<T>> {
        if !Id::<T>::is_of(header, expected) {
            return None;
        }
        // SAFETY: the header has this bit of `expected`. Without the hint, the compiler tests it for 0.
        unsafe { std::hint::assert_unchecked(header & LIVE != 0) };
        Id::of_live(header)
    }

    /// Visits all remaining objects in one loop for each run.
    #[inline(always)]
    fn fold<B>(mut self, init: B, mut f: impl FnMut(B, (Id<T>, NonNull<T>)) -> B) -> B {
        let (mut all, asks_ahead) = (init, Typed::<T>::STRIDE >= LONG && self.is_far);
        loop {
            while self.at != self.end {
                if asks_ahead {
                    fetch(self.at.wrapping_add(16 * Typed::<T>::STRIDE));
                }
                if let Some(found) = self.step() {
                    all = f(all, found);
                }
            }
            if self.next_run().is_none() {
                return all;
            }
        }
    }

    /// Returns the number of slots that are still to come: no more objects than that follow.
    pub(crate) fn slots_left(&self) -> usize {
        self.slots.map_or(0, |slots| slots.capacity().saturating_sub(self.position()) as usize)
    }

    /// Returns the first remaining slot, derived from the map and not from the slots themselves.
    fn position(&self) -> u32 {
        let Some(slots) = self.slots else { return 0 };
        let at = (self.expected >> INDEX_SHIFT) as u32;
        match self.bits {
            _ if self.at != self.end => at,
            0 => slots.first_of_word(self.next),
            bits => at + bits.trailing_zeros(),
        }
    }

    /// Returns the next live object for reading.
    #[inline(always)]
    pub(crate) fn next_ref(&mut self) -> Option<(Id<T>, &'a T)> {
        // SAFETY: as in `Typed::get`.
        self.next().map(|(id, object)| (id, unsafe { object.as_ref() }))
    }

    /// Visits all remaining objects for reading.
    #[inline(always)]
    pub(crate) fn fold_refs<B>(self, init: B, mut f: impl FnMut(B, (Id<T>, &'a T)) -> B) -> B {
        // SAFETY: as in `Typed::get`.
        self.fold(init, |all, (id, object)| f(all, (id, unsafe { object.as_ref() })))
    }
}

/// Longest stride, and fewest used slots of a word, at which all headers of the word are read in a
/// row.
const SHORT: usize = 128;
const MANY: u32 = 16;
/// Stride from which on a walk over consecutive slots prefetches.
///
/// It may need only the first lines of each slot, while the hardware prefetcher only follows
/// complete slots.
const LONG: usize = 512;
/// Number of words by which a walk prefetches the slots of sparse words.
const AHEAD: u32 = 4;

/// Finds a word as `find_word` does, whose objects are about to be lent for writing.
#[inline(never)]
fn next_word_to_write(slots: &Slots, number: u32, is_far: bool) -> Option<(u64, *mut u8, u32)> {
    let found = find_word(slots, number, is_far);
    if let (Some((bits, _, next)), true) = (found, slots.is_watched()) {
        slots.before_walk(next - 1, bits);
    }
    found
}

/// Finds the first word with a bit set from word `number` on, as `find_word` does.
#[inline(never)]
fn next_word(slots: &Slots, number: u32, is_far: bool) -> Option<(u64, *mut u8, u32)> {
    find_word(slots, number, is_far)
}

/// Finds the first word with a bit set from word `number` on.
///
/// Returns its bits, the slot of its first bit, and the number of the word after it.
#[inline(always)]
fn find_word(slots: &Slots, mut number: u32, is_far: bool) -> Option<(u64, *mut u8, u32)> {
    while let Some((word, first)) = slots.word_and_slot(number) {
        // Stray writes may have set bits without a slot.
        let mut bits = word.load() & slots.full;
        number += 1;
        if bits == 0 {
            continue;
        }
        if is_far {
            bits = come_near(slots, number, first, bits);
        }
        if bits != 0 {
            return Some((bits, first.start.as_ptr(), number));
        }
    }
    None
}

/// Prefetches or reads ahead of a walk through memory outside the nearer caches.
///
/// `bits` are those of the word before word `next`, and `first` is its first slot. The result may
/// lack the bits of slots without a live object.
#[inline(always)]
fn come_near(slots: &Slots, next: u32, first: Slot, bits: u64) -> u64 {
    fetch_few(slots, next + AHEAD - 1);
    if bits != u64::MAX && in_a_row(slots, bits) { bits & live(slots, first) } else { bits }
}

/// Returns whether the headers of a word are read in a row, instead of being prefetched.
#[inline(always)]
fn in_a_row(slots: &Slots, bits: u64) -> bool {
    let is_dense = slots.stride <= SHORT && bits.count_ones() >= MANY;
    // A shorter word is not followed by slots that could be read.
    slots.full == u64::MAX && (is_dense || bits == u64::MAX)
}

/// Returns the bits of those of the 64 slots from `first` on that have a live object.
///
/// `in_a_row` has shown that the word has 64 slots. The hardware prefetcher follows reads in a row,
/// including those of free slots, but not reads with gaps.
#[inline(always)]
fn live(slots: &Slots, first: Slot) -> u64 {
    (0..64).fold(0, |live, at| {
        let start = first.start.as_ptr().wrapping_add(at * slots.stride);
        // SAFETY: a word whose `full` has 64 bits covers 64 consecutive slots from `first` on.
        let slot = Slot { start: unsafe { NonNull::new_unchecked(start) } };
        live | (slot.bits() & LIVE) << at
    })
}

/// Prefetches the live slots of a sparse word.
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

/// A walk over the live objects of a type for writing.
pub(crate) struct WalkMut<'a, T> {
    walk: Walk<'a, T, true>,
    _exclusive: PhantomData<&'a mut T>,
}

impl<'a, T: PoolObject> WalkMut<'a, T> {
    /// Returns the number of slots that are still to come.
    pub(crate) fn slots_left(&self) -> usize {
        self.walk.slots_left()
    }

    /// Returns the first remaining slot.
    pub(crate) fn position(&self) -> u32 {
        self.walk.position()
    }

    /// Returns the next live object for writing.
    #[inline(always)]
    pub(crate) fn next_mut(&mut self) -> Option<(Id<T>, &'a mut T)> {
        // SAFETY: mapped and aligned; the walk borrows the slots exclusively for `'a`, only moves
        // forward, and thus hands out each slot once.
        let next = self.walk.next().map(|(id, mut object)| (id, unsafe { object.as_mut() }));
        if let (Some((id, _)), Some(slots)) = (&next, self.walk.slots) {
            slots.may_change::<T>(id.index());
        }
        next
    }

    /// Visits all remaining objects for writing.
    #[inline(always)]
    pub(crate) fn fold_muts<B>(self, init: B, mut f: impl FnMut(B, (Id<T>, &'a mut T)) -> B) -> B {
        if const { T::FOLLOWED.is_any() } {
            return self.fold_followed(init, f);
        }
        // SAFETY: as in `next_mut`.
        self.walk.fold(init, |all, (id, mut object)| f(all, (id, unsafe { object.as_mut() })))
    }

    /// Visits all remaining objects of a type with followed fields.
    fn fold_followed<B>(mut self, init: B, mut f: impl FnMut(B, (Id<T>, &'a mut T)) -> B) -> B {
        let mut all = init;
        while let Some(next) = self.next_mut() {
            all = f(all, next);
        }
        all
    }
}
