//! The state of one type in the process: its slots and its index.

use crate::layout::{Broken, ExtentKind, TypeInfo};
use crate::mutants::{Mutant, planted};
use crate::object::{Handle, Id, PoolObject};
use crate::pool::error::{AllocError, Full};
use crate::pool::store::barrier::Barrier;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::{Extents, NoSpace, Owner, Space};
use crate::pool::store::index::{Index, NoPlace, Place, groups_for};
use crate::pool::store::slot::{RETIRED, is_parked};
use crate::pool::store::slots::Slots;
use crate::region::At;
use crate::units::Bytes;
use std::sync::Arc;

/// One type of the pool, as the process uses it.
pub(crate) struct TypeState {
    pub(crate) slots: Slots,
    pub(crate) index: Index,
}

impl TypeState {
    /// Loads the type that `info` describes, with its extents. It must be recovered before it is
    /// used.
    pub(crate) fn load(
        base: &Base,
        info: At<TypeInfo>,
        space: &Space,
        chains: &Chains,
    ) -> Result<Self, Broken> {
        let place = info.place();
        let mut state = Self::empty(base, info);
        for run in chains.of(place, ExtentKind::Slots) {
            let run = space.extents(run).ok_or(Broken::NoExtent)?;
            state.slots.push(&run).map_err(|_| Broken::ExtentCut)?;
        }
        for run in chains.of(place, ExtentKind::Index) {
            let run = space.extents(run).ok_or(Broken::NoIndexExtent)?;
            state.index.push(&run).map_err(|_| Broken::IndexExtentCut)?;
        }
        state.index.refresh(&state.slots);
        if let Some(barrier) = space.barrier().filter(|_| !planted(Mutant::UnwatchedType)) {
            state.watch(barrier);
        }
        Ok(state)
    }

    /// Tells the write barrier of every change from here on.
    pub(crate) fn watch(&mut self, barrier: &Arc<Barrier>) {
        self.slots.watch(barrier);
        self.index.watch(barrier);
    }

    /// Tells the write barrier of no more changes.
    pub(crate) fn end_watch(&mut self) {
        self.slots.end_watch();
        self.index.end_watch();
    }

    /// Notes where the followed fields are, for tools.
    pub(crate) fn note_followed(&self) {
        let (word, note) = (&self.slots.info.followed, self.slots.lists.fields().note());
        if word.load() != note {
            word.store(note);
        }
    }

    /// Returns whether a table of extents gives the type exactly the memory that it has here.
    pub(crate) fn has_memory_of(&self, space: &Space, chains: &Chains) -> bool {
        let place = self.slots.shape.place;
        let agrees = |kind, holds: &dyn Fn(u32, &Extents) -> bool| {
            chains.of(place, kind).try_fold(0, |at, run| {
                let run = space.extents(run).filter(|run| holds(at, run))?;
                Some(at + run.count)
            })
        };
        agrees(ExtentKind::Slots, &|at, run| self.slots.holds(at, run)) == Some(self.slots.extents())
            && agrees(ExtentKind::Index, &|at, run| self.index.holds(at, run)) == Some(self.index.extents())
    }

    /// Creates the state of no type; returns `None` if the base has no table of types.
    pub(crate) fn nothing(base: &Base) -> Option<Self> {
        let slots = Slots::nothing(base.header, base.types.at(0)?, base.extents);
        Some(TypeState { slots, index: Index::new(0, 0) })
    }

    /// Creates a type without extents.
    pub(crate) fn empty(base: &Base, info: At<TypeInfo>) -> Self {
        let seed = base.header.geometry.hash_seed.load();
        TypeState {
            index: Index::new(info.group_shift.load(), seed),
            slots: Slots::new(base.header, info, base.extents),
        }
    }

    /// Allocates memory until the type has `capacity` slots, and index groups for them.
    pub(crate) fn reserve(&mut self, space: &mut Space, capacity: u32) -> Result<(), NoSpace> {
        while self.slots.with_memory() < capacity {
            self.grow(space)?;
        }
        while self.slots.info.keyed() && self.index.capacity() < groups_for(capacity) {
            self.grow_index(space)?;
        }
        Ok(())
    }

    /// Gets a slot at hand for an alloc, in a new extent if necessary.
    #[inline(never)]
    pub(crate) fn refill(&mut self, space: &mut Space) -> Result<(), AllocError> {
        while !self.slots.refill() {
            self.grow(space).map_err(|why| self.full(space, why))?;
        }
        Ok(())
    }

    /// Allocates one more extent of slots, or the memory of a hollow one.
    #[cold]
    pub(crate) fn grow(&mut self, space: &mut Space) -> Result<(), NoSpace> {
        match self.slots.lowest_hollow() {
            Some(extent) => self.fill_hollow(extent, space),
            None => self.append(space),
        }
    }

    /// Appends an extent of slots to those of the type.
    pub(crate) fn append(&mut self, space: &mut Space) -> Result<(), NoSpace> {
        let slots = &mut self.slots;
        let more = 1u64 << slots.shift();
        if u64::from(slots.capacity()) + more > crate::limits::MAX_SLOTS.into() {
            return Err(NoSpace::Table);
        }
        let owner = Owner::new(&slots.shape, ExtentKind::Slots);
        let extent = space.take(owner, slots.extents(), slots.shape.extent_bytes)?;
        slots.push(&extent).map_err(|_| NoSpace::Blocks)
    }

