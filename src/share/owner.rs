//! The owner lock: a set of System V semaphores under the base key.
//!
//! | semaphore | value | changed by |
//! |--:|---|---|
//! | 0 | 0 without an owner; else 1, plus 1 for each takeover (see below) | `[wait for zero, +1]` in one call, undone by the kernel |
//! | 1 | number of observers that may be attached for reading | +1 before the attach, -1 after the detach, undone by the kernel |
//! | 2 | [`SET_MAGIC`], which marks the set | the process that creates the set |
//! | 3 | the place of the pool (`place.rs`), 0 if it is not known | the owner, before its first store |
//!
//! The kernel undoes a dead owner's +1 after it has unmapped the owner's memory. The next owner can
//! thus be sure that no store of its predecessor is outstanding. A forked child does not inherit
//! the lock, and a stopped owner keeps it. No clock decides which process is dead: the deadline of
//! a start only ends its wait, with an error.
//!
//! A process that executes another program keeps the lock and loses the memory. When the new
//! program opens the pool, its own pid holds a lock on which nothing in it has a claim
//! (`claim.rs`). It then takes the lock over, by adding 1 to the semaphore in one call; other
//! processes continue to wait.
//!
//! A value in the process may hold the lock all the same, if the process has a second copy of this
//! library, with its own table of claims. Then the two detect each other. The copy that took over
//! checks for an attach. The other copy checks after its attach whether the value of the semaphore
//! is still the one that it has left ([`OwnerLock::is_named`]). Takeovers only count up, so no
//! value returns while the one that left it exists.

use super::backend::{Access, Backend, SegmentFacts};
use super::base_lock::{self, BaseLock};
use super::claim::{Claim, Space};
use super::head::Head;
use super::lock_facts::LockFacts;
use super::observer;
use super::owner_error::OwnerError;
use super::owner_set::{
    self, MAGIC, OBSERVERS, OWNER, SEMAPHORES, SET_MAGIC, Whose, inspect, look, read, vanished,
};
use super::wait::Wait;
use crate::conf::BackendKind;
use crate::limits;
use crate::sys::proc::Process;
use crate::sys::{self, sysv};
use crate::units::Key;
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The right to be the only writer of a pool.
///
/// Dropping it releases the lock, in the process that took it only. The fields are in the order in
/// which they are dropped.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    key: Key,
    whose: Whose,
    /// The lock on the base itself and its path, for a base that is a file.
    base: RefCell<Option<(PathBuf, BaseLock)>>,
    /// `None` for memory of the process, which needs no lock between processes.
    set: Option<HeldSet>,
    /// Released last: until then no other thread of the process operates on the semaphores.
    _claim: Claim,
}

/// A semaphore set whose lock is held.
#[derive(Debug)]
struct HeldSet {
    semid: i32,
    /// Whether this start created it.
    made: bool,
    /// Value of its first semaphore, as this lock has left it.
    count: u32,
    /// Value before a takeover from an earlier program of this process.
    before: Option<u32>,
    pid: u32,
    /// Whether there is nothing to release any more.
    left: bool,
}

/// The result of an attempt on one set.
enum Attempt {
    /// The lock was free.
    Taken,
    /// An earlier program of this process held the lock, with this value.
    TakenOver(u32),
    /// Another process removed the set meanwhile.
    Vanished,
}

impl OwnerLock {
    /// Becomes the owner, waiting for a dying one.
    pub(crate) fn take(key: Key, mode: u32, whose: Whose, wait: Wait) -> Result<Self, OwnerError> {
        let claim = Claim::take(Space::Kernel, key, wait).ok_or_else(|| this_process(key, wait))?;
        for _ in 0..limits::OWNER_ROUNDS {
            let Some((semid, made)) = find_or_make(key, mode, whose)? else { continue };
            let before = match attempt(key, semid, wait)? {
                Attempt::Taken => None,
                Attempt::TakenOver(before) => Some(before),
                Attempt::Vanished => continue,
            };
            let count = before.map_or(1, next_count);
            let set = HeldSet { semid, made, count, before, pid: sys::pid(), left: false };
            if set.is_named(key)? {
                return Ok(OwnerLock { key, whose, base: RefCell::default(), set: Some(set), _claim: claim });
            }
        }
        Err(OwnerError::Removed { key, rounds: limits::OWNER_ROUNDS })
    }

