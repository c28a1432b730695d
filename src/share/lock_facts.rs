//! What the owner semaphores say of who owns a pool.

use crate::sys::proc::Process;

/// A set of semaphores under our key that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignSet {
    /// Number the kernel knows it by.
    pub semid: i32,
    /// User who owns it.
    pub uid: u32,
    /// What is wrong with it.
    pub why: String,
    /// This user may not look at it, so that nothing more is known of it.
    pub is_denied: bool,
}

/// What the set of semaphores says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFacts {
    /// There is none: the pool has no owner.
    None,
    /// Somebody else uses the key for semaphores.
    Foreign(ForeignSet),
    /// Ours, and no process is the owner.
    Free {
        /// Observers that are attached.
        observers: u32,
    },
    /// A process is the owner.
    Held {
        /// Which.
        holder: Process,
        /// Observers that are attached.
        observers: u32,
    },
    /// Whoever collected the facts is the owner.
    Ours {
        /// Observers that are attached.
        observers: u32,
    },
}

impl LockFacts {
    /// The same with so many observers less.
    pub(crate) fn without(mut self, less: u32) -> Self {
        if let LockFacts::Free { observers }
        | LockFacts::Held { observers, .. }
        | LockFacts::Ours { observers } = &mut self
        {
            *observers = observers.saturating_sub(less);
        }
        self
    }

    /// Observers that are registered.
    pub fn observers(&self) -> u32 {
        match self {
            LockFacts::None | LockFacts::Foreign(_) => 0,
            LockFacts::Free { observers }
            | LockFacts::Held { observers, .. }
            | LockFacts::Ours { observers } => *observers,
        }
    }
}
