//! Memory of the process that serves as a segment of the `heap` backend.

use memmap2::{MmapMut, MmapRaw};
use std::io;

/// Anonymous memory, which begins as zeros.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) map: MmapRaw,
    /// Offset of the segment in the mapping.
    pub(super) at: usize,
    pub(super) bytes: u64,
}

impl Memory {
    /// Maps `bytes` bytes of zeros.
    pub(super) fn new(bytes: u64) -> io::Result<Self> {
        Ok(Memory { map: MmapRaw::from(MmapMut::map_anon(bytes as usize)?), at: 0, bytes })
    }

    /// Returns address and length of the segment.
    pub(super) fn extent(&self) -> (*mut u8, u64) {
        (self.map.as_mut_ptr().wrapping_add(self.at), self.bytes)
    }
}
