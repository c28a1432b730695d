//! Memory of segments as the system accounts for it, without attaching them.

use crate::conf::BackendKind;
use crate::share::backend::{SegmentFacts, segment_name};
use crate::share::home::Home;
use crate::sys::proc;
use crate::units::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The memory that a segment occupies.
///
/// Pages that were never written occupy none, so it is usually less than the size of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in RAM; for a file, bytes on disk, which may be in RAM, too.
    pub resident: Bytes,
    /// Bytes swapped out; 0 if the system does not report them.
    pub swapped: Bytes,
}

/// The memory of all segments of a backend at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTable {
    by_id: BTreeMap<u64, Memory>,
}

impl MemoryTable {
    /// Reads `/proc/sysvipc/shm`, or the allocated blocks of the files.
    ///
    /// # Errors
    ///
    /// Fails if the system does not list the segments.
    pub fn read(home: &Home) -> io::Result<MemoryTable> {
        let by_id = match home.backend {
            BackendKind::Sysv => {
                let rows = proc::segment_memory()?.into_iter();
                let memory =
                    |row: proc::ShmMemory| Memory { resident: Bytes(row.rss), swapped: Bytes(row.swap) };
                rows.map(|row| (row.shmid as u64, memory(row))).collect()
            }
            BackendKind::Posix => files(home, Path::new(crate::share::posix::DIR))?,
            BackendKind::File => files(home, &home.dir)?,
            BackendKind::Heap => BTreeMap::new(),
        };
        Ok(MemoryTable { by_id })
    }

    /// Returns the memory of one segment; `None` if the system does not report it.
    pub fn of(&self, segment: &SegmentFacts) -> Option<Memory> {
        self.by_id.get(&segment.id).copied()
    }
}

/// Reads the memory of files. Their blocks are counted in units of 512 bytes on every file system.
fn files(home: &Home, dir: &Path) -> io::Result<BTreeMap<u64, Memory>> {
    const UNIT: u64 = 512;
    let keys = home.open().keys()?;
    let found = keys.into_iter().filter_map(|key| std::fs::metadata(dir.join(segment_name(key))).ok());
    let memory = |blocks: u64| Memory { resident: Bytes(blocks * UNIT), swapped: Bytes(0) };
    Ok(found.map(|file| (file.ino(), memory(file.blocks()))).collect())
}
