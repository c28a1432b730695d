//! A value that one process at a time has.

use super::conf::LockConf;
use super::error::{LockError, OpenError, OwnerDied};
use super::head::Kind;
use super::holder::{Found, Holder, Refused};
use super::site::{Role, Site};
use super::value::{ForAll, Held, ValueAt};
use super::wait::{FOR_A_LOCK, Patience};
use crate::limits::LINE;
use crate::object::Schema;
use crate::region::{At, OutOfBounds};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Where the value lies, after the lock word.
const VALUE: u64 = LINE;

/// A value in shared memory that one thread of one process at a time has.
///
/// If its holder dies, the next one gets it together with [`OwnerDied`]. If its holder is stopped,
/// it keeps the lock. There is no order among those that wait. A thread that locks it twice waits
/// for itself.
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
    /// Dropped last: it keeps the memory.
    site: Site,
}

/// The right to the value of a [`Mutex`]. Given back on drop; if a panic drops it, the next holder
/// is told.
#[must_use = "the lock is given back at once if it is not kept"]
pub struct MutexGuard<'a, T: Pod + Schema> {
    mutex: &'a Mutex<T>,
    held: Held<'a, T>,
    /// A guard stays in its thread.
    _thread: PhantomData<*const ()>,
}

impl<T: Pod + Schema + Send> Mutex<T> {
    /// Opens the mutex as the member `me`, and makes it if there is none. A new value is all zeros.
    pub fn open(conf: &LockConf, me: &str) -> Result<Self, OpenError> {
        let spec = conf.spec::<T>(Kind::Mutex, VALUE + size_of::<T>() as u64);
        let site = Site::open(&spec, me, Role::Both, &|_, _| Ok(()))?;
        let holder = site.at::<Holder>(0)?;
        let value = ValueAt::new(&site.region, site.body + VALUE)
            .map_err(|OutOfBounds| site.damaged("its value lies outside"))?;
        holder.give_up(site.me);
        Ok(Mutex { holder, value, site })
    }

    /// Takes the lock, however long that takes.
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.take(None)
    }

    /// Takes the lock, unless a living process has it longer than that. The time is that of the
    /// monotonic clock.
    pub fn lock_timeout(&self, most: Duration) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.take(Some(most))
    }

    /// Takes the lock if no living process has it.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        match self.holder.try_take(self.site.me) {
            Some(found) => self.guard(found),
            None => self.take(Some(Duration::ZERO)),
        }
    }

    /// Takes the lock. If the value may be half written, `repair` makes it whole first.
    ///
    /// Fails only if the kernel does not say who lives.
    pub fn lock_or_repair(&self, repair: impl FnOnce(&mut T)) -> std::io::Result<MutexGuard<'_, T>> {
        match self.lock() {
            Ok(guard) => Ok(guard),
            Err(LockError::OwnerDied(died)) => Ok(died.repair(repair)),
            Err(LockError::System(error)) => Err(error),
            // There is no deadline.
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
    /// Lets `repair` make the value whole, and notes that it is. If this process dies in it, the
    /// next holder is told that the owner died again.
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
