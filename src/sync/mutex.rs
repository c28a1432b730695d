//! A value that one process at a time reads and writes.

use super::conf::LockConf;
use super::error::{LockError, OpenError, OwnerDied};
use super::head::Kind;
use super::holder::{Found, Holder, Refused};
use super::site::{Role, Site};
use super::value::{ForAll, Held, ValueAt};
use super::wait::{FOR_A_LOCK, Patience};
use crate::layout::Broken;
use crate::limits::LINE;
use crate::object::Schema;
use crate::region::{At, OutOfBounds};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Offset of the value, after the lock word.
const VALUE: u64 = LINE;

/// A value in shared memory that one thread of one process uses at a time.
///
/// If its holder dies, the next member that locks gets [`OwnerDied`] with the value. A stopped
/// holder keeps the lock. Waiting members get the lock in no particular order. A thread that locks
/// the mutex twice waits for itself.
///
/// ```
/// use hotpool::sync::{LockConf, Mutex};
/// use hotpool::units::Key;
///
/// let conf = LockConf::new(Key(0x4850_0f00), ["zone", "world"]);
/// let mutex: Mutex<u64> = Mutex::open(&conf, "zone")?;
/// *mutex.lock_or_repair(|value| *value = 0)? += 1;
/// # drop(mutex);
/// # hotpool::sync::remove(conf.key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Mutex<T> {
    holder: ForAll<At<Holder>>,
    value: ValueAt<T>,
    /// Dropped last: it keeps the memory mapped.
    site: Site,
}

/// The right to use the value of a [`Mutex`]. Dropping it gives the lock back. If a panic drops it,
/// the next member that locks gets [`OwnerDied`].
#[must_use = "the lock is given back at once if it is not kept"]
pub struct MutexGuard<'a, T: Pod + Schema> {
    mutex: &'a Mutex<T>,
    held: Held<'a, T>,
    /// Keeps a guard in its thread.
    _thread: PhantomData<*const ()>,
}

impl<T: Pod + Schema + Send> Mutex<T> {
    /// Opens the mutex as the member `me`, and creates it if it does not exist. A new value is all
    /// zeros.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &LockConf, me: &str) -> Result<Self, OpenError> {
        let spec = conf.spec::<T>(Kind::Mutex, VALUE + size_of::<T>() as u64);
        let site = Site::open(&spec, me, Role::Both, &|_, _| Ok(()))?;
        let holder = site.at::<Holder>(0)?;
        let value = ValueAt::new(&site.region, site.body + VALUE)
            .map_err(|OutOfBounds| site.damaged(Broken::ValueOutside))?;
        holder.give_up(site.me);
        Ok(Mutex { holder, value, site })
    }

    /// Takes the lock, and waits without a deadline.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; otherwise a system call
    /// failed.
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.take(None)
    }

    /// Takes the lock, and waits at most this long by the monotonic clock for a living holder.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; `LockError::TimedOut`
    /// after the deadline; otherwise a system call failed.
    pub fn lock_timeout(&self, most: Duration) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.take(Some(most))
    }

    /// Takes the lock if no living process holds it.
    ///
    /// # Errors
    ///
    /// `LockError::OwnerDied` with the guard if the value may be torn; `LockError::TimedOut` if
    /// a living process holds the lock; otherwise a system call failed.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        match self.holder.try_take(self.site.me) {
            Some(found) => self.guard(found),
            None => self.take(Some(Duration::ZERO)),
        }
    }

    /// Takes the lock, and lets `repair` make the value whole first if it may be torn.
    ///
    /// # Errors
    ///
    /// The kernel does not report which members live: the semaphores were removed.
    pub fn lock_or_repair(&self, repair: impl FnOnce(&mut T)) -> std::io::Result<MutexGuard<'_, T>> {
        match self.lock() {
            Ok(guard) => Ok(guard),
            Err(LockError::OwnerDied(died)) => Ok(died.repair(repair)),
            Err(LockError::System(error)) => Err(error),
            // This call has no deadline.
            Err(LockError::TimedOut) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    fn take(&self, most: Option<Duration>) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let mut patience = Patience::new(most, FOR_A_LOCK);
        match self.holder.take(self.site.me, self.site.seats, &mut patience) {
            Ok(found) => self.guard(found),
            Err(Refused::TimedOut) => Err(LockError::TimedOut),
            Err(Refused::System(error)) => Err(LockError::System(error)),
        }
    }

    fn guard(&self, found: Found) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let guard = MutexGuard { mutex: self, held: Held::by_guard(&self.value), _thread: PhantomData };
        match found {
            Found::Whole => Ok(guard),
            Found::Broken => Err(LockError::OwnerDied(OwnerDied::new(guard))),
        }
    }
}

impl<'a, T: Pod + Schema> OwnerDied<MutexGuard<'a, T>> {
    /// Runs `repair` on the value, and marks the value as whole. If this process dies during the
    /// repair, the next member that locks gets [`OwnerDied`] again.
    pub fn repair(self, repair: impl FnOnce(&mut T)) -> MutexGuard<'a, T> {
        let mut guard = self.into_inner();
        repair(&mut guard);
        guard.mutex.holder.mend();
        guard
    }
}

impl<T: Pod + Schema> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.get()
    }
}

impl<T: Pod + Schema> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.get_mut()
    }
}

impl<T: Pod + Schema> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.holder.give_back(std::thread::panicking(), 1);
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held, found) = self.holder.look();
        f.debug_struct("Mutex")
            .field("key", &self.site.key)
            .field("held", &held)
            .field("value", &found)
            .finish()
    }
}

impl<T: Pod + Schema> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutexGuard({})", self.mutex.site.key)
    }
}
