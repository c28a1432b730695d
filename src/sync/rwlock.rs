//! A value that several processes read at once, or one writes.

use super::conf::LockConf;
use super::error::{LockError, OpenError, OwnerDied};
use super::head::Kind;
use super::holder::{Found, Holder, Refused};
use super::site::{Role, Site};
use super::slips::{Slip, planted};
use super::value::{ForAll, Held, ValueAt};
use super::wait::{FOR_A_LOCK, Patience};
use crate::layout::{Broken, record};
use crate::limits::LINE;
use crate::object::Schema;
use crate::region::{At, OutOfBounds, Table};
use crate::sys::futex;
use crate::word::SharedHalf;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// The number of guards for reading that a member has.
#[repr(C)]
pub(crate) struct Readers {
    count: SharedHalf,
    spare: [SharedHalf; 15],
}

record!(Readers, 64);

const READERS: u64 = LINE;

/// A value in shared memory that many threads read at once, or one thread of one process writes.
///
/// Readers do not exclude each other. A waiting writer keeps new readers out. The share of a dead
/// reader is void. After a writer has died, every lock returns [`OwnerDied`] until a writer has
/// repaired the value. A stopped process keeps its lock.
pub struct RwLock<T> {
    writer: ForAll<At<Holder>>,
    readers: ForAll<Table<Readers>>,
    value: ValueAt<T>,
    /// Dropped last: it keeps the memory mapped.
    site: Site,
}

/// The right to read the value of a [`RwLock`]. Dropping it gives the lock back.
#[must_use = "the lock is given back at once if it is not kept"]
pub struct ReadGuard<'a, T: Pod + Schema> {
    lock: &'a RwLock<T>,
    held: Held<'a, T>,
    _thread: PhantomData<*const ()>,
}

/// The right to write the value of a [`RwLock`]. Dropping it gives the lock back. If a panic drops
/// it, the next members that lock get [`OwnerDied`].
#[must_use = "the lock is given back at once if it is not kept"]
pub struct WriteGuard<'a, T: Pod + Schema> {
    lock: &'a RwLock<T>,
    held: Held<'a, T>,
    _thread: PhantomData<*const ()>,
}

