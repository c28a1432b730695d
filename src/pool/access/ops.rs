//! The operations on objects.

use crate::layout::UndoKind;
use crate::mutants::{Mutant, planted};
use crate::object::{Id, PoolObject};
use crate::pool::access::iter::{Iter, IterMut, Sweep};
use crate::pool::access::view::{View, ViewMut};
use crate::pool::change::guard::{Mark, RefMut};
use crate::pool::error::AllocError;
use crate::pool::manager::{MemoryPoolMgr, PARTS};
use crate::pool::par::portion::Portion;
use crate::pool::store::extents::Space;
use crate::pool::store::index::Place;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::type_table::TypeTable;
use crate::pool::store::walk::WalkMut;

/// The result of [`MemoryPoolMgr::force_get`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced<T> {
    /// The object existed.
    Found(T),
    /// The object was allocated.
    Made(T),
}

impl<T> Forced<T> {
    /// Returns the handle, found or new.
    pub fn into_inner(self) -> T {
        match self {
            Forced::Found(inner) | Forced::Made(inner) => inner,
        }
    }

    /// Returns whether the object is new.
    pub fn is_made(&self) -> bool {
        matches!(self, Forced::Made(_))
    }
}

impl MemoryPoolMgr {
    #[inline(always)]
    fn state<T: PoolObject>(&self) -> Option<&TypeState> {
        self.types.of::<T>()
    }

