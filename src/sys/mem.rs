//! Advice on mapped memory, and locks on it.
//!
//! # What the unsafe code here relies on
//!
//! `madvise` and `mlock2` are called on ranges of a [`Region`] only, which are mapped as long as the
//! region is in use and begin at a page. `MADV_DONTFORK`, `MADV_DONTDUMP`, `MADV_HUGEPAGE`,
//! `MADV_POPULATE_WRITE`, `mlock2` and `mincore` change no byte. `MADV_REMOVE` turns bytes to zero, which is a store
//! like any other: segments are only seen through atomics and raw pointers, and any bytes are
//! a valid record.
#![allow(unsafe_code)]

use crate::region::Region;
use crate::sys::BYTES_ONLY;
use std::io;

/// What can be asked of the kernel about a range of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// A forked child does not have the mapping.
    DontFork,
    /// A core dump leaves the mapping out.
    DontDump,
    /// Pages of 2 MiB, where the host allows them.
    HugePage,
    /// Every page gets memory now. Want of memory is an error here, where a store would
    /// raise SIGBUS.
    PopulateWrite,
    /// The pages go back to the kernel; the bytes read as zero.
    Remove,
    /// Nobody may read or write the pages any more.
    #[cfg(feature = "fuzzing")]
    Fence,
}

impl Advice {
    /// Whether anybody can see by the bytes that it was given.
    fn changes_bytes(self) -> bool {
        !matches!(self, Advice::DontFork | Advice::DontDump | Advice::PopulateWrite)
    }
}

/// Gives `advice` for `bytes` bytes at `offset`, which is a multiple of the page size.
pub(crate) fn advise(region: &Region, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
    if bytes == 0 || (BYTES_ONLY && !advice.changes_bytes()) {
        return Ok(());
    }
    let start = region.span(offset, bytes).map_err(|_| outside())?;
    // Miri does not know the call. Private memory is refused what changes bytes by the kernel, too.
    if cfg!(miri) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let advice = match advice {
        Advice::DontFork => libc::MADV_DONTFORK,
        Advice::DontDump => libc::MADV_DONTDUMP,
        Advice::HugePage => libc::MADV_HUGEPAGE,
        Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
        Advice::Remove => libc::MADV_REMOVE,
        #[cfg(feature = "fuzzing")]
        Advice::Fence => {
            // SAFETY: inside a live mapping; who asks for it looks at those pages as little as anybody else.
            return match unsafe { libc::mprotect(start.as_ptr().cast(), bytes as usize, libc::PROT_NONE) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            };
        }
    };
    // SAFETY: `Region::span` says that the range is inside a live mapping; none of
    // them unmaps it, and the one that changes bytes is covered at the top of this file.
    match unsafe { libc::madvise(start.as_ptr().cast(), bytes as usize, advice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "outside of the mapping")
}

/// Gives memory to every page of the range, so that want of it is an error here and not a
/// SIGBUS at a later store: EFAULT, where the file system is full. A kernel before 5.14 cannot be asked; there it does
/// nothing.
pub(crate) fn populate(region: &Region, offset: u64, bytes: u64) -> io::Result<()> {
    try_populate(region, offset, bytes).map(drop)
}

/// The same, and whether the kernel could be asked.
pub(crate) fn try_populate(region: &Region, offset: u64, bytes: u64) -> io::Result<bool> {
    match advise(region, offset, bytes, Advice::PopulateWrite) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which pages of the range are in RAM: a byte a page, 0 for one that is not. A page that is not may be swapped out.
/// The range begins at a page.
pub(crate) fn resident(region: &Region, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let start = region.span(offset, bytes).map_err(|_| outside())?;
    let mut pages = vec![0u8; bytes.div_ceil(crate::limits::PAGE) as usize];
    // SAFETY: inside a live mapping; the kernel writes a byte for each page of the range, for which there is room.
    match unsafe { libc::mincore(start.as_ptr().cast(), bytes as usize, pages.as_mut_ptr()) } {
        0 => Ok(pages.into_iter().map(|page| page & 1).collect()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Keeps the whole region in RAM until it is unmapped: what has memory now, and what gets it later. Looks at the
/// limit for all of it at once and gives memory to nothing.
pub(crate) fn lock(region: &Region) -> io::Result<()> {
    const ON_FAULT: u32 = 1;
    let (start, bytes) = (region.span(0, region.len()).map_err(|_| outside())?, region.len() as usize);
    // The C library has no function for it on every target.
    // SAFETY: the range is a live mapping; locking it changes no byte of it.
    match unsafe { libc::syscall(libc::SYS_mlock2, start.as_ptr(), bytes, ON_FAULT) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
