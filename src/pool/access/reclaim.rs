//! Memory comes back: extents without objects are given to types that need memory.

use crate::object::PoolObject;
use crate::pool::access::ops::parts;
use crate::pool::error::{AllocError, PoolError};
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::types;
use crate::units::Bytes;

impl MemoryPoolMgr {
    /// Gives the memory of extents without objects back to the pool, and returns the number of bytes.
    ///
    /// An alloc that finds no memory, and `add_type`, do it on their own. A program calls it at a
    /// moment of its choice, for instance after an event for which it allocated many objects. Types
    /// that it has not added, and as many slots as the ini reserves by `Capacity`, keep their
    /// memory. So does an extent with an object in quarantine or a retired slot.
    ///
    /// A handle into such an extent never resolves again, also after its type has grown again. It is
    /// all or nothing for each extent under a kill. It takes time in proportion to the slots of
    /// extents without objects.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Spark { heat: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0190), Bytes(1 << 20), &[Key(0x4850_0191)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Spark>()?;
    /// for heat in 0..10_000 {
    ///     pool.alloc(Spark { heat })?;
    /// }
    /// pool.clear::<Spark>();
    /// assert!(pool.reclaim()? > Bytes(100_000));
    /// assert_eq!(pool.capacity::<Spark>(), 0);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the table of extents is damaged, or if the process has no address space left.
    pub fn reclaim(&mut self) -> Result<Bytes, PoolError> {
        let before = self.space.bytes_free();
        let zeros = self.space.reserve_hollow().map_err(|source| PoolError::no_zeros(&self.conf, source))?;
        let MemoryPoolMgr { types, space, conf, .. } = &mut *self;
        let mut extents = 0;
        types.for_each_mut(|state| {
            let reserved = types::wanted_capacity(conf, &state.slots.info.name());
            let keep = reserved.map_or(0, |(capacity, _)| capacity.into());
            extents += state.slots.reclaim(space, &zeros, keep);
        });
        self.at_last_look = self.last_changes();
        if extents != 0 {
            self.mover().reload()?;
        }
        Ok(Bytes(self.space.bytes_free().saturating_sub(before)))
    }

    fn last_changes(&self) -> Vec<[u64; 2]> {
        self.types.iter().map(|state| state.slots.last_change()).collect()
    }

    /// Reclaims memory for a type that cannot grow; returns whether there was some.
    ///
    /// If no object was allocated or freed since the last time, it does not look again.
    #[cold]
    pub(crate) fn reclaim_for_growth(&mut self) -> bool {
        if self.last_changes() == self.at_last_look {
            return false;
        }
        match self.reclaim() {
            Ok(bytes) => bytes > Bytes(0),
            Err(error) => {
                log::error!("{}: {error}", self.conf.name);
                false
            }
        }
    }

    /// Makes sure that a slot of `T` is at hand.
    #[inline(always)]
    pub(crate) fn at_hand<T: PoolObject>(&mut self) -> Result<(), AllocError> {
        match parts::<T>(&mut self.types, &mut self.space)?.0.slots.is_at_hand() {
            true => Ok(()),
            false => self.refill::<T>(),
        }
    }

    /// Gets a slot of a type at hand: the type grows by an extent if its memory is full. A separate
    /// function keeps the code of errors out of hot loops.
    #[cold]
    pub(crate) fn refill<T: PoolObject>(&mut self) -> Result<(), AllocError> {
        let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
        match state.refill(space) {
            Err(AllocError::Full(_)) if self.reclaim_for_growth() => {
                let (state, space) = parts::<T>(&mut self.types, &mut self.space)?;
                state.refill(space)
            }
            refilled => refilled,
        }
    }
}
