//! Losses: what was removed while its owner is running, and what to do about it.

use crate::units::Key;

/// A part of a running pool that was removed. Each message states what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// A segment was removed while this process uses it.
    #[error(
        "the segment under {key} was removed while this process uses it: its objects stay until this process ends, \
         and no restart can find them; save what you need now, then restart cold, and find out who runs `ipcrm` or \
         whether RemoveIPC is set (`hotpool doctor`)"
    )]
    SegmentRemoved {
        /// Segment key.
        key: Key,
    },
    /// A segment was removed, and another one has its key.
    #[error(
        "the segment under {key} was removed while this process uses it, and another one has the key: no restart can \
         find the objects of this process; save what you need now, then stop, and run `hotpool ls` before a restart"
    )]
    SegmentReplaced {
        /// Segment key.
        key: Key,
    },
    /// The owner semaphores were removed.
    #[error(
        "the owner semaphores under {key} were removed while this process is the owner: another start is kept out \
         only while this process is attached; no objects are lost; restart at a convenient time, and find out who \
         runs `ipcrm` or whether RemoveIPC is set (`hotpool doctor`)"
    )]
    SemaphoresRemoved {
        /// Key of the semaphores.
        key: Key,
    },
    /// The owner semaphores were removed, and another set has their key.
    #[error(
        "the owner semaphores under {key} were removed while this process is the owner, and another start has \
         created new ones; stop one of the two: `hotpool ls` names the other"
    )]
    SemaphoresReplaced {
        /// Key of the semaphores.
        key: Key,
    },
    /// The kernel has released the owner lock although this process is running.
    ///
    /// `unshare(CLONE_SYSVSEM)` has this effect.
    #[error(
        "this process no longer holds the owner lock under {key}: the kernel released it, as it does after \
         unshare(CLONE_SYSVSEM); another start is kept out only while this process is attached; restart at a \
         convenient time, and do not call unshare(CLONE_SYSVSEM) after the pool was opened"
    )]
    LockReleased {
        /// Key of the owner semaphores.
        key: Key,
    },
    /// Another process has become the owner.
    #[error(
        "start {epoch} has become the owner of the pool under {key} while this process is running; stop this process \
         now: it must not write any more"
    )]
    Overtaken {
        /// Base key.
        key: Key,
        /// Epoch of the other start.
        epoch: u64,
    },
    /// A question that the program added with `also_watch` found something wrong, for example that
    /// another host has taken over the pool.
    #[error("{why}")]
    Watched {
        /// The answer.
        why: String,
    },
    /// The system does not report the state of a segment.
    #[error("cannot check the segment under {key}: {why}")]
    Unknown {
        /// Key of the segment or semaphores.
        key: Key,
        /// Reason that the system reported.
        why: String,
    },
}
