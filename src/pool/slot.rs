//! The slots of one type: from a handle to an object, and back.
//!
//! # What the unsafe code here relies on
//!
//! [`Slots`] is built by [`Slots::push`] from extents that `Region::span` found to lie
//! inside a mapping, so for every slot below `cap` the address `slot(index)` is the
//! start of `stride` mapped bytes that belong to no other slot and no map. The mapping
//! outlives the `Slots` (see `region.rs`). A slot begins with its header word, which is
//! only ever reached as an atomic; the object behind it is plain data (`Pod`: any bytes
//! are a value), and only the owner process reaches it through a reference: shared ones
//! come from `&Slots`, exclusive ones from `&mut Slots` or from the one cursor that
//! holds it. [`Typed`] is the proof that `T` is the type these slots were laid out for.
//!
//! # How a slot lives
//!
//! ```text
//!            alloc: intent, object, HEADER, bit, len
//!   free  ──────────────────────────────────────────▶  live
//!   even  ◀──────────────────────────────────────────  odd
//!            free:  intent, HEADER, bit, len
//!                                    │ last generation
//!                                    └──────────────▶  retired (even, bit stays)
//! ```
//!
//! The store to the header commits. A kill before it leaves the old state, a kill after
//! it the new one; the bit and the count are derived again from header and intent.
#![allow(unsafe_code)]

use crate::layout::{BaseHeader, Intent, TypeInfo};
use crate::limits::INDEX_BITS;
use crate::object::{GENERATION_ONE, GENERATION_SHIFT, INDEX_MASK, Id, PoolObject};
use crate::pool::map::{Bits, Map};
use crate::region::{At, OutOfBounds, Region};
use crate::sync::Word;
use crate::units::round_up;
use std::any::TypeId;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Header of a slot whose generations are used up: type 0, so that no handle equals it.
pub(crate) const RETIRED: u64 = ((1 << (64 - GENERATION_SHIFT)) - 2) << GENERATION_SHIFT | INDEX_MASK;

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

struct Stride<T>(PhantomData<T>);

impl<T: PoolObject> Stride<T> {
    const HEAD: usize = head_bytes(T::KEYED, align_of::<T>());
    const BYTES: usize = stride_bytes(T::KEYED, align_of::<T>(), size_of::<T>()).unwrap() as usize;
}

/// All slots of a type.
pub(crate) struct Slots {
    /// Per extent the address that slot 0 would have if the extent reached down to it.
    extents: Vec<*mut u8>,
    cap: u32,
    shift: u32,
    /// The Rust type they were laid out for; `None` until this process has added it.
    rust_type: Option<TypeId>,
    pub(crate) stride: usize,
    pub(crate) head: usize,
    pub(crate) map: Map,
    pub(crate) info: At<TypeInfo>,
    pub(crate) header: At<BaseHeader>,
    type_id: u16,
    last_generation: u32,
}

// The raw pointers lead into the mapping, which belongs to the process, not to a thread.
// SAFETY: `Slots` moves between threads as a whole, together with the pool that owns it.
unsafe impl Send for Slots {}

/// A slot whose state a caller has just read.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    start: NonNull<u8>,
}

impl Slots {
    /// The slots of the type that `info` describes, no extent yet. The caller has checked `info`.
    pub(crate) fn new(header: At<BaseHeader>, info: At<TypeInfo>) -> Self {
        let shift = info.shift.load();
        Slots {
            extents: Vec::new(),
            cap: 0,
            shift,
            rust_type: None,
            stride: info.stride.load() as usize,
            head: info.head.load() as usize,
            map: Map::new(shift),
            info,
            header,
            type_id: info.id.load() as u16,
            last_generation: info.last_generation.load(),
        }
    }