    /// Becomes the owner of a pool of a backend, whose lock may need no semaphores.
    pub(crate) fn take_of(
        backend: BackendKind,
        key: Key,
        mode: u32,
        whose: Whose,
        wait: Wait,
    ) -> Result<Self, OwnerError> {
        match backend {
            BackendKind::Heap => Self::take_heap(key),
            _ => Self::take(key, mode, whose, wait),
        }
    }

    /// Becomes the owner of a pool in memory of this process.
    fn take_heap(key: Key) -> Result<Self, OwnerError> {
        let wait = Wait::ms(0);
        let claim = Claim::take(Space::Heap, key, wait).ok_or_else(|| this_process(key, wait))?;
        Ok(OwnerLock { key, whose: Whose::Own, base: RefCell::default(), set: None, _claim: claim })
    }

    /// Returns whether the key still leads to this set, and the lock is unchanged.
    ///
    /// If not, another start may hold the lock of a newer set, or may have taken this one over.
    pub(crate) fn is_named(&self) -> Result<bool, OwnerError> {
        self.set.as_ref().map_or(Ok(true), |set| set.is_named(self.key))
    }

    /// Locks the base itself if it is a file, waiting for a dying owner.
    ///
    /// It does nothing if there is no base, if this start will refuse the base, or if it is locked
    /// already.
    pub(crate) fn lock_base(&self, backend: &dyn Backend, wait: Wait) -> Result<(), OwnerError> {
        let Some(path) = backend.path(self.key) else { return Ok(()) };
        let failed = |source| OwnerError::Base { key: self.key, path: path.clone(), source };
        let mut base = self.base.borrow_mut();
        if let Some((path, lock)) = &*base
            && lock.is_at(path).map_err(failed)?
        {
            return Ok(());
        }
        *base = None;
        let Some(found) = backend.stat(self.key).map_err(failed)? else { return Ok(()) };
        // The base of another user is refused unread, and its owner is not kept from it either.
        if found.removed || self.whose == Whose::Own && found.uid != sysv::effective_uid() {
            return Ok(());
        }
        let hidden = || hidden_owner(backend, self.key, &path, wait);
        let lock = BaseLock::take(self.key, &path, wait, &hidden)?;
        *base = lock.map(|lock| (path, lock));
        Ok(())
    }

    /// Releases only the lock on the base.
    #[cfg(test)]
    pub(super) fn unlock_base(&self) {
        *self.base.borrow_mut() = None;
    }

    /// Returns whether the lock covers the segment that was found, or that none was found.
    pub(crate) fn is_on(&self, backend: &dyn Backend, found: Option<&SegmentFacts>) -> bool {
        let Some(path) = backend.path(self.key) else { return true };
        match (&*self.base.borrow(), found) {
            (Some((_, lock)), Some(found)) => lock.inode() == found.id && lock.is_at(&path).unwrap_or(false),
            (None, None) => true,
            _ => false,
        }
    }

    /// Returns the set to which the key leads, if it is another one; the inner `None` stands for no
    /// set.
    pub(crate) fn successor(&self) -> Result<Option<Option<i32>>, OwnerError> {
        let Some(set) = &self.set else { return Ok(None) };
        let found = sysv::sem_find(self.key).map_err(system(self.key, "find"))?;
        Ok((found != Some(set.semid)).then_some(found))
    }

    /// Returns whether this process still holds the lock; see [`super::Loss::LockReleased`].
    pub(crate) fn is_held(&self) -> Result<bool, OwnerError> {
        let Some(set) = &self.set else { return Ok(true) };
        match sysv::sem_pid(set.semid, OWNER) {
            Ok(pid) => Ok(pid == sys::pid() as i32 && set.is_named(self.key)?),
            Err(error) if vanished(&error) => Ok(false),
            Err(error) => Err(system(self.key, "read")(error)),
        }
    }

    /// Returns the present number of registered observers.
    pub(crate) fn observers(&self) -> u32 {
        self.set.as_ref().map_or(0, |set| sysv::sem_value(set.semid, OBSERVERS).unwrap_or(0))
    }

    /// Notes in the semaphores where the pool is.
    pub(crate) fn note_place(&self, place: u32) {
        if let Some(set) = &self.set {
            owner_set::note_place(set.semid, place);
        }
    }

    /// Returns whether the semaphores existed before this start.
    pub(crate) fn was_found(&self) -> bool {
        self.set.as_ref().is_some_and(|set| !set.made)
    }

    /// Returns whether this start created the semaphores.
    pub(crate) fn was_made(&self) -> bool {
        self.set.as_ref().is_some_and(|set| set.made)
    }