    /// Returns shared access to all objects of type `T`, with one lookup of the type: for hot
    /// loops.
    ///
    /// # Panics
    ///
    /// Panics if the type was not added.
    #[inline]
    pub fn view<T: PoolObject>(&self) -> View<'_, T> {
        self.try_view().unwrap_or_else(|| not_added::<T>())
    }

    /// Returns shared access to all objects of type `T`; `None` if the type was not added.
    #[inline(always)]
    pub fn try_view<T: PoolObject>(&self) -> Option<View<'_, T>> {
        let state = self.state::<T>()?;
        Some(View { typed: state.slots.typed()?, index: &state.index })
    }

    /// Returns exclusive access to all objects of type `T`, with one lookup of the type: for hot
    /// loops.
    ///
    /// # Panics
    ///
    /// Panics if the type was not added.
    #[inline]
    pub fn view_mut<T: PoolObject>(&mut self) -> ViewMut<'_, T> {
        self.try_view_mut().unwrap_or_else(|| not_added::<T>())
    }

    /// Clears the marks of guards that were leaked from views side by side: no guard exists at a
    /// new borrow.
    #[cold]
    #[inline(never)]
    fn forget_parts(&mut self) {
        self.marks.iter().for_each(Mark::forget);
        self.parts_marked = false;
    }

    #[inline(always)]
    pub(crate) fn try_view_mut<T: PoolObject>(&mut self) -> Option<ViewMut<'_, T>> {
        if self.parts_marked {
            self.forget_parts();
        }
        let state = self.types.of_mut::<T>()?;
        Some(ViewMut { typed: state.slots.typed_mut()?, index: &state.index, mark: &self.marks[0] })
    }

    /// Returns exclusive access to the objects of up to eight types side by side.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Player { gold: u64 }
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 2)]
    /// # struct Shop { gold: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0110), Bytes(1 << 20), &[Key(0x4850_0111)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Player>()?;
    /// # pool.add_type::<Shop>()?;
    /// let buyer = pool.alloc(Player { gold: 10 })?;
    /// let shop = pool.alloc(Shop { gold: 0 })?;
    /// let (mut players, mut shops) = pool.views_mut::<(Player, Shop)>();
    /// let (mut buyer, mut shop) = (players.get_mut(buyer).unwrap(), shops.get_mut(shop).unwrap());
    /// buyer.gold -= 3;
    /// shop.gold += 3;
    /// # drop((buyer, shop));
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a type was not added or occurs twice.
    pub fn views_mut<P: Parts>(&mut self) -> P::Views<'_> {
        self.forget_parts();
        self.parts_marked = true;
        P::borrow(self)
    }

    /// Allocates an object and returns its handle.
    ///
    /// It takes the slot that was freed last, else the lowest free slot; if there is none, the type
    /// grows by an extent. It is all or nothing under a kill: the object exists in full, or its
    /// slot is still free. For an object that is too large for the stack, use
    /// [`alloc_zeroed_with`](Self::alloc_zeroed_with).
    ///
    /// # Errors
    ///
    /// Returns [`AllocError::Full`] if no block has room for another extent, and
    /// [`AllocError::NotAdded`] if the type was not added.
    #[doc(alias = "GetFree")]
    #[inline]
    pub fn alloc<T: PoolObject>(&mut self, value: T) -> Result<Id<T>, AllocError> {
        const { assert!(!T::KEYED, "objects of this type have a user key: use alloc_keyed or force_get") };
        loop {
            if let Some(state) = self.types.of_mut::<T>()
                && let Some(mut typed) = state.slots.typed_mut::<T>()
                && let Some(id) = typed.alloc(value)
            {
                return Ok(id);
            }
            self.refill::<T>()?;
        }
    }

    /// Allocates an object with a user key.
    ///
    /// It is all or nothing under a kill, including the key. It costs one more cache line than
    /// `alloc`.
    ///
    /// # Errors
    ///
    /// Returns [`AllocError::KeyExists`] if an object of the type has the key, and fails as
    /// [`alloc`](Self::alloc) does.
    #[inline]
    pub fn alloc_keyed<T: PoolObject>(&mut self, key: u64, value: T) -> Result<Id<T>, AllocError> {
        match self.force_get_with(key, || value)? {
            Forced::Made(id) => Ok(id),
            Forced::Found(id) => Err(AllocError::KeyExists { key, holder: id.handle() }),
        }
    }

    /// Returns the object with this user key, or allocates it with `value`.
    ///
    /// # Errors
    ///
    /// Fails as [`alloc`](Self::alloc) does.
    #[doc(alias = "ForceGetObj")]
    #[inline]
    pub fn force_get<T: PoolObject>(&mut self, key: u64, value: T) -> Result<Forced<Id<T>>, AllocError> {
        self.force_get_with(key, || value)
    }

    /// Returns the object with this user key, or allocates it with the result of `make`.
    ///
    /// # Errors
    ///
    /// Fails as [`alloc`](Self::alloc) does.
    #[inline]
    pub fn force_get_with<T: PoolObject>(
        &mut self,
        key: u64,
        make: impl FnOnce() -> T,
    ) -> Result<Forced<Id<T>>, AllocError> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
        if let Some((id, _)) = state.find(key) {
            return Ok(Forced::Found(id));
        }
        match make_keyed(state, space, key, make) {
            Ok(id) => Ok(Forced::Made(id)),
            Err((error, make)) => self.make_after_reclaim(key, error, make).map(Forced::Made),
        }
    }

    /// Allocates an object with a new user key in memory of other types, after there was none.
    #[cold]
    fn make_after_reclaim<T: PoolObject, F: FnOnce() -> T>(
        &mut self,
        key: u64,
        error: AllocError,
        make: Option<F>,
    ) -> Result<Id<T>, AllocError> {
        match (error, make) {
            (AllocError::Full(_), Some(make)) if self.reclaim_for_growth() => {
                let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
                make_keyed(state, space, key, make).map_err(|(error, _)| error)
            }
            (error, _) => Err(error),
        }
    }

    /// Allocates for a transaction: its log records the handle before the object exists.
    ///
    /// The caller has made sure that the log has room.
    pub(crate) fn alloc_noted<T: PoolObject>(&mut self, value: T) -> Result<Id<T>, AllocError> {
        const { assert!(!T::KEYED, "objects of this type have a user key: use alloc_keyed") };
        self.at_hand::<T>()?;
        let (state, _) = parts::<T>(&mut self.types, &mut self.space)?;
        let undo = &mut self.undo;
        let mut note = |handle| {
            let _ = undo.note(UndoKind::Alloc, handle);
        };
        let typed = state.slots.typed_mut::<T>();
        if planted(Mutant::TxNotesLast) {
            let id = typed.and_then(|mut typed| typed.alloc(value)).ok_or(AllocError::NotAdded(T::NAME))?;
            note(id.to_bits());
            return Ok(id);
        }
        typed.and_then(|mut typed| typed.alloc_noted(value, note)).ok_or(AllocError::NotAdded(T::NAME))
    }

    /// Allocates with a user key for a transaction, which has made sure that the key is free.
    pub(crate) fn alloc_keyed_noted<T: PoolObject>(
        &mut self,
        key: u64,
        value: T,
    ) -> Result<Id<T>, AllocError> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.at_hand::<T>()?;
        let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
        let entry = room_for_key(state, space, key)?;
        let undo = &mut self.undo;
        let mut note = |handle| {
            let _ = undo.note(UndoKind::Alloc, handle);
        };
        if planted(Mutant::TxNotesLast) {
            let id = insert(state, entry, key, value, |_| ())?;
            note(id.to_bits());
            return Ok(id);
        }
        insert(state, entry, key, value, note)
    }

    /// Frees an object, whose handle never resolves again; returns false if it was freed before.
    ///
    /// It is all or nothing under a kill.
    #[inline]
    pub fn free<T: PoolObject>(&mut self, id: Id<T>) -> bool {
        let Some(state) = self.types.of_mut::<T>() else { return false };
        let Some(mut typed) = state.slots.typed_mut::<T>() else { return false };
        if planted(Mutant::FreeUnlinksFirst)
            && let (true, Some(slot)) = (T::KEYED, typed.shared().slots().slot(id.index()))
        {
            state.index.unlink(slot.key().load(), id.index());
        }
        let Some(slot) = typed.free(id) else { return false };
        if T::KEYED {
            state.index.unlink(slot.key().load(), id.index());
        }
        true
    }

    /// Frees the object with this user key; returns false if there is none.
    pub fn free_by_key<T: PoolObject>(&mut self, key: u64) -> bool {
        match self.find::<T>(key) {
            Some(id) => self.free(id),
            None => false,
        }
    }

    /// Returns the object with this handle; `None` if it was freed or its type was not added.
    #[inline]
    pub fn get<T: PoolObject>(&self, id: Id<T>) -> Option<&T> {
        self.state::<T>()?.slots.typed::<T>()?.get(id)
    }

    /// Returns a guard to write the object with this handle; `None` if it was freed.
    ///
    /// The program writes the fields in place. A kill between two writes leaves some fields new and
    /// some old; the next start names the object in
    /// [`ResumeReport::being_written`](crate::ResumeReport::being_written). A panic that drops the
    /// guard has the same effect, even if it is caught: see [`torn`](Self::torn).
    #[inline]
    pub fn get_mut<T: PoolObject>(&mut self, id: Id<T>) -> Option<RefMut<'_, T>> {
        if self.parts_marked {
            self.forget_parts();
        }
        // First, while few values must survive a call.
        self.marks[0].begin();
        let state = self.types.of_mut::<T>()?;
        let object = state.slots.typed_mut::<T>()?.into_mut(id)?;
        Some(self.marks[0].begun(id, object))
    }

    /// Returns guards to write several objects; `None` if a handle is stale or occurs twice.
    pub fn get_several_mut<T: PoolObject, const N: usize>(
        &mut self,
        ids: [Id<T>; N],
    ) -> Option<[RefMut<'_, T>; N]> {
        self.try_view_mut::<T>()?.into_several(ids)
    }

    /// Returns the handle of the object with this user key.
    #[doc(alias = "Get")]
    #[inline]
    pub fn find<T: PoolObject>(&self, key: u64) -> Option<Id<T>> {
        self.state::<T>()?.find(key).map(|(id, _)| id)
    }

    /// Returns the object with this user key.
    #[inline]
    pub fn get_by_key<T: PoolObject>(&self, key: u64) -> Option<&T> {
        self.state::<T>()?.object(key)
    }

    /// Returns a guard to write the object with this user key.
    #[inline]
    pub fn get_mut_by_key<T: PoolObject>(&mut self, key: u64) -> Option<RefMut<'_, T>> {
        if self.parts_marked {
            self.forget_parts();
        }
        self.marks[0].begin();
        let state = self.types.of_mut::<T>()?;
        let (id, object) = state.find_mut(key)?;
        Some(self.marks[0].begun(id, object))
    }

    /// Iterates over all live objects of a type with their handles, in the order of their slots.
    ///
    /// It yields nothing if the type was not added.
    pub fn iter<T: PoolObject>(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.try_view::<T>().map_or(Iter::EMPTY, View::iter)
    }

    /// Iterates over guards to write all live objects of a type, in the order of their slots.
    ///
    /// It yields nothing if the type was not added.
    pub fn iter_mut<T: PoolObject>(&mut self) -> IterMut<'_, T> {
        if self.parts_marked {
            self.forget_parts();
        }
        let typed = self.types.of_mut::<T>().and_then(|state| state.slots.typed_mut());
        IterMut::new(typed.map_or(WalkMut::EMPTY, |typed| typed.into_walk(0)), &self.marks[0])
    }

    /// Calls `f` with each live object, which is marked as being written meanwhile.
    ///
    /// If `f` panics, its object is [torn](Self::torn). It does nothing if the type was not added.
    #[doc(alias = "Process")]
    pub fn for_each<T: PoolObject>(&mut self, f: impl FnMut(Id<T>, &mut T)) {
        if let Some(mut view) = self.try_view_mut() {
            view.for_each(f);
        }
    }

    /// Calls `f` with the next `budget` live objects from the position of `sweep` on.
    ///
    /// Returns true when it has reached the end, and `sweep` is at the beginning again. Objects
    /// that exist throughout a round are visited once; objects that are allocated or freed
    /// meanwhile may be visited. If `f` panics, its object is [torn](Self::torn), and the next call
    /// continues after it.
    pub fn sweep<T: PoolObject>(
        &mut self,
        sweep: &mut Sweep,
        budget: usize,
        f: impl FnMut(Id<T>, &mut T),
    ) -> bool {
        let Some(view) = self.try_view_mut::<T>() else { return true };
        view.sweep(sweep, budget, f)
    }

    /// Returns the number of live objects of a type; 0 if it was not added.
    pub fn len<T: PoolObject>(&self) -> usize {
        self.try_view::<T>().map_or(0, View::len)
    }

    /// Returns whether a type has no live object.
    pub fn is_empty<T: PoolObject>(&self) -> bool {
        self.len::<T>() == 0
    }

    /// Returns the number of slots of a type that have memory.
    pub fn capacity<T: PoolObject>(&self) -> usize {
        self.try_view::<T>().map_or(0, View::capacity)
    }

    /// Returns the number of slots of a type that have ever been used.
    pub fn high_water<T: PoolObject>(&self) -> usize {
        self.try_view::<T>().map_or(0, View::high_water)
    }
}