    /// Adds the extent at `offset` of a block, behind those that are there.
    pub(crate) fn push(
        &mut self,
        block: &Region,
        offset: u64,
        full: At<crate::sync::Half>,
    ) -> Result<(), OutOfBounds> {
        let start = block.span(offset, self.info.extent_bytes.load())?;
        let slots = self.stride as u64 * (1 << self.shift);
        let map_bytes = self.info.map_bytes.load();
        let first = block.span(offset.checked_add(map_bytes).ok_or(OutOfBounds)?, slots)?;
        if map_bytes < Map::bytes(self.shift) || map_bytes + slots > self.info.extent_bytes.load() {
            return Err(OutOfBounds);
        }
        debug_assert!(start <= first);
        self.map.push(block, offset, full)?;
        self.extents.push(first.as_ptr().wrapping_sub(self.cap as usize * self.stride));
        self.cap += 1 << self.shift;
        Ok(())
    }

    /// Binds the slots to the Rust type that `add_type` has compared with `info`.
    pub(crate) fn bind<T: PoolObject>(&mut self) {
        assert_eq!(self.stride, Stride::<T>::BYTES, "add_type compared the strides");
        assert_eq!(self.head, Stride::<T>::HEAD, "add_type compared the heads");
        self.rust_type = Some(TypeId::of::<T>());
    }

    /// Whether this process has added a type to these slots, and which.
    pub(crate) fn bound(&self) -> Option<TypeId> {
        self.rust_type
    }

    /// Slots that memory is there for.
    pub(crate) fn capacity(&self) -> u32 {
        self.cap
    }

    /// Number of extents.
    pub(crate) fn extents(&self) -> u32 {
        self.extents.len() as u32
    }

    /// The slot `index`, whatever its type and state.
    #[inline(always)]
    pub(crate) fn slot(&self, index: u32) -> Option<Slot> {
        // SAFETY: it is only reached where the bounds have been checked.
        (index < self.cap).then(|| unsafe { self.slot_unchecked(index) })
    }

    /// # Safety
    ///
    /// `index` is below `cap`.
    #[inline(always)]
    unsafe fn slot_unchecked(&self, index: u32) -> Slot {
        // SAFETY: `cap` is the number of extents shifted by `shift`, and `index` below it.
        let biased = unsafe { *self.extents.get_unchecked((index >> self.shift) as usize) };
        let start = biased.wrapping_add(index as usize * self.stride);
        // SAFETY: the bias undone, `start` lies inside the extent of the slot.
        Slot { start: unsafe { NonNull::new_unchecked(start) } }
    }

    /// Shared access as type `T`; `None` if these are not the slots of `T`.
    #[inline(always)]
    pub(crate) fn typed<T: PoolObject>(&self) -> Option<Typed<'_, T>> {
        (self.rust_type == Some(TypeId::of::<T>())).then_some(Typed { slots: self, _type: PhantomData })
    }

    /// Exclusive access as type `T`; `None` if these are not the slots of `T`.
    #[inline(always)]
    pub(crate) fn typed_mut<T: PoolObject>(&mut self) -> Option<TypedMut<'_, T>> {
        (self.rust_type == Some(TypeId::of::<T>())).then_some(TypedMut { slots: self, _type: PhantomData })
    }
}

impl Slot {
    /// The slot's header word.
    #[inline(always)]
    pub(crate) fn header(&self) -> &Word {
        // SAFETY: a slot starts with its header, aligned to 8, mapped as long as the pool is.
        unsafe { self.start.cast().as_ref() }
    }

    /// The user key of the object, meaningful for a keyed type.
    #[inline(always)]
    pub(crate) fn key(&self) -> &Word {
        // SAFETY: every slot is at least 16 bytes long; in an unkeyed one the word is part of
        // the object and is never reached, for only keyed types have an index.
        let word = unsafe { self.start.add(8) };
        // SAFETY: aligned to 8, mapped as long as the pool is.
        unsafe { word.cast().as_ref() }
    }

    /// Whether a header word is that of a live object.
    #[inline(always)]
    pub(crate) fn is_live(header: u64) -> bool {
        header & GENERATION_ONE != 0
    }
}

