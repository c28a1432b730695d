//! Makes objects in their slots, for those that are too large for a stack.
//!
//! The object is never a value of the program: its slot is zeroed, a closure fills it, and the store of an `alloc` commits it.

use crate::object::{Id, PoolObject};
use crate::pool::access::ops::{at_hand, parts};
use crate::pool::error::AllocError;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::slot::Slot;

impl MemoryPoolMgr {
    /// Makes an object in place: its slot is zeroed, then `fill` is called with it.
    ///
    /// [`alloc`](Self::alloc) takes its object by value, so an object has to fit on the stack of the thread, in a debug build
    /// several times. This one needs no stack for it. To write such an object later, use [`get_mut`](Self::get_mut) or
    /// [`update`](Self::update): they lend it where it lies.
    ///
    /// All or nothing under a kill: the object is there as `fill` has left it, or its slot is still free. The same holds
    /// if `fill` panics.
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
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc). `fill` is not called then.
    pub fn alloc_zeroed_with<T: PoolObject>(
        &mut self,
        fill: impl FnOnce(&mut T),
    ) -> Result<Id<T>, AllocError> {
        const {
            assert!(!T::KEYED, "objects of this type have a user key: use alloc_keyed_zeroed_with");
        }
        let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
        at_hand(state, space)?;
        let typed = state.slots.typed_mut::<T>();
        typed.and_then(|mut typed| typed.alloc_zeroed(fill, |_, _| ())).ok_or(AllocError::NotAdded(T::NAME))
    }

    /// Makes an object in place that is found by `key`.
    ///
    /// As [`alloc_zeroed_with`](Self::alloc_zeroed_with), the key included.
    ///
    /// # Errors
    ///
    /// As for [`alloc_keyed`](Self::alloc_keyed). `fill` is not called then.
    pub fn alloc_keyed_zeroed_with<T: PoolObject>(
        &mut self,
        key: u64,
        fill: impl FnOnce(&mut T),
    ) -> Result<Id<T>, AllocError> {
        const {
            assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]");
        }
        let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
        if let Some((holder, _)) = state.find::<T>(key) {
            return Err(AllocError::KeyExists { key, holder: holder.handle() });
        }
        at_hand(state, space)?;
        let place = state.reserve_key(space, key).map_err(|why| state.full(space, why))?;
        let index = &state.index;
        let link = |slot: Slot, id: Id<T>| {
            slot.key().store(key);
            index.link(place, id.index());
        };
        let typed = state.slots.typed_mut::<T>();
        typed.and_then(|mut typed| typed.alloc_zeroed(fill, link)).ok_or(AllocError::NotAdded(T::NAME))
    }
}
