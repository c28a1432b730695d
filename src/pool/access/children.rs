//! Objects that belong to others: the children of an owner.

use crate::object::{Child, Handle, Id, PoolObject, Ref};
use crate::pool::access::view::View;
use crate::pool::change::tx::{Tx, TxError};
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::typed::Typed;
use std::fmt;
use std::iter::FusedIterator;

impl MemoryPoolMgr {
    /// Iterates over the objects of type `T` that belong to `owner`, in no particular order.
    ///
    /// It takes time in proportion to the children of this owner, and to the objects of type `T`
    /// that were written or lent for writing since the last such call. The first call after a start
    /// takes time in proportion to all objects of type `T`.
    ///
    /// An owner that was freed still has the children that name it: see [`orphans`](Self::orphans).
    /// It yields nothing if the type was not added.
    ///
    /// # Examples
    ///
    /// ```
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// use hotpool::{MemoryPoolMgr, PoolObject, Ref, TxError};
    ///
    /// #[repr(C)]
    /// #[derive(Clone, Copy, PoolObject)]
    /// #[pool(id = 1)]
    /// struct Player {
    ///     gold: u64,
    /// }
    ///
    /// #[repr(C)]
    /// #[derive(Clone, Copy, PoolObject)]
    /// #[pool(id = 2)]
    /// struct Item {
    ///     #[pool(owner)]
    ///     owner: Ref<Player>,
    ///     kind: u64,
    /// }
    ///
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0180), Bytes(1 << 20), &[Key(0x4850_0181)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Player>()?;
    /// # pool.add_type::<Item>()?;
    /// let (ada, bob) = (pool.alloc(Player { gold: 1 })?, pool.alloc(Player { gold: 2 })?);
    /// let sword = pool.alloc(Item { owner: ada.into(), kind: 7 })?;
    /// let shield = pool.alloc(Item { owner: ada.into(), kind: 8 })?;
    /// assert_eq!(pool.children::<Item>(ada).count(), 2);
    ///
    /// pool.set_owner(sword, bob);
    /// assert_eq!(pool.children::<Item>(bob).map(|(_, item)| item.kind).collect::<Vec<_>>(), [7]);
    ///
    /// assert_eq!(pool.free_with_children(ada)?, 2);
    /// assert!(!pool.contains(shield) && pool.contains(sword));
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn children<T: Child>(&self, owner: Id<T::Owner>) -> Children<'_, T> {
        self.try_view::<T>().map_or(Children::EMPTY, |view| view.children(owner))
    }

    /// Iterates over the objects of type `T` whose owner was freed or is in quarantine.
    ///
    /// An object whose owner is [`Ref::none`] is no orphan. It takes time as
    /// [`children`](Self::children) does, and in proportion to the number of owners. If the type of
    /// the owners was not added, all children are orphans.
    pub fn orphans<T: Child>(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        let view = self.try_view::<T>();
        let owners = view.map_or(Vec::new(), |view| view.typed.slots().owners());
        let is_gone = |owner: &Id<T::Owner>| !self.contains(*owner);
        let gone = owners.into_iter().filter_map(Handle::typed::<T::Owner>).filter(is_gone);
        gone.flat_map(move |owner| view.map_or(Children::EMPTY, |view| view.children(owner)))
    }

    /// Gives an object another owner, or none; returns false if the object was freed.
    ///
    /// It is one store, and thus all or nothing under a kill. Writing the field through a guard or in
    /// a transaction has the same effect.
    pub fn set_owner<T: Child>(&mut self, child: Id<T>, owner: impl Into<Ref<T::Owner>>) -> bool {
        let Some(field) = T::FOLLOWED.owner else { return false };
        let owner = owner.into();
        let Some(typed) = self.types.of_mut::<T>().and_then(|state| state.slots.typed_mut::<T>()) else {
            return false;
        };
        if typed.object_of(child).is_none() {
            return false;
        }
        typed.into_slots().store_field(child.index(), field.offset, owner.bits());
        true
    }

    /// Frees an object and everything that belongs to it in one transaction, as
    /// [`Tx::free_with_children`] does; returns the number of objects.
    ///
    /// # Errors
    ///
    /// Fails as [`Tx::free_with_children`] does, without a change.
    pub fn free_with_children<T: PoolObject>(&mut self, owner: Id<T>) -> Result<usize, TxError> {
        self.tx(|tx| tx.free_with_children(owner))
    }

    /// Returns the objects of all added types that belong to an object.
    fn all_children(&self, owner: Handle) -> Vec<Handle> {
        let states = self.types.iter().map(|state| &state.slots);
        let of_owner = states
            .filter(|slots| slots.lists.fields().owner.is_some_and(|field| field.type_id == owner.type_id()));
        of_owner.flat_map(|slots| slots.children_of(owner)).collect()
    }
}

