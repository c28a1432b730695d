//! The contract of a backend, which provides the memory of a pool.

use super::memory::populate::populate;
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::region::Region;
use crate::units::{Bytes, Key};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Facts that the system reports about a segment, without its bytes.
///
/// Times are seconds of the wall clock; `None` stands for what a backend cannot report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Size of the segment.
    pub bytes: Bytes,
    /// User who owns the segment.
    pub uid: u32,
    /// Group that owns the segment.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Number that identifies the segment for the backend: a shmid or an inode.
    pub id: u64,
    /// Pid of the process that created the segment.
    pub creator_pid: Option<i32>,
    /// Pid of the process that last attached or detached the segment.
    pub last_pid: Option<i32>,
    /// Number of attaches.
    pub attached: Option<u64>,
    /// Whether the segment is removed and exists until its last detach. Its key no longer leads to
    /// it.
    pub removed: bool,
    /// Time of its creation or last change of permissions.
    pub changed: u64,
    /// Time of the last attach.
    pub last_attach: Option<u64>,
    /// Time of the last detach, by its owner, a death or a tool.
    pub last_detach: Option<u64>,
}

/// How a segment is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// For its owner.
    Write,
    /// For an observer: a store into the mapping is a fault.
    Read,
}

/// A backend creates, finds, attaches and removes segments by key.
///
/// Every backend keeps these rules, and `share/suite.rs` tests each of them:
///
/// 1. A segment is found by its key until it is removed, whatever happens to the process that
///    created it. (`heap`: until the process ends.) Dropping a [`Segment`] detaches it and never
///    removes it.
/// 2. [`create`](Backend::create) is exclusive: of two at once, one gets `AlreadyExists`. A new
///    segment reads as zero, and has exactly the requested size and mode, whatever the umask.
/// 3. [`stat`](Backend::stat) changes nothing. A segment that is removed and still attached is
///    reported as `removed`, unless its key has a new segment or this process may not see it.
/// 4. [`attach`](Backend::attach) attaches the segment of `facts`; if the key leads to another one
///    by now, it returns `NotFound`. It never changes a byte. Memory attached with [`Access::Read`]
///    is not writable.
/// 5. [`remove`](Backend::remove) removes the name at once; mappings stay usable until they are
///    detached. It only affects the segment of `facts`.
/// 6. [`writers`](Backend::writers) returns every process that has the segment attached for writing
///    and that this process may inspect, itself included. (`heap` returns none: no other process
///    has access.)
pub(crate) trait Backend: fmt::Debug + Send {
    /// Returns which backend this is.
    fn kind(&self) -> BackendKind;

    /// Returns the facts of the segment under `key`; `None` if there is none.
    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>>;

    /// Returns the facts of the segment that the key leads to; `None` if there is none.
    ///
    /// Unlike `stat`, it does not search the mappings of all processes for a removed one.
    fn find(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        Ok(self.stat(key)?.filter(|facts| !facts.removed))
    }

    /// Lets `stat` search for removed segments once for all absent keys, instead of once for each.
    ///
    /// A start sets this while it judges, before it stores.
    fn list_once(&self, _once: bool) {}

    /// Creates a segment and attaches it for writing.
    fn create(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment>;

    /// Creates a segment of reserved pages of 2 MiB and attaches it for writing.
    ///
    /// Returns `Unsupported` if the backend has no such pages.
    fn create_huge(&self, _key: Key, _bytes: u64, _mode: u32) -> io::Result<Segment> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives the first `bytes` bytes of a new segment, mapped as `span`, their memory or disk space.
    fn reserve(&self, _key: Key, span: &Region, bytes: u64) -> io::Result<()> {
        populate(span, 0, bytes)
    }

    /// Attaches the segment that `stat` has found.
    fn attach(&self, key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment>;

    /// Removes the segment that `stat` has found.
    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()>;

    /// Removes what interrupted creations of `key` left before the segment had its name.
    fn sweep(&self, _key: Key) {}

    /// Returns the path of a segment; `None` if segments are not files.
    ///
    /// A base that is a file is itself locked (`base_lock.rs`), because processes that share files
    /// do not always share semaphores.
    fn path(&self, _key: Key) -> Option<PathBuf> {
        None
    }

    /// Returns the keys of all segments, including foreign ones if the system has one key space for
    /// all.
    fn keys(&self) -> io::Result<Vec<Key>>;

    /// Opens the file of `facts` for reading; `None` if segments are not files, or if it was
    /// replaced.
    fn file(&self, _key: Key, _facts: &SegmentFacts) -> Option<File> {
        None
    }

    /// Returns the pids of the processes that have the segment attached for writing.
    fn writers(&self, key: Key, facts: &SegmentFacts) -> Vec<i32>;
}

/// Returns the name of a segment for backends that use names.
pub(crate) fn segment_name(key: Key) -> String {
    format!("hotpool-{:08x}", key.0)
}

/// Returns the key in a name that [`segment_name`] created.
pub(crate) fn key_of_name(name: &str) -> Option<Key> {
    let digits = name.strip_prefix("hotpool-")?;
    let key = Key(u32::from_str_radix(digits, 16).ok()?);
    (segment_name(key) == name).then_some(key)
}

/// Returns the error for a segment that was replaced after its facts were read.
pub(crate) fn replaced() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the segment was replaced meanwhile")
}
