//! Allocation in place, for objects that are too large for the stack.
//!
//! The object is never a value of the program: its slot is zeroed, a closure fills it, and the
//! commit store of an `alloc` commits it.

use crate::object::{Id, PoolObject};
use crate::pool::access::ops::parts;
use crate::pool::error::AllocError;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::slot::Slot;

impl MemoryPoolMgr {
    /// Allocates an object in place: zeroes its slot, then calls `fill` with it.
    ///
    /// [`alloc`](Self::alloc) takes its object by value, so the object must fit on the stack of the
    /// thread, several times in a debug build. This method needs no stack for it. To write such an
    /// object later, use [`get_mut`](Self::get_mut) or [`update`](Self::update), which lend it in
    /// place.
    ///
    /// The allocation is all or nothing under a kill: either the object exists as `fill` has left
    /// it, or its slot is still free. The same holds if `fill` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// #[repr(C)]
    /// #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    /// #[pool(id = 1)]
    /// struct Map {
    ///     width: u64,
    ///     tiles: [u64; 400_000], // 3 MiB
    /// }
    ///
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0160), Bytes(4 << 20), &[Key(0x4850_0161)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Map>()?;
    /// let map = pool.alloc_zeroed_with(|map: &mut Map| {
    ///     map.width = 500;
    ///     map.tiles[7] = 1;
    /// })?;
    /// assert_eq!(pool.get(map).unwrap().tiles[..9], [0, 0, 0, 0, 0, 0, 0, 1, 0]);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Zeros must be a value of the type:
    ///
    /// ```compile_fail,E0080
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// #[repr(C)]
    /// #[derive(Clone, Copy, PoolObject)]
    /// #[pool(id = 1)]
    /// struct Stack {
    ///     count: std::num::NonZeroU32,
    /// }
    ///
    /// let make = |pool: &mut MemoryPoolMgr| pool.alloc_zeroed_with(|stack: &mut Stack| ()).is_ok();
    /// let _: fn(&mut MemoryPoolMgr) -> bool = make;
    /// ```
    ///
    /// # Errors
    ///
    /// Fails as [`alloc`](Self::alloc) does. `fill` is not called then.
    pub fn alloc_zeroed_with<T: PoolObject>(
        &mut self,
        fill: impl FnOnce(&mut T),
    ) -> Result<Id<T>, AllocError> {
        const {
            assert!(!T::KEYED, "objects of this type have a user key: use alloc_keyed_zeroed_with");
        }
        self.at_hand::<T>()?;
        let (state, _) = parts::<T>(&mut self.types, &mut self.space)?;
        let typed = state.slots.typed_mut::<T>();
        typed.and_then(|mut typed| typed.alloc_zeroed(fill, |_, _| ())).ok_or(AllocError::NotAdded(T::NAME))
    }

    /// Allocates an object with a user key in place, as
    /// [`alloc_zeroed_with`](Self::alloc_zeroed_with) does.
    ///
    /// The user key belongs to the same all-or-nothing allocation.
    ///
    /// # Errors
    ///
    /// Fails as [`alloc_keyed`](Self::alloc_keyed) does. `fill` is not called then.
    pub fn alloc_keyed_zeroed_with<T: PoolObject>(
        &mut self,
        key: u64,
        fill: impl FnOnce(&mut T),
    ) -> Result<Id<T>, AllocError> {
        const {
            assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]");
        }
        let (state, _) = parts::<T>(&mut self.types, &mut self.space)?;
        if let Some((holder, _)) = state.find::<T>(key) {
            return Err(AllocError::KeyExists { key, holder: holder.handle() });
        }
        self.at_hand::<T>()?;
        let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
        let entry = state.reserve_key(space, key).map_err(|why| state.full(space, why))?;
        let index = &state.index;
        let link = |slot: Slot, id: Id<T>| {
            slot.key().store(key);
            index.link(entry, id.index());
        };
        let typed = state.slots.typed_mut::<T>();
        typed.and_then(|mut typed| typed.alloc_zeroed(fill, link)).ok_or(AllocError::NotAdded(T::NAME))
    }
}