/// Shared access to the slots of type `T`.
pub(crate) struct Typed<'a, T> {
    slots: &'a Slots,
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
    pub(crate) slots: &'a mut Slots,
    _type: PhantomData<T>,
}

/// The address of slot `index` with the stride of `T` known to the compiler.
///
/// # Safety
///
/// `slots` are those of `T` and `index` is below their capacity.
#[inline(always)]
unsafe fn start<T: PoolObject>(slots: &Slots, index: u32) -> NonNull<u8> {
    // SAFETY: `cap` is the number of extents shifted by `shift`, and `index` below it.
    let biased = unsafe { *slots.extents.get_unchecked((index >> slots.shift) as usize) };
    let start = biased.wrapping_add(index as usize * Stride::<T>::BYTES);
    // SAFETY: the bias undone, `start` lies inside the extent of the slot.
    unsafe { NonNull::new_unchecked(start) }
}

/// # Safety
///
/// `start` is the address of a slot of `T`.
#[inline(always)]
unsafe fn object<T: PoolObject>(start: NonNull<u8>) -> NonNull<T> {
    // SAFETY: the object follows the head inside the same slot.
    unsafe { start.add(Stride::<T>::HEAD) }.cast()
}

/// The object that `id` names, if that life of the slot is going on.
#[inline(always)]
fn resolve<T: PoolObject>(slots: &Slots, id: Id<T>) -> Option<NonNull<T>> {
    let index = id.index();
    if index >= slots.cap {
        return None;
    }
    // SAFETY: `slots` came out of `Typed<T>` or `TypedMut<T>`, and the index is in bounds.
    let start = unsafe { start::<T>(slots, index) };
    if (Slot { start }).header().load() != id.to_bits() {
        return None;
    }
    // SAFETY: `start` is the address of a slot of `T`.
    Some(unsafe { object(start) })
}

impl<'a, T: PoolObject> Typed<'a, T> {
    /// The slots without their type.
    #[inline(always)]
    pub(crate) fn slots(self) -> &'a Slots {
        self.slots
    }

    /// The object of a handle.
    #[inline(always)]
    pub(crate) fn get(self, id: Id<T>) -> Option<&'a T> {
        // SAFETY: in bounds and aligned; no exclusive reference exists while `'a` borrows the slots.
        resolve(self.slots, id).map(|object| unsafe { object.as_ref() })
    }

    /// The object in slot `index`, if one lives there, with its handle.
    #[inline(always)]
    pub(crate) fn at(self, index: u32) -> Option<(Id<T>, &'a T)> {
        if index >= self.slots.cap {
            return None;
        }
        // SAFETY: the slots are those of `T`, and the index is in bounds.
        let start = unsafe { start::<T>(self.slots, index) };
        let id = Id::in_slot((Slot { start }).header().load(), index)?;
        // SAFETY: `start` is the address of a slot of `T`.
        let object = unsafe { object::<T>(start) };
        // SAFETY: in bounds and aligned; no exclusive reference exists while `'a` borrows the slots.
        Some((id, unsafe { object.as_ref() }))
    }

    /// Goes over the live objects.
    pub(crate) fn walk(self) -> Walk<T> {
        Walk::new(self.slots, 0)
    }

    /// The next live object of a walk over these slots.
    #[inline(always)]
    pub(crate) fn step(self, walk: &mut Walk<T>) -> Option<(Id<T>, &'a T)> {
        let (id, object) = walk.next(self.slots)?;
        // SAFETY: in bounds and aligned; no exclusive reference exists while `'a` borrows the slots.
        Some((id, unsafe { object.as_ref() }))
    }
}

/// A way over the live objects of a type, a word of the map at a time. No slot is taken or
/// freed on the way, for that would need the slots exclusively.
pub(crate) struct Walk<T> {
    bits: u64,
    /// The slot of the lowest bit's place.
    first: u32,
    /// Its address.
    base: *mut u8,
    _type: PhantomData<T>,
}

