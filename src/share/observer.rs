//! Observers: processes that have a segment attached for reading, counted in the owner semaphores so
//! that a start does not take them for a rival.
//!
//! The number of observers and the number of attaches are two questions to the kernel, and an
//! observer may come or go between them. [`quietly`] asks both at one moment. It uses that the
//! kernel names the process that last changed a semaphore: if that was this process before the look
//! and still is after it, no other process has changed the number in between.

use super::owner_set::{MAGIC, OBSERVERS, SET_MAGIC, Whose, inspect};
use crate::sys::sysv;
use crate::units::Key;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the threads of this process apart: to the kernel they are one process.
static CHANGES: Mutex<()> = Mutex::new(());

fn changes() -> MutexGuard<'static, ()> {
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An attached observer, registered until it is dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    semid: i32,
    pid: u32,
}

impl Observer {
    /// Registers one. `None` if there is no set of ours that is marked, or no right to
    /// change it: then the observer goes uncounted, and a start may wait for it.
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

/// The set of ours under `key`. `None` if there is none, or it is not marked yet: an operation on it
/// would make it look like a stranger's.
pub(super) fn set_of(key: Key) -> Option<i32> {
    let semid = sysv::sem_find(key).ok()??;
    inspect(semid, Whose::Any).ok()?.is_none().then_some(())?;
    (sysv::sem_value(semid, MAGIC).ok()? == SET_MAGIC).then_some(semid)
}

/// Calls `look` until no observer has come or gone during the call. Returns the number of observers
/// with what was seen.
///
/// The set has to be ours and marked. A caller without the right to change it gets the best that can
/// be had without: the number did not differ before and after.
pub(crate) fn quietly<T>(semid: i32, mut look: impl FnMut() -> io::Result<T>) -> io::Result<(u32, T)> {
    const ROUNDS: u32 = 10_000;
    /// A change and its opposite in one call: nothing changes but the last process.
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
        let seen = look()?;
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
