//! The second check of the owner lock: no rival has the base attached for writing.
//!
//! The semaphores can be removed while an owner runs, and the next start would create new ones. So
//! the holder of the lock checks the segment, too. Observers do not count: they are registered, and
//! their mappings are not writable.

use super::backend::{Access, Backend};
use super::head::Head;
use super::owner::OwnerLock;
use super::owner_error::OwnerError;
use super::rivals;
use super::segment::Segment;
use super::wait::Wait;
use crate::conf::BackendKind;
use crate::limits;
use crate::units::Key;
use std::io;
use std::time::Duration;

/// Waits until only observers have the segment under `key` attached, and locks a base that is a
/// file.
pub(crate) fn wait_for_rivals(
    backend: &dyn Backend,
    key: Key,
    lock: &OwnerLock,
    wait: Wait,
) -> Result<(), OwnerError> {
    // For memory of one process the lock is sufficient.
    if backend.kind() == BackendKind::Heap {
        return Ok(());
    }
    let mut pause = Duration::from_millis(1);
    let look = || rivals::find(backend, key, &mut || rivals::count_as_owner(backend, key, lock));
    let failed = |source| match backend.path(key) {
        // The advice depends on the folder.
        Some(path) => OwnerError::Base { key, path, source },
        None => OwnerError::System { key, call: "check", source },
    };
    while let Some(rivals) = look().map_err(failed)? {
        if wait.left().is_zero() {
            return Err(rivals.refusal(key, wait.spent_ms()));
        }
        std::thread::sleep(pause.min(wait.left()));
        pause = (pause * 2).min(Duration::from_millis(limits::FENCE_PAUSE_MS));
    }
    lock.lock_base(backend, wait)
}

/// Locks a base that was just created, and attaches it again under its lock.
///
/// Another start may have found it between the two calls; the error is then `AlreadyExists`.
pub(crate) fn lock_made(
    backend: &dyn Backend,
    key: Key,
    lock: &OwnerLock,
    made: Segment,
) -> io::Result<Segment> {
    if backend.path(key).is_none() {
        return Ok(made);
    }
    drop(made);
    let quicker = || io::Error::from(io::ErrorKind::AlreadyExists);
    match lock.lock_base(backend, Wait::ms(0)) {
        Ok(()) => {}
        Err(OwnerError::Base { source, .. }) => return Err(source),
        Err(_) => return Err(quicker()),
    }
    let found = backend.stat(key)?.filter(|found| lock.is_on(backend, Some(found))).ok_or_else(quicker)?;
    let segment = backend.attach(key, &found, Access::Write)?;
    let is_untouched = Head::read(&segment.region()).is_some_and(|head| head.blank);
    if is_untouched { Ok(segment) } else { Err(quicker()) }
}

/// Returns whether the error means that another start has created or removed the file meanwhile.
///
/// `NotFound` without an errno is hotpool's own error for that; the system returns it for a missing
/// folder, too.
pub(crate) fn is_outrun(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::AlreadyExists => true,
        io::ErrorKind::NotFound => error.raw_os_error().is_none(),
        _ => false,
    }
}