impl<T: PoolObject> Walk<T> {
    fn new(slots: &Slots, from: u32) -> Self {
        let mut walk = Walk { bits: 0, first: u32::MAX, base: std::ptr::null_mut(), _type: PhantomData };
        if let Some(bits) = slots.map.bits_from(from) {
            walk.enter(slots, bits);
        }
        walk
    }

    #[inline(always)]
    fn enter(&mut self, slots: &Slots, word: Bits) {
        (self.bits, self.first) = (word.bits, word.first);
        let biased = slots.extents[(word.first >> slots.shift) as usize];
        self.base = biased.wrapping_add(word.first as usize * Stride::<T>::BYTES);
    }

    /// The next live object. `slots` are those that the walk was begun with.
    #[inline(always)]
    fn next(&mut self, slots: &Slots) -> Option<(Id<T>, NonNull<T>)> {
        loop {
            while self.bits != 0 {
                let bit = self.bits.trailing_zeros();
                self.bits &= self.bits - 1;
                let start = self.base.wrapping_add(bit as usize * Stride::<T>::BYTES);
                // SAFETY: the map has bits for slots alone, so `start` lies inside the extent of the word.
                let start = unsafe { NonNull::new_unchecked(start) };
                if let Some(id) = Id::in_slot((Slot { start }).header().load(), self.first | bit) {
                    // SAFETY: `start` is the address of a slot of `T`.
                    return Some((id, unsafe { object(start) }));
                }
            }
            if self.first == u32::MAX {
                return None;
            }
            let word = slots.map.bits_behind(self.first)?;
            self.enter(slots, word);
        }
    }
}

