//! The slots of a type as that type: from a handle to an object and back.
//!
//! # What the unsafe code here relies on
//!
//! A [`Typed`] or [`TypedMut`] is made by `Slots::typed` alone, for the Rust type (`wanted::Token`) whose stride and head
//! `Slots::bind` has compared; so behind `HEAD` bytes of a slot lie the bytes of a `T`, aligned, and
//! any bytes are a value of it (`Pod`). Only the owner process reaches them through references:
//! shared ones borrow the `Slots` shared, exclusive ones exclusively, and the one walk that hands
//! out many exclusive ones never hands out the same slot twice.
//!
//! # How a slot lives
//!
//! ```text
//!            alloc: last, (key, index), object, HEADER
//!   free  ──────────────────────────────────────────▶  live
//!   even  ◀──────────────────────────────────────────  odd
//!            free:  tally, last, HEADER
//!                                    │ last generation
//!                                    └──────────────▶  retired (even, bit stays)
//! ```
//!
//! The store to the header commits. A kill before it leaves the old state, a kill after it the new one. An alloc takes the
//! slot at hand, which is named in the tally and set in the map already; a free names its slot first, unless it
//! is named from before.
#![allow(unsafe_code)]

use crate::commits::Commit;
use crate::layout::Last;
use crate::mutants::{Mutant, planted};
use crate::object::{INDEX_SHIFT, Id, LIVE, PoolObject};
use crate::pool::change::undo::{LogFull, Undo};
use crate::pool::store::slot::{Slot, Ways, parked};
use crate::pool::store::slots::Slots;
use crate::units::round_up;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Slots up to this stride come in extents of 64 or more; the smallest block has room for that.
pub(crate) const WHOLE_WORD_STRIDE: u64 = 512;
/// Bytes of a slot before its object.
pub(crate) const fn head_bytes(keyed: bool, align: usize) -> usize {
    let words = if keyed { 16 } else { 8 };
    if align > words { align } else { words }
}

/// Bytes from one slot to the next; `None` where that does not fit a `u64`.
pub(crate) const fn stride_bytes(keyed: bool, align: usize, size: usize) -> Option<u64> {
    let unit = if align > 8 { align } else { 8 };
    match (head_bytes(keyed, align) as u64).checked_add(size as u64) {
        Some(end) => round_up(end, unit as u64),
        None => None,
    }
}

/// Shared access to the slots of type `T`.
pub(crate) struct Typed<'a, T> {
    slots: &'a Slots,
    ways: Ways<'a>,
    _type: PhantomData<T>,
}

impl<T> Clone for Typed<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Typed<'_, T> {}

/// Exclusive access to the slots of type `T`.
pub(crate) struct TypedMut<'a, T> {
    slots: &'a mut Slots,
    _type: PhantomData<T>,
}

impl<T: PoolObject> Typed<'_, T> {
    pub(crate) const HEAD: usize = head_bytes(T::KEYED, align_of::<T>());
    pub(crate) const STRIDE: usize =
        stride_bytes(T::KEYED, align_of::<T>(), size_of::<T>()).unwrap() as usize;

    /// The object in a slot.
    ///
    /// # Safety
    ///
    /// It is a slot of `T`.
    #[inline(always)]
    unsafe fn object(slot: Slot) -> NonNull<T> {
        // SAFETY: the object follows the head inside the same slot.
        unsafe { slot.start.add(Self::HEAD) }.cast()
    }

    /// The slot with the life that `id` names.
    #[inline(always)]
    fn resolve(ways: Ways<'_>, id: Id<T>) -> Option<Slot> {
        // SAFETY: `ways` came out of a `Typed` or `TypedMut` of `T`, so the stride is theirs.
        let slot = unsafe { ways.slot_of(id.to_bits(), Self::STRIDE) }?;
        (slot.header().load() == id.to_bits()).then_some(slot)
    }
}

impl<'a, T: PoolObject> Typed<'a, T> {
    /// # Safety
    ///
    /// `slots` were laid out for `T`.
    #[inline(always)]
    pub(crate) unsafe fn new(slots: &'a Slots) -> Self {
        Typed { slots, ways: slots.ways(), _type: PhantomData }
    }

