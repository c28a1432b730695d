//! Removal of a lock or queue.

use super::head::{Head, MAKING, READY};
use super::seats::Seats;
use crate::share::{Access, Home};
use crate::units::{Key, plural};
use std::io;

/// Why a lock or queue was not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// A system call failed.
    #[error("cannot remove {key}: {source}")]
    System {
        /// Key of the lock or queue.
        key: Key,
        /// The error of the system.
        source: io::Error,
    },
    /// Processes have it attached.
    #[error("cannot remove {key}: it is attached {}; stop its members first", plural(*attached, "time"))]
    InUse {
        /// Key of the lock or queue.
        key: Key,
        /// Number of attaches.
        attached: u64,
    },
    /// The segment under the key is not a lock or queue.
    #[error("cannot remove {key}: what is there is neither a lock nor a queue")]
    Foreign {
        /// The key.
        key: Key,
    },
}

/// Removes the lock or queue under a key, with all its contents; returns whether it existed.
///
/// # Errors
///
/// A process uses it, the segment is something else, or a system call failed.
pub fn remove(key: Key) -> Result<bool, RemoveError> {
    let system = |source| RemoveError::System { key, source };
    let backend = Home::sysv().open();
    // Without a segment the set may belong to a pool, so its mark is checked.
    let seats = match Seats::find(key).map_err(system)? {
        Some(seats) if seats.is_ours().map_err(system)? => Some(seats),
        _ => None,
    };
    // No process can open it while this one has all its semaphores.
    let all = seats.map(Seats::take_all).transpose().map_err(system)?;
    let found = backend.stat(key).map_err(system)?.filter(|facts| !facts.removed);
    if let Some(facts) = &found {
        let segment = backend.attach(key, facts, Access::Read).map_err(system)?;
        let magic = segment.region().at::<Head>(0).map(|head| head.magic.load());
        if !matches!(magic, Ok(0 | READY | MAKING)) {
            return Err(RemoveError::Foreign { key });
        }
        drop(segment);
    }
    let attached = backend.stat(key).map_err(system)?.and_then(|facts| facts.attached).unwrap_or(0);
    // A process that has a semaphore is about to attach the segment.
    let attached = attached.max(u64::from(matches!(all, Some(Err(_)))));
    if attached > 0 {
        return Err(RemoveError::InUse { key, attached });
    }
    if let Some(facts) = &found {
        backend.remove(key, facts).map_err(system)?;
    }
    if let Some(seats) = seats {
        seats.remove().map_err(system)?;
    }
    Ok(found.is_some())
}
