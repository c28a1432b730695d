//! What segments take of the machine's memory, from the system's own books: nothing is attached.

use crate::conf::BackendKind;
use crate::share::backend::{SegmentFacts, segment_name};
use crate::share::home::Home;
use crate::sys::proc;
use crate::units::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Memory that a segment takes. Pages that nothing was written to take none, so it is less than the
/// size of the segment, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In RAM. Of a file: on disk, which may or may not be in RAM too.
    pub resident: Bytes,
    /// Swapped out; 0 where the system does not say.
    pub swapped: Bytes,
}

/// The memory of all segments of a home at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTable {
    by_id: BTreeMap<u64, Memory>,
}

impl MemoryTable {
    /// Reads `/proc/sysvipc/shm`, or the blocks of the files.
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

    /// What one segment takes; `None` if the system does not say.
    pub fn of(&self, segment: &SegmentFacts) -> Option<Memory> {
        self.by_id.get(&segment.id).copied()
    }
}

/// A file's blocks are counted in units of 512 bytes, whatever the file system's are.
fn files(home: &Home, dir: &Path) -> io::Result<BTreeMap<u64, Memory>> {
    const UNIT: u64 = 512;
    let keys = home.open().keys()?;
    let found = keys.into_iter().filter_map(|key| std::fs::metadata(dir.join(segment_name(key))).ok());
    let memory = |blocks: u64| Memory { resident: Bytes(blocks * UNIT), swapped: Bytes(0) };
    Ok(found.map(|file| (file.ino(), memory(file.blocks()))).collect())
}