    /// The slots without their type.
    #[inline(always)]
    pub(crate) fn slots(self) -> &'a Slots {
        self.slots
    }

    /// The object of a handle.
    #[inline(always)]
    pub(crate) fn get(self, id: Id<T>) -> Option<&'a T> {
        let slot = Self::resolve(self.ways, id)?;
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: mapped, aligned, any bytes are a value; nothing writes while `'a` borrows the slots.
        Some(unsafe { object.as_ref() })
    }

    /// The object of a handle that is in quarantine.
    pub(crate) fn parked(self, id: Id<T>) -> Option<&'a T> {
        let slot = self.slots.slot(id.index())?;
        if slot.header().load() != parked(id.handle()) {
            return None;
        }
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: as in `get`.
        Some(unsafe { object.as_ref() })
    }

    /// The object in slot `index`, if one lives there, with its handle.
    #[inline(always)]
    pub(crate) fn at(self, index: u32) -> Option<(Id<T>, &'a T)> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        let id = Id::of_slot(slot.header().load(), index)?;
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: as in `get`.
        Some((id, unsafe { object.as_ref() }))
    }

    /// The object in slot `index`, if one with this user key lives there. For keyed types.
    #[inline(always)]
    pub(crate) fn carrying(self, index: u32, key: u64) -> Option<(Id<T>, &'a T)> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        if slot.key().load() != key {
            return None;
        }
        self.at(index)
    }

    /// The same without its handle, for which less has to be looked at.
    #[inline(always)]
    pub(crate) fn object_carrying(self, index: u32, key: u64) -> Option<&'a T> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        if slot.key().load() != key || !Slot::is_live(slot.header().load()) {
            return None;
        }
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: as in `get`.
        Some(unsafe { object.as_ref() })
    }

    /// A walk over all live objects.
    #[inline]
    pub(crate) fn walk(self) -> Walk<'a, T> {
        Walk::from(self.slots, 0)
    }
}

impl<'a, T: PoolObject> TypedMut<'a, T> {
    /// # Safety
    ///
    /// `slots` were laid out for `T`.
    #[inline(always)]
    pub(crate) unsafe fn new(slots: &'a mut Slots) -> Self {
        TypedMut { slots, _type: PhantomData }
    }

