//! The contract of a backend: where the memory of a pool comes from.

use super::segment::Segment;
use crate::conf::BackendKind;
use crate::units::{Bytes, Key};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// What the system says of a segment, without looking at its bytes. Times are seconds of the
/// wall clock; `None` is what a backend cannot know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Its size.
    pub bytes: Bytes,
    /// User who owns it.
    pub uid: u32,
    /// Group that owns it.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Number the backend knows it by: a shmid, an inode.
    pub id: u64,
    /// Process that made it.
    pub creator_pid: Option<i32>,
    /// Process that last attached or detached it.
    pub last_pid: Option<i32>,
    /// How many times it is attached.
    pub attached: Option<u64>,
    /// It is removed and lives until its last detach; nobody finds it by its key any more.
    pub removed: bool,
    /// When it was made or its permissions were changed.
    pub changed: u64,
    /// When it was last attached.
    pub last_attach: Option<u64>,
    /// When it was last detached, by its owner, a death or a tool.
    pub last_detach: Option<u64>,
}

/// How a segment is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// For its owner.
    Write,
    /// For an observer: a store into it is a fault.
    Read,
}

/// Where segments are made, found, attached and removed by key.
///
/// What every backend keeps, and what `share/suite.rs` shows of each:
///
/// 1. A segment is found by its key until it is removed, whatever becomes of the process that
///    made it. (`heap`: until the process ends.) Dropping a [`Segment`] detaches and never removes.
/// 2. [`create`](Backend::create) is exclusive: of two at once, one is told `AlreadyExists`.
///    A new segment reads as zero, has exactly the size that was asked for, and the mode that was asked
///    for whatever the umask.
/// 3. [`stat`](Backend::stat) changes nothing. A segment that is removed and still attached is
///    reported with `removed`, as long as nobody has made a new one under its key and
///    this process may see it.
/// 4. [`attach`](Backend::attach) attaches the segment that `facts` were taken of; if the key
///    names another one by now, that is `NotFound`. It never changes a byte. Memory
///    attached with [`Access::Read`] cannot be written.
/// 5. [`remove`](Backend::remove) takes the name away at once; what is attached stays usable
///    until it is detached. It touches only the segment that `facts` were taken of.
/// 6. [`writers`](Backend::writers) names every process that has it attached for writing and
///    that this one may look at, itself included. (`heap`, whose segments nobody else can
///    have, names nobody.)
pub(crate) trait Backend: fmt::Debug + Send {
    /// Which one it is.
    fn kind(&self) -> BackendKind;

    /// What is under `key`.
    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>>;

    /// Lets `stat` look for segments that were removed under a process once for all absent keys, and not once for each.
    /// For the time in which a start judges, before it stores.
    fn list_once(&self, _once: bool) {}

    /// Makes a segment and attaches it for writing.
    fn create(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment>;

    /// The same of reserved pages of 2 MiB; `Unsupported` where the backend can have none.
    fn create_huge(&self, _key: Key, _bytes: u64, _mode: u32) -> io::Result<Segment> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Attaches what `stat` found.
    fn attach(&self, key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment>;

    /// Removes what `stat` found.
    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()>;

    /// The file of a segment; `None` where segments are no files. A base that is a file is locked itself
    /// (`base_lock.rs`), because processes see files that do not see each other's semaphores.
    fn path(&self, _key: Key) -> Option<PathBuf> {
        None
    }

    /// Keys of all segments, those of strangers too where the system has one space of keys.
    fn keys(&self) -> io::Result<Vec<Key>>;

    /// The file that `facts` were taken of, opened for reading; `None` where segments are no files, or it is another
    /// one by now.
    fn file(&self, _key: Key, _facts: &SegmentFacts) -> Option<File> {
        None
    }

    /// Processes that have it attached for writing.
    fn writers(&self, key: Key, facts: &SegmentFacts) -> Vec<i32>;
}

/// Name of a segment where segments have names and not numbers.
pub(crate) fn segment_name(key: Key) -> String {
    format!("hotpool-{:08x}", key.0)
}

/// The key that [`segment_name`] made the name of.
pub(crate) fn key_of_name(name: &str) -> Option<Key> {
    let digits = name.strip_prefix("hotpool-")?;
    let key = Key(u32::from_str_radix(digits, 16).ok()?);
    (segment_name(key) == name).then_some(key)
}

/// The segment that was looked at is not there any more.
pub(crate) fn replaced() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the segment was replaced meanwhile")
}
