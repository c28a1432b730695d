//! What an open found: hot or cold, after what, and with which objects.

use crate::object::Handle;
use crate::pool::start::breaker::CrashLoop;
use crate::pool::start::disagreement::Disagreement;
use crate::pool::start::starts::LastEnd;
use crate::share::{MemoryReport, StartMode};
use crate::units::Key;
use std::fmt;
use std::time::Duration;

/// Objects of one type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TypeCount {
    /// Number of the type.
    pub id: u16,
    /// Live objects.
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

    /// Name of the type.
    pub fn name(&self) -> &str {
        let end = self.name.iter().position(|b| *b == 0).unwrap_or(self.name.len());
        std::str::from_utf8(&self.name[..end]).unwrap_or("?")
    }
}

impl fmt::Debug for TypeCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.objects, self.name())
    }
}

/// What an open found.
#[derive(Clone, Debug)]
pub struct ResumeReport {
    /// Process of the ini.
    pub process: String,
    /// Cold or hot.
    pub mode: StartMode,
    /// How the last owner left.
    pub last_end: LastEnd,
    /// How long ago, if the kernel or the pool knows.
    pub ended_ago: Option<Duration>,
    /// Generation of this start; the first is 1.
    pub epoch: u64,
    /// Whether the machine has been booted since the last start (a pool in a file survives that).
    pub rebooted: bool,
    /// Objects by type, in the order in which the types were first added.
    pub types: Vec<TypeCount>,
    /// The transaction that was cut, if there was one: whether it was rolled back or finished.
    pub ended_transaction: Option<&'static str>,
    /// Objects that were being written through a guard when an owner died or a panic dropped the guard, and that
    /// nothing has [settled](crate::MemoryPoolMgr::torn) since: some fields may be new and some old.
    pub being_written: Vec<Handle>,
    /// Types of which any object may have been written so, because several guards were alive.
    pub types_being_written: Vec<u16>,
    /// Objects in quarantine, of this start and of earlier ones: they are kept, and nothing reaches them until
    /// `release` or `drop_quarantined`.
    pub quarantined: Vec<Handle>,
    /// The crash loop that this start has met, and what was done about it.
    pub crash_loop: Option<CrashLoop>,
    /// Key under which the earlier state was kept, if this start has moved it aside.
    pub moved_to: Option<Key>,
    /// Where the ini and the pool disagree, and the start goes on; [`add_type`](crate::MemoryPoolMgr::add_type) adds
    /// a type whose objects are too large for the undo log, [`ready`](crate::MemoryPoolMgr::ready) the types that the
    /// program has not added.
    pub told: Vec<Disagreement>,
    /// Wall time of attach and recovery.
    pub took: Duration,
    /// What was done about its memory, and how long that took besides.
    pub memory: MemoryReport,
}

impl ResumeReport {
    /// Live objects of all types.
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
            write!(f, " {} ago", Ago(ago))?;
        }
        if self.rebooted {
            write!(f, ", another boot")?;
        }
        write!(f, "; {} objects", self.objects())?;
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
            write!(f, ", after {} crashes in a row in {} s", found.crashes, found.since.as_secs())?;
        }
        if let Some(key) = self.moved_to {
            write!(f, ", the earlier state is under {key}")?;
        }
        if !self.quarantined.is_empty() {
            write!(f, ", in quarantine: {:?}", self.quarantined)?;
        }
        match self.told.len() {
            0 => {}
            1 => write!(f, ", the ini and the pool disagree in {}", self.told[0].rule.key)?,
            more => write!(f, ", the ini and the pool disagree in {more} points")?,
        }
        write!(f, "; {} us{}", self.took.as_micros(), self.memory)
    }
}

struct Ago(Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            s @ 1..=599 => write!(f, "{s} s"),
            s @ 600..=86_399 => write!(f, "{} h {} min", s / 3600, s / 60 % 60),
            s => write!(f, "{} d {} h", s / 86_400, s / 3600 % 24),
        }
    }
}
