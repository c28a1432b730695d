//! The second line of the owner lock: nobody has the base attached for writing.
//!
//! The semaphores can be removed under a running owner, and the next start would make new
//! ones. So whoever holds the lock looks at the segment too. Observers do not count: they
//! are registered, and their mappings cannot write.

use super::backend::{Backend, SegmentFacts};
use super::owner::{OwnerError, OwnerLock, Wait};
use crate::conf::BackendKind;
use crate::limits;
use crate::sys::proc::Process;
use crate::units::Key;
use std::io;
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
    while let Some(rivals) = look_closely(backend, key, lock).map_err(|source| OwnerError::System {
        key,
        call: "look behind",
        source,
    })? {
        if wait.left().is_zero() {
            return Err(rivals.refusal(key, wait));
        }
        std::thread::sleep(pause.min(wait.left()));
        pause = (pause * 2).min(Duration::from_millis(limits::FENCE_PAUSE_MS));
    }
    Ok(())
}

/// Somebody who has the segment attached.
struct Rivals {
    facts: SegmentFacts,
    writers: Vec<i32>,
    observers: u32,
}

impl Rivals {
    fn refusal(self, key: Key, wait: Wait) -> OwnerError {
        OwnerError::Attached {
            key,
            id: self.facts.id,
            writers: self.writers.into_iter().map(Process::look).collect(),
            attached: self.facts.attached,
            observers: self.observers,
            waited_ms: wait.spent_ms(),
        }
    }
}

/// Looks again before it believes in somebody whom only the counts show: an observer that leaves
/// between the two counts of a look is taken for a rival by it, and hardly by the next ones.
fn look_closely(backend: &dyn Backend, key: Key, lock: &OwnerLock) -> io::Result<Option<Rivals>> {
    const LOOKS: u32 = 3;
    let mut found = None;
    for _ in 0..LOOKS {
        found = look(backend, key, lock)?;
        if found.as_ref().is_none_or(|rivals| !rivals.writers.is_empty() || rivals.facts.removed) {
            break;
        }
    }
    Ok(found)
}

/// One look. A writer that can be seen is a rival whatever the counts say: an observer may
/// have registered and not attached yet. One that cannot be seen is found by the counts.
fn look(backend: &dyn Backend, key: Key, lock: &OwnerLock) -> io::Result<Option<Rivals>> {
    let Some(facts) = backend.stat(key)? else { return Ok(None) };
    if facts.attached == Some(0) {
        return Ok(None);
    }
    let observers = lock.observers();
    let writers = backend.writers(key, &facts);
    let uncounted = facts.attached.is_some_and(|attached| attached > u64::from(observers));
    let rivals = !writers.is_empty() || uncounted || facts.removed;
    Ok(rivals.then_some(Rivals { facts, writers, observers }))
}
