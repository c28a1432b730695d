//! The right to create, grow or remove one region on Windows, which the kernel takes back from a
//! dead process.

use super::error::RegionError;
use crate::conf::BackendKind;
use crate::share::error::system;
use crate::units::Key;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a process waits for its turn.
const WAIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);

/// The turn at regions of the `heap` backend, which no other process can have.
static HEAP: Mutex<()> = Mutex::new(());

/// The turn of this process at one region. Dropping it gives the turn back.
pub(super) enum Turn {
    Heap(#[expect(dead_code, reason = "held until the drop")] MutexGuard<'static, ()>),
    /// A locked file. It stays: a process that waits for it has it open.
    File(#[expect(dead_code, reason = "locked until the drop")] File),
}

impl Turn {
    /// Waits until no other process has the turn at the region whose first key is `key`.
    pub(super) fn take(kind: BackendKind, key: Key) -> Result<Turn, RegionError> {
        if kind == BackendKind::Heap {
            return Ok(Turn::Heap(HEAP.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        let refused = |source| system(key, 0, "lock")(source);
        let (file, began) = (open(key).map_err(refused)?, Instant::now());
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Turn::File(file)),
                Err(TryLockError::WouldBlock) if began.elapsed() < WAIT => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    // Windows does not say who has a file locked.
                    let waited_ms = began.elapsed().as_millis() as u64;
                    return Err(RegionError::Busy { key, pid: 0, waited_ms });
                }
                Err(TryLockError::Error(error)) => return Err(refused(error).into()),
            }
        }
    }
}

fn open(key: Key) -> io::Result<File> {
    let folder = std::env::temp_dir().join("hotpool");
    fs::create_dir_all(&folder)?;
    let name = format!("turn-{:08x}", key.0);
    OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(name))
}
