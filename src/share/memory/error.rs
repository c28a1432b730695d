//! Why the memory of a pool is not as the ini asks for it.

use crate::conf::Place;
use crate::units::{Bytes, Key};
use std::io;

/// Why the memory of a pool is not as the ini asks for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// There are no reserved pages of 2 MiB for a segment that has to be made of them.
    #[error(
        "{place} = on, and the segment under {key} of size {bytes} cannot be made of pages of 2 MiB: {source}; the host \
         has {total}, of which {free} are free, and the pool takes {needed}; {remedy}, or set HugePages = try"
    )]
    HugePages {
        /// `HugePages` of the process.
        place: Place,
        /// Key of the segment.
        key: Key,
        /// Its size.
        bytes: Bytes,
        /// The kernel's answer.
        source: io::Error,
        /// Pages that nobody has.
        free: u64,
        /// Pages that the host has.
        total: u64,
        /// Pages that all segments of the pool take.
        needed: u64,
        /// What would help.
        remedy: String,
    },
    /// There is no memory for all pages.
    #[error(
        "{place} = yes, and there is no memory for all pages of the segment under {key} of size {bytes}: {source}, with \
         {done} of {all} done; see `free -m`, the limit of the cgroup and, for Backend = posix or file, `df`; give it \
         more, name fewer ShmKeys, or set {} = no", place.key
    )]
    Prefault {
        /// `Prefault` or `LockMemory` of the process.
        place: Place,
        /// Key of the segment.
        key: Key,
        /// Its size.
        bytes: Bytes,
        /// Bytes of the pool that had memory by then.
        done: Bytes,
        /// Bytes of the pool.
        all: Bytes,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The pool cannot be locked in RAM.
    #[error(
        "{place} = yes, and the segment under {key} of size {bytes} cannot be locked in RAM: {source}; the pool has {all}, \
         and locked memory is limited to {}; set `ulimit -l {}` or LimitMEMLOCK={} in the unit (more if the program \
         locks memory of its own), give the server CAP_IPC_LOCK, or set LockMemory = no",
        limit.map_or("no number".into(), |limit| limit.to_string()), all.0.div_ceil(1024), all.0
    )]
    Lock {
        /// `LockMemory` of the process.
        place: Place,
        /// Key of the segment.
        key: Key,
        /// Its size.
        bytes: Bytes,
        /// Bytes that are to be locked.
        all: Bytes,
        /// `RLIMIT_MEMLOCK`, `None` if there is no limit.
        limit: Option<Bytes>,
        /// The kernel's answer.
        source: io::Error,
    },
}
