//! Residence: populates and locks a pool's memory at a start, as configured, and reports the
//! result.

use crate::conf::{HugePages, MemoryConf};
use crate::limits::PAGE;
use crate::share::memory::error::MemoryError;
use crate::share::memory::pages::{PageKind, SegmentPages};
use crate::share::memory::prefault::{self, Prefaulted};
use crate::share::memory::setting::Setting;
use crate::share::segment::Segment;
use crate::sys;
use crate::units::{Bytes, Key, plural};
use std::fmt;

/// What a start did about the memory of a pool; empty as far as the ini requires nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryReport {
    /// Pages of every segment, the base first. Empty with `HugePages = off`.
    pub segments: Vec<SegmentPages>,
    /// Result of populating every page, if the ini requires it.
    pub prefaulted: Option<Prefaulted>,
    /// Bytes locked in RAM, without reserved pages of 2 MiB, which are never swapped out.
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
                    "; pages of 2 MiB in {} of {}",
                    reserved + transparent,
                    plural(self.segments.len() as u64, "segment")
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

/// Populates and locks all segments of a pool as `setting` requires, and reports their pages.
pub(crate) fn settle(setting: &Setting, segments: &[(Key, &Segment)]) -> Result<MemoryReport, MemoryError> {
    let MemoryConf { huge_pages, prefault, lock_memory } = setting.conf;
    let mut report = MemoryReport::default();
    // The lock comes first: its limit is checked at once, and pages that are populated later are
    // locked, too.
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
    // Reserved pages are never swapped out, so they need no lock.
    let lockable: Vec<_> = segments.iter().filter(|(_, segment)| segment.page() <= PAGE).collect();
    let all = Bytes(lockable.iter().map(|(_, segment)| segment.region().len()).sum());
    for (key, segment) in lockable {
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

/// Warns about an existing pool whose base has reserved pages, but other segments have not.
///
/// The pool is not refused, because its objects are at stake. A base without reserved pages is reported
/// elsewhere, as the entry `pages` among the disagreements of ini and pool.
fn warn_of_small(setting: &Setting, segments: &[SegmentPages]) {
    if segments.first().is_some_and(|base| base.kind != PageKind::Reserved) {
        return;
    }
    let mut small = segments.iter().filter(|segment| segment.kind != PageKind::Reserved);
    let Some(first) = small.next() else { return };
    log::warn!(
        "{} = on, but {} of {} segments, the one under {} first, were created without reserved pages of 2 MiB and keep \
         their pages; only new segments get reserved ones",
        setting.place("HugePages"),
        1 + small.count(),
        segments.len(),
        first.key
    );
}
