//! The second line of the owner lock: nobody has the base attached for writing.
//!
//! The semaphores can be removed under a running owner, and the next start would make new
//! ones. So whoever holds the lock looks at the segment too. Observers do not count: they
//! are registered, and their mappings cannot write.

use super::backend::Backend;
use super::owner::{OwnerError, OwnerLock, Wait};
use super::rivals;
use crate::conf::BackendKind;
use crate::limits;
use crate::units::Key;
use std::time::Duration;

/// Waits until nobody but observers has the segment under `key` attached.
pub(crate) fn wait_for_rivals(
    backend: &dyn Backend,
    key: Key,
    lock: &OwnerLock,
    wait: Wait,
) -> Result<(), OwnerError> {
    // In memory of one process the lock is all there is.
    if backend.kind() == BackendKind::Heap {
        return Ok(());
    }
    let mut pause = Duration::from_millis(1);
    let look = || rivals::find(backend, key, &mut || rivals::count_as_owner(backend, key, lock));
    while let Some(rivals) =
        look().map_err(|source| OwnerError::System { key, call: "look behind", source })?
    {
        if wait.left().is_zero() {
            return Err(rivals.refusal(key, wait.spent_ms()));
        }
        std::thread::sleep(pause.min(wait.left()));
        pause = (pause * 2).min(Duration::from_millis(limits::FENCE_PAUSE_MS));
    }
    Ok(())
}