    /// Returns the state of the lock as its owner sees it.
    pub(crate) fn facts(&self) -> LockFacts {
        LockFacts::Ours { observers: self.observers() }
    }

    /// Calls `read` while no observer attaches or detaches; returns their number and the result.
    pub(crate) fn quietly<T>(&self, mut read: impl FnMut() -> io::Result<T>) -> io::Result<(u32, T)> {
        match &self.set {
            None => Ok((0, read()?)),
            Some(set) => observer::quietly(set.semid, read),
        }
    }

    /// Undoes taking the lock: releases it, or restores the value before a takeover.
    ///
    /// A set that this start created is removed.
    pub(crate) fn abandon(mut self) {
        if let Some(set) = &mut self.set {
            set.abandon(self.key);
        }
    }

    /// Removes the set with its lock. A process that waits for it creates a new one.
    pub(crate) fn remove(mut self) {
        if let Some(set) = &mut self.set {
            set.remove(self.key);
        }
    }
}

impl HeldSet {
    fn is_named(&self, key: Key) -> Result<bool, OwnerError> {
        let named = sysv::sem_find(key).map_err(system(key, "find"))? == Some(self.semid);
        match sysv::sem_value(self.semid, OWNER) {
            Ok(found) => Ok(named && found == self.count),
            Err(error) if vanished(&error) => Ok(false),
            Err(error) => Err(system(key, "read")(error)),
        }
    }

    fn abandon(&mut self, key: Key) {
        match self.before {
            // Another copy of the library may have taken the lock over since; it then keeps it.
            Some(before) => {
                let _ = swap(self.semid, self.count, before);
                self.left = true;
            }
            None if self.made && self.is_named(key).unwrap_or(false) => self.remove(key),
            None => {}
        }
    }

    fn remove(&mut self, key: Key) {
        self.left = true;
        if let Err(error) = sysv::sem_remove(self.semid)
            && !vanished(&error)
        {
            log::warn!("cannot remove the owner semaphores under {key}: {error}");
        }
    }
}

impl Drop for HeldSet {
    fn drop(&mut self) {
        if self.pid == sys::pid() && !self.left {
            // It fails if the set is gone or the lock was taken over: there is nothing to release
            // then.
            let _ = swap(self.semid, self.count, 0);
        }
    }
}

/// Returns the error if a value in this process has the claim.
fn this_process(key: Key, wait: Wait) -> OwnerError {
    OwnerError::Held { key, holder: Process::look(sys::pid() as i32), waited_ms: wait.spent_ms() }
}

/// Returns the error for an owner that is not visible, with what its base records about it.
#[cold]
fn hidden_owner(backend: &dyn Backend, key: Key, path: &Path, wait: Wait) -> OwnerError {
    let found = backend.stat(key).ok().flatten();
    let segment = found.and_then(|found| backend.attach(key, &found, Access::Read).ok());
    let head = segment.and_then(|segment| Head::read(&segment.region())).filter(Head::is_hotpool);
    let (process, pid) = head.map_or((String::new(), 0), |head| (head.process, head.owner_pid));
    OwnerError::Hidden { key, path: path.to_path_buf(), process, pid, waited_ms: wait.spent_ms() }
}

/// Returns the lock state of a pool in memory of this process.
pub(crate) fn look_heap(key: Key) -> LockFacts {
    match Claim::is_taken(Space::Heap, key) {
        true => LockFacts::Held { holder: Process::look(std::process::id() as i32), observers: 0 },
        false => LockFacts::None,
    }
}

/// Returns the state of the semaphores under `key` and of the lock on the base, without a change.
///
/// If the base is locked and the semaphores show no owner, the owner is in another namespace.
pub(crate) fn look_at(backend: &dyn Backend, key: Key, whose: Whose) -> io::Result<LockFacts> {
    let lock = look(key, whose)?;
    let (LockFacts::None | LockFacts::Free { .. }, Some(path)) = (&lock, backend.path(key)) else {
        return Ok(lock);
    };
    if !base_lock::is_held(&path)? {
        return Ok(lock);
    }
    // An owner in this namespace may have started between the two readings.
    let lock = look(key, whose)?;
    let (LockFacts::None | LockFacts::Free { .. }) = &lock else { return Ok(lock) };
    let found = backend.stat(key)?.filter(|found| !found.removed);
    let writers = found.map(|found| backend.writers(key, &found)).unwrap_or_default();
    let holder = Process::look(writers.first().copied().unwrap_or(0));
    Ok(LockFacts::Held { holder, observers: lock.observers() })
}

