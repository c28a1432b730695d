//! A pool without an owner, which no process can start for a while.

use super::error::{ShareError, refused, system};
use super::fence;
use super::home::Home;
use super::host_list::{is_complete_block, not_a_base};
use super::look::observe;
use super::observed::Observed;
use super::owner::OwnerLock;
use super::owner_set::Whose;
use super::verdict::Verdict;
use super::wait::Wait;
use crate::units::Key;

/// A pool without an owner, attached for reading. No process can become its owner meanwhile.
///
/// The fields are in the order in which they are dropped.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) observed: Observed,
    _lock: Lock,
}

/// The owner lock of a process that stores nothing.
#[derive(Debug)]
struct Lock(Option<OwnerLock>);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(lock) = self.0.take() {
            lock.abandon();
        }
    }
}

impl Idle {
    /// Attaches the pool whose base is under `key`, and holds its owner lock.
    ///
    /// It waits up to `wait_ms` milliseconds for a live owner, which is refused after that.
    pub(crate) fn hold(key: Key, home: &Home, wait_ms: u64) -> Result<Self, ShareError> {
        let backend = home.open();
        Self::try_hold(key, home, Wait::ms(wait_ms)).map_err(|error| error.at(&*backend))
    }

    fn try_hold(key: Key, home: &Home, wait: Wait) -> Result<Self, ShareError> {
        // A segment that is no pool gets no semaphores.
        let facts = observe(key, home).map_err(system(key, 0, "inspect"))?;
        if let Some(head) = facts.head().filter(|head| is_complete_block(head)) {
            return Err(not_a_base(home, key, head));
        }
        match facts.verdict() {
            Verdict::Clean | Verdict::Crashed | Verdict::Busy { .. } => {}
            verdict => return Err(refused(verdict, facts)),
        }
        let backend = home.open();
        let lock = OwnerLock::take_of(home.backend, key, 0o600, Whose::Any, wait)?;
        let lock = Lock(Some(lock));
        if let Some(lock) = &lock.0 {
            fence::wait_for_rivals(&*backend, key, lock, wait)?;
        }
        // The last owner may have begun the pool again, or removed it.
        let observed = Observed::attach(key, home)?;
        Ok(Idle { observed, _lock: lock })
    }
}
