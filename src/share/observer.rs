//! Observers: processes that have a segment attached for reading.
//!
//! The owner semaphores count them, so that a start does not take them for rivals. The number of
//! observers and the number of attaches are two queries, and an observer may attach or detach
//! between them. [`quietly`] makes both at one moment. The kernel records the process that last
//! changed a semaphore: if this process was the last before the query and still is after it, no
//! other process has changed the number in between.

use super::owner_set::{MAGIC, OBSERVERS, SET_MAGIC, Whose, inspect};
use crate::sys::sysv;
use crate::units::Key;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the threads of this process apart, which the kernel does not distinguish.
static CHANGES: Mutex<()> = Mutex::new(());

fn changes() -> MutexGuard<'static, ()> {
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A registered observer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    semid: i32,
    pid: u32,
}

impl Observer {
    /// Registers an observer; returns `None` if no marked set of hotpool exists, or if it may not
    /// be changed.
    ///
    /// The observer is then not counted, and a start may wait for it.
    pub(crate) fn register(key: Key) -> Option<Self> {
        let semid = set_of(key)?;
        let _turn = changes();
        sysv::sem_op(semid, &[(OBSERVERS as u16, 1)], Duration::ZERO).ok()?;
        Some(Observer { semid, pid: std::process::id() })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _turn = changes();
            let _ = sysv::sem_op(self.semid, &[(OBSERVERS as u16, -1)], Duration::ZERO);
        }
    }
}

/// Returns the semaphore set of hotpool under `key`; `None` if there is none, or if it is not
/// marked yet.
///
/// An operation on an unmarked set would make it look foreign.
pub(super) fn set_of(key: Key) -> Option<i32> {
    let semid = sysv::sem_find(key).ok()??;
    inspect(semid, Whose::Any).ok()?.is_none().then_some(())?;
    (sysv::sem_value(semid, MAGIC).ok()? == SET_MAGIC).then_some(semid)
}

/// Calls `read` until no observer has attached or detached during the call.
///
/// Returns the number of observers, and what `read` returned. The set must be a marked set of
/// hotpool. For a caller that may not change it, the number only did not differ before and after.
pub(crate) fn quietly<T>(semid: i32, mut read: impl FnMut() -> io::Result<T>) -> io::Result<(u32, T)> {
    const ROUNDS: u32 = 10_000;
    /// A change and its opposite in one call: only the last process changes.
    const TOUCH: [sysv::Step; 2] = [(OBSERVERS as u16, 1), (OBSERVERS as u16, -1)];
    let me = std::process::id() as i32;
    let mut round = 0;
    loop {
        let turn = changes();
        let may_touch = match sysv::sem_op(semid, &TOUCH, Duration::ZERO) {
            Ok(()) => true,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => false,
            Err(error) => return Err(error),
        };
        let before = sysv::sem_value(semid, OBSERVERS)?;
        let seen = read()?;
        let was_last = !may_touch || sysv::sem_pid(semid, OBSERVERS)? == me;
        let after = sysv::sem_value(semid, OBSERVERS)?;
        drop(turn);
        round += 1;
        if was_last && before == after || round == ROUNDS {
            return Ok((after, seen));
        }
        std::thread::yield_now();
    }
}
