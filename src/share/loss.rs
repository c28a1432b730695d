//! What was taken away from a running owner, and what to do while there is time.

use crate::units::Key;

/// Something of a running pool that is not there any more. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// A segment was removed under this process.
    #[error(
        "the segment under {key} was removed while this process uses it: its objects are there until this process \
         ends, and no restart finds them; save now what has to be kept, then restart cold, and find who runs `ipcrm` \
         or whether RemoveIPC is set (`hotpool doctor`)"
    )]
    SegmentRemoved {
        /// Its key.
        key: Key,
    },
    /// A segment was removed, and another one has its key.
    #[error(
        "the segment under {key} was removed while this process uses it, and another one has the key: no restart finds \
         the objects of this process; save now what has to be kept, then stop, and look at `hotpool ls` before a restart"
    )]
    SegmentReplaced {
        /// Its key.
        key: Key,
    },
    /// The owner semaphores were removed.
    #[error(
        "the owner semaphores under {key} were removed while this process is the owner: another start is held off only \
         as long as this process is attached; that takes no objects away; restart at a convenient time, and find who \
         runs `ipcrm` or whether RemoveIPC is set (`hotpool doctor`)"
    )]
    SemaphoresRemoved {
        /// Their key.
        key: Key,
    },
    /// The owner semaphores were removed, and others have their key.
    #[error(
        "the owner semaphores under {key} were removed while this process is the owner, and another start has made new \
         ones; stop one of the two: `hotpool ls` names the other"
    )]
    SemaphoresReplaced {
        /// Their key.
        key: Key,
    },
    /// The kernel has given the owner lock back while this process goes on, as `unshare(CLONE_SYSVSEM)` makes it do.
    #[error(
        "this process no longer holds the owner lock under {key}: the kernel gave it back, as it does after \
         unshare(CLONE_SYSVSEM); another start is held off only as long as this process is attached; restart at a \
         convenient time, and do not call unshare(CLONE_SYSVSEM) after the pool was opened"
    )]
    LockReleased {
        /// Key of the owner semaphores.
        key: Key,
    },
    /// Another process has become the owner.
    #[error(
        "start {epoch} has become the owner of the pool under {key} beside this process; stop this process now, it must \
         not write any more"
    )]
    Overtaken {
        /// Key of the base.
        key: Key,
        /// The other start.
        epoch: u64,
    },
    /// The system does not say.
    #[error("cannot look at the segments of {key}: {why}")]
    Unknown {
        /// Key that was looked at.
        key: Key,
        /// Its answer.
        why: String,
    },
}
