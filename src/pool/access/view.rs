//! Views of one type: the type is looked up once, and several types can be borrowed side by side.

use crate::object::{Id, PoolObject};
use crate::pool::access::iter::{Iter, IterMut, Sweep};
use crate::pool::change::guard::{LoansMark, Mark, RefMut};
use crate::pool::store::index::Index;
use crate::pool::store::typed::{Typed, TypedMut};

/// Shared access to all objects of type `T`.
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

impl<'a, T: PoolObject> View<'a, T> {
    /// The object of a handle; `None` if it was freed.
    #[inline(always)]
    pub fn get(self, id: Id<T>) -> Option<&'a T> {
        self.typed.get(id)
    }

    /// The handle of the object with a user key.
    #[inline(always)]
    pub fn find(self, key: u64) -> Option<Id<T>> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.look_up(key).map(|(id, _)| id)
    }

    /// The object with a user key.
    #[inline(always)]
    pub fn get_by_key(self, key: u64) -> Option<&'a T> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.index.find(key, |slot| self.typed.object_carrying(slot, key))
    }

    /// The handle of the object with a user key of which `wanted` says so.
    pub(crate) fn find_where(self, key: u64, wanted: impl Fn(Id<T>) -> bool) -> Option<Id<T>> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let found = self.index.find(key, |slot| self.typed.carrying(slot, key).filter(|(id, _)| wanted(*id)));
        found.map(|(id, _)| id)
    }

    #[inline(always)]
    fn look_up(self, key: u64) -> Option<(Id<T>, &'a T)> {
        self.index.find(key, |slot| self.typed.carrying(slot, key))
    }

    /// The user key of an object.
    pub fn key(self, id: Id<T>) -> Option<u64> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        self.typed.get(id)?;
        self.typed.slots().slot(id.index()).map(|slot| slot.key().load())
    }

    /// All live objects, in the order of their slots.
    #[inline]
    pub fn iter(self) -> Iter<'a, T> {
        Iter::new(self.typed)
    }

    /// Live objects.
    #[inline]
    pub fn len(self) -> usize {
        self.typed.slots().len() as usize
    }

    /// Whether there is no live object.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Slots that memory has been taken for.
    pub fn capacity(self) -> usize {
        self.typed.slots().capacity() as usize
    }

    /// The most slots that were ever in use, counted from the lowest.
    pub fn high_water(self) -> usize {
        self.typed.slots().info.high_water.load() as usize
    }

    /// Slots whose generations are used up. They are never used again.
    pub fn retired(self) -> usize {
        (self.typed.slots().info.retired.load() >> 32) as usize
    }
}

/// Exclusive access to the objects of type `T`, beside that to other types. Objects are read and
/// written; to make or free some, borrow the pool as a whole.
pub struct ViewMut<'a, T> {
    pub(crate) typed: TypedMut<'a, T>,
    pub(crate) index: &'a Index,
    pub(crate) mark: &'a Mark,
}

impl<'a, T: PoolObject> ViewMut<'a, T> {
    /// The same, shared.
    #[inline(always)]
    pub fn view(&self) -> View<'_, T> {
        View { typed: self.typed.shared(), index: self.index }
    }

    /// The object of a handle; `None` if it was freed.
    #[inline(always)]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.typed.shared().get(id)
    }

    /// The object of a handle, to be written.
    #[inline(always)]
    pub fn get_mut(&mut self, id: Id<T>) -> Option<RefMut<'_, T>> {
        let object = self.typed.reborrow().into_mut(id)?;
        Some(self.mark.only(id, object))
    }

    /// Several objects at once, to be written; `None` if a handle is stale or given twice.
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

    /// See `MemoryPoolMgr::sweep`.
    pub(crate) fn sweep(self, sweep: &mut Sweep, budget: usize, mut f: impl FnMut(Id<T>, &mut T)) -> bool {
        let mark = LoansMark::new(self.mark);
        let mut walk = self.typed.into_walk(sweep.0);
        for _ in 0..budget {
            let Some((id, object)) = walk.next_mut() else {
                *sweep = Sweep::default();
                return true;
            };
            // Before the call: if it panics, the next sweep goes on after the object, which is torn.
            *sweep = Sweep(walk.position());
            mark.lend(id);
            f(id, object);
        }
        false
    }

    /// The handle of the object with a user key.
    #[inline(always)]
    pub fn find(&self, key: u64) -> Option<Id<T>> {
        self.view().find(key)
    }

    /// All live objects, in the order of their slots.
    pub fn iter(&self) -> Iter<'_, T> {
        self.view().iter()
    }

    /// All live objects, to be written.
    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        ViewMut { typed: self.typed.reborrow(), index: self.index, mark: self.mark }.into_iter_mut()
    }

    /// Calls `f` with each live object, which is marked as being written for that time.
    #[inline]
    pub fn for_each(&mut self, mut f: impl FnMut(Id<T>, &mut T)) {
        let mark = LoansMark::new(self.mark);
        self.typed.reborrow().into_walk(0).fold_muts((), |(), (id, object)| {
            mark.lend(id);
            f(id, object);
        });
    }

    /// Live objects.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there is no live object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
