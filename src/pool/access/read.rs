//! `Read`: read access to the objects of one type, the same for a pool, its views and transactions.

use crate::object::{Id, PoolObject, Ref};
use crate::pool::access::view::{View, ViewMut};
use crate::pool::change::tx::Tx;
use crate::pool::manager::MemoryPoolMgr;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::MemoryPoolMgr {}
    impl Sealed for super::Tx<'_> {}
    impl<T> Sealed for super::View<'_, T> {}
    impl<T> Sealed for super::ViewMut<'_, T> {}
}

/// Reads objects of type `T`: in a pool, in a view of it, or in a transaction, which sees its own
/// changes.
///
/// Code that only reads accepts any of them:
///
/// ```
/// # use bytemuck::{Pod, Zeroable};
/// # use hotpool::conf::{BackendKind, ProcessConf};
/// # use hotpool::units::{Bytes, Key};
/// # use hotpool::{MemoryPoolMgr, PoolObject, TxError};
/// use hotpool::pool::Read;
///
/// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1, keyed)]
/// # struct Player { gold: u64 }
/// fn wealth(players: &impl Read<Player>) -> u64 {
///     players.iter().map(|(_, player)| player.gold).sum()
/// }
///
/// # let mut conf = ProcessConf::new("zone", Key(0x4850_0150), Bytes(1 << 20), &[Key(0x4850_0151)]);
/// # conf.backend = BackendKind::Heap;
/// # let mut pool = MemoryPoolMgr::open(&conf)?;
/// # pool.add_type::<Player>()?;
/// let rich = pool.alloc_keyed(1, Player { gold: 5 })?;
/// pool.alloc_keyed(2, Player { gold: 2 })?;
/// assert_eq!(wealth(&pool), 7);
/// assert_eq!(wealth(&pool.view::<Player>()), 7);
/// pool.tx(|tx| {
///     tx.free(rich)?;
///     assert_eq!(wealth(tx), 2);
///     Ok::<_, TxError>(())
/// })?;
/// # pool.destroy()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A type that was not added has no objects. The trait is sealed.
pub trait Read<T: PoolObject>: sealed::Sealed {
    /// Returns the object with this handle; `None` if it was freed.
    fn get(&self, id: Id<T>) -> Option<&T>;
    /// Returns the handle of the object with this user key.
    fn find(&self, key: u64) -> Option<Id<T>>;
    /// Returns the object with this user key.
    fn get_by_key(&self, key: u64) -> Option<&T>;
    /// Iterates over all live objects with their handles, in the order of their slots.
    fn iter<'a>(&'a self) -> impl Iterator<Item = (Id<T>, &'a T)>
    where
        T: 'a;
    /// Returns the number of live objects.
    fn len(&self) -> usize;
    /// Returns whether there is no live object.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: PoolObject> Ref<T> {
    /// Returns the object; `None` for a reference to nothing, and for one whose object was freed.
    ///
    /// ```
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject, Ref};
    /// # #[repr(C)] #[derive(Clone, Copy, PoolObject)] #[pool(id = 1)]
    /// # struct Player { gold: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0152), Bytes(1 << 20), &[Key(0x4850_0153)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Player>()?;
    /// let player = pool.alloc(Player { gold: 5 })?;
    /// let target = Ref::from(player);
    /// assert_eq!(target.get(&pool).map(|player| player.gold), Some(5));
    /// pool.free(player);
    /// assert!(target.get(&pool).is_none());
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(self, objects: &impl Read<T>) -> Option<&T> {
        objects.get(self.id()?)
    }
}

macro_rules! read {
    ($reader:ty) => {
        impl<T: PoolObject> Read<T> for $reader {
            fn get(&self, id: Id<T>) -> Option<&T> {
                <$reader>::get(self, id)
            }

            fn find(&self, key: u64) -> Option<Id<T>> {
                <$reader>::find::<T>(self, key)
            }

            fn get_by_key(&self, key: u64) -> Option<&T> {
                <$reader>::get_by_key(self, key)
            }

            fn iter<'a>(&'a self) -> impl Iterator<Item = (Id<T>, &'a T)>
            where
                T: 'a,
            {
                <$reader>::iter::<T>(self)
            }

            fn len(&self) -> usize {
                <$reader>::len::<T>(self)
            }
        }
    };
}

read!(MemoryPoolMgr);
read!(Tx<'_>);

impl<T: PoolObject> Read<T> for View<'_, T> {
    fn get(&self, id: Id<T>) -> Option<&T> {
        View::get(*self, id)
    }

    fn find(&self, key: u64) -> Option<Id<T>> {
        View::find(*self, key)
    }

    fn get_by_key(&self, key: u64) -> Option<&T> {
        View::get_by_key(*self, key)
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (Id<T>, &'a T)>
    where
        T: 'a,
    {
        View::iter(*self)
    }

    fn len(&self) -> usize {
        View::len(*self)
    }
}

impl<T: PoolObject> Read<T> for ViewMut<'_, T> {
    fn get(&self, id: Id<T>) -> Option<&T> {
        ViewMut::get(self, id)
    }

    fn find(&self, key: u64) -> Option<Id<T>> {
        ViewMut::find(self, key)
    }

    fn get_by_key(&self, key: u64) -> Option<&T> {
        self.view().get_by_key(key)
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (Id<T>, &'a T)>
    where
        T: 'a,
    {
        ViewMut::iter(self)
    }

    fn len(&self) -> usize {
        ViewMut::len(self)
    }
}
