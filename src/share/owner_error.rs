//! Why a process does not become the owner, as an operator reads it.

use super::advice;
use super::lock_facts::ForeignSet;
use crate::sys::proc::{Process, ProcessState};
use crate::units::Key;
use std::io;
use std::path::PathBuf;

/// Why a process does not become the owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// Another process is.
    #[error("{key} is owned by {holder}{}; {}", waited(*.waited_ms), held_next(holder))]
    Held {
        /// Key of the base segment.
        key: Key,
        /// The owner.
        holder: Process,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// Nobody holds the lock, and yet somebody has the segment attached.
    #[error(
        "{key} (shmid or inode {id}) has no owner by its semaphores and is attached by {}{}; somebody removed the semaphores \
         or the segment under a running server: stop it, then run `hotpool ls`",
        named(writers, *.attached, *.observers),
        waited(*.waited_ms)
    )]
    Attached {
        /// Key of the base segment.
        key: Key,
        /// Its shmid or inode.
        id: u64,
        /// Processes that can write to it, as far as they can be seen.
        writers: Vec<Process>,
        /// How many times it is attached, where that is known.
        attached: Option<u64>,
        /// How many of these are registered observers.
        observers: u32,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// A process that cannot be seen has the base itself locked.
    #[error(
        "{key} is owned by a process that cannot be seen from here{}{}: it has {} locked, from another namespace or container; \
         stop it where it runs, then run `hotpool ls`",
        known(process, *pid),
        waited(*.waited_ms),
        path.display()
    )]
    Hidden {
        /// Key of the base segment.
        key: Key,
        /// The file of the base.
        path: PathBuf,
        /// Name of the last owner in its ini, as the base has it; empty if it has none.
        process: String,
        /// Pid of the last owner in its own namespace, as the base has it; 0 if it has none.
        pid: u64,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// The base itself cannot be locked.
    #[error("cannot lock {}, the base under {key}: {source}; {}", path.display(), advice::lock(path, source))]
    Base {
        /// Key of the base segment.
        key: Key,
        /// The file of the base.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
    /// The key is used for semaphores that are not ours.
    #[error(
        "the semaphores under {key} (semid {}, uid {}) are not ours: {}; start as their user, choose another BaseKey, or look at `ipcs -s`",
        set.semid, set.uid, set.why
    )]
    Foreign {
        /// Key of the base segment.
        key: Key,
        /// The set.
        set: ForeignSet,
    },
    /// The set was removed each time it had been found or made.
    #[error(
        "the semaphores under {key} were removed {rounds} times while this process waited; find who runs `ipcrm`, \
         then run `hotpool doctor`"
    )]
    Removed {
        /// Key of the base segment.
        key: Key,
        /// How often.
        rounds: u32,
    },
    /// The kernel refused.
    #[error("cannot {call} the owner semaphores under {key}: {source}; {}", advice::semaphores(call, source))]
    System {
        /// Key of the base segment.
        key: Key,
        /// What was asked for.
        call: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

fn waited(ms: u64) -> String {
    if ms == 0 { String::new() } else { format!(", waited {ms} ms for it") }
}

/// What helps depends on what the owner is doing.
fn held_next(holder: &Process) -> String {
    if holder.pid == std::process::id() as i32 {
        return "that is this process: it opens the pool twice".into();
    }
    match holder.state {
        ProcessState::Stopped => format!("it is not dead: run `kill -CONT {}` or stop it", holder.pid),
        ProcessState::Exiting | ProcessState::Zombie => "raise OwnerWaitMs and start again".into(),
        ProcessState::NotVisible => "stop it where it runs, then run `hotpool ls`".into(),
        ProcessState::Running => "stop it first, or run `hotpool ls`".into(),
    }
}

/// What the base says of an owner that cannot be seen.
fn known(process: &str, pid: u64) -> String {
    match (process, pid) {
        ("", 0) => String::new(),
        (process, 0) => format!(" (process {process})"),
        ("", pid) => format!(" (pid {pid} there)"),
        (process, pid) => format!(" (process {process}, pid {pid} there)"),
    }
}

fn named(writers: &[Process], attached: Option<u64>, observers: u32) -> String {
    match (writers, attached) {
        ([], Some(attached)) => format!(
            "{attached} mappings of which {observers} are observers, by processes that cannot be seen from here"
        ),
        ([], None) => "a process that cannot be seen from here".into(),
        (some, _) => some.iter().map(Process::to_string).collect::<Vec<_>>().join(", "),
    }
}
