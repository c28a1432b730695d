//! Removal of a lock or queue.

use super::part::Part;
use super::parts::{parts, segment_of};
use super::seats::Seats;
use crate::share::Home;
use crate::units::{Key, plural};
use std::io;
use std::time::{Duration, Instant};

/// How long a removal waits for a tool that reads the segment.
const READING: Duration = Duration::from_secs(1);

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
    #[error(
        "cannot remove {key}: it is attached {}; stop its members first; `hotpool queues --key {key}` names \
         those of a queue",
        plural(*attached, "time")
    )]
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

/// Removes the lock or queue under a key, with all its contents; returns whether it existed. What a
/// process left that was killed while it created or removed one counts, too.
///
/// It never touches a segment or semaphores of something else.
///
/// # Errors
///
/// A process uses it, the segment is something else, or a system call failed. It waits for up to a
/// second for tools that read it.
pub fn remove(key: Key) -> Result<bool, RemoveError> {
    let system = |source| RemoveError::System { key, source };
    let backend = Home::sysv().open();
    let find = || {
        let found = backend.stat(key).map_err(system)?.filter(|facts| !facts.removed);
        match found.as_ref().map(|facts| segment_of(key, facts)).transpose().map_err(system)? {
            Some(Part::Foreign) => Err(RemoveError::Foreign { key }),
            _ => Ok(found),
        }
    };
    find()?;
    let seats = match parts(key).map_err(system)?.seats {
        Part::Absent | Part::Foreign => None,
        part => Seats::find(key).map_err(system)?.map(|seats| (seats, part)),
    };
    if let Some((seats, Part::Unfinished)) = seats {
        // Its creator may live: it finds a whole set, or none.
        seats.mark().map_err(system)?;
    }
    let seats = seats.map(|(seats, _)| seats);
    // No process can open it while this one has all its semaphores.
    let all = seats.map(Seats::take_all).transpose().map_err(system)?;
    let found = find()?;
    let count =
        || backend.stat(key).map(|facts| facts.and_then(|facts| facts.attached).unwrap_or(0)).map_err(system);
    let (mut attached, began) = (count()?, Instant::now());
    // A process that has a semaphore is about to attach the segment. Without one, it only reads.
    let is_member = matches!(all, Some(Err(_)));
    while attached > 0 && !is_member && began.elapsed() < READING {
        std::thread::sleep(Duration::from_millis(1));
        attached = count()?;
    }
    let attached = attached.max(u64::from(is_member));
    if attached > 0 {
        return Err(RemoveError::InUse { key, attached });
    }
    if let Some(facts) = &found {
        backend.remove(key, facts).map_err(system)?;
    }
    if let Some(seats) = seats {
        seats.remove().map_err(system)?;
    }
    Ok(found.is_some() || seats.is_some())
}
