//! Views of one type: the type is looked up once, and several types can be borrowed side by side.
//!
//! # What the unsafe code here relies on
//!
//! A [`View`] borrows the pool, or a type of it, shared. Whatever changes slots, map, index or
//! objects borrows the type exclusively, so nothing that a view reads changes while it exists. The
//! exceptions may be read and changed by several threads: words of the segment are atomics, and
//! `Lists` has a lock.
#![allow(unsafe_code)]

use crate::object::{Id, PoolObject};
use crate::pool::access::iter::{Iter, IterMut, Sweep};
use crate::pool::change::guard::{LoansMark, Mark, RefMut};
use crate::pool::store::index::Index;
use crate::pool::store::typed::{Typed, TypedMut};
use std::fmt;

/// Shared access to all objects of type `T`.
///
/// Any number of threads may have one at the same time:
///
/// ```
/// fn can_be_shared<T: Send + Sync>() {}
/// can_be_shared::<hotpool::pool::View<'_, hotpool::object::GameTime>>();
/// ```
#[must_use]
pub struct View<'a, T> {
    pub(crate) typed: Typed<'a, T>,
    pub(crate) index: &'a Index,
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for View<'_, T> {}

// SAFETY: a view only reads, and nothing changes what it reads while it exists, see the top of this
// file. It lends objects as `&T`, which is why `T` must be `Sync`.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above; a view is `Copy`, so sharing one is no more than sending one.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'a, T: PoolObject> View<'a, T> {
    /// Returns the object with this handle; `None` if it was freed.
    #[inline(always)]
    pub fn get(self, id: Id<T>) -> Option<&'a T> {
        self.typed.get(id)
    }

    /// Returns the handle of the object with this user key.
    #[inline(always)]
    pub fn find(self, key: u64) -> Option<Id<T>> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.look_up(key).map(|(id, _)| id)
    }

    /// Returns the object with this user key.
    #[inline(always)]
    pub fn get_by_key(self, key: u64) -> Option<&'a T> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.index.find(key, |slot| self.typed.object_carrying(slot, key))
    }

    /// Returns the handle of the object with this user key that satisfies `predicate`.
    pub(crate) fn find_where(self, key: u64, predicate: impl Fn(Id<T>) -> bool) -> Option<Id<T>> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let found =
            self.index.find(key, |slot| self.typed.carrying(slot, key).filter(|(id, _)| predicate(*id)));
        found.map(|(id, _)| id)
    }

    #[inline(always)]
    pub(crate) fn look_up(self, key: u64) -> Option<(Id<T>, &'a T)> {
        self.index.find(key, |slot| self.typed.carrying(slot, key))
    }

    /// Returns the user key of an object; `None` if it was freed.
    pub fn key(self, id: Id<T>) -> Option<u64> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.typed.get(id)?;
        self.typed.slots().slot(id.index()).map(|slot| slot.key().load())
    }

    /// Iterates over all live objects in the order of their slots.
    #[inline]
    pub fn iter(self) -> Iter<'a, T> {
        Iter::new(self.typed)
    }

    /// Returns the number of live objects.
    #[inline]
    pub fn len(self) -> usize {
        self.typed.slots().len() as usize
    }

    /// Returns whether there is no live object.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the number of slots that have memory.
    pub fn capacity(self) -> usize {
        self.typed.slots().with_memory() as usize
    }

    /// Returns the number of slots that have ever been used.
    pub fn high_water(self) -> usize {
        self.typed.slots().info.high_water.load() as usize
    }

    /// Returns the number of retired slots, which are never used again.
    pub fn retired(self) -> usize {
        (self.typed.slots().info.retired.load() >> 32) as usize
    }
}

/// Exclusive access to the objects of type `T`, which can be borrowed beside other types.
///
/// It reads and writes objects, and [`retain`](Self::retain) frees some. To allocate or free one
/// object, borrow the pool as a whole. It stays on its thread, because its guards share one mark:
///
/// ```compile_fail
/// fn can_be_sent<T: Send>() {}
/// can_be_sent::<hotpool::pool::ViewMut<'_, u64>>();
/// ```
#[must_use]
pub struct ViewMut<'a, T> {
    pub(crate) typed: TypedMut<'a, T>,
    pub(crate) index: &'a Index,
    pub(crate) mark: &'a Mark,
}

impl<'a, T: PoolObject> ViewMut<'a, T> {
    /// Returns shared access to the same objects.
    #[inline(always)]
    pub fn view(&self) -> View<'_, T> {
        View { typed: self.typed.shared(), index: self.index }
    }

    /// Returns the object with this handle; `None` if it was freed.
    #[inline(always)]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.typed.shared().get(id)
    }

    /// Returns a guard to write the object with this handle; `None` if it was freed.
    #[inline(always)]
    pub fn get_mut(&mut self, id: Id<T>) -> Option<RefMut<'_, T>> {
        let object = self.typed.reborrow().into_mut(id)?;
        Some(self.mark.only(id, object))
    }

    /// Returns guards to write several objects; `None` if a handle is stale or occurs twice.
    pub fn get_several_mut<const N: usize>(&mut self, ids: [Id<T>; N]) -> Option<[RefMut<'_, T>; N]> {
        ViewMut { typed: self.typed.reborrow(), index: self.index, mark: self.mark }.into_several(ids)
    }

    pub(crate) fn into_several<const N: usize>(self, ids: [Id<T>; N]) -> Option<[RefMut<'a, T>; N]> {
        let objects = self.typed.into_several(ids)?;
        Some(self.mark.several(ids, objects))
    }

    pub(crate) fn into_iter_mut(self) -> IterMut<'a, T> {
        IterMut::new(self.typed.into_walk(0), self.mark)
    }

    /// Implements `MemoryPoolMgr::sweep`.
    pub(crate) fn sweep(self, sweep: &mut Sweep, budget: usize, mut f: impl FnMut(Id<T>, &mut T)) -> bool {
        let mark = LoansMark::new(self.mark);
        let mut walk = self.typed.into_walk(sweep.0);
        for _ in 0..budget {
            let Some((id, object)) = walk.next_mut() else {
                *sweep = Sweep::default();
                return true;
            };
            // Before the call: if it panics, the next sweep continues after the object, which is
            // torn.
            *sweep = Sweep(walk.position());
            mark.lend(id);
            f(id, object);
        }
        false
    }

    /// Returns the handle of the object with this user key.
    #[inline(always)]
    pub fn find(&self, key: u64) -> Option<Id<T>> {
        self.view().find(key)
    }

    /// Iterates over all live objects in the order of their slots.
    pub fn iter(&self) -> Iter<'_, T> {
        self.view().iter()
    }

    /// Iterates over guards to write all live objects, in the order of their slots.
    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        ViewMut { typed: self.typed.reborrow(), index: self.index, mark: self.mark }.into_iter_mut()
    }

    /// Calls `f` with each live object, which is marked as being written meanwhile.
    #[inline]
    pub fn for_each(&mut self, mut f: impl FnMut(Id<T>, &mut T)) {
        let mark = LoansMark::new(self.mark);
        self.typed.reborrow().into_walk(0).fold_muts((), |(), (id, object)| {
            mark.lend(id);
            f(id, object);
        });
    }

    /// Returns the number of live objects.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Returns whether there is no live object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: PoolObject> IntoIterator for View<'a, T> {
    type Item = (Id<T>, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: PoolObject> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("type", &T::NAME).field("len", &self.len()).finish()
    }
}

impl<T: PoolObject> fmt::Debug for ViewMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewMut").field("type", &T::NAME).field("len", &self.len()).finish()
    }
}
