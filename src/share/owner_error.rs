//! Reasons why a process did not become the owner, as an operator reads them.

use super::advice;
use super::lock_facts::ForeignSet;
use crate::sys::proc::{Process, ProcessState};
use crate::units::Key;
use std::io;
use std::path::PathBuf;

/// Reasons why a process did not become the owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// Another process is the owner.
    #[error("{key} is owned by {holder}{}; {}", waited(*.waited_ms), held_next(holder))]
    Held {
        /// Base key.
        key: Key,
        /// The owner.
        holder: Process,
        /// Milliseconds that were waited.
        waited_ms: u64,
    },
    /// The lock is free, but a process has the segment attached.
    #[error(
        "{key} (shmid or inode {id}) has no owner by its semaphores, but is attached by {}{}; the semaphores or the segment \
         were removed while a server was running: stop it, then run `hotpool ls`",
        named(writers, *.attached, *.observers),
        waited(*.waited_ms)
    )]
    Attached {
        /// Base key.
        key: Key,
        /// Shmid or inode of the base.
        id: u64,
        /// Visible processes that can write to it.
        writers: Vec<Process>,
        /// Number of attaches, if known.
        attached: Option<u64>,
        /// Number of registered observers.
        observers: u32,
        /// Milliseconds that were waited.
        waited_ms: u64,
    },
    /// A process that is not visible has locked the base itself.
    #[error(
        "{key} is owned by a process that is not visible here{}{}: it has {} locked, in another namespace or container; \
         stop it where it runs, then run `hotpool ls`",
        known(process, *pid),
        waited(*.waited_ms),
        path.display()
    )]
    Hidden {
        /// Base key.
        key: Key,
        /// File of the base.
        path: PathBuf,
        /// Process name of the last owner, from the base; empty if there is none.
        process: String,
        /// Pid of the last owner in its own namespace, from the base; 0 if there is none.
        pid: u64,
        /// Milliseconds that were waited.
        waited_ms: u64,
    },
    /// The base itself cannot be locked.
    #[error("cannot lock {}, the base under {key}: {source}; {}", path.display(), advice::lock(path, source))]
    Base {
        /// Base key.
        key: Key,
        /// File of the base.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The key has semaphores that are foreign.
    #[error(
        "the semaphores under {key} (semid {}, uid {}) are foreign: {}; start as their user, choose another \
         BaseKey, or run `ipcs -s`",
        set.semid, set.uid, set.why
    )]
    Foreign {
        /// Base key.
        key: Key,
        /// The semaphore set.
        set: ForeignSet,
    },
    /// The set was removed each time after it had been found or created.
    #[error(
        "the semaphores under {key} were removed {rounds} times while this process waited; find who runs `ipcrm`, \
         then run `hotpool doctor`"
    )]
    Removed {
        /// Base key.
        key: Key,
        /// Number of attempts.
        rounds: u32,
    },
    /// The kernel refused a call.
    #[error("cannot {call} the owner semaphores under {key}: {source}; {}", advice::semaphores(call, source))]
    System {
        /// Base key.
        key: Key,
        /// What was attempted.
        call: &'static str,
        /// Error of the kernel.
        source: io::Error,
    },
}

fn waited(ms: u64) -> String {
    if ms == 0 { String::new() } else { format!(", waited {ms} ms for it") }
}

/// Returns advice that depends on the state of the owner.
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

/// Returns what the base records about an owner that is not visible.
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
            "{attached} mappings, {observers} of them observers, by processes that are not visible here"
        ),
        ([], None) => "a process that is not visible here".into(),
        (some, _) => some.iter().map(Process::to_string).collect::<Vec<_>>().join(", "),
    }
}
