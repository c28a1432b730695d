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
use crate::object::{INDEX_SHIFT, Id, PoolObject};
use crate::pool::store::shape::Fit;
use crate::pool::store::slot::{Slot, Ways, parked};
use crate::pool::store::slots::Slots;
use crate::pool::store::wanted::Token;
use std::marker::PhantomData;
use std::ptr::NonNull;

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

impl Slots {
    /// Shared access as type `T`; `None` if these are not the slots of `T`.
    #[inline(always)]
    pub(crate) fn typed<T: PoolObject>(&self) -> Option<Typed<'_, T>> {
        if self.token() != Token::of::<T>() {
            return None;
        }
        // SAFETY: the token says that `bind` has compared stride and head with those of `T`.
        Some(unsafe { Typed::new(self) })
    }

    /// Exclusive access as type `T`; `None` if these are not the slots of `T`.
    #[inline(always)]
    pub(crate) fn typed_mut<T: PoolObject>(&mut self) -> Option<TypedMut<'_, T>> {
        if self.token() != Token::of::<T>() {
            return None;
        }
        // SAFETY: the token says that `bind` has compared stride and head with those of `T`.
        Some(unsafe { TypedMut::new(self) })
    }
}

impl<T: PoolObject> Typed<'_, T> {
    pub(crate) const HEAD: usize = Fit::<T>::HEAD;
    pub(crate) const STRIDE: usize = Fit::<T>::STRIDE;

    /// The object in a slot.
    ///
    /// # Safety
    ///
    /// It is a slot of `T`.
    #[inline(always)]
    pub(crate) unsafe fn object(slot: Slot) -> NonNull<T> {
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
}

impl<'a, T: PoolObject> TypedMut<'a, T> {
    /// # Safety
    ///
    /// `slots` were laid out for `T`.
    #[inline(always)]
    pub(crate) unsafe fn new(slots: &'a mut Slots) -> Self {
        TypedMut { slots, _type: PhantomData }
    }

    /// The slots, without their type, for as long as they are borrowed.
    #[inline(always)]
    pub(crate) fn into_slots(self) -> &'a mut Slots {
        self.slots
    }

    /// Lends the slots to be read.
    #[inline(always)]
    pub(crate) fn shared(&self) -> Typed<'_, T> {
        Typed { slots: self.slots, ways: self.slots.ways(), _type: PhantomData }
    }

    /// Lends the slots for a shorter time.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> TypedMut<'_, T> {
        TypedMut { slots: self.slots, _type: PhantomData }
    }

    /// The object of a handle, to be written.
    #[inline(always)]
    pub(crate) fn into_mut(self, id: Id<T>) -> Option<&'a mut T> {
        let mut object = self.object_of(id)?;
        // SAFETY: mapped, aligned, any bytes are a value; `self` is the only access while `'a` lasts.
        Some(unsafe { object.as_mut() })
    }

    /// The bytes of the object of a handle.
    #[inline(always)]
    pub(crate) fn object_of(&self, id: Id<T>) -> Option<NonNull<T>> {
        let slot = Typed::resolve(self.slots.ways(), id)?;
        // SAFETY: the slots are those of `T`.
        Some(unsafe { Typed::<T>::object(slot) })
    }

    /// Several objects at once, to be written; `None` if a handle is stale or given twice.
    pub(crate) fn into_several<const N: usize>(self, ids: [Id<T>; N]) -> Option<[&'a mut T; N]> {
        let mut objects = [NonNull::dangling(); N];
        for (at, id) in ids.into_iter().enumerate() {
            if ids[..at].contains(&id) {
                return None;
            }
            objects[at] = self.object_of(id)?;
        }
        // SAFETY: as in `into_mut`; the handles resolved and differ, so the slots do.
        Some(objects.map(|mut object| unsafe { object.as_mut() }))
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
}
