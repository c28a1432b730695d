//! The errors of opening a lock or queue, and of taking a lock.

use crate::layout::Broken;
use crate::share::Process;
use crate::units::Key;
use std::fmt;
use std::io;

/// Why a lock or queue could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A system call failed.
    #[error("cannot open {key}: {call} failed: {source}")]
    System {
        /// Key of the lock or queue.
        key: Key,
        /// The system call.
        call: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// A living process has the name.
    #[error("cannot open {key} as {name}: {holder} has that name; waited {waited_ms} ms")]
    Taken {
        /// Key of the lock or queue.
        key: Key,
        /// The name of the member.
        name: String,
        /// The process that has the name.
        holder: Process,
        /// How long this process has waited for it, in milliseconds.
        waited_ms: u64,
    },
    /// The configuration does not list the name.
    #[error("cannot open {key} as {name}: its {role} are {}", names.join(", "))]
    NoSuchMember {
        /// Key of the lock or queue.
        key: Key,
        /// The name of the member.
        name: String,
        /// The role that the process requested: members, writers or readers.
        role: &'static str,
        /// The names that the configuration lists for this role.
        names: Vec<String>,
    },
    /// The readers of the queue need another type.
    #[error("cannot open {key}: the readers of a queue with Kind = {kind} open it as {reader}")]
    Reader {
        /// Key of the queue.
        key: Key,
        /// `Kind` of the queue.
        kind: &'static str,
        /// The type that opens it.
        reader: &'static str,
    },
    /// A value of the configuration is out of range.
    #[error("cannot open {key}: {what} is {found}; it can be {min} to {max}")]
    OutOfRange {
        /// Key of the lock or queue.
        key: Key,
        /// The value that is out of range.
        what: &'static str,
        /// Its configured value.
        found: u64,
        /// The smallest possible value.
        min: u64,
        /// The largest possible value.
        max: u64,
    },
    /// A name is not valid for a member.
    #[error("cannot open {key}: {name:?} cannot be a member; names are unique and have 1 to 31 bytes")]
    BadName {
        /// Key of the lock or queue.
        key: Key,
        /// The name.
        name: String,
    },
    /// The key is used for something else.
    #[error("cannot open {key}: {why}; choose another key")]
    Foreign {
        /// The key.
        key: Key,
        /// What was found under it.
        why: String,
    },
    /// The segment was created with another configuration.
    #[error(
        "cannot open {key}: {what} is {found} there and {wanted} here; all processes need the same \
         configuration, or remove what is there with `hotpool queues --rm {key}`"
    )]
    Differs {
        /// Key of the lock or queue.
        key: Key,
        /// The property that differs.
        what: &'static str,
        /// Its value in the segment.
        found: String,
        /// Its value in the configuration of this process.
        wanted: String,
    },
    /// The type has changed.
    #[error("cannot open {key}: its type was changed: {differences}")]
    Type {
        /// Key of the lock or queue.
        key: Key,
        /// The differences, field by field.
        differences: String,
    },
    /// The semaphores were removed while the segment is in use.
    #[error("cannot open {key}: its semaphores were removed while processes use it; stop them first")]
    SeatsRemoved {
        /// Key of the lock or queue.
        key: Key,
    },
    /// The bytes of the segment break a rule.
    #[error("cannot open {key}: the segment is damaged: {what}; remove it with `hotpool queues --rm {key}`")]
    Damaged {
        /// Key of the lock or queue.
        key: Key,
        /// What is wrong.
        what: &'static str,
    },
}

impl OpenError {
    /// Returns whether a system call found that the segment or its semaphores were removed.
    pub(crate) fn is_gone(&self) -> bool {
        let OpenError::System { source, .. } = self else { return false };
        source.kind() == io::ErrorKind::NotFound
            || matches!(source.raw_os_error(), Some(libc::EIDRM | libc::EINVAL))
    }

    pub(crate) fn damaged(key: Key, broken: Broken) -> OpenError {
        OpenError::Damaged { key, what: broken.as_str() }
    }

    pub(crate) fn system(key: Key, call: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::System { key, call, source }
    }
}

/// Returns the names of members as text, each with whether it is alive.
pub(crate) fn listed(members: &[(String, bool)]) -> String {
    let one = |(name, alive): &(String, bool)| format!("{name} ({})", if *alive { "alive" } else { "dead" });
    members.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The guard of a lock whose holder died or panicked. The value may be torn.
///
/// If it is dropped unrepaired, the next member that locks gets the same error.
#[must_use = "the lock is held as long as this value lives"]
pub struct OwnerDied<G> {
    guard: G,
}

impl<G> fmt::Debug for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerDied")
    }
}

impl<G> OwnerDied<G> {
    pub(crate) fn new(guard: G) -> Self {
        OwnerDied { guard }
    }

    /// Returns the guard, with the value as the dead holder left it.
    pub fn into_inner(self) -> G {
        self.guard
    }
}

/// Why a lock was not taken, or was taken with a value that may be torn.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LockError<G> {
    /// The lock is taken, and its value may be torn.
    #[error("the process that had the lock before died or panicked; its value may be half written")]
    OwnerDied(OwnerDied<G>),
    /// A living process still held the lock at the deadline.
    #[error("the lock was not given back in time")]
    TimedOut,
    /// The kernel does not report which members live: the semaphores were removed.
    #[error("cannot tell who has the lock: {0}")]
    System(io::Error),
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(_) => f.write_str("OwnerDied"),
            LockError::TimedOut => f.write_str("TimedOut"),
            LockError::System(error) => write!(f, "System({error:?})"),
        }
    }
}

impl<G> LockError<G> {
    /// Returns the guard, if the lock is taken.
    pub fn into_guard(self) -> Option<G> {
        match self {
            LockError::OwnerDied(died) => Some(died.into_inner()),
            LockError::TimedOut | LockError::System(_) => None,
        }
    }
}
