//! Batches: many objects by handle or user key, whose memory is prefetched.
//!
//! A loop over `get` waits for one object after the other, because the processor cannot look far
//! ahead through a lookup. A batch knows the next handles, and prefetches their slots.

use crate::object::{Id, PoolObject};
use crate::pool::access::view::View;
use crate::pool::change::tx::{Tx, TxError};
use crate::pool::error::AllocError;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::index::ahead::Coming;
use crate::pool::store::typed::Typed;
use std::fmt;
use std::iter::FusedIterator;
use std::slice;

/// Number of slots that are prefetched, and of groups of the index that are prefetched before them.
const AHEAD: usize = 16;

/// An iterator over the objects with given handles: see [`MemoryPoolMgr::get_many`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct GetMany<'a, T> {
    /// `None` if the type was not added.
    typed: Option<Typed<'a, T>>,
    ids: slice::Iter<'a, Id<T>>,
    /// The handles that are not prefetched yet.
    ahead: slice::Iter<'a, Id<T>>,
}

impl<'a, T: PoolObject> GetMany<'a, T> {
    fn new(typed: Option<Typed<'a, T>>, ids: &'a [Id<T>]) -> Self {
        let mut many = GetMany { typed, ids: ids.iter(), ahead: ids.iter() };
        (0..AHEAD).for_each(|_| many.fetch());
        many
    }

    #[inline(always)]
    fn fetch(&mut self) {
        if let (Some(id), Some(typed)) = (self.ahead.next(), self.typed) {
            typed.fetch(id.index());
        }
    }
}

impl<'a, T: PoolObject> Iterator for GetMany<'a, T> {
    type Item = Option<&'a T>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.fetch();
        let id = *self.ids.next()?;
        Some(self.typed.and_then(|typed| typed.get(id)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ids.size_hint()
    }
}

/// An iterator over the objects with given user keys: see [`MemoryPoolMgr::find_many`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct FindMany<'a, T> {
    /// `None` if the type was not added.
    view: Option<View<'a, T>>,
    keys: slice::Iter<'a, u64>,
    /// The keys whose groups are not prefetched yet.
    ahead: slice::Iter<'a, u64>,
    /// The lookups that have begun: two keys in each place, the next one and the one `AHEAD` after it.
    begun: [Begun<'a>; AHEAD],
    /// Number of the next key.
    at: usize,
}

/// Two lookups that have begun.
#[derive(Clone, Copy)]
struct Begun<'a> {
    /// The slot that probably carries the earlier key.
    slot: u32,
    /// The group of the later key.
    group: Coming<'a>,
}

impl<'a, T: PoolObject> FindMany<'a, T> {
    fn new(view: Option<View<'a, T>>, keys: &'a [u64]) -> Self {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let begun = [Begun { slot: u32::MAX, group: Coming::NONE }; AHEAD];
        let mut many = FindMany { view, keys: keys.iter(), ahead: keys.iter(), begun, at: 0 };
        for _ in 0..2 * AHEAD {
            many.advance();
        }
        many
    }

    /// Begins the lookup of one more key, and returns the slot that probably carries the next one.
    #[inline(always)]
    fn advance(&mut self) -> u32 {
        let group = match (self.ahead.next(), self.view) {
            (Some(key), Some(view)) => view.index.fetch(*key),
            _ => Coming::NONE,
        };
        let Some(begun) = self.begun.get_mut(self.at % AHEAD) else { return u32::MAX };
        self.at = self.at.wrapping_add(1);
        let later = begun.group.slot();
        if let Some(view) = self.view {
            view.typed.fetch(later);
        }
        let slot = begun.slot;
        *begun = Begun { slot: later, group };
        slot
    }
}

impl<'a, T: PoolObject> Iterator for FindMany<'a, T> {
    type Item = Option<(Id<T>, &'a T)>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let key = *self.keys.next()?;
        let slot = self.advance();
        Some(self.view.and_then(|view| view.typed.carrying(slot, key).or_else(|| view.look_up(key))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.keys.size_hint()
    }
}

impl<T: PoolObject> ExactSizeIterator for GetMany<'_, T> {}
impl<T: PoolObject> FusedIterator for GetMany<'_, T> {}
impl<T: PoolObject> ExactSizeIterator for FindMany<'_, T> {}
impl<T: PoolObject> FusedIterator for FindMany<'_, T> {}

impl<T> fmt::Debug for GetMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany").field("left", &self.ids.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for FindMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FindMany").field("left", &self.keys.len()).finish_non_exhaustive()
    }
}

impl MemoryPoolMgr {
    /// Iterates over the objects with these handles, in their order: `None` for a handle whose
    /// object was freed.
    ///
    /// The result is that of [`get`](Self::get) for each handle. The slots of the next handles are
    /// prefetched, which takes less time if the objects are not in the processor's caches.
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1, keyed)]
    /// # struct Player { gold: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0154), Bytes(1 << 20), &[Key(0x4850_0155)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Player>()?;
    /// let party = [pool.alloc_keyed(1, Player { gold: 5 })?, pool.alloc_keyed(2, Player { gold: 2 })?];
    /// let gold: u64 = pool.get_many(&party).flatten().map(|player| player.gold).sum();
    /// assert_eq!(gold, 7);
    ///
    /// let found: Vec<_> = pool.find_many::<Player>(&[2, 3]).map(|found| found.map(|(id, _)| id)).collect();
    /// assert_eq!(found, [Some(party[1]), None]);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get_many<'a, T: PoolObject>(&'a self, ids: &'a [Id<T>]) -> GetMany<'a, T> {
        GetMany::new(self.try_view().map(|view| view.typed), ids)
    }

    /// Iterates over the objects with these user keys and their handles, in the order of the keys:
    /// `None` for a key that no object has.
    ///
    /// Groups of the index and slots of the next keys are prefetched, as
    /// [`get_many`](Self::get_many) prefetches slots.
    #[inline]
    pub fn find_many<'a, T: PoolObject>(&'a self, keys: &'a [u64]) -> FindMany<'a, T> {
        FindMany::new(self.try_view(), keys)
    }
}