impl<T: Pod + Schema + Send + Sync> RwLock<T> {
    /// Opens the lock as the member `me`, and creates it if it does not exist. A new value is all
    /// zeros.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &LockConf, me: &str) -> Result<Self, OpenError> {
        let members = conf.members.len() as u64;
        let value_at = READERS + members * size_of::<Readers>() as u64;
        let spec = conf.spec::<T>(Kind::RwLock, value_at + size_of::<T>() as u64);
        let site = Site::open(&spec, me, Role::Both, &|_, _| Ok(()))?;
        let writer = site.at::<Holder>(0)?;
        let readers = site.table::<Readers>(READERS, members)?;
        let value = ValueAt::new(&site.region, site.body + value_at)
            .map_err(|OutOfBounds| site.damaged(Broken::ValueOutside))?;
        let lock = RwLock { writer, readers, value, site };
        // The shares of a predecessor under this name are void.
        if let Some(mine) = lock.readers.get(lock.site.me) {
            mine.count.store(0);
            futex::wake(&mine.count, i32::MAX);
        }
        lock.writer.give_up(lock.site.me);
        Ok(lock)
    }

    /// Takes the lock for reading, and waits without a deadline.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; otherwise a system call
    /// failed.
    pub fn read(&self) -> Result<ReadGuard<'_, T>, LockError<ReadGuard<'_, T>>> {
        self.share(None)
    }

    /// Takes the lock for reading, and waits at most this long for a living writer.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; `LockError::TimedOut`
    /// after the deadline; otherwise a system call failed.
    pub fn read_timeout(&self, most: Duration) -> Result<ReadGuard<'_, T>, LockError<ReadGuard<'_, T>>> {
        self.share(Some(most))
    }

    /// Takes the lock for writing, and waits without a deadline.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; otherwise a system call
    /// failed.
    pub fn write(&self) -> Result<WriteGuard<'_, T>, LockError<WriteGuard<'_, T>>> {
        self.take(None)
    }

    /// Takes the lock for writing, and waits at most this long for living processes.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; `LockError::TimedOut`
    /// after the deadline; otherwise a system call failed.
    pub fn write_timeout(&self, most: Duration) -> Result<WriteGuard<'_, T>, LockError<WriteGuard<'_, T>>> {
        self.take(Some(most))
    }

    #[inline]
    fn share(&self, most: Option<Duration>) -> Result<ReadGuard<'_, T>, LockError<ReadGuard<'_, T>>> {
        if let Some(found) = self.try_share() {
            return self.reading(found);
        }
        let mut patience = Patience::new(most, FOR_A_LOCK);
        loop {
            match self.writer.wait_free(self.site.me, self.site.seats, &mut patience) {
                Ok(()) => {}
                Err(Refused::TimedOut) => return Err(LockError::TimedOut),
                Err(Refused::System(error)) => return Err(LockError::System(error)),
            }
            if let Some(found) = self.try_share() {
                return self.reading(found);
            }
        }
    }

    #[inline]
    fn try_share(&self) -> Option<Found> {
        let mine = self.readers.get(self.site.me)?;
        mine.count.add(1);
        match self.writer.look() {
            (false, found) => Some(found),
            _ => {
                self.unshare();
                None
            }
        }
    }

    fn reading(&self, found: Found) -> Result<ReadGuard<'_, T>, LockError<ReadGuard<'_, T>>> {
        let guard = ReadGuard { lock: self, held: Held::by_guard(&self.value), _thread: PhantomData };
        match found {
            Found::Whole => Ok(guard),
            Found::Broken => Err(LockError::OwnerDied(OwnerDied::new(guard))),
        }
    }

    fn take(&self, most: Option<Duration>) -> Result<WriteGuard<'_, T>, LockError<WriteGuard<'_, T>>> {
        let mut patience = Patience::new(most, FOR_A_LOCK);
        let found = self.writer.take(self.site.me, self.site.seats, &mut patience);
        let answer = found.and_then(|found| {
            let emptied = (0..self.readers.len()).try_for_each(|member| self.empty(member, &mut patience));
            // This process has written nothing, so a whole value is still whole.
            emptied.map(|()| found).inspect_err(|_| self.writer.give_back(false, i32::MAX))
        });
        let found = match answer {
            Ok(found) => found,
            Err(Refused::TimedOut) => return Err(LockError::TimedOut),
            Err(Refused::System(error)) => return Err(LockError::System(error)),
        };
        let guard = WriteGuard { lock: self, held: Held::by_guard(&self.value), _thread: PhantomData };
        if planted(Slip::GiveBackFirst) {
            self.writer.give_back(false, i32::MAX);
        }
        match found {
            Found::Whole => Ok(guard),
            Found::Broken => Err(LockError::OwnerDied(OwnerDied::new(guard))),
        }
    }

    /// Waits until a member has no guard for reading. The guards of a dead member are void.
    fn empty(&self, member: usize, patience: &mut Patience) -> Result<(), Refused> {
        let Some(readers) = self.readers.get(member) else { return Ok(()) };
        loop {
            let count = readers.count.load();
            if count == 0 {
                return Ok(());
            }
            if patience.spin() {
                continue;
            }
            let over = patience.is_over();
            if over || patience.sleep(&readers.count, count) {
                let proof = match member == self.site.me {
                    true => None,
                    false => self.site.seats.prove_dead(member).map_err(Refused::System)?,
                };
                if proof.is_some() {
                    readers.count.store(0);
                    return Ok(());
                }
                if over && readers.count.load() != 0 {
                    return Err(Refused::TimedOut);
                }
            }
        }
    }
}

impl<T> RwLock<T> {
    #[inline]
    fn unshare(&self) {
        if let Some(mine) = self.readers.get(self.site.me)
            && mine.count.sub(1) == 0
            && self.writer.look().0
        {
            futex::wake(&mine.count, i32::MAX);
        }
    }
}

impl<'a, T: Pod + Schema> OwnerDied<WriteGuard<'a, T>> {
    /// Runs `repair` on the value, and marks the value as whole. If this process dies during the
    /// repair, the next members that lock get [`OwnerDied`] again.
    pub fn repair(self, repair: impl FnOnce(&mut T)) -> WriteGuard<'a, T> {
        let mut guard = self.into_inner();
        repair(&mut guard);
        guard.lock.writer.mend();
        guard
    }
}

impl<T: Pod + Schema> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.get()
    }
}

impl<T: Pod + Schema> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.unshare();
    }
}

impl<T: Pod + Schema> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.get()
    }
}

impl<T: Pod + Schema> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.get_mut()
    }
}

impl<T: Pod + Schema> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.writer.give_back(std::thread::panicking(), i32::MAX);
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held, found) = self.writer.look();
        f.debug_struct("RwLock")
            .field("key", &self.site.key)
            .field("held", &held)
            .field("value", &found)
            .finish()
    }
}

impl<T: Pod + Schema> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadGuard({})", self.lock.site.key)
    }
}

impl<T: Pod + Schema> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteGuard({})", self.lock.site.key)
    }
}