    /// The same, shared.
    #[inline(always)]
    pub(crate) fn shared(&self) -> Typed<'_, T> {
        Typed { slots: self.slots, ways: self.slots.ways(), _type: PhantomData }
    }

    /// The same for a shorter time.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> TypedMut<'_, T> {
        TypedMut { slots: self.slots, _type: PhantomData }
    }

    /// The object of a handle, to be written.
    #[inline(always)]
    pub(crate) fn into_mut(self, id: Id<T>) -> Option<&'a mut T> {
        let slot = Typed::resolve(self.slots.ways(), id)?;
        // SAFETY: the slots are those of `T`.
        let mut object = unsafe { Typed::<T>::object(slot) };
        // SAFETY: mapped, aligned, any bytes are a value; `self` is the only access while `'a` lasts.
        Some(unsafe { object.as_mut() })
    }

    /// Several objects at once, to be written; `None` if a handle is stale or given twice.
    pub(crate) fn into_several<const N: usize>(self, ids: [Id<T>; N]) -> Option<[&'a mut T; N]> {
        let mut objects = [NonNull::dangling(); N];
        for (at, id) in ids.into_iter().enumerate() {
            if ids[..at].contains(&id) {
                return None;
            }
            let slot = Typed::resolve(self.slots.ways(), id)?;
            // SAFETY: the slots are those of `T`.
            objects[at] = unsafe { Typed::<T>::object(slot) };
        }
        // SAFETY: as in `into_mut`; the handles resolved and differ, so the slots do.
        Some(objects.map(|mut object| unsafe { object.as_mut() }))
    }

    /// A walk that hands out each live object once, to be written, from slot `from` on.
    pub(crate) fn into_walk(self, from: u32) -> WalkMut<'a, T> {
        WalkMut { walk: Walk::from(self.slots, from), _exclusive: PhantomData }
    }

    /// Puts an object into the slot at hand; `None` if there is none.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, value: T) -> Option<Id<T>> {
        self.alloc_with(|_, _| (), value)
    }

    /// The same, `note` told of the handle before the commit.
    #[inline(always)]
    pub(crate) fn alloc_noted(&mut self, value: T, note: impl FnOnce(u64)) -> Option<Id<T>> {
        self.alloc_with(|_, header| note(header), value)
    }

    /// The same with a user key. `link`, told of slot and handle, makes the index lead there, before the
    /// commit, so that a live object is always found.
    #[inline(always)]
    pub(crate) fn alloc_keyed(&mut self, key: u64, value: T, link: impl FnOnce(u32, u64)) -> Option<Id<T>> {
        let prepare = |slot: Slot, header| {
            slot.key().store(key);
            link((header >> INDEX_SHIFT) as u32, header);
        };
        self.alloc_with(prepare, value)
    }

    #[inline(always)]
    fn alloc_with(&mut self, prepare: impl FnOnce(Slot, u64), value: T) -> Option<Id<T>> {
        let (slot, old) = self.slots.take()?;
        let id = Id::of_next_life(old);
        let new = id.to_bits();
        let header = self.slots.header;
        header.last.store(Last::alloc(T::TYPE_ID));
        if planted(Mutant::AllocLinksLast) && T::KEYED {
            Commit::AllocHeader.store(slot.header(), new);
        }
        prepare(slot, new);
        if planted(Mutant::AllocCommitsFirst) {
            Commit::AllocHeader.store(slot.header(), new);
        }
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Typed::<T>::object(slot) };
        // SAFETY: mapped and aligned; the slot is free, so nothing refers to its object.
        unsafe { object.write(value) };
        Commit::AllocHeader.store(slot.header(), new);
        self.slots.took(new);
        Some(id)
    }

    /// Makes an object in the slot at hand, all zeros at first and then as `fill` leaves it; `None` if no slot is at hand.
    /// `prepare`, told of slot and handle, is called before the commit.
    ///
    /// The slot is taken after `fill` has returned. Until then it is free and at hand, so that a panic in `fill` changes nothing.
    pub(crate) fn alloc_zeroed(
        &mut self,
        fill: impl FnOnce(&mut T),
        prepare: impl FnOnce(Slot, Id<T>),
    ) -> Option<Id<T>> {
        let slot = self.slots.at_hand()?;
        // SAFETY: the slots are those of `T`.
        let mut object = unsafe { Typed::<T>::object(slot) };
        // SAFETY: mapped and aligned; the slot is free, so nothing refers to its object.
        unsafe { object.write_bytes(0, 1) };
        // SAFETY: as above; any bytes are a value, and the reference ends with the call.
        fill(unsafe { object.as_mut() });
        let (slot, old) = self.slots.take()?;
        let id = Id::of_next_life(old);
        self.slots.header.last.store(Last::alloc(T::TYPE_ID));
        prepare(slot, id);
        Commit::AllocHeader.store(slot.header(), id.to_bits());
        self.slots.took(id.to_bits());
        Some(id)
    }

    /// Frees the object of a handle, and returns its slot; `None` if it was not there.
    #[inline(always)]
    pub(crate) fn free(&mut self, id: Id<T>) -> Option<Slot> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        unsafe { self.slots.release(T::TYPE_ID, id.to_bits(), Typed::<T>::STRIDE) }
    }

    /// The object of a handle, to be written once its bytes are in the undo log; `None` if it is not
    /// there, an error if the log is full.
    #[inline(always)]
    pub(crate) fn into_kept(self, id: Id<T>, undo: &mut Undo) -> Option<Result<&'a mut T, LogFull>> {
        let slot = Typed::resolve(self.slots.ways(), id)?;
        // SAFETY: the slots are those of `T`.
        let mut object = unsafe { Typed::<T>::object(slot) };
        // SAFETY: it is the object of the slot that the handle names.
        let kept = unsafe { undo.keep(id.handle(), object) };
        // SAFETY: as in `into_mut`.
        Some(kept.map(|()| unsafe { object.as_mut() }))
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
