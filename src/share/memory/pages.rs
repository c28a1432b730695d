//! The kind of pages of a pool's segments: requested at their creation, reported as they are.

use crate::conf::HugePages;
use crate::limits::{HUGE_PAGE, PAGE};
use crate::share::backend::Backend;
use crate::share::error::ShareError;
use crate::share::memory::error::MemoryError;
use crate::share::memory::setting::Setting;
use crate::share::segment::Segment;
use crate::share::small;
use crate::sys::mem::Advice;
use crate::sys::pages::{self, Mapping};
use crate::units::{Bytes, Key};
use std::io;

/// The kind of pages of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The base pages of the processor, 4 KiB.
    Small,
    /// Small pages, some of which the kernel has combined into pages of 2 MiB, and may split again.
    Transparent,
    /// Reserved pages of 2 MiB, which stay and are never swapped out.
    Reserved,
}

impl PageKind {
    /// Returns the word for this kind in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Transparent => "transparent",
            Self::Reserved => "reserved",
        }
    }
}

/// The pages of a segment that this process has attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentPages {
    /// Segment key.
    pub key: Key,
    /// Size of the segment.
    pub bytes: Bytes,
    /// Kind of its pages.
    pub kind: PageKind,
    /// Bytes on pages of 2 MiB; of transparent ones only those that this process has touched.
    pub huge: Bytes,
}

impl SegmentPages {
    /// Finds the pages of a segment; one without a mapping in the list counts as small.
    pub(crate) fn of(key: Key, segment: &Segment, mappings: &[Mapping]) -> Self {
        let bytes = segment.region().len();
        let found = pages::containing(mappings, segment.address()).unwrap_or_default();
        let (kind, huge) = match found.transparent.min(bytes) {
            _ if found.page >= HUGE_PAGE => (PageKind::Reserved, bytes),
            0 => (PageKind::Small, 0),
            some => (PageKind::Transparent, some),
        };
        SegmentPages { key, bytes: Bytes(bytes), kind, huge: Bytes(huge) }
    }
}

/// Creates a segment of the kind of pages that `setting` requests.
pub(crate) fn create(
    backend: &dyn Backend,
    setting: &Setting,
    key: Key,
    bytes: u64,
    mode: u32,
) -> Result<Segment, ShareError> {
    let small = || small::create(backend, key, bytes, mode);
    let requested = setting.conf.huge_pages;
    if requested == HugePages::Off {
        return small();
    }
    match backend.create_huge(key, bytes, mode) {
        Ok(segment) => Ok(segment),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || requested == HugePages::Try => small(),
        Err(source) => Err(refused(setting, key, bytes, source)),
    }
}

#[cold]
fn refused(setting: &Setting, key: Key, bytes: u64, source: io::Error) -> ShareError {
    let found = pages::reserved();
    let in_use = found.map_or(0, |found| found.total.saturating_sub(found.free));
    let remedy = match source.raw_os_error() {
        Some(libc::ENOMEM) => {
            format!(
                "run `sysctl vm.nr_hugepages={}`, which is enough for the whole pool",
                in_use + setting.huge_needed
            )
        }
        Some(libc::EPERM) => {
            "give the server CAP_IPC_LOCK, or `sysctl vm.hugetlb_shm_group` the number of its group".into()
        }
        Some(libc::EINVAL) => "boot a kernel that supports pages of 2 MiB".into(),
        _ => "run `hotpool doctor`".into(),
    };
    MemoryError::HugePages {
        place: setting.place("HugePages"),
        key,
        bytes: Bytes(bytes),
        source,
        free: found.map_or(0, |found| found.free),
        total: found.map_or(0, |found| found.total),
        needed: setting.huge_needed,
        remedy,
    }
    .into()
}

/// Requests transparent huge pages if the segment has no reserved ones.
///
/// A kernel without them refuses, which does no harm: the report shows the actual pages.
pub(crate) fn ask_for_transparent(segment: &Segment) {
    if segment.page() <= PAGE
        && let Err(error) = segment.advise(Advice::HugePage)
    {
        log::debug!("transparent pages were refused: {error}");
    }
}
