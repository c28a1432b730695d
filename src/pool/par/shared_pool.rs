//! `SharedPool`: one pool for tasks and threads that come and go.

use crate::pool::change::tx::{Tx, TxError};
use crate::pool::manager::MemoryPoolMgr;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A handle of a pool that any number of threads and tasks have, each for a short time at once.
///
/// One lock protects the whole pool. It is taken by [`with`](Self::with) and [`tx`](Self::tx), for
/// the time of their closure, so no task can keep it across an `.await`:
///
/// ```
/// # use bytemuck::{Pod, Zeroable};
/// # use hotpool::conf::{BackendKind, ProcessConf};
/// # use hotpool::units::{Bytes, Key};
/// # use hotpool::{MemoryPoolMgr, PoolObject, TxError};
/// use hotpool::pool::SharedPool;
///
/// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
/// # struct Purse { gold: u64 }
/// # let mut conf = ProcessConf::new("zone", Key(0x4850_01a0), Bytes(1 << 20), &[Key(0x4850_01a1)]);
/// # conf.backend = BackendKind::Heap;
/// # let mut pool = MemoryPoolMgr::open(&conf)?;
/// # pool.add_type::<Purse>()?;
/// let pool = SharedPool::new(pool);
/// let (from, to) = pool.with(|pool| (pool.alloc(Purse { gold: 4 }), pool.alloc(Purse { gold: 0 })));
/// let (from, to) = (from?, to?);
/// std::thread::scope(|threads| {
///     for _ in 0..4 {
///         let pool = pool.clone();
///         threads.spawn(move || {
///             pool.tx(|tx| {
///                 tx.get_mut(from)?.gold -= 1;
///                 tx.get_mut(to)?.gold += 1;
///                 Ok::<_, TxError>(())
///             })
///         });
///     }
/// });
/// assert_eq!(pool.with(|pool| pool.get(to).unwrap().gold), 4);
/// pool.into_inner().unwrap().destroy()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A thread that panics in a closure leaves the pool usable for the others: its transaction is
/// rolled back, and an object that it was writing through a guard is
/// [torn](MemoryPoolMgr::torn).
///
/// Threads that work on all objects in a tick do not need this: they use
/// [`MemoryPoolMgr::scope`], which takes no lock for each object.
#[derive(Clone)]
pub struct SharedPool(Arc<Mutex<MemoryPoolMgr>>);

impl SharedPool {
    /// Shares a pool.
    pub fn new(pool: MemoryPoolMgr) -> Self {
        SharedPool(Arc::new(Mutex::new(pool)))
    }

    /// Calls `f` with the pool, which no other thread has meanwhile.
    ///
    /// `f` should be short, and must not wait for another thread that uses the pool. A call of `with`
    /// or `tx` of the same pool inside `f` never returns.
    pub fn with<R>(&self, f: impl FnOnce(&mut MemoryPoolMgr) -> R) -> R {
        // A panic leaves nothing half done but torn objects, which the pool names.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes many objects all or nothing, as [`MemoryPoolMgr::tx`] does.
    ///
    /// # Errors
    ///
    /// Fails as [`MemoryPoolMgr::tx`] does.
    pub fn tx<R, E: From<TxError>>(&self, f: impl FnOnce(&mut Tx<'_>) -> Result<R, E>) -> Result<R, E> {
        self.with(|pool| pool.tx(f))
    }

    /// Returns the pool, if this is its last handle.
    ///
    /// # Errors
    ///
    /// Returns the handle if there are others.
    pub fn into_inner(self) -> Result<MemoryPoolMgr, Self> {
        match Arc::try_unwrap(self.0) {
            Ok(pool) => Ok(pool.into_inner().unwrap_or_else(PoisonError::into_inner)),
            Err(shared) => Err(SharedPool(shared)),
        }
    }
}

impl fmt::Debug for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPool").finish_non_exhaustive()
    }
}
