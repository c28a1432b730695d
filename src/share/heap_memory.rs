//! Memory of the process that serves as a segment of the `heap` backend.

use crate::sys::BYTES_ONLY;
use crate::sys::guard::{Guard, guarded, span};
use memmap2::{MmapMut, MmapRaw};
use std::io;

/// Anonymous memory, which begins as zeros.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) map: MmapRaw,
    /// Offset of the segment in the mapping.
    pub(super) at: usize,
    pub(super) bytes: u64,
    /// Keeps a look beyond the last page from reaching other memory. Miri has no such pages.
    _guard: Option<Guard>,
}

impl Memory {
    /// Maps `bytes` bytes of zeros.
    pub(super) fn new(bytes: u64) -> io::Result<Self> {
        let map = || MmapMut::map_anon(bytes as usize).map(MmapRaw::from);
        if BYTES_ONLY {
            return Ok(Self::part(map()?, 0, bytes));
        }
        let (map, guard) = guarded(map, span)?;
        Ok(Memory { map, at: 0, bytes, _guard: Some(guard) })
    }

    /// The `bytes` bytes from `at` of a mapping.
    pub(super) fn part(map: MmapRaw, at: usize, bytes: u64) -> Self {
        Memory { map, at, bytes, _guard: None }
    }

    /// Returns address and length of the segment.
    pub(super) fn extent(&self) -> (*mut u8, u64) {
        (self.map.as_mut_ptr().wrapping_add(self.at), self.bytes)
    }
}
