//! The slots of a type as that type: from a handle to an object and back.
//!
//! # What the unsafe code here relies on
//!
//! Only `Slots::typed` creates a [`Typed`] or [`TypedMut`], for the Rust type (`wanted::Token`)
//! whose stride and head `Slots::bind` has compared. So the bytes of a slot after `HEAD` are an
//! aligned `T`. They are a valid value: any bytes are (`Stored::ANY_BITS`), or `add_type` has put
//! all objects with other bytes into quarantine before `bind`, and none leaves it unchecked. Only
//! the owner accesses them through references: shared references borrow the `Slots` shared, exclusive ones exclusively. The one
//! walk that hands out many exclusive references never hands out the same slot twice.
//!
//! # The life of a slot
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
//! The store to the header commits: if killed before it, the old state remains; after it, the new
//! state. An alloc takes the slot at hand, which the tally names and whose bit is set already. A
//! free names its slot first, unless the slot is named already.
#![allow(unsafe_code)]

use crate::commits::Commit;
use crate::layout::Last;
use crate::mutants::{Mutant, planted};
use crate::object::{INDEX_SHIFT, Id, PoolObject, scrub};
use crate::pool::store::index::Index;
use crate::pool::store::shape::Fit;
use crate::pool::store::slot::{Slot, fetch, parked};
use crate::pool::store::slots::Slots;
use crate::pool::store::wanted::Token;
use crate::pool::store::ways::Ways;
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
    /// Returns shared access as type `T`; `None` if these are not the slots of `T`.
    #[inline(always)]
    pub(crate) fn typed<T: PoolObject>(&self) -> Option<Typed<'_, T>> {
        if self.token() != Token::of::<T>() {
            return None;
        }
        // SAFETY: the token shows that `bind` has compared stride and head with those of `T`.
        Some(unsafe { Typed::new(self) })
    }

    /// Returns exclusive access as type `T`; `None` if these are not the slots of `T`.
    #[inline(always)]
    pub(crate) fn typed_mut<T: PoolObject>(&mut self) -> Option<TypedMut<'_, T>> {
        if self.token() != Token::of::<T>() {
            return None;
        }
        // SAFETY: the token shows that `bind` has compared stride and head with those of `T`.
        Some(unsafe { TypedMut::new(self) })
    }
}

impl<T: PoolObject> Typed<'_, T> {
    pub(crate) const HEAD: usize = Fit::<T>::HEAD;
    pub(crate) const STRIDE: usize = Fit::<T>::STRIDE;

    /// Returns the address of the object in a slot.
    ///
    /// # Safety
    ///
    /// The slot is one of `T`.
    #[inline(always)]
    pub(crate) unsafe fn object(slot: Slot) -> NonNull<T> {
        // SAFETY: the object follows the head inside the same slot.
        unsafe { slot.start.add(Self::HEAD) }.cast()
    }

    /// Returns the slot if the object with handle `id` lives in it.
    #[inline(always)]
    fn resolve(ways: Ways<'_>, id: Id<T>) -> Option<Slot> {
        // SAFETY: `ways` comes from a `Typed` or `TypedMut` of `T`, so it has that stride.
        let slot = unsafe { ways.slot_of(id.to_bits(), Self::STRIDE) }?;
        (slot.bits() == id.to_bits()).then_some(slot)
    }
}

impl<'a, T: PoolObject> Typed<'a, T> {
    /// # Safety
    ///
    /// `slots` are laid out for `T`.
    #[inline(always)]
    pub(crate) unsafe fn new(slots: &'a Slots) -> Self {
        Typed { slots, ways: slots.ways(), _type: PhantomData }
    }

    /// Returns the same access with the way to the slots read again, so that a caller who seldom needs it does not hold it.
    #[inline(always)]
    pub(crate) fn anew(self) -> Self {
        Typed { ways: self.slots.ways(), ..self }
    }