impl<'a, T: PoolObject> View<'a, T> {
    /// Iterates over the objects with these handles, as [`MemoryPoolMgr::get_many`] does.
    #[inline]
    pub fn get_many(self, ids: &'a [Id<T>]) -> GetMany<'a, T> {
        GetMany::new(Some(self.typed), ids)
    }

    /// Iterates over the objects with these user keys, as [`MemoryPoolMgr::find_many`] does.
    #[inline]
    pub fn find_many(self, keys: &'a [u64]) -> FindMany<'a, T> {
        FindMany::new(Some(self), keys)
    }
}

impl MemoryPoolMgr {
    /// Prefetches the slot of a handle, for a change.
    #[inline(always)]
    fn fetch<T: PoolObject>(&self, id: Option<&Id<T>>) {
        if let (Some(id), Some(view)) = (id, self.try_view::<T>()) {
            view.typed.fetch(id.index());
        }
    }

    /// Prefetches what a free of an object will need later, and what the next free needs now.
    #[inline(always)]
    fn fetch_to_free<T: PoolObject>(&self, ids: &[Id<T>], at: usize) {
        self.fetch(ids.get(at + AHEAD));
        // By now, the slot with the user key has arrived.
        if T::KEYED
            && let (Some(id), Some(view)) = (ids.get(at + AHEAD / 2), self.try_view::<T>())
            && let Some(slot) = view.typed.slots().slot(id.index())
        {
            view.index.fetch(slot.key().load());
        }
    }

    /// Allocates an object for each value, and returns their handles in the order of the values.
    ///
    /// Each object is all or nothing under a kill, the whole is not: a kill leaves the objects of the
    /// first values. If all have to appear at once, use [`Tx::alloc_many`].
    ///
    /// # Errors
    ///
    /// Fails as [`alloc`](Self::alloc) does. The objects that this call has allocated are then freed.
    pub fn alloc_many<T: PoolObject>(&mut self, values: &[T]) -> Result<Vec<Id<T>>, AllocError> {
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            match self.alloc(*value) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    self.free_many(&ids);
                    return Err(error);
                }
            }
        }
        Ok(ids)
    }

    /// Frees the objects with these handles, in their order; returns how many existed.
    ///
    /// Each free is all or nothing under a kill, the whole is not: a kill leaves the objects of the
    /// last handles. If all have to go at once, use [`Tx::free_many`].
    pub fn free_many<T: PoolObject>(&mut self, ids: &[Id<T>]) -> usize {
        let mut freed = 0;
        for (at, id) in ids.iter().enumerate() {
            self.fetch_to_free(ids, at);
            freed += usize::from(self.free(*id));
        }
        freed
    }

    /// Changes the objects with these handles, in their order, as [`update`](Self::update) does;
    /// returns how many existed.
    ///
    /// Each change is all or nothing: under a kill, and if `f` panics. The whole is not: a kill
    /// leaves the objects of the first handles changed. If all have to change at once, use
    /// [`Tx::update_many`].
    ///
    /// # Errors
    ///
    /// Returns [`TxError::TooLarge`] if an object does not fit into the undo log, and
    /// [`AllocError::NotAdded`] if the type was not added. Nothing has changed then.
    pub fn update_many<T: PoolObject>(
        &mut self,
        ids: &[Id<T>],
        mut f: impl FnMut(Id<T>, &mut T),
    ) -> Result<usize, TxError> {
        let mut changed = 0;
        for (at, id) in ids.iter().enumerate() {
            self.fetch(ids.get(at + AHEAD));
            match self.update(*id, |object| f(*id, object)) {
                Ok(()) => changed += 1,
                Err(TxError::Stale(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }
}

impl Tx<'_> {
    /// Allocates an object for each value, and returns their handles in the order of the values.
    ///
    /// # Errors
    ///
    /// Fails as [`alloc`](Self::alloc) does. Return the error, so that the transaction is rolled back.
    pub fn alloc_many<T: PoolObject>(&mut self, values: &[T]) -> Result<Vec<Id<T>>, TxError> {
        values.iter().map(|value| self.alloc(*value)).collect()
    }

    /// Frees the objects with these handles.
    ///
    /// # Errors
    ///
    /// Fails at the first handle for which [`free`](Self::free) does. Return the error, so that the
    /// transaction is rolled back.
    pub fn free_many<T: PoolObject>(&mut self, ids: &[Id<T>]) -> Result<(), TxError> {
        for (at, id) in ids.iter().enumerate() {
            self.pool.fetch(ids.get(at + AHEAD));
            self.free(*id)?;
        }
        Ok(())
    }

    /// Calls `f` with each of the objects with these handles.
    ///
    /// # Errors
    ///
    /// Fails at the first handle for which [`get_mut`](Self::get_mut) does. Return the error, so that
    /// the transaction is rolled back.
    pub fn update_many<T: PoolObject>(
        &mut self,
        ids: &[Id<T>],
        mut f: impl FnMut(Id<T>, &mut T),
    ) -> Result<(), TxError> {
        for (at, id) in ids.iter().enumerate() {
            self.pool.fetch(ids.get(at + AHEAD));
            f(*id, self.get_mut(*id)?);
        }
        Ok(())
    }
}
