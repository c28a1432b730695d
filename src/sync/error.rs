//! Why a lock or queue cannot be opened, and why one cannot be had.

use crate::share::Process;
use crate::units::Key;
use std::fmt;
use std::io;

/// Why a lock or queue could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A call of the kernel's failed.
    #[error("cannot open {key}: {call} failed: {source}")]
    System {
        /// The key.
        key: Key,
        /// What was called.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A living process has the name.
    #[error("cannot open {key} as {name}: {holder} has that name; waited {waited_ms} ms")]
    Taken {
        /// The key.
        key: Key,
        /// The name.
        name: String,
        /// The process.
        holder: Process,
        /// How long was waited for it.
        waited_ms: u64,
    },
    /// The configuration does not have the name.
    #[error("cannot open {key} as {name}: its {role} are {}", names.join(", "))]
    NoSuchMember {
        /// The key.
        key: Key,
        /// The name.
        name: String,
        /// What the process wanted to be: members, writers or readers.
        role: &'static str,
        /// The names there are.
        names: Vec<String>,
    },
    /// The configuration asks for what cannot be.
    #[error("cannot open {key}: {what} is {found}; it can be {min} to {max}")]
    OutOfRange {
        /// The key.
        key: Key,
        /// What is out of range.
        what: &'static str,
        /// What it is.
        found: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A name that cannot be a member's.
    #[error("cannot open {key}: {name:?} cannot be a member; names are unique and have 1 to 31 bytes")]
    BadName {
        /// The key.
        key: Key,
        /// The name.
        name: String,
    },
    /// The key is used for something else.
    #[error("cannot open {key}: {why}; choose another key")]
    Foreign {
        /// The key.
        key: Key,
        /// What was found.
        why: String,
    },
    /// The segment was made by another configuration.
    #[error(
        "cannot open {key}: {what} is {found} there and {wanted} here; all processes need the same \
         configuration, or remove what is there with `hotpool queues --rm {key}`"
    )]
    Differs {
        /// The key.
        key: Key,
        /// What differs.
        what: &'static str,
        /// What the segment says.
        found: String,
        /// What the program says.
        wanted: String,
    },
    /// The type was changed.
    #[error("cannot open {key}: its type was changed: {differences}")]
    Type {
        /// The key.
        key: Key,
        /// Field by field.
        differences: String,
    },
    /// The semaphores are gone and the segment is in use.
    #[error("cannot open {key}: its semaphores were removed while processes use it; stop them first")]
    SeatsRemoved {
        /// The key.
        key: Key,
    },
    /// The bytes cannot be.
    #[error("cannot open {key}: the segment is damaged: {what}; remove it with `hotpool queues --rm {key}`")]
    Damaged {
        /// The key.
        key: Key,
        /// What is wrong.
        what: &'static str,
    },
}

impl OpenError {
    pub(crate) fn system(key: Key, call: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::System { key, call, source }
    }
}

/// The value of a lock whose holder died, or panicked, while it had the lock. It may be half
/// written.
///
/// If it is dropped as it is, the next holder is told the same.
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

    /// The guard, with the value as the dead holder left it.
    pub fn into_inner(self) -> G {
        self.guard
    }
}

/// Why a lock was not had as it should be.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LockError<G> {
    /// The lock is had, and its value may be half written.
    #[error("the process that had the lock before died or panicked; its value may be half written")]
    OwnerDied(OwnerDied<G>),
    /// A living process has it.
    #[error("the lock was not given back in time")]
    TimedOut,
    /// The kernel does not say who lives: the semaphores were removed.
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
    /// The guard, if the lock is had.
    pub fn into_guard(self) -> Option<G> {
        match self {
            LockError::OwnerDied(died) => Some(died.into_inner()),
            LockError::TimedOut | LockError::System(_) => None,
        }
    }
}
