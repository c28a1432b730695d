//! Writing a mapped range to its file.

use memmap2::MmapRaw;
use std::io;

/// Whether a flush waits until the file has the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Returns once they are written.
    Sync,
    /// Schedules the write.
    Async,
}

impl Flush {
    /// Writes the pages of a range of `map` to its file. The caller has checked the range.
    pub(crate) fn write(self, map: &MmapRaw, at: u64, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        match self {
            Flush::Sync => map.flush_range(at as usize, bytes as usize),
            Flush::Async => map.flush_async_range(at as usize, bytes as usize),
        }
    }
}
