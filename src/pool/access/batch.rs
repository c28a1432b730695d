//! Batches: many objects by handle or user key, whose memory is prefetched.
//!
//! A loop over `get` waits for one object after the other, because the processor cannot look far
//! ahead through a lookup. A batch knows the next handles, and prefetches the slot of a later one
//! with each that it hands out. Lookups by user key prefetch for [`BLOCK`] keys at once, in stages.

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

/// How many handles ahead a batch prefetches.
const AHEAD: usize = 16;

/// Number of user keys for which `find_many` prefetches together, while those before them are handed out.
const BLOCK: usize = 32;

/// Takes the next block of a batch.
#[inline(always)]
fn block<'a, K>(ahead: &mut &'a [K]) -> &'a [K] {
    let (block, rest) = ahead.split_at(BLOCK.min(ahead.len()));
    *ahead = rest;
    block
}

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
    ahead: &'a [u64],
    /// The slots that probably carry the keys of this block, and those of the next one.
    slots: [[u32; BLOCK]; 2],
    /// What is known of the keys of the block after the next one.
    seen: [Seen<'a>; BLOCK],
    /// The groups of first choice of the keys of the block after that.
    groups: [Coming<'a>; BLOCK],
    /// Number of the next key in its block.
    at: usize,
}

/// What the group of first choice of a key has told.
#[derive(Clone, Copy)]
struct Seen<'a> {
    /// The slot that probably carries the key; `NO_SLOT` if no entry of the group leads to one.
    slot: u32,
    /// The second group of the key, if it is needed.
    second: Coming<'a>,
}

/// A slot that does not exist.
const NO_SLOT: u32 = u32::MAX;

impl<'a, T: PoolObject> FindMany<'a, T> {
    fn new(view: Option<View<'a, T>>, keys: &'a [u64]) -> Self {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let mut many = FindMany {
            view,
            keys: keys.iter(),
            ahead: keys,
            slots: [[NO_SLOT; BLOCK]; 2],
            seen: [Seen { slot: NO_SLOT, second: Coming::NONE }; BLOCK],
            groups: [Coming::NONE; BLOCK],
            at: BLOCK,
        };
        (0..3).for_each(|_| many.advance());
        many
    }

    /// Goes on to the next block, and prefetches what the three blocks after it need next.
    #[inline(never)]
    fn advance(&mut self) {
        let Some(view) = self.view else { return };
        self.slots.swap(0, 1);
        for (slot, seen) in self.slots[1].iter_mut().zip(&self.seen) {
            *slot = seen.slot;
            if seen.slot == NO_SLOT {
                *slot = seen.second.slot();
                view.typed.fetch(*slot);
            }
        }
        for (seen, group) in self.seen.iter_mut().zip(&self.groups) {
            *seen = Seen { slot: group.slot(), second: Coming::NONE };
            match seen.slot {
                NO_SLOT => seen.second = view.index.fetch_second(*group),
                slot => view.typed.fetch(slot),
            }
        }
        for (group, key) in self.groups.iter_mut().zip(block(&mut self.ahead)) {
            *group = view.index.fetch(*key);
        }
    }
}

impl<'a, T: PoolObject> Iterator for FindMany<'a, T> {
    type Item = Option<(Id<T>, &'a T)>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let key = *self.keys.next()?;
        if self.at == BLOCK {
            self.advance();
            self.at = 0;
        }
        let slot = self.slots[0].get(self.at).copied().unwrap_or(NO_SLOT);
        self.at += 1;
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

#[cfg(test)]
mod tests {
    use crate::conf::{BackendKind, ProcessConf};
    use crate::object::PoolObject;
    use crate::pool::manager::MemoryPoolMgr;
    use crate::units::{Bytes, Key};

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, keyed)]
    struct Keyed {
        number: u64,
    }

    #[test]
    fn the_slot_of_each_key_is_known_ahead() {
        let mut conf = ProcessConf::new("ahead", Key(0x0d04_0101), Bytes(1 << 20), &[Key(0x0d04_0102)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Keyed>().unwrap();
        let mut keys = Vec::new();
        // Some of these numbers fill the index so far that keys are in their second group.
        for count in [2000, 3500, 4000, 7000] {
            for key in keys.len() as u64..count {
                pool.alloc_keyed(key, Keyed { number: key }).unwrap();
                keys.push(key);
            }
            let mut many = pool.find_many::<Keyed>(&keys);
            while let Some(found) = many.next() {
                let (id, object) = found.unwrap();
                assert_eq!(many.slots[0][many.at - 1], id.index(), "{} of {count} keys", object.number);
            }
        }
        pool.destroy().unwrap();
    }
}
