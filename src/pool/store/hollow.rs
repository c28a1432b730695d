//! The memory that stands in for hollow extents: extents whose memory was given back.
//!
//! Their slot numbers remain, because handles that were given out name them. All hollow extents
//! share zeros of the process: slots that hold nothing, so that no handle into one resolves, and a
//! walk finds nothing.
//!
//! # What the unsafe code here relies on
//!
//! The mapping exists until the pool drops it with its `Space`. `Slots` that lead into it are in the
//! same pool, and read nothing when they are dropped.
#![allow(unsafe_code)]

use crate::region::Region;
use memmap2::{MmapMut, MmapRaw};
use std::io;
use std::ptr::NonNull;

/// Zeros in place of extents without memory.
#[derive(Default)]
pub(crate) struct Hollow {
    mapping: Option<(MmapRaw, Region)>,
}

impl Hollow {
    /// Returns the zeros: `bytes` bytes, as at the first call. They cost address space, but no memory.
    pub(crate) fn region(&mut self, bytes: u64) -> io::Result<Region> {
        if let Some(made) = self.made() {
            return Ok(made);
        }
        let mapping = MmapRaw::from(MmapMut::map_anon(bytes as usize)?);
        let base = NonNull::new(mapping.as_mut_ptr()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a mapping begins at a page, and this one is never replaced.
        let region = unsafe { Region::new(base, bytes) };
        self.mapping = Some((mapping, region));
        Ok(region)
    }

    /// Returns the zeros if `region` has made them.
    pub(crate) fn made(&self) -> Option<Region> {
        self.mapping.as_ref().map(|(_, region)| *region)
    }
}