impl<'a, T: Child> View<'a, T> {
    /// Iterates over the objects that belong to `owner`, as [`MemoryPoolMgr::children`] does.
    pub fn children(self, owner: Id<T::Owner>) -> Children<'a, T> {
        let owner = owner.to_bits();
        Children { typed: Some(self.typed), owner, next: self.typed.slots().first_child(owner) }
    }
}

impl Tx<'_> {
    /// Iterates over the objects of type `T` that belong to `owner`, in no particular order.
    ///
    /// Objects that this transaction freed are left out.
    pub fn children<T: Child>(&self, owner: Id<T::Owner>) -> impl Iterator<Item = (Id<T>, &T)> {
        self.pool.children::<T>(owner).filter(|(id, _)| !self.is_freed(id.handle()))
    }

    /// Frees an object and everything that belongs to it at the commit: its children of all added
    /// types, their children, and so on. Returns the number of objects.
    ///
    /// The undo log has 16 bytes for each object, so an `UndoSize` of 64 KiB is sufficient for about
    /// 4,000. An owner with more children is emptied in several transactions, with itself in the
    /// last one.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::Stale`] if the object was freed, and [`TxError::TooLarge`] if the records
    /// do not fit into the log: then the transaction is rolled back.
    pub fn free_with_children<T: PoolObject>(&mut self, owner: Id<T>) -> Result<usize, TxError> {
        self.free(owner)?;
        let (mut left, mut count) = (vec![owner.handle()], 1);
        while let Some(owner) = left.pop() {
            for child in self.pool.all_children(owner) {
                if !self.is_freed(child) {
                    self.free_handle(child)?;
                    left.push(child);
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

/// An iterator over the objects that belong to an owner.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Children<'a, T> {
    typed: Option<Typed<'a, T>>,
    owner: u64,
    next: Option<u32>,
}

impl<T> Children<'_, T> {
    const EMPTY: Self = Children { typed: None, owner: 0, next: None };
}

impl<'a, T: PoolObject> Iterator for Children<'a, T> {
    type Item = (Id<T>, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let typed = self.typed?;
        loop {
            let slot = self.next?;
            self.next = typed.slots().next_child(slot);
            // The field decides, whatever the list says.
            if typed.slots().owner_of(slot) == self.owner
                && let Some(found) = typed.at(slot)
            {
                return Some(found);
            }
        }
    }
}

impl<T: PoolObject> FusedIterator for Children<'_, T> {}

impl<T> fmt::Debug for Children<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::conf::{BackendKind, ProcessConf};
    use crate::object::{PoolObject, Ref};
    use crate::pool::change::tx::TxError;
    use crate::pool::manager::MemoryPoolMgr;
    use crate::units::{Bytes, Key};

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1)]
    struct Node {
        #[pool(owner)]
        parent: Ref<Node>,
        #[pool(time)]
        at: u64,
    }

    /// A reader would pass over them, and no longer take time in proportion to the children.
    #[test]
    fn lists_keep_no_slot_of_an_object_that_is_gone() {
        let mut conf = ProcessConf::new("gone", Key(0x7d8f_0000), Bytes(64 << 10), &[Key(0x7d8f_0001)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Node>().unwrap();
        let parent = pool.alloc(Node { parent: Ref::none(), at: u64::MAX }).unwrap();
        let children = [0; 4].map(|at| pool.alloc(Node { parent: parent.into(), at }).unwrap());
        let listed = |pool: &MemoryPoolMgr| {
            let slots = &pool.types.of::<Node>().unwrap().slots;
            let first = slots.first_child(parent.to_bits());
            let children = std::iter::successors(first, |child| slots.next_child(*child)).count();
            let time = slots.next_time(None, 7);
            let times = std::iter::successors(time, |found| slots.next_time(Some(*found), 7)).count();
            (children, times)
        };
        assert_eq!(listed(&pool), (4, 4));
        assert!(pool.free(children[0]));
        assert_eq!(listed(&pool), (3, 3));
        pool.quarantine(children[1].handle()).unwrap();
        assert_eq!(listed(&pool), (2, 2));
        pool.tx(|tx| tx.free(children[2])).unwrap();
        assert_eq!(listed(&pool), (1, 1));
        let undone = pool.tx(|tx| {
            tx.alloc(Node { parent: parent.into(), at: 1 })?;
            assert_eq!(listed(tx.pool), (2, 2));
            Err::<(), _>(TxError::Stale(parent.handle()))
        });
        assert!(undone.is_err());
        assert_eq!(listed(&pool), (1, 1));
        pool.destroy().unwrap();
    }
}