/// Allocates an object with a new user key. A separate function keeps the path for found objects
/// short. The error gives `make` back if it was not called.
#[inline(never)]
fn make_keyed<T: PoolObject, F: FnOnce() -> T>(
    state: &mut TypeState,
    space: &mut Space,
    key: u64,
    make: F,
) -> Result<Id<T>, (AllocError, Option<F>)> {
    match room_for_key(state, space, key) {
        Ok(entry) => insert(state, entry, key, make(), |_| ()).map_err(|error| (error, None)),
        Err(error) => Err((error, Some(make))),
    }
}

/// Gets a slot at hand and an index entry for a new user key.
#[inline(always)]
fn room_for_key(state: &mut TypeState, space: &mut Space, key: u64) -> Result<Place, AllocError> {
    if !state.slots.is_at_hand() {
        state.refill(space)?;
    }
    state.reserve_key(space, key).map_err(|why| state.full(space, why))
}

/// Allocates an object with a new user key in the slot at hand; `note` gets its handle before it
/// exists.
#[inline(always)]
fn insert<T: PoolObject>(
    state: &mut TypeState,
    entry: Place,
    key: u64,
    value: T,
    mut note: impl FnMut(u64),
) -> Result<Id<T>, AllocError> {
    let index = &state.index;
    let link = |slot, handle| {
        note(handle);
        index.link(entry, slot);
    };
    let typed = state.slots.typed_mut::<T>();
    typed.and_then(|mut typed| typed.alloc_keyed(key, value, link)).ok_or(AllocError::NotAdded(T::NAME))
}

