//! The report of a start: hot or cold, after which end, and with which objects.

use crate::object::Handle;
use crate::pool::start::bad_values::BadObject;
use crate::pool::start::breaker::CrashLoop;
use crate::pool::start::disagreement::Disagreement;
use crate::pool::start::migrated::Migrated;
use crate::pool::start::starts::LastEnd;
use crate::share::{MemoryReport, StartMode};
use crate::units::{Key, Span, plural};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The number of objects of one type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TypeCount {
    /// Type number.
    pub id: u16,
    /// Number of live objects.
    pub objects: u64,
    name: [u8; 48],
}

impl TypeCount {
    pub(crate) fn new(id: u16, objects: u64, words: &[crate::word::Word; 6]) -> Self {
        let mut name = [0; 48];
        for (bytes, word) in name.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.load().to_le_bytes());
        }
        TypeCount { id, objects, name }
    }

    /// Returns the name of the type.
    pub fn name(&self) -> &str {
        let name = self.name.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(name).unwrap_or("?")
    }
}

impl fmt::Debug for TypeCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.objects, self.name())
    }
}

/// The snapshot from which a start has restored a pool that did not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredFrom {
    /// Folder of the set.
    pub set: PathBuf,
    /// Time since the snapshot was taken.
    pub age: Duration,
    /// Younger sets, which are damaged.
    pub damaged: Vec<PathBuf>,
}

#[cfg(feature = "snapshots")]
impl RestoredFrom {
    pub(crate) fn new(set: PathBuf, age: Duration, damaged: Vec<PathBuf>) -> Self {
        RestoredFrom { set, age, damaged }
    }
}

/// What a start found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResumeReport {
    /// Process name.
    pub process: String,
    /// Cold or hot.
    pub mode: StartMode,
    /// How the last owner ended.
    pub last_end: LastEnd,
    /// Time since then, if the kernel or the pool has recorded it.
    pub ended_ago: Option<Duration>,
    /// Epoch of this start; the first is 1.
    pub epoch: u64,
    /// Whether the machine has been booted since the last start, which a pool in a file survives.
    pub rebooted: bool,
    /// The snapshot from which this start has restored the pool, because it did not exist.
    pub restored: Option<RestoredFrom>,
    /// Objects by type, in the order in which the types were first added.
    pub types: Vec<TypeCount>,
    /// How an interrupted transaction ended, if there was one: rolled back or finished.
    pub ended_transaction: Option<&'static str>,
    /// Torn objects, which nothing has [settled](crate::MemoryPoolMgr::torn) since.
    ///
    /// They were being written through a guard when an owner died or a panic dropped the guard, so
    /// some fields may be new and some old.
    pub being_written: Vec<Handle>,
    /// Types of which any object may be torn, because several guards existed.
    pub types_being_written: Vec<u16>,
    /// Objects in quarantine, of this start and earlier ones, until `release` or
    /// `drop_quarantined`.
    pub quarantined: Vec<Handle>,
    /// Objects whose bytes were no value of their type, so that
    /// [`add_type`](crate::MemoryPoolMgr::add_type) put them into quarantine in this start.
    pub bad_values: Vec<BadObject>,
    /// The crash loop that this start has met, and the response to it.
    pub crash_loop: Option<CrashLoop>,
    /// Base key of the post-mortem copy, if this start has moved the pool aside.
    pub moved_to: Option<Key>,
    /// Disagreements between the ini and the pool with which the start continued.
    ///
    /// [`add_type`](crate::MemoryPoolMgr::add_type) adds types whose objects are too large for the
    /// undo log, and [`ready`](crate::MemoryPoolMgr::ready) adds types that the program has not
    /// added.
    pub told: Vec<Disagreement>,
    /// Types whose objects [`add_type`](crate::MemoryPoolMgr::add_type) has copied to the form that
    /// this build has.
    pub migrated: Vec<Migrated>,
    /// Wall time of attach and recovery.
    pub took: Duration,
    /// What the start did about memory, and how long that took in addition.
    pub memory: MemoryReport,
}

impl ResumeReport {
    /// Returns the number of live objects of all types.
    pub fn objects(&self) -> u64 {
        self.types.iter().map(|t| t.objects).sum()
    }
}

impl fmt::Display for ResumeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = if self.mode == StartMode::Resume { "hot" } else { "cold" };
        write!(f, "{}: {start} start {}", self.process, self.epoch)?;
        match self.last_end {
            LastEnd::None => write!(f, ", the pool is new")?,
            LastEnd::Closed => write!(f, ", closed cleanly")?,
            LastEnd::Left { was_ready: true } => write!(f, ", the last owner left without close")?,
            LastEnd::Left { was_ready: false } => {
                write!(f, ", the last owner left without close before it was ready")?;
            }
            LastEnd::Died { was_ready: true } => write!(f, ", the last owner died while serving")?,
            LastEnd::Died { was_ready: false } => write!(f, ", the last owner died before it was ready")?,
        }
        if let Some(ago) = self.ended_ago {
            write!(f, ", {} ago", Span(ago))?;
        }
        if self.rebooted {
            write!(f, ", another boot")?;
        }
        if let Some(from) = &self.restored {
            write!(f, ", restored from {}, taken {} ago", from.set.display(), Span(from.age))?;
        }
        write!(f, "; {}", plural(self.objects(), "object"))?;
        for (n, count) in self.types.iter().filter(|t| t.objects != 0).enumerate() {
            write!(f, "{}{} {}", if n == 0 { " (" } else { ", " }, count.objects, count.name())?;
        }
        if self.objects() != 0 {
            write!(f, ")")?;
        }
        if let Some(ended) = self.ended_transaction {
            write!(f, ", {ended}")?;
        }
        if !self.being_written.is_empty() || !self.types_being_written.is_empty() {
            write!(f, ", being written: {:?}", self.being_written)?;
            for id in &self.types_being_written {
                write!(f, " any of type {id}")?;
            }
        }
        if let Some(found) = self.crash_loop {
            write!(
                f,
                ", after {} in a row died before ready() in {} s",
                plural(found.crashes.into(), "owner"),
                found.since.as_secs()
            )?;
        }
        if let Some(key) = self.moved_to {
            write!(f, ", the earlier state was moved to {key}")?;
        }
        if !self.quarantined.is_empty() {
            write!(f, ", in quarantine: {:?}", self.quarantined)?;
        }
        for (n, bad) in self.bad_values.iter().enumerate() {
            write!(f, "{}{bad}", if n == 0 { ", not values: " } else { ", " })?;
        }
        for migrated in &self.migrated {
            write!(f, ", {migrated}")?;
        }
        match self.told.as_slice() {
            [] => {}
            [one] => write!(f, ", the ini and the pool disagree in {}", one.rule.key)?,
            more => write!(f, ", the ini and the pool disagree in {} points", more.len())?,
        }
        write!(f, "; {} us{}", self.took.as_micros(), self.memory)
    }
}
