//! The right to create, grow or remove one region, which the kernel takes back from a dead process.

use super::error::RegionError;
use crate::conf::BackendKind;
use crate::share::error::system;
use crate::sys::sysv;
use crate::units::Key;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a process waits for its turn.
const WAIT: Duration = Duration::from_secs(2);
const MODE: u32 = 0o600;

/// The turn at regions of the `heap` backend, which no other process can have.
static HEAP: Mutex<()> = Mutex::new(());

/// The turn of this process at one region. Dropping it gives the turn back.
pub(super) enum Turn {
    Heap(#[expect(dead_code, reason = "held until the drop")] MutexGuard<'static, ()>),
    Set { semid: i32 },
}

impl Turn {
    /// Waits until no other process has the turn at the region whose first key is `key`.
    pub(super) fn take(kind: BackendKind, key: Key) -> Result<Turn, RegionError> {
        if kind == BackendKind::Heap {
            return Ok(Turn::Heap(HEAP.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        let began = Instant::now();
        loop {
            // It is no error if the last holder has removed the set since it was found.
            match attempt(key, WAIT.saturating_sub(began.elapsed())) {
                Ok(Some(semid)) => return Ok(Turn::Set { semid }),
                Ok(None) => {
                    let why = "it has semaphores that are not those of a region".into();
                    return Err(RegionError::Foreign { key, why });
                }
                Err(error) if is_gone(&error) && began.elapsed() < WAIT => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {
                    let waited_ms = began.elapsed().as_millis() as u64;
                    return Err(RegionError::Busy { key, pid: holder(key), waited_ms });
                }
                Err(error) => return Err(system(key, 0, "lock")(error).into()),
            }
        }
    }
}

/// Takes the semaphore of the set under `key`; returns `None` if the set does not belong to a
/// region.
fn attempt(key: Key, wait: Duration) -> io::Result<Option<i32>> {
    let semid = match sysv::sem_find(key)? {
        Some(semid) => semid,
        None => sysv::sem_create(key, 1, MODE)?,
    };
    if sysv::sem_stat(semid)?.count != 1 {
        return Ok(None);
    }
    sysv::sem_op(semid, &[(0, 0), (0, 1)], wait)?;
    Ok(Some(semid))
}

fn holder(key: Key) -> i32 {
    let pid = sysv::sem_find(key).and_then(|semid| semid.map_or(Ok(0), |semid| sysv::sem_pid(semid, 0)));
    pid.unwrap_or(0)
}

/// Returns whether the set was removed or replaced since it was found, or a signal interrupted the
/// call.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL | libc::EEXIST | libc::EINTR))
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Turn::Set { semid } = *self {
            // The waiting processes then look for a set again. The removal fails only if the set no
            // longer exists.
            let _ = sysv::sem_remove(semid);
        }
    }
}
