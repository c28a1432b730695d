//! Advice on mapped memory, and locks on it.
//!
//! # What the unsafe code here relies on
//!
//! `madvise`, `mlock2` and `mincore` are called only on ranges of a [`Region`], which begin at a
//! page and are mapped while the region is in use. `MADV_DONTFORK`, `MADV_DONTDUMP`,
//! `MADV_HUGEPAGE`, `MADV_POPULATE_WRITE`, `MADV_POPULATE_READ`, `mlock2` and `mincore` change no byte. `MADV_REMOVE`
//! sets bytes to zero, which is a store like any other: segments are only accessed through atomics
//! and raw pointers, and any bytes are a valid record.
#![allow(unsafe_code)]

use crate::region::Region;
use crate::sys::BYTES_ONLY;
use std::io;

/// Advice to the kernel about a range of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Keeps the mapping out of forked children.
    DontFork,
    /// Leaves the mapping out of core dumps.
    DontDump,
    /// Uses pages of 2 MiB if the host allows them.
    HugePage,
    /// Populates every page now, so that out of memory is an error here and not a SIGBUS at a later
    /// store.
    PopulateWrite,
    /// Maps every page for reading now.
    #[cfg(feature = "snapshots")]
    PopulateRead,
    /// Returns the pages to the kernel; the bytes then read as zero.
    Remove,
    /// Makes the pages inaccessible.
    #[cfg(feature = "__internal_fuzzing")]
    Fence,
}

impl Advice {
    /// Returns whether the effect of the advice shows in the bytes.
    fn changes_bytes(self) -> bool {
        match self {
            Advice::DontFork | Advice::DontDump | Advice::PopulateWrite => false,
            #[cfg(feature = "snapshots")]
            Advice::PopulateRead => false,
            _ => true,
        }
    }
}

/// Gives `advice` for `bytes` bytes at `offset`, a multiple of the page size.
pub(crate) fn advise(region: &Region, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
    if bytes == 0 || (BYTES_ONLY && !advice.changes_bytes()) {
        return Ok(());
    }
    let start = region.span(offset, bytes).map_err(|_| outside())?;
    // Miri lacks the call. The kernel, too, refuses advice that changes bytes for private memory.
    if cfg!(miri) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let advice = match advice {
        Advice::DontFork => libc::MADV_DONTFORK,
        Advice::DontDump => libc::MADV_DONTDUMP,
        Advice::HugePage => libc::MADV_HUGEPAGE,
        Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
        #[cfg(feature = "snapshots")]
        Advice::PopulateRead => libc::MADV_POPULATE_READ,
        Advice::Remove => libc::MADV_REMOVE,
        #[cfg(feature = "__internal_fuzzing")]
        Advice::Fence => {
            // SAFETY: inside a live mapping; the caller does not access these pages any more
            // either.
            return match unsafe { libc::mprotect(start.as_ptr().cast(), bytes as usize, libc::PROT_NONE) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            };
        }
    };
    // SAFETY: `Region::span` checked that the range is inside a live mapping. None of these unmaps
    // it, and the paragraph at the top of this file covers the one that changes bytes.
    match unsafe { libc::madvise(start.as_ptr().cast(), bytes as usize, advice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the range is outside the mapping")
}

/// Populates every page of the range, so that out of memory is an error here and not a later
/// SIGBUS.
///
/// The error is EFAULT if the file system is full. A kernel before 5.14 lacks the call; the
/// function then does nothing.
pub(crate) fn populate(region: &Region, offset: u64, bytes: u64) -> io::Result<()> {
    try_populate(region, offset, bytes).map(drop)
}

/// Populates every page of the range; returns whether the kernel supports the call.
pub(crate) fn try_populate(region: &Region, offset: u64, bytes: u64) -> io::Result<bool> {
    match advise(region, offset, bytes, Advice::PopulateWrite) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Maps every page of the range that is about to be read.
///
/// System V segments take a fault for each page, which costs more than this call for all of them. If the
/// kernel lacks the call, those faults remain.
#[cfg(feature = "snapshots")]
pub(crate) fn map_for_reading(region: &Region, offset: u64, bytes: u64) {
    let _ = advise(region, offset, bytes, Advice::PopulateRead);
}

/// Returns one byte for each page of the range: 1 if the page is in RAM, 0 if not.
///
/// A page that is not in RAM may be swapped out. The range must begin at a page.
pub(crate) fn resident(region: &Region, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let start = region.span(offset, bytes).map_err(|_| outside())?;
    let mut pages = vec![0u8; bytes.div_ceil(crate::limits::PAGE) as usize];
    // SAFETY: inside a live mapping; the kernel writes one byte for each page, for which the vector
    // has room.
    match unsafe { libc::mincore(start.as_ptr().cast(), bytes as usize, pages.as_mut_ptr()) } {
        0 => Ok(pages.into_iter().map(|page| page & 1).collect()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Locks the whole region in RAM until it is unmapped, including pages that are populated later.
///
/// The kernel checks the limit for all bytes at once, and populates nothing.
pub(crate) fn lock(region: &Region) -> io::Result<()> {
    const ON_FAULT: u32 = 1;
    let (start, bytes) = (region.span(0, region.len()).map_err(|_| outside())?, region.len() as usize);
    // The C library has no function for this call on every target.
    // SAFETY: the range is a live mapping; locking it changes no byte of it.
    match unsafe { libc::syscall(libc::SYS_mlock2, start.as_ptr(), bytes, ON_FAULT) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
