//! Operations on all objects of a type, and objects that know their own handle.

use crate::object::{Id, PoolObject};
use crate::pool::access::ops::parts;
use crate::pool::access::view::ViewMut;
use crate::pool::error::AllocError;
use crate::pool::manager::MemoryPoolMgr;

impl MemoryPoolMgr {
    /// Returns whether the object of a handle lives.
    pub fn contains<T: PoolObject>(&self, id: Id<T>) -> bool {
        self.get(id).is_some()
    }

    /// Frees the objects for which `keep` returns false; returns how many that are.
    ///
    /// `keep` is called for every object before the first one is freed, so a panic in it frees none.
    /// Each free is all or nothing under a kill, the whole is not: a kill leaves the objects of which
    /// `keep` was true, and some of the others. The next call frees those. If all have to go at once,
    /// free them in a [`tx`](Self::tx).
    pub fn retain<T: PoolObject>(&mut self, keep: impl FnMut(Id<T>, &T) -> bool) -> usize {
        self.try_view_mut::<T>().map_or(0, |mut view| view.retain(keep))
    }

    /// Frees all objects of a type; returns how many there were.
    ///
    /// Each free is all or nothing under a kill, the whole is not.
    pub fn clear<T: PoolObject>(&mut self) -> usize {
        self.retain::<T>(|_, _| false)
    }

    /// Creates the object that `make` returns for its own handle.
    ///
    /// All or nothing under a kill, as [`alloc`](Self::alloc) is. If `make` panics, nothing has changed.
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::object::Ref;
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// #[repr(C)]
    /// #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    /// #[pool(id = 1)]
    /// struct Node {
    ///     own: Ref<Node>,
    /// }
    ///
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0170), Bytes(1 << 20), &[Key(0x4850_0171)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Node>()?;
    /// let node = pool.alloc_with(|own| Node { own: own.into() })?;
    /// assert_eq!(pool.get(node).unwrap().own.id(), Some(node));
    /// assert!(pool.contains(node));
    ///
    /// assert_eq!(pool.clear::<Node>(), 1);
    /// assert!(!pool.contains(node));
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc). `make` is not called then.
    pub fn alloc_with<T: PoolObject>(&mut self, make: impl FnOnce(Id<T>) -> T) -> Result<Id<T>, AllocError> {
        const { assert!(!T::KEYED, "objects of this type have a user key: use alloc_keyed or force_get") };
        let (state, _) = parts::<T>(&mut self.types, &mut self.space)?;
        state.slots.typed::<T>().ok_or(AllocError::NotAdded(T::NAME))?;
        self.at_hand::<T>()?;
        let (state, _) = parts::<T>(&mut self.types, &mut self.space)?;
        let typed = state.slots.typed_mut::<T>();
        typed.and_then(|mut typed| typed.alloc_made(make)).ok_or(AllocError::NotAdded(T::NAME))
    }
}

impl<T: PoolObject> ViewMut<'_, T> {
    /// Frees the objects for which `keep` returns false, as [`MemoryPoolMgr::retain`] does.
    pub fn retain(&mut self, mut keep: impl FnMut(Id<T>, &T) -> bool) -> usize {
        let freed: Vec<Id<T>> =
            self.iter().filter(|(id, object)| !keep(*id, object)).map(|(id, _)| id).collect();
        freed.into_iter().filter(|id| self.free(*id)).count()
    }

    fn free(&mut self, id: Id<T>) -> bool {
        let Some(slot) = self.typed.free(id) else { return false };
        if T::KEYED {
            self.index.unlink(slot.key().load(), id.index());
        }
        true
    }
}
