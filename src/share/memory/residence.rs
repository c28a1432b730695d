//! What of a pool is in RAM when a start goes on: pages that get their memory, locks, and what came of it.

use crate::conf::{HugePages, MemoryConf, Place, ProcessConf};
use crate::limits::PAGE;
use crate::share::memory::pages::{self, PageKind, SegmentPages};
use crate::share::memory::prefault::{self, Prefaulted};
use crate::share::segment::Segment;
use crate::sys;
use crate::units::{Bytes, Key};
use std::fmt;
use std::io;

/// What the ini asks for, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) conf: MemoryConf,
    /// Pages of 2 MiB that all segments of the pool take.
    pub(crate) huge_needed: u64,
    section: Place,
}

impl Setting {
    pub(crate) fn of(conf: &ProcessConf, base_bytes: u64) -> Self {
        Setting {
            conf: conf.memory,
            huge_needed: pages::huge_needed(conf, base_bytes),
            section: conf.places.section.clone(),
        }
    }

    /// A key of the process, at the line of its section.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place { key: key.into(), ..self.section.clone() }
    }
}

/// Why the memory of a pool is not had as the ini asks for it.
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

/// What a start did about the memory of a pool: only what the ini asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// The pages of every segment, base first. Empty with `HugePages = off`.
    pub segments: Vec<SegmentPages>,
    /// How every page got its memory.
    pub prefaulted: Option<Prefaulted>,
    /// Bytes that are locked in RAM. Reserved pages of 2 MiB, which are never swapped out, are not among them.
    pub locked: Option<Bytes>,
}

impl fmt::Display for MemoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.segments.is_empty() {
            let count = |kind| self.segments.iter().filter(|segment| segment.kind == kind).count();
            let (reserved, transparent) = (count(PageKind::Reserved), count(PageKind::Transparent));
            let huge = self.segments.iter().filter(|segment| segment.kind == PageKind::Transparent);
            let huge = Bytes(huge.map(|segment| segment.huge.0).sum());
            match (reserved, transparent) {
                (0, 0) => write!(f, "; pages of 4 KiB")?,
                _ => write!(
                    f,
                    "; pages of 2 MiB in {} of {} segments",
                    reserved + transparent,
                    self.segments.len()
                )?,
            }
            if transparent != 0 {
                write!(f, ", {huge} of them transparent so far")?;
            }
        }
        if let Some(prefaulted) = &self.prefaulted {
            write!(f, "; {prefaulted}")?;
        }
        match self.locked {
            Some(bytes) => write!(f, "; {bytes} locked in RAM"),
            None => Ok(()),
        }
    }
}

/// Does what `setting` asks for about all segments of a pool.
pub(crate) fn settle(setting: &Setting, segments: &[(Key, &Segment)]) -> Result<MemoryReport, MemoryError> {
    let MemoryConf { huge_pages, prefault, lock_memory } = setting.conf;
    let mut report = MemoryReport::default();
    // The lock first: its limit is known at once, and what gets memory then is locked as it comes.
    if lock_memory {
        report.locked = Some(lock(setting, segments)?);
    }
    if prefault || lock_memory {
        let key = if prefault { "Prefault" } else { "LockMemory" };
        report.prefaulted = Some(prefault::all(setting, key, segments)?);
    }
    if huge_pages != HugePages::Off {
        let mappings = sys::pages::mappings().unwrap_or_default();
        report.segments =
            segments.iter().map(|(key, segment)| SegmentPages::of(*key, segment, &mappings)).collect();
    }
    if huge_pages == HugePages::On {
        warn_of_small(setting, &report.segments);
    }
    Ok(report)
}

fn lock(setting: &Setting, segments: &[(Key, &Segment)]) -> Result<Bytes, MemoryError> {
    // Reserved pages stay where they are.
    let wanted: Vec<_> = segments.iter().filter(|(_, segment)| segment.page() <= PAGE).collect();
    let all = Bytes(wanted.iter().map(|(_, segment)| segment.region().len()).sum());
    for (key, segment) in wanted {
        let region = segment.region();
        sys::mem::lock(&region).map_err(|source| MemoryError::Lock {
            place: setting.place("LockMemory"),
            key: *key,
            bytes: Bytes(region.len()),
            all,
            limit: sys::pages::lock_limit().map(Bytes),
            source,
        })?;
    }
    Ok(all)
}

/// A pool that is there is not refused for its pages: it holds what nobody can restore. The start has told already if its
/// base is of small ones (`pages` of the table where ini and pool disagree).
fn warn_of_small(setting: &Setting, segments: &[SegmentPages]) {
    if segments.first().is_some_and(|base| base.kind != PageKind::Reserved) {
        return;
    }
    let mut small = segments.iter().filter(|segment| segment.kind != PageKind::Reserved);
    let Some(first) = small.next() else { return };
    log::warn!(
        "{} = on, and {} of {} segments, the one under {} first, were made without reserved pages of 2 MiB and keep \
         what they have; a pool that is made anew has them",
        setting.place("HugePages"),
        1 + small.count(),
        segments.len(),
        first.key
    );
}