impl<'a, T: PoolObject> TypedMut<'a, T> {
    /// The same, shared.
    #[inline(always)]
    pub(crate) fn shared(&self) -> Typed<'_, T> {
        Typed { slots: self.slots, _type: PhantomData }
    }

    /// The same for a shorter time.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> TypedMut<'_, T> {
        TypedMut { slots: self.slots, _type: PhantomData }
    }

    /// The object of a handle, to be written.
    #[inline(always)]
    pub(crate) fn into_mut(self, id: Id<T>) -> Option<&'a mut T> {
        // SAFETY: in bounds and aligned; `self` is the only access while `'a` lasts.
        resolve(self.slots, id).map(|mut object| unsafe { object.as_mut() })
    }

    /// Several objects at once, to be written; `None` if a handle is stale or given twice.
    pub(crate) fn into_several<const N: usize>(self, ids: [Id<T>; N]) -> Option<[&'a mut T; N]> {
        let mut objects = [NonNull::dangling(); N];
        for (at, id) in ids.into_iter().enumerate() {
            if ids[..at].contains(&id) {
                return None;
            }
            objects[at] = resolve(self.slots, id)?;
        }
        // SAFETY: in bounds and aligned, distinct slots, and `self` is the only access while `'a` lasts.
        Some(objects.map(|mut object| unsafe { object.as_mut() }))
    }

    /// A cursor that hands out each live object once, in the order of the slots.
    /// It starts at slot `from`.
    pub(crate) fn into_cursor(self, from: u32) -> Cursor<'a, T> {
        Cursor { walk: Walk::new(self.slots, from), slots: self.slots, _type: PhantomData }
    }

    /// Puts an object into the lowest free slot; `None` if the memory there is has none.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, value: T) -> Option<Id<T>> {
        self.alloc_with(|_, _| (), value)
    }

    /// The same with a user key. `link` makes the index lead to the slot: behind the intent, so
    /// that recovery finds it, and before the commit, so that a live object is always found.
    #[inline(always)]
    pub(crate) fn alloc_keyed(&mut self, key: u64, value: T, link: impl FnOnce(u32)) -> Option<Id<T>> {
        let prepare = |slot: Slot, index| {
            slot.key().store(key);
            link(index);
        };
        self.alloc_with(prepare, value)
    }

    #[inline(always)]
    fn alloc_with(&mut self, prepare: impl FnOnce(Slot, u32), value: T) -> Option<Id<T>> {
        let slots = &mut *self.slots;
        let (free, slot, old) = loop {
            let free = slots.map.lowest_free()?;
            // SAFETY: the map has bits for the slots below `cap` alone, and the slots are those of `T`.
            let slot = Slot { start: unsafe { start::<T>(slots, free.index) } };
            let old = slot.header().load();
            if !Slot::is_live(old) {
                break (free, slot, old);
            }
            slots.mend(free.index);
        };
        let index = free.index;
        // Each store is an edge that the compiler forgets all it has read at: what is needed
        // behind one is read before the first.
        let (info, header): (&TypeInfo, &BaseHeader) = (&slots.info, &slots.header);
        let len = info.len.load() & INDEX_MASK;
        let high_water = info.high_water.load();
        header.intent.store(Intent::alloc(T::TYPE_ID, index, len));
        prepare(slot, index);
        // SAFETY: `start` is the address of a slot of `T`.
        let object = unsafe { object::<T>(slot.start) };
        // SAFETY: inside the slot, aligned; the slot is free, so nothing refers to its object.
        unsafe { object.write(value) };
        let next = (old & !(GENERATION_ONE - 1)).wrapping_add(GENERATION_ONE);
        let new = next | u64::from(T::TYPE_ID) << INDEX_BITS | u64::from(index);
        slot.header().store(new);
        Map::set(free);
        info.len.store(len + 1);
        if u64::from(index) >= high_water {
            info.high_water.store(u64::from(index) + 1);
        }
        Id::in_slot(new, index)
    }

    /// Frees the object of a handle; false if it was not there.
    #[inline(always)]
    pub(crate) fn free(&mut self, id: Id<T>) -> bool {
        let slots = &mut *self.slots;
        let index = id.index();
        if index >= slots.cap {
            return false;
        }
        // SAFETY: the slots are those of `T`, and the index is in bounds.
        let slot = Slot { start: unsafe { start::<T>(slots, index) } };
        if slot.header().load() != id.to_bits() {
            return false;
        }
        let Some(place) = slots.map.place(index) else { return false };
        let (info, header): (&TypeInfo, &BaseHeader) = (&slots.info, &slots.header);
        let len = info.len.load() & INDEX_MASK;
        let is_last = id.generation() >= slots.last_generation;
        header.intent.store(Intent::free(T::TYPE_ID, index, len));
        if is_last {
            slots.retire(slot, index);
        } else {
            slot.header().store(id.to_bits() + GENERATION_ONE);
            slots.map.clear(place);
        }
        info.len.store(len.saturating_sub(1));
        true
    }
}

impl Slots {
    /// The map calls a slot free in which an object lives: somebody wrote over the map. The
    /// object stays, its bit is mended.
    #[cold]
    #[inline(never)]
    fn mend(&mut self, index: u32) {
        log::error!("{} slot {index} is live but was marked free; the mark is mended", self.info.name());
        self.map.mend(index, true);
    }

    /// Ends the life of a slot in its last generation: it is never used again.
    #[cold]
    #[inline(never)]
    fn retire(&self, slot: Slot, index: u32) {
        slot.header().store(RETIRED);
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

    /// Number of the type.
    pub(crate) fn type_id(&self) -> u16 {
        self.type_id
    }
}

/// Hands out each live object once, exclusively.
pub(crate) struct Cursor<'a, T> {
    slots: &'a mut Slots,
    walk: Walk<T>,
    _type: PhantomData<&'a mut T>,
}

impl<'a, T: PoolObject> Cursor<'a, T> {
    /// The next live object at or behind the cursor.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<(Id<T>, &'a mut T)> {
        let (id, mut object) = self.walk.next(self.slots)?;
        // SAFETY: in bounds and aligned; the cursor holds the slots exclusively for `'a` and,
        // moving forward only, hands out each slot once.
        Some((id, unsafe { object.as_mut() }))
    }
}
