//! Objects in the order of their times: those that are due, expired ones, and the oldest.

use crate::object::{GameTime, Id, Moment, PoolObject, Timed};
use crate::pool::access::view::View;
use crate::pool::change::tx::Tx;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::typed::Typed;
use std::fmt;
use std::iter::FusedIterator;
use std::time::Instant;

impl MemoryPoolMgr {
    /// Reads the clock of the pool, which stands still while no process has the pool.
    ///
    /// It is 0 at the first reading of a new pool. In one process it advances with the monotonic clock
    /// of the system. The first reading of the next process, after a kill or a reboot, is the last one
    /// of this process. So it never goes back, and the time between the last reading and a death does
    /// not count: read it in every tick. The reading is one store to the segment.
    ///
    /// # Examples
    ///
    /// ```
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// use hotpool::object::GameTime;
    /// use hotpool::{MemoryPoolMgr, PoolObject};
    /// use std::time::Duration;
    ///
    /// #[repr(C)]
    /// #[derive(Clone, Copy, PoolObject)]
    /// #[pool(id = 1)]
    /// struct Buff {
    ///     #[pool(time)]
    ///     until: GameTime,
    ///     kind: u64,
    /// }
    ///
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0192), Bytes(1 << 20), &[Key(0x4850_0193)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Buff>()?;
    /// let now = pool.game_time();
    /// pool.alloc(Buff { until: now + Duration::from_secs(600), kind: 1 })?;
    /// assert_eq!(pool.due::<Buff>(pool.game_time()).count(), 0);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn game_time(&self) -> GameTime {
        let word = &self.base.header.game_time;
        let here = Instant::now();
        let (began, at_first) = *self.clock.get_or_init(|| (here, word.load()));
        let now = GameTime::from_nanos(at_first) + here.duration_since(began);
        word.store(now.nanos());
        now
    }

    /// Iterates over the objects of type `T` whose time is at most `now`, the earliest first.
    ///
    /// It takes time in proportion to what it yields, and to the objects of type `T` that were
    /// written or lent for writing since the last such call. The first call after a start takes time
    /// in proportion to all objects of type `T`. It yields nothing if the type was not added.
    ///
    /// # Examples
    ///
    /// ```
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// use hotpool::{MemoryPoolMgr, PoolObject};
    ///
    /// #[repr(C)]
    /// #[derive(Clone, Copy, PoolObject)]
    /// #[pool(id = 1)]
    /// struct Buff {
    ///     #[pool(time)]
    ///     until: u64, // a tick of the server
    ///     kind: u64,
    /// }
    ///
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0190), Bytes(1 << 20), &[Key(0x4850_0191)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Buff>()?;
    /// for until in [30, 10, 20, 40] {
    ///     pool.alloc(Buff { until, kind: 1 })?;
    /// }
    /// assert_eq!(pool.due::<Buff>(25).map(|(_, buff)| buff.until).collect::<Vec<_>>(), [10, 20]);
    /// let next = pool.due::<Buff>(u64::MAX).next().map(|(_, buff)| buff.until);
    /// assert_eq!(next, Some(10));
    ///
    /// assert_eq!(pool.expire::<Buff>(25), 2);
    /// assert_eq!(pool.evict_oldest::<Buff>(1), 1);
    /// assert_eq!(pool.iter::<Buff>().map(|(_, buff)| buff.until).collect::<Vec<_>>(), [40]);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn due<T: Timed>(&self, now: T::Time) -> Due<'_, T> {
        self.try_view::<T>().map_or(Due::EMPTY, |view| view.due(now))
    }

    /// Frees the objects of type `T` whose time is at most `limit`; returns how many there were.
    ///
    /// Each free is all or nothing under a kill, the whole is not: the next call frees the rest.
    pub fn expire<T: Timed>(&mut self, limit: T::Time) -> usize {
        let expired: Vec<Id<T>> = self.due::<T>(limit).map(|(id, _)| id).collect();
        expired.into_iter().filter(|id| self.free(*id)).count()
    }

    /// Frees the `count` objects of type `T` with the earliest times, or all if there are fewer;
    /// returns how many that are.
    ///
    /// Each free is all or nothing under a kill, the whole is not.
    pub fn evict_oldest<T: Timed>(&mut self, count: usize) -> usize {
        let all = self.try_view::<T>().map_or(Due::EMPTY, |view| Due::until(view.typed, u64::MAX));
        let oldest: Vec<Id<T>> = all.take(count).map(|(id, _)| id).collect();
        oldest.into_iter().filter(|id| self.free(*id)).count()
    }
}

impl<'a, T: Timed> View<'a, T> {
    /// Iterates over the objects whose time is at most `now`, as [`MemoryPoolMgr::due`] does.
    pub fn due(self, now: T::Time) -> Due<'a, T> {
        Due::until(self.typed, T::Time::KIND.key(now.bits()))
    }
}

impl Tx<'_> {
    /// Iterates over the objects of type `T` whose time is at most `now`, the earliest first, as
    /// [`MemoryPoolMgr::due`] does.
    ///
    /// It sees the changes of this transaction. Objects that this transaction freed are left out.
    pub fn due<T: Timed>(&self, now: T::Time) -> impl Iterator<Item = (Id<T>, &T)> {
        self.pool.due::<T>(now).filter(|(id, _)| !self.is_freed(id.handle()))
    }
}

/// An iterator over the objects whose time has come, the earliest first.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Due<'a, T> {
    /// `None` at the end.
    typed: Option<Typed<'a, T>>,
    after: Option<(u64, u32)>,
    last: u64,
}

impl<T> Due<'_, T> {
    const EMPTY: Self = Due { typed: None, after: None, last: 0 };
}

impl<'a, T: PoolObject> Due<'a, T> {
    fn until(typed: Typed<'a, T>, last: u64) -> Self {
        Due { typed: Some(typed), after: None, last }
    }
}

impl<'a, T: PoolObject> Iterator for Due<'a, T> {
    type Item = (Id<T>, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let typed = self.typed?;
        loop {
            let Some((time, slot)) = typed.slots().next_time(self.after, self.last) else {
                self.typed = None;
                return None;
            };
            self.after = Some((time, slot));
            // The field decides, whatever the order says.
            if typed.slots().time_of(slot) == Some(time)
                && let Some(found) = typed.at(slot)
            {
                return Some(found);
            }
        }
    }
}

impl<T: PoolObject> FusedIterator for Due<'_, T> {}

impl<T> fmt::Debug for Due<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Due").finish_non_exhaustive()
    }
}
