//! Scopes: several types, borrowed side by side, for several threads.

use crate::pool::access::ops::Parts;
use crate::pool::change::lane_logs::Divided;
use crate::pool::change::tx::TxError;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::par::lane::Lane;
use crate::pool::par::lanes::Lanes;
use crate::pool::par::shared::Shared;
use crate::pool::par::workers::Batch;
use std::fmt;
use std::sync::Arc;

/// A scope in which several threads work on a pool; see [`MemoryPoolMgr::scope`].
pub struct Scope<'scope, 'env> {
    batch: &'scope Batch<'scope, 'env>,
    lanes: &'scope Lanes,
    shared: Arc<Shared>,
}

impl<'scope> Scope<'scope, '_> {
    /// Adds a job, which a thread of the pool does, or the calling thread at the end of the scope.
    ///
    /// Jobs must not wait for one another: the pool may have one thread.
    pub fn spawn(&self, f: impl FnOnce(&mut Lane<'_>) + Send + 'scope) {
        let (lanes, shared, job) = (self.lanes, Arc::clone(&self.shared), self.shared.next_job());
        self.batch.spawn(move || f(&mut Lane::new(lanes.take(), &shared, job)));
    }

    /// Takes a lane for the current thread, for programs with threads of their own.
    ///
    /// Its commands follow those of the jobs that were spawned before.
    pub fn lane(&self) -> Lane<'scope> {
        Lane::new(self.lanes.take(), &self.shared, self.shared.next_job())
    }
}

impl Clone for Scope<'_, '_> {
    fn clone(&self) -> Self {
        Scope { batch: self.batch, lanes: self.lanes, shared: Arc::clone(&self.shared) }
    }
}

/// A command of a scope that was refused, and therefore changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Number of the job, in the order of `spawn` and `lane`, from 0.
    pub job: usize,
    /// Number of the command in its job, from 0.
    pub command: usize,
    /// The reason.
    pub error: TxError,
}

/// What a scope returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "commands may have been refused"]
#[non_exhaustive]
pub struct Scoped<R> {
    /// What the closure has returned.
    pub result: R,
    /// Commands that were refused; the others took effect.
    pub refused: Vec<Refused>,
}

impl MemoryPoolMgr {
    /// Lends types to several threads, and returns when all their jobs are done.
    ///
    /// The closure gets a [`Portion`](crate::pool::Portion) of each type of the tuple `P`, and moves each
    /// into the job that needs it. So the compiler refuses two jobs that write one type, unless
    /// they have different portions of it; a type that becomes a [`View`](crate::pool::View) may be read
    /// by many. What a job may do besides is what [`Lane`] has: allocating, freeing and changes of
    /// user keys are commands there, which take effect at the end of the scope.
    ///
    /// If a job panics, the others finish, no command takes effect, and the panic continues here.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Player { gold: u64 }
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 2)]
    /// # struct Monster { hp: i64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0190), Bytes(1 << 20), &[Key(0x4850_0191)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Player>()?;
    /// # pool.add_type::<Monster>()?;
    /// let player = pool.alloc(Player { gold: 5 })?;
    /// let monsters = [3, 9].map(|hp| pool.alloc(Monster { hp }).unwrap());
    /// let done = pool.scope::<(Player, Monster), _>(|s, (mut players, mut monsters)| {
    ///     s.spawn(move |lane| {
    ///         players.update(lane, player, |player| player.gold += 1).unwrap();
    ///     });
    ///     s.spawn(move |lane| {
    ///         monsters.for_each(|id, monster| {
    ///             monster.hp -= 5;
    ///             if monster.hp <= 0 {
    ///                 lane.free(id); // when all jobs are done
    ///             }
    ///         });
    ///     });
    /// });
    /// assert!(done.refused.is_empty());
    /// assert_eq!(pool.get(player).unwrap().gold, 6);
    /// assert!(pool.get(monsters[0]).is_none() && pool.get(monsters[1]).unwrap().hp == 4);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A portion belongs to one job:
    ///
    /// ```compile_fail
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Player { gold: u64 }
    /// # fn f(pool: &mut MemoryPoolMgr) {
    /// let _ = pool.scope::<(Player,), _>(|s, (mut players,)| {
    ///     s.spawn(move |_| players.for_each(|_, player| player.gold += 1));
    ///     s.spawn(move |_| players.for_each(|_, player| player.gold += 1));
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a type was not added or occurs twice, and with the panic of a job.
    pub fn scope<'env, P: Parts, R>(
        &mut self,
        f: impl for<'scope> FnOnce(Scope<'scope, 'env>, P::Portions<'scope>) -> R,
    ) -> Scoped<R> {
        let lanes = Arc::clone(self.lanes());
        // A value of this call, and not of the lanes: a program can leak a lane.
        let divided = Divided::begin(&self.base, lanes.threads());
        let shared = Arc::new(Shared::new(self, divided.parts()));
        let mut state = (self, &*lanes);
        let result = lanes.workers().with(&mut state, |batch, (pool, lanes)| {
            let scope = Scope { batch, lanes, shared: Arc::clone(&shared) };
            f(scope, P::portions(P::borrow(pool)))
        });
        let pool = state.0;
        let orders = shared.take_orders();
        drop(divided);
        lanes.forget();
        let mut refused = Vec::new();
        for (job, commands) in orders {
            for (number, command) in commands.into_iter().enumerate() {
                if let Err(error) = command(pool) {
                    refused.push(Refused { job, command: number, error });
                }
            }
        }
        Scoped { result, refused }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
