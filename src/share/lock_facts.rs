//! The state of the owner semaphores: who owns a pool.

use crate::sys::proc::Process;

/// A semaphore set under the base key that is foreign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignSet {
    /// Semid of the set.
    pub semid: i32,
    /// User who owns the set.
    pub uid: u32,
    /// Reason why it is foreign.
    pub why: String,
    /// Whether this user may not read it, so that nothing else is known about it.
    pub is_denied: bool,
}

/// The state of the owner semaphores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFacts {
    /// There is no set, so the pool has no owner.
    None,
    /// Another program uses the key for semaphores.
    Foreign(ForeignSet),
    /// The set is hotpool's, and no process is the owner.
    Free {
        /// Number of registered observers.
        observers: u32,
    },
    /// A process is the owner.
    Held {
        /// The owner.
        holder: Process,
        /// Number of registered observers.
        observers: u32,
    },
    /// The process that collected the facts is the owner.
    Ours {
        /// Number of registered observers.
        observers: u32,
    },
}

impl LockFacts {
    /// Returns the facts with `less` observers fewer.
    pub(crate) fn without(mut self, less: u32) -> Self {
        if let LockFacts::Free { observers }
        | LockFacts::Held { observers, .. }
        | LockFacts::Ours { observers } = &mut self
        {
            *observers = observers.saturating_sub(less);
        }
        self
    }

    /// Returns the number of registered observers.
    pub fn observers(&self) -> u32 {
        match self {
            LockFacts::None | LockFacts::Foreign(_) => 0,
            LockFacts::Free { observers }
            | LockFacts::Held { observers, .. }
            | LockFacts::Ours { observers } => *observers,
        }
    }
}
