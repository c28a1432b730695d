//! A mapping that is owned: detached on drop, by the process that made it and no other.
//!
//! # What the unsafe code here relies on
//!
//! What is mapped keeps a page-aligned range of `len` bytes mapped as long as it lives:
//! `shmat` and `mmap` answer with whole pages of the size that they map, and [`Attached`], `MmapRaw` and `Shmem` unmap them
//! in their drop. The segment holds it until its own drop, and the region it lends is
//! used inside the crate only while the segment lives (see `region.rs`).
#![allow(unsafe_code)]

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
use std::ptr::NonNull;
use std::sync::Arc;

/// What keeps the memory mapped; it is there for its drop.
enum Mapping {
    Sysv(#[expect(dead_code)] Attached),
    Mmap(#[expect(dead_code)] MmapRaw),
    Posix(#[expect(dead_code)] Shmem),
    Heap(#[expect(dead_code)] Arc<Memory>),
}

/// An attached segment.
pub(crate) struct Segment {
    region: Region,
    mapping: ManuallyDrop<Mapping>,
    /// Bytes of its pages, once they are known.
    page: OnceCell<u64>,
    /// What forked children are kept out of.
    kept: Option<Region>,
    origin: Origin,
}

// SAFETY: a mapping belongs to the process and not to a thread, and any thread may unmap it; a segment
// gives out no reference to it that is not bound to the segment's one owner.
unsafe impl Send for Segment {}

impl Segment {
    /// A System V segment of which `bytes` bytes were asked for.
    pub(crate) fn sysv(attached: Attached, bytes: u64) -> Self {
        Self::new(attached.base(), bytes, Mapping::Sysv(attached), OnceCell::new())
    }

    /// One that has just been made, of reserved pages of 2 MiB or of small ones.
    pub(crate) fn sysv_made(attached: Attached, bytes: u64, huge: bool) -> Self {
        let page = if huge { HUGE_PAGE } else { PAGE };
        Self::new(attached.base(), bytes, Mapping::Sysv(attached), page.into())
    }

    /// A mapped file.
    pub(crate) fn mmap(map: MmapRaw) -> Self {
        let (base, len) = extent(map.as_mut_ptr(), map.len());
        Self::new(base, len, Mapping::Mmap(map), PAGE.into())
    }

    /// POSIX shared memory. Its maker's drop would unlink it: that is turned off by
    /// whoever made it.
    pub(crate) fn posix(map: Shmem) -> Self {
        let (base, len) = extent(map.as_ptr(), map.len());
        Self::new(base, len, Mapping::Posix(map), PAGE.into())
    }

    /// Memory of the process, shared with the registry that finds it again.
    pub(super) fn heap(memory: Arc<Memory>) -> Self {
        let (base, len) = memory.extent();
        let (base, len) = extent(base, len as usize);
        Self::new(base, len, Mapping::Heap(memory), PAGE.into())
    }

    fn new(base: NonNull<u8>, len: u64, mapping: Mapping, page: OnceCell<u64>) -> Self {
        // SAFETY: `base` and `len` are what `mapping` keeps mapped, and it is kept until drop.
        let region = unsafe { Region::new(base, len) };
        let mapping = ManuallyDrop::new(mapping);
        Segment { region, mapping, page, kept: None, origin: Origin::here() }
    }

    /// What `attach` attaches, out of reach of forked children. Memory of the process needs none of it: a child
    /// has a copy of its own.
    pub(crate) fn kept(attach: impl FnOnce() -> io::Result<Segment>) -> io::Result<Segment> {
        let section = Section::enter()?;
        let mut segment = attach()?;
        // A refusal is no error: the child gives its copy up.
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

    /// Gives `advice` for all of it.
    pub(crate) fn advise(&self, advice: Advice) -> io::Result<()> {
        match mem::advise(&self.region, 0, self.region.len(), advice) {
            // A mapping of reserved pages is not cut inside of one.
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

    /// Its memory.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    /// Address of its first byte.
    pub(crate) fn address(&self) -> u64 {
        self.region.span(0, 0).map_or(0, |start| start.as_ptr().addr() as u64)
    }

    /// Bytes of the pages it is made of: those of 2 MiB count that are reserved, not those that come and go.
    ///
    /// The kernel tells it in `/proc` alone, which takes longer than the rest of an attach: it is asked at most once,
    /// and not of a mapping that begins inside of such a page. Advice to a part of the mapping would tell it faster; but
    /// it cuts the mapping, and the kernel counts the parts as attaches, for good.
    pub(crate) fn page(&self) -> u64 {
        *self.page.get_or_init(|| match self.address().is_multiple_of(HUGE_PAGE) {
            true => pages::containing(&pages::mappings().unwrap_or_default(), self.address())
                .map_or(PAGE, |mapping| mapping.page.max(PAGE)),
            false => PAGE,
        })
    }

    /// All that is mapped: its memory up to the end of its last page.
    pub(crate) fn whole(&self) -> Region {
        let (Ok(base), len) = (self.region.span(0, 0), self.region.len().next_multiple_of(self.page()))
        else {
            return self.region;
        };
        // SAFETY: the kernel maps whole pages, of the size that it names, and they are kept until drop.
        unsafe { Region::new(base, len) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // A forked child has a copy of this value and not the mapping.
        if !self.origin.is_here() {
            return;
        }
        // It was entered for the attach already, so that nothing is left that could fail.
        let section = self.kept.map(|kept| (Section::enter(), kept));
        // SAFETY: it is dropped here and nowhere else.
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

/// Address and length of a mapping of at least a byte.
fn extent(base: *mut u8, len: usize) -> (NonNull<u8>, u64) {
    (NonNull::new(base).expect("the kernel maps nothing at address 0"), len as u64)
}
