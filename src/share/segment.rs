//! An owned mapping, which a drop detaches in the process that created it only.
//!
//! # What the unsafe code here relies on
//!
//! The mapped object keeps a page-aligned range of `len` bytes mapped while it exists: `shmat` and
//! `mmap` return whole pages of the size that they map, and [`Attached`], `MmapRaw` and `Shmem`
//! unmap them when they are dropped. The segment holds the object until its own drop. The region
//! that it lends is used inside the crate only while the segment exists (see `region.rs`).
#![allow(unsafe_code)]

use super::flush::Flush;
use super::heap_memory::Memory;
use crate::limits::{HUGE_PAGE, PAGE};
use crate::region::Region;
use crate::sys::fork::{Inherited, Origin, Section};
use crate::sys::mem::{self, Advice};
use crate::sys::pages;
use crate::sys::sysv::Attached;
use memmap2::MmapRaw;
use shared_memory::Shmem;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// The object that keeps the memory mapped; it is only held for its drop.
enum Mapping {
    Sysv(#[allow(dead_code, reason = "Windows has no such segments, and never reads it")] Attached),
    Mmap(MmapRaw),
    Posix(#[expect(dead_code)] Shmem),
    Heap(#[expect(dead_code)] Arc<Memory>),
}

/// An attached segment.
pub(crate) struct Segment {
    region: Region,
    mapping: ManuallyDrop<Mapping>,
    /// Size of its pages in bytes, once it is known.
    page: OnceCell<u64>,
    /// Range that is kept out of forked children.
    kept: Option<Region>,
    origin: Origin,
}

// SAFETY: a mapping belongs to the process and not to a thread, and any thread may unmap it; a
// segment lends no reference to it that is not bound to the segment's one owner.
unsafe impl Send for Segment {}

impl Segment {
    /// Wraps a System V segment of which `bytes` bytes were requested.
    pub(crate) fn sysv(attached: Attached, bytes: u64) -> Self {
        Self::new(attached.base(), bytes, Mapping::Sysv(attached), OnceCell::new())
    }

    /// Wraps a new System V segment, of reserved pages of 2 MiB or of small ones.
    pub(crate) fn sysv_made(attached: Attached, bytes: u64, huge: bool) -> Self {
        let page = if huge { HUGE_PAGE } else { PAGE };
        Self::new(attached.base(), bytes, Mapping::Sysv(attached), page.into())
    }

    /// Wraps a mapped file.
    pub(crate) fn mmap(map: MmapRaw) -> Self {
        let (base, len) = extent(map.as_mut_ptr(), map.len());
        Self::new(base, len, Mapping::Mmap(map), PAGE.into())
    }

    /// Wraps POSIX shared memory. The caller has made sure that its drop does not unlink it.
    pub(crate) fn posix(map: Shmem) -> Self {
        let (base, len) = extent(map.as_ptr(), map.len());
        Self::new(base, len, Mapping::Posix(map), PAGE.into())
    }

    /// Wraps memory of the process, which it shares with the registry.
    pub(super) fn heap(memory: Arc<Memory>) -> Self {
        let (base, len) = memory.extent();
        let (base, len) = extent(base, len as usize);
        Self::new(base, len, Mapping::Heap(memory), PAGE.into())
    }

    fn new(base: NonNull<u8>, len: u64, mapping: Mapping, page: OnceCell<u64>) -> Self {
        // SAFETY: `mapping` keeps `len` bytes from `base` mapped, and is held until drop.
        let region = unsafe { Region::new(base, len) };
        let mapping = ManuallyDrop::new(mapping);
        Segment { region, mapping, page, kept: None, origin: Origin::here() }
    }

    /// Attaches a segment by `attach`, and keeps it out of forked children.
    ///
    /// Memory of the process does not need this: a child has a copy of its own.
    pub(crate) fn kept(attach: impl FnOnce() -> io::Result<Segment>) -> io::Result<Segment> {
        let section = Section::enter()?;
        let mut segment = attach()?;
        // A refusal is no error: the child then unmaps its copy.
        let (kept, inherited) = match mem::advise(&segment.region, 0, segment.region.len(), Advice::DontFork)
        {
            Ok(()) => (segment.region, Inherited::No),
            Err(_) => (
                segment.whole(),
                match segment.advise_whole(Advice::DontFork) {
                    Ok(()) => Inherited::No,
                    Err(_) => Inherited::Yes,
                },
            ),
        };
        section.keep(&kept, inherited);
        segment.kept = Some(kept);
        Ok(segment)
    }

    /// Gives `advice` for the whole segment.
    pub(crate) fn advise(&self, advice: Advice) -> io::Result<()> {
        match mem::advise(&self.region, 0, self.region.len(), advice) {
            // A mapping of reserved pages cannot be split within one of them.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && self.page() > PAGE => {
                self.advise_whole(advice)
            }
            answer => answer,
        }
    }

    fn advise_whole(&self, advice: Advice) -> io::Result<()> {
        let whole = self.whole();
        mem::advise(&whole, 0, whole.len(), advice)
    }

    /// Writes a range to the file of the segment. Memory without a file has nothing to write.
    pub(crate) fn flush(&self, offset: u64, bytes: u64, how: Flush) -> io::Result<()> {
        match &*self.mapping {
            Mapping::Mmap(map) => how.write(map, offset, bytes),
            Mapping::Sysv(_) | Mapping::Posix(_) | Mapping::Heap(_) => Ok(()),
        }
    }

    /// Returns the memory of the segment.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    /// Returns the address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.region.span(0, 0).map_or(0, |start| start.as_ptr().addr() as u64)
    }

    /// Returns the addresses of its pages, if those are small ones.
    pub(crate) fn span(&self) -> Range<usize> {
        let start = self.address() as usize;
        start..start + self.region.len().next_multiple_of(PAGE) as usize
    }

    /// Returns the size of its pages in bytes. Reserved pages of 2 MiB count, transparent ones do
    /// not.
    ///
    /// Only `/proc` reports it, which takes longer than the rest of an attach. So it is read at
    /// most once, and not for a mapping that begins within such a page. Advice for a part of the
    /// mapping would be faster, but it splits the mapping, and the kernel counts the parts as
    /// attaches from then on.
    pub(crate) fn page(&self) -> u64 {
        *self.page.get_or_init(|| match self.address().is_multiple_of(HUGE_PAGE) {
            true => pages::size_at(self.address()),
            false => PAGE,
        })
    }

    /// Returns the whole mapping: the memory up to the end of its last page.
    pub(crate) fn whole(&self) -> Region {
        let (Ok(base), len) = (self.region.span(0, 0), self.region.len().next_multiple_of(self.page()))
        else {
            return self.region;
        };
        // SAFETY: the kernel maps whole pages of the size that it reports, and they are held until
        // drop.
        unsafe { Region::new(base, len) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // A forked child has a copy of this value, but not the mapping.
        if !self.origin.is_here() {
            return;
        }
        // Entering cannot fail here: the attach has registered the handlers already.
        let section = self.kept.map(|kept| (Section::enter(), kept));
        // SAFETY: it is dropped only here.
        unsafe { ManuallyDrop::drop(&mut self.mapping) };
        if let Some((Ok(section), kept)) = section {
            section.release(&kept);
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("region", &self.region).field("origin", &self.origin).finish()
    }
}

/// Returns address and length of a mapping of at least one byte.
#[expect(clippy::expect_used, reason = "the kernel maps nothing there")]
fn extent(base: *mut u8, len: usize) -> (NonNull<u8>, u64) {
    (NonNull::new(base).expect("the kernel maps nothing at address 0"), len as u64)
}
