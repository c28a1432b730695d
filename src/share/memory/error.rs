//! Reasons why the memory of a pool is not available as the ini requires it.

use crate::conf::Place;
use crate::units::{Bytes, Key};
use std::io;

/// Reasons why the memory of a pool is not available as the ini requires it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The host lacks reserved pages of 2 MiB for a segment that requires them.
    #[error(
        "{place} = on, but the segment under {key} of size {bytes} cannot be created with pages of 2 MiB: {source}; the \
         host has {total}, {free} of them free, and the pool needs {needed}; {remedy}, or set HugePages = try"
    )]
    HugePages {
        /// Position of `HugePages`.
        place: Place,
        /// Segment key.
        key: Key,
        /// Size of the segment.
        bytes: Bytes,
        /// Error of the kernel.
        source: io::Error,
        /// Number of free pages.
        free: u64,
        /// Number of pages that the host has reserved.
        total: u64,
        /// Number of pages for all segments of the pool.
        needed: u64,
        /// Advice.
        remedy: String,
    },
    /// The host lacks memory for all pages.
    #[error(
        "{place} = yes, but there is not enough memory for all pages of the segment under {key} of size {bytes}: \
         {source}; {done} of {all} were populated; see `free -m`, the limit of the cgroup and, for Backend = posix or \
         file, `df`; provide more memory, name fewer ShmKeys, or set {} = no", place.key
    )]
    Prefault {
        /// Position of `Prefault` or `LockMemory`.
        place: Place,
        /// Segment key.
        key: Key,
        /// Size of the segment.
        bytes: Bytes,
        /// Bytes of the pool that were populated before the failure.
        done: Bytes,
        /// Bytes of the pool.
        all: Bytes,
        /// Error of the kernel.
        source: io::Error,
    },
    /// The pool cannot be locked in RAM.
    #[error(
        "{place} = yes, but the segment under {key} of size {bytes} cannot be locked in RAM: {source}; the pool has {all}, \
         and locked memory is limited to {}; set `ulimit -l {}` or LimitMEMLOCK={} in the unit (more if the program \
         locks memory of its own), give the server CAP_IPC_LOCK, or set LockMemory = no",
        limit.map_or("no size".into(), |limit| limit.to_string()), all.0.div_ceil(1024), all.0
    )]
    Lock {
        /// Position of `LockMemory`.
        place: Place,
        /// Segment key.
        key: Key,
        /// Size of the segment.
        bytes: Bytes,
        /// Bytes to be locked.
        all: Bytes,
        /// `RLIMIT_MEMLOCK`; `None` if unlimited.
        limit: Option<Bytes>,
        /// Error of the kernel.
        source: io::Error,
    },
}
