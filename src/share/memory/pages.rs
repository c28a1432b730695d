//! Which pages a pool's segments are made of: asked for when they are made, reported as they are.

use crate::conf::{BackendKind, HugePages};
use crate::limits::{HUGE_PAGE, PAGE};
use crate::share::backend::Backend;
use crate::share::error::{ShareError, system};
use crate::share::memory::error::MemoryError;
use crate::share::memory::setting::Setting;
use crate::share::segment::Segment;
use crate::sys::mem::Advice;
use crate::sys::pages::{self, Mapping};
use crate::units::{Bytes, Key};
use std::io;

/// What kind of pages a segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The pages of the processor, 4 KiB.
    Small,
    /// The kernel has put some of it on pages of 2 MiB, and may take them apart again.
    Transparent,
    /// Reserved pages of 2 MiB, which stay and are never swapped out.
    Reserved,
}

impl PageKind {
    /// The word that stands for it in reports.
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
    /// Its key.
    pub key: Key,
    /// Its size.
    pub bytes: Bytes,
    /// What they are.
    pub kind: PageKind,
    /// Bytes of it on pages of 2 MiB. Of transparent ones: as far as this process has touched them.
    pub huge: Bytes,
}

impl SegmentPages {
    /// Looks a segment up; one that is not listed counts as small.
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

/// Makes a segment of the pages that `setting` asks for.
pub(crate) fn create(
    backend: &dyn Backend,
    setting: &Setting,
    key: Key,
    bytes: u64,
    mode: u32,
) -> Result<Segment, ShareError> {
    // The kernel answers a file that grows beyond the limit with SIGXFSZ, which ends the process.
    let is_file = matches!(backend.kind(), BackendKind::Posix | BackendKind::File);
    if is_file && pages::file_limit().is_some_and(|limit| bytes > limit) {
        let too_large = io::Error::from_raw_os_error(libc::EFBIG);
        return Err(system(key, bytes, "make")(too_large));
    }
    let small = || backend.create(key, bytes, mode).map_err(system(key, bytes, "make"));
    let wanted = setting.conf.huge_pages;
    if wanted == HugePages::Off {
        return small();
    }
    match backend.create_huge(key, bytes, mode) {
        Ok(segment) => Ok(segment),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || wanted == HugePages::Try => small(),
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
                "run `sysctl vm.nr_hugepages={}`, which is enough for all of it",
                in_use + setting.huge_needed
            )
        }
        Some(libc::EPERM) => {
            "give the server CAP_IPC_LOCK, or `sysctl vm.hugetlb_shm_group` the number of its group".into()
        }
        Some(libc::EINVAL) => "boot a kernel with pages of 2 MiB".into(),
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

/// Asks for transparent pages where the segment has no reserved ones. A kernel that has none refuses, and nothing is
/// lost by it: what was got is in the report.
pub(crate) fn ask_for_transparent(segment: &Segment) {
    if segment.page() <= PAGE
        && let Err(error) = segment.advise(Advice::HugePage)
    {
        log::debug!("transparent pages were refused: {error}");
    }
}
