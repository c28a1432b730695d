//! The backend `posix` on Windows: named memory, through the `shared_memory` crate.
//!
//! That crate keeps the memory of a name in a file of the temporary folder, so that the name lives
//! on when no process has it mapped. Facts, read-only mappings and removals use that file.

use super::file::{attach_file, find_file, keys_in, remove_file};
use crate::conf::BackendKind;
use crate::share::backend::{Access, Backend, SegmentFacts, replaced, segment_name};
use crate::share::segment::Segment;
use crate::share::shmem::kept;
use crate::units::Key;
use shared_memory::ShmemConf;
use std::io;
use std::path::PathBuf;

/// Named memory.
#[derive(Debug, Default)]
pub(crate) struct PosixBackend {}

/// Returns the folder in which the crate keeps the memory.
fn dir() -> PathBuf {
    std::env::temp_dir().join("shared_memory-rs")
}

fn path(key: Key) -> PathBuf {
    dir().join(segment_name(key))
}

fn shmem(key: Key) -> ShmemConf {
    ShmemConf::new().os_id(segment_name(key))
}

impl Backend for PosixBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Posix
    }

    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        find_file(&path(key))
    }

    fn create(&self, key: Key, bytes: u64, _mode: u32) -> io::Result<Segment> {
        let conf = shmem(key).size(bytes as usize);
        Segment::kept(|| Ok(Segment::posix(kept(conf.create())?)))
    }

    fn attach(&self, key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
        if access == Access::Read {
            return attach_file(&path(key), facts, access);
        }
        let segment = Segment::kept(|| Ok(Segment::posix(kept(shmem(key).open())?)))?;
        // The crate opens by name: check that the name still leads to the segment that was judged.
        match self.stat(key)? {
            Some(now) if now.id == facts.id && segment.region().len() == facts.bytes.0 => Ok(segment),
            _ => Err(replaced()),
        }
    }

    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()> {
        remove_file(&path(key), facts)
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        keys_in(&dir())
    }

    /// Returns nothing, because Windows does not report who has a file mapped.
    fn writers(&self, _key: Key, _facts: &SegmentFacts) -> Vec<i32> {
        Vec::new()
    }
}