    /// Appends an extent without memory.
    pub(crate) fn push_hollow(&mut self, space: &mut Space) -> Result<(), NoSpace> {
        let made = space.reserve_hollow();
        let zeros = made.map_err(|error| NoSpace::memory(&error, self.slots.shape.extent_bytes))?;
        self.slots.push(&zeros).map_err(|_| NoSpace::Blocks)
    }

    /// Allocates memory for a hollow extent.
    fn fill_hollow(&mut self, extent: u32, space: &mut Space) -> Result<(), NoSpace> {
        let slots = &mut self.slots;
        let owner = Owner::new(&slots.shape, ExtentKind::Slots);
        slots.announce(extent);
        let memory = space.take(owner, extent, slots.shape.extent_bytes)?;
        slots.fill_in(extent, &memory).ok_or(NoSpace::Blocks)
    }

    /// Allocates one more extent of the index.
    #[cold]
    pub(crate) fn grow_index(&mut self, space: &mut Space) -> Result<(), NoSpace> {
        let owner = Owner::new(&self.slots.shape, ExtentKind::Index);
        let extent = space.take(owner, self.index.extents(), self.index.extent_bytes())?;
        self.index.push(&extent).map_err(|_| NoSpace::Blocks)?;
        self.index.refresh(&self.slots);
        Ok(())
    }

    /// Returns the object with this user key, for a single lookup; repeated lookups use a view.
    #[inline(always)]
    pub(crate) fn find<T: PoolObject>(&self, key: u64) -> Option<(Id<T>, &T)> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let typed = self.slots.typed::<T>()?;
        self.index.find(key, move |slot| typed.anew().carrying(slot, key))
    }

    /// Returns the object with this user key, without its handle: fewer reads than `find`.
    #[inline(always)]
    pub(crate) fn object<T: PoolObject>(&self, key: u64) -> Option<&T> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let typed = self.slots.typed::<T>()?;
        self.index.find(key, move |slot| typed.anew().object_carrying(slot, key))
    }

    /// Returns the object with this user key for writing.
    #[inline(always)]
    pub(crate) fn find_mut<T: PoolObject>(&mut self, key: u64) -> Option<(Id<T>, &mut T)> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.slots.typed_mut::<T>()?.into_found(&self.index, key)
    }

    /// Reserves an index entry for one more user key.
    ///
    /// Without memory for more groups, the existing ones are filled further. Groups are split in
    /// turn, so one more extent may not reach those of the key; after the index has doubled, all
    /// groups were split.
    #[inline(always)]
    pub(crate) fn reserve_key(&mut self, space: &mut Space, key: u64) -> Result<Place, NoSpace> {
        match self.index.place_at_once(&self.slots, key) {
            Some(place) => Ok(place),
            None => self.make_room(space, key),
        }
    }

    #[inline(never)]
    fn make_room(&mut self, space: &mut Space, key: u64) -> Result<Place, NoSpace> {
        let mut grown = Ok(());
        if self.index.wants_extent(&self.slots) {
            grown = self.grow_index(space);
        }
        for _ in 0..=self.index.extents() + 1 {
            match self.index.reserve(&self.slots, key) {
                Ok(place) => return Ok(place),
                Err(NoPlace::Crowded) => return Err(NoSpace::Crowded(key)),
                Err(NoPlace::Memory) => {}
            }
            std::mem::replace(&mut grown, Ok(()))?;
            self.grow_index(space)?;
        }
        Err(NoSpace::Blocks)
    }

    /// Returns whether the object with this handle is live.
    pub(crate) fn lives(&self, object: Handle) -> bool {
        self.slots.slot(object.index()).is_some_and(|slot| slot.header().load() == object.to_bits())
    }

    /// Frees the object with this handle, if it exists. It may be interrupted anywhere, and
    /// repeated.
    pub(crate) fn release(&mut self, handle: Handle) {
        let released = self.slots.release_untyped(handle);
        if let (Some(slot), true) = (released, self.slots.info.keyed()) {
            self.index.unlink(slot.key().load(), handle.index());
        }
    }

    /// Returns the error of a type that could not grow.
    #[cold]
    pub(crate) fn full(&self, space: &Space, why: NoSpace) -> AllocError {
        let slots = &self.slots;
        if let NoSpace::Crowded(key) = why {
            return AllocError::Crowded { type_name: slots.info.name().into(), key };
        }
        AllocError::Full(Box::new(Full {
            type_name: slots.info.name(),
            len: slots.len(),
            retired: slots.info.retired.load() >> 32,
            capacity: slots.with_memory(),
            free: Bytes(space.bytes_free()),
            blocks: space.blocks(),
            remedy: why.remedy(space.home()),
        }))
    }

    /// Recovers the type after a kill: brings the bit of the named slot, and the index entry, up to
    /// date.
    ///
    /// It may itself be interrupted anywhere, and repeated: the slot stays named until all is done.
    pub(crate) fn settle(&mut self) {
        let Some((index, slot)) = self.slots.recall() else { return };
        let header = slot.header().load();
        if planted(Mutant::RecoveryForgetsName) {
            self.slots.name_none();
        }
        if self.slots.info.keyed() {
            self.index.unlink(slot.key().load(), index);
        }
        if header == RETIRED {
            self.slots.count_retired(index);
        }
        self.slots.mend(index, header == RETIRED || is_parked(header));
        self.slots.name_none();
    }
}
