//! Inaccessible pages after mappings, so that an access past the end is a fault.
//!
//! # What the unsafe code here relies on
//!
//! `mmap` with `MAP_FIXED_NOREPLACE` never maps over anything. A kernel before 4.17 takes the
//! address as a hint; a page that it maps elsewhere is unmapped at once. A [`Guard`] owns its page
//! and unmaps it once. No address inside the page ever becomes a reference.
#![allow(unsafe_code)]

use crate::limits::PAGE;
use crate::sys::fork::Origin;
use memmap2::MmapRaw;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

/// An inaccessible page of the address space.
#[derive(Debug)]
pub(crate) struct Guard {
    page: *mut libc::c_void,
    origin: Origin,
}

// SAFETY: the page belongs to the process and not to a thread, and no reference to it exists.
unsafe impl Send for Guard {}
// SAFETY: as above.
unsafe impl Sync for Guard {}

impl Guard {
    /// Maps an inaccessible page at `address`; returns `None` if something else is mapped there.
    fn at(address: usize) -> io::Result<Option<Guard>> {
        let wanted = std::ptr::without_provenance_mut::<libc::c_void>(address);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: see the top of this file.
        let page = unsafe { libc::mmap(wanted, PAGE as usize, libc::PROT_NONE, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EEXIST) => Ok(None),
                error => Err(error),
            };
        }
        let guard = Guard { page, origin: Origin::here() };
        Ok((page.addr() == address).then_some(guard))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A forked child keeps its copy: a mapping of the parent may precede the page.
        if self.origin.is_here() {
            // SAFETY: this value owns the page.
            unsafe { libc::munmap(self.page, PAGE as usize) };
        }
    }
}

/// Returns the addresses of the pages of a mapping.
pub(crate) fn span(map: &MmapRaw) -> Range<usize> {
    let start = map.as_mut_ptr().addr();
    start..start + map.len().next_multiple_of(PAGE as usize)
}

/// Creates a mapping that an inaccessible page follows; `pages` returns the addresses of its pages.
///
/// The kernel chooses the addresses. If something else follows a mapping, another one is created
/// while the first still exists. Sooner or later one ends where an earlier one begins. The earlier
/// one is then unmapped, which leaves room for the page. Threads take turns: a mapping of another
/// one would take that room.
pub(crate) fn guarded<M>(
    mut map: impl FnMut() -> io::Result<M>,
    pages: impl Fn(&M) -> Range<usize>,
) -> io::Result<(M, Guard)> {
    const TRIES: u32 = 1024;
    let _turn = turn();
    let mut earlier: Vec<M> = Vec::new();
    for _ in 0..TRIES {
        let mapped = map()?;
        let end = pages(&mapped).end;
        earlier.retain(|earlier| pages(earlier).start != end);
        match Guard::at(end)? {
            Some(guard) => return Ok((mapped, guard)),
            None => earlier.push(mapped),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no address with a free page after it was found"))
}

/// Waits for the turn of this thread, but not for ever: in a forked child, the thread whose turn it
/// was does not exist.
fn turn() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    for _ in 0..1000 {
        match TURN.try_lock() {
            Ok(turn) => return Some(turn),
            Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(50)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapMut;

    #[test]
    fn a_guard_never_replaces_what_is_mapped() {
        let page = MmapMut::map_anon(PAGE as usize).unwrap();
        assert!(Guard::at(page.as_ptr().addr()).unwrap().is_none());
    }

    #[test]
    fn threads_that_map_and_unmap_at_once_all_get_guards() {
        let map = || MmapMut::map_anon(2 * PAGE as usize).map(MmapRaw::from);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        drop(guarded(map, span).unwrap());
                    }
                });
            }
        });
    }

    #[test]
    fn mappings_get_guards_wherever_the_kernel_puts_them() {
        let map = |pages| MmapMut::map_anon(pages * PAGE as usize).map(MmapRaw::from);
        // Holes of one and of two pages, each followed by a mapping.
        let filled: Vec<MmapRaw> = (0..300).map(|n| map(1 + n % 2).unwrap()).collect();
        let kept: Vec<MmapRaw> =
            filled.into_iter().enumerate().filter(|(n, _)| n % 4 > 1).map(|(_, map)| map).collect();
        for size in [1, 2, 3] {
            let guarded: Vec<_> = (0..100).map(|_| guarded(|| map(size), span).unwrap()).collect();
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            for (map, _) in &guarded {
                let end = format!("{:x}-", span(map).end);
                let after = maps.lines().find(|line| line.starts_with(&end)).unwrap();
                assert!(after.contains(" ---p "), "{after}");
            }
        }
        drop(kept);
    }
}