/// Returns the state of type `T` and the space into which it grows.
#[inline(always)]
pub(crate) fn parts<'a, T: PoolObject>(
    types: &'a mut TypeTable,
    space: &'a mut Space,
) -> Result<(&'a mut TypeState, &'a mut Space), AllocError> {
    // The state of another type with this number must not grow.
    let state = types.of_mut::<T>().ok_or(AllocError::NotAdded(T::NAME))?;
    Ok((state, space))
}

#[cold]
#[inline(never)]
#[expect(clippy::panic, reason = "documented: the type was not added")]
fn not_added<T: PoolObject>() -> ! {
    panic!("{}", AllocError::NotAdded(T::NAME))
}

#[cold]
#[inline(never)]
#[expect(clippy::panic, reason = "documented: a type occurs twice")]
fn named_twice() -> ! {
    panic!("a type occurs twice in views_mut, or its number is above 1023")
}

impl<'a, T: PoolObject> IntoIterator for &'a mut ViewMut<'_, T> {
    type Item = (Id<T>, RefMut<'a, T>);
    type IntoIter = IterMut<'a, T>;

    fn into_iter(self) -> IterMut<'a, T> {
        self.iter_mut()
    }
}

/// Types that are borrowed side by side: a tuple of one to eight.
pub trait Parts: sealed::Sealed {
    /// Views of the types.
    type Views<'a>;
    /// Portions of the types, for other threads.
    type Portions<'a>;
    /// Borrows each type.
    fn borrow(pool: &mut MemoryPoolMgr) -> Self::Views<'_>;
    /// Makes views ready for other threads.
    fn portions(views: Self::Views<'_>) -> Self::Portions<'_>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! parts {
    ($($type:ident $number:tt),+) => {
        impl<$($type: PoolObject),+> sealed::Sealed for ($($type,)+) {}

        impl<$($type: PoolObject),+> Parts for ($($type,)+) {
            type Views<'a> = ($(ViewMut<'a, $type>,)+);
            type Portions<'a> = ($(Portion<'a, $type>,)+);

            fn portions(views: Self::Views<'_>) -> Self::Portions<'_> {
                ($(views.$number.into_portion(),)+)
            }

            fn borrow(pool: &mut MemoryPoolMgr) -> Self::Views<'_> {
                const { assert!([$($number),+].len() <= PARTS) };
                let states = match pool.types.several_mut([$($type::TYPE_ID),+]) {
                    Some(states) => states,
                    None => named_twice(),
                };
                let mut states = states.into_iter();
                let marks = &pool.marks;
                ($({
                    let state = states.next().flatten();
                    let view = state.and_then(|state| {
                        let typed = state.slots.typed_mut::<$type>()?;
                        Some(ViewMut { typed, index: &state.index, mark: &marks[$number] })
                    });
                    view.unwrap_or_else(|| not_added::<$type>())
                },)+)
            }
        }
    };
}

parts!(A 0);
parts!(A 0, B 1);
parts!(A 0, B 1, C 2);
parts!(A 0, B 1, C 2, D 3);
parts!(A 0, B 1, C 2, D 3, E 4);
parts!(A 0, B 1, C 2, D 3, E 4, F 5);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