/// Returns the set under `key`, and whether it was created here; `None` if it vanished meanwhile.
fn find_or_make(key: Key, mode: u32, whose: Whose) -> Result<Option<(i32, bool)>, OwnerError> {
    let found = sysv::sem_find(key).map_err(system(key, "find"))?;
    let (semid, made) = match found {
        Some(semid) => (semid, false),
        None => match sysv::sem_create(key, SEMAPHORES as i32, mode) {
            Ok(semid) => (semid, true),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => return Ok(None),
            Err(error) => return Err(system(key, "create")(error)),
        },
    };
    match inspect(semid, whose)
        .and_then(|foreign| foreign.map_or_else(|| mark(semid).map(|()| None), |f| Ok(Some(f))))
    {
        Ok(None) => Ok(Some((semid, made))),
        Ok(Some(set)) => Err(OwnerError::Foreign { key, set }),
        Err(error) if vanished(&error) => Ok(None),
        Err(error) => Err(system(key, "read")(error)),
    }
}

fn mark(semid: i32) -> io::Result<()> {
    match sysv::sem_value(semid, MAGIC)? {
        SET_MAGIC => Ok(()),
        _ => sysv::sem_set(semid, MAGIC, SET_MAGIC as i32),
    }
}

/// Takes the lock of one set, or returns which process holds it.
fn attempt(key: Key, semid: i32, wait: Wait) -> Result<Attempt, OwnerError> {
    const TAKE: [sysv::Step; 2] = [(OWNER as u16, 0), (OWNER as u16, 1)];
    let mut timeout = Duration::ZERO;
    loop {
        let error = match sysv::sem_op(semid, &TAKE, timeout) {
            Ok(()) => return Ok(Attempt::Taken),
            Err(error) => error,
        };
        if error.raw_os_error() == Some(libc::EAGAIN) {
            match take_over(semid) {
                Ok(Some(before)) => return Ok(Attempt::TakenOver(before)),
                Ok(None) => {}
                Err(error) if vanished(&error) => return Ok(Attempt::Vanished),
                Err(error) => return Err(system(key, "read")(error)),
            }
        }
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EIDRM | libc::EINVAL) => return Ok(Attempt::Vanished),
            Some(libc::EAGAIN) if !wait.left().is_zero() => {
                log::info!("{key}: waiting up to {} ms for its owner to end", wait.left().as_millis());
            }
            Some(libc::EAGAIN) => match read(semid, Whose::Any) {
                Ok(LockFacts::Held { holder, .. }) => {
                    return Err(OwnerError::Held { key, holder, waited_ms: wait.spent_ms() });
                }
                // The owner ended at the last moment: try once more without waiting.
                Ok(_) => {}
                Err(error) if vanished(&error) => return Ok(Attempt::Vanished),
                Err(error) => return Err(system(key, "read")(error)),
            },
            _ => return Err(system(key, "take")(error)),
        }
        timeout = wait.left();
    }
}

/// Takes over the lock of an earlier program of this process; returns the value before.
///
/// The caller has the claim on the key, so no value of this program holds the lock.
fn take_over(semid: i32) -> io::Result<Option<u32>> {
    let count = sysv::sem_value(semid, OWNER)?;
    let mine = sysv::sem_pid(semid, OWNER)? == std::process::id() as i32;
    if !mine || count == 0 {
        return Ok(None);
    }
    match swap(semid, count, next_count(count)) {
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(None),
        done => done.map(|()| Some(count)),
    }
}

/// Returns the value after a takeover. The largest value is followed by 1.
///
/// Only a value that has existed in this process for 32,766 takeovers could take that for its own.
fn next_count(count: u32) -> u32 {
    if count >= limits::MAX_SEMAPHORE { 1 } else { count + 1 }
}

/// Changes the first semaphore from one value to another in one call; `EAGAIN` if it has another
/// value.
fn swap(semid: i32, from: u32, to: u32) -> io::Result<()> {
    let owner = OWNER as u16;
    let (take, wait) = ((owner, -(from as i16)), (owner, 0));
    match to {
        0 => sysv::sem_op(semid, &[take, wait], Duration::ZERO),
        _ => sysv::sem_op(semid, &[take, wait, (owner, to as i16)], Duration::ZERO),
    }
}

fn system(key: Key, call: &'static str) -> impl FnOnce(io::Error) -> OwnerError {
    move |source| OwnerError::System { key, call, source }
}
