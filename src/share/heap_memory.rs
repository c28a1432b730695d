//! Memory of the process that stands for a segment of the `heap` backend.

use memmap2::{MmapMut, MmapRaw};
use std::io;

/// Zeros, as they come from the kernel.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) map: MmapRaw,
    /// Where the segment begins.
    pub(super) at: usize,
    pub(super) bytes: u64,
}

impl Memory {
    /// Has `bytes` zeros mapped.
    pub(super) fn new(bytes: u64) -> io::Result<Self> {
        Ok(Memory { map: MmapRaw::from(MmapMut::map_anon(bytes as usize)?), at: 0, bytes })
    }

    /// Address and length of the segment.
    pub(super) fn extent(&self) -> (*mut u8, u64) {
        (self.map.as_mut_ptr().wrapping_add(self.at), self.bytes)
    }
}