    /// Returns the slots without their Rust type.
    #[inline(always)]
    pub(crate) fn slots(self) -> &'a Slots {
        self.slots
    }

    /// Returns the object with this handle.
    #[inline(always)]
    pub(crate) fn get(self, id: Id<T>) -> Option<&'a T> {
        let slot = Self::resolve(self.ways, id)?;
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: mapped, aligned, a valid value; no store happens while `'a` borrows the slots.
        Some(unsafe { object.as_ref() })
    }

    /// Prefetches the first line of a slot, if it exists, and the first line of its object.
    #[inline(always)]
    pub(crate) fn fetch(self, index: u32) {
        // SAFETY: the stride is that of `T`, whose slots these are.
        if let Some(slot) = unsafe { self.ways.slot_at(index, Self::STRIDE) } {
            fetch(slot.start.as_ptr());
            fetch(slot.start.as_ptr().wrapping_add(Self::HEAD));
        }
    }

    /// Returns the object in quarantine with this handle, if its bytes are a value.
    pub(crate) fn parked(self, id: Id<T>) -> Option<&'a T> {
        let slot = self.slots.slot(id.index())?;
        if slot.header().load() != parked(id.handle()) || self.slots.check_value(slot, T::RULE).is_err() {
            return None;
        }
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: as in `get`.
        Some(unsafe { object.as_ref() })
    }

    /// Returns the object in slot `index` with its handle, if one lives there.
    #[inline(always)]
    pub(crate) fn at(self, index: u32) -> Option<(Id<T>, &'a T)> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        let id = Id::of_slot(slot.bits(), index)?;
        // SAFETY: the slots are those of `T`.
        let object = unsafe { Self::object(slot) };
        // SAFETY: as in `get`.
        Some((id, unsafe { object.as_ref() }))
    }

    /// Returns the object in slot `index` with its handle, if it is live and has this user key.
    #[inline(always)]
    pub(crate) fn carrying(self, index: u32, key: u64) -> Option<(Id<T>, &'a T)> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        if slot.key_bits() != key {
            return None;
        }
        self.at(index)
    }

    /// Returns slot `index` and the handle of its object, if it is live and has this user key.
    #[inline(always)]
    fn slot_carrying(self, index: u32, key: u64) -> Option<(Id<T>, Slot)> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        if slot.key_bits() != key {
            return None;
        }
        Some((Id::of_slot(slot.bits(), index)?, slot))
    }

    /// Returns the object in slot `index`, if it is live and has this user key; it needs fewer
    /// reads.
    #[inline(always)]
    pub(crate) fn object_carrying(self, index: u32, key: u64) -> Option<&'a T> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = unsafe { self.ways.slot_at(index, Self::STRIDE) }?;
        if slot.key_bits() != key || !Slot::is_live(slot.bits()) {
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
    /// `slots` are laid out for `T`.
    #[inline(always)]
    pub(crate) unsafe fn new(slots: &'a mut Slots) -> Self {
        TypedMut { slots, _type: PhantomData }
    }

    /// Returns the slots without their Rust type, for the whole borrow.
    #[inline(always)]
    pub(crate) fn into_slots(self) -> &'a mut Slots {
        self.slots
    }

    /// Lends the slots for reading.
    #[inline(always)]
    pub(crate) fn shared(&self) -> Typed<'_, T> {
        Typed { slots: self.slots, ways: self.slots.ways(), _type: PhantomData }
    }

    /// Lends the slots for a shorter borrow.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> TypedMut<'_, T> {
        TypedMut { slots: self.slots, _type: PhantomData }
    }

    /// Returns the object with this handle for writing.
    #[inline(always)]
    pub(crate) fn into_mut(self, id: Id<T>) -> Option<&'a mut T> {
        let mut object = self.object_of(id)?;
        // SAFETY: mapped, aligned, a valid value; `self` is the only access while `'a` lasts.
        Some(unsafe { object.as_mut() })
    }

    /// Returns the object with this user key for writing.
    #[inline(always)]
    pub(crate) fn into_found(self, index: &Index, key: u64) -> Option<(Id<T>, &'a mut T)> {
        let typed = self.shared();
        let (id, slot) = index.find(key, move |slot| typed.anew().slot_carrying(slot, key))?;
        if self.slots.is_watched() {
            self.slots.watched(id.to_bits())?;
        }
        self.slots.may_change::<T>(id.index());
        // SAFETY: the slots are those of `T`.
        let mut object = unsafe { Typed::<T>::object(slot) };
        // SAFETY: as in `into_mut`; the object lives in this slot.
        Some((id, unsafe { object.as_mut() }))
    }

    /// Returns the address of the object with this handle, which the caller may change.
    #[inline(always)]
    pub(crate) fn object_of(&self, id: Id<T>) -> Option<NonNull<T>> {
        // SAFETY: the stride is that of `T`, whose slots these are.
        let slot = match unsafe { self.slots.ways_to_write().slot_of(id.to_bits(), Typed::<T>::STRIDE) } {
            Some(slot) if slot.bits() == id.to_bits() => slot,
            Some(_) => return None,
            None => self.slots.watched(id.to_bits())?,
        };
        self.slots.may_change::<T>(id.index());
        // SAFETY: the slots are those of `T`.
        Some(unsafe { Typed::<T>::object(slot) })
    }

    /// Returns several objects for writing; `None` if a handle is stale or occurs twice.
    pub(crate) fn into_several<const N: usize>(self, ids: [Id<T>; N]) -> Option<[&'a mut T; N]> {
        let mut objects = [NonNull::dangling(); N];
        for (at, (object, id)) in objects.iter_mut().zip(ids).enumerate() {
            if ids.iter().take(at).any(|other| *other == id) {
                return None;
            }
            *object = self.object_of(id)?;
        }
        // SAFETY: as in `into_mut`; the handles resolved and differ, so their slots differ.
        Some(objects.map(|mut object| unsafe { object.as_mut() }))
    }

    /// Stores an object in the slot at hand; returns `None` if none is at hand.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, value: T) -> Option<Id<T>> {
        self.alloc_with(|_, _| (), value)
    }

    /// Creates the object that `make` returns for its own handle; `None` if no slot is at hand.
    ///
    /// The slot is taken after `make` has returned, so that a panic in it changes nothing.
    pub(crate) fn alloc_made(&mut self, make: impl FnOnce(Id<T>) -> T) -> Option<Id<T>> {
        let id = Id::of_next_life(self.slots.header_at_hand()?);
        let value = make(id);
        self.alloc(value)
    }

    /// Stores an object in the slot at hand; `note` gets the handle before the commit.
    #[inline(always)]
    pub(crate) fn alloc_noted(&mut self, value: T, note: impl FnOnce(u64)) -> Option<Id<T>> {
        self.alloc_with(|_, header| note(header), value)
    }

    /// Stores an object with a user key in the slot at hand.
    ///
    /// `link` gets slot and handle before the commit and writes the index entry, so that a live
    /// object is always found.
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
        let (slot, old) = self.slots.at_hand()?;
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
        // SAFETY: mapped and aligned; the slot is free, so no reference to its object exists.
        unsafe { object.write(value) };
        if const { !T::RULE.is_dense() } {
            // SAFETY: the value that was just written.
            unsafe { scrub(T::RULE, object.cast().as_ptr()) };
        }
        Commit::AllocHeader.store(slot.header(), new);
        self.slots.took(new);
        self.slots.may_change::<T>(id.index());
        Some(id)
    }

    /// Creates an object in the slot at hand: zeroes it, then calls `fill`. Returns `None` if none
    /// is at hand.
    ///
    /// `prepare` gets slot and handle before the commit. The slot is taken after `fill` has
    /// returned: until then it is free and at hand, so that a panic in `fill` changes nothing.
    pub(crate) fn alloc_zeroed(
        &mut self,
        fill: impl FnOnce(&mut T),
        prepare: impl FnOnce(Slot, Id<T>),
    ) -> Option<Id<T>> {
        const {
            assert!(T::RULE.zero_is_a_value(), "an object of zeros is no value of this type: use alloc");
        }
        let (slot, old) = self.slots.at_hand()?;
        // SAFETY: the slots are those of `T`.
        let mut object = unsafe { Typed::<T>::object(slot) };
        // SAFETY: mapped and aligned; the slot is free, so no reference to its object exists.
        unsafe { object.write_bytes(0, 1) };
        // SAFETY: as above; zeros are a valid value, and the reference ends with the call.
        fill(unsafe { object.as_mut() });
        if const { !T::RULE.is_dense() } {
            // SAFETY: the value that `fill` has left.
            unsafe { scrub(T::RULE, object.cast().as_ptr()) };
        }
        let id = Id::of_next_life(old);
        self.slots.header.last.store(Last::alloc(T::TYPE_ID));
        prepare(slot, id);
        Commit::AllocHeader.store(slot.header(), id.to_bits());
        self.slots.took(id.to_bits());
        self.slots.may_change::<T>(id.index());
        Some(id)
    }

    /// Frees the object with this handle and returns its slot; `None` if it does not exist.
    #[inline(always)]
    pub(crate) fn free(&mut self, id: Id<T>) -> Option<Slot> {
        self.slots.may_change::<T>(id.index());
        // SAFETY: the stride is that of `T`, whose slots these are.
        unsafe { self.slots.release(T::TYPE_ID, id.to_bits(), Typed::<T>::STRIDE) }
    }
}
