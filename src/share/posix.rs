//! The backend `posix`: POSIX shared memory, through the `shared_memory` crate.
//!
//! That crate lacks calls for size, owner, mode, read-only mappings and the list of names. They use
//! `/dev/shm`, where Linux keeps POSIX shared memory.

use super::backend::{Access, Backend, SegmentFacts, segment_name};
use super::file::{attach_file, find_file, keys_in, open_file, remove_file, reserve_in_file, writers_of};
use super::segment::Segment;
use super::shmem::kept;
use super::unlinked::Unlinked;
use crate::conf::BackendKind;
use crate::region::Region;
use crate::units::Key;
use shared_memory::ShmemConf;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// POSIX shared memory.
#[derive(Debug, Default)]
pub(crate) struct PosixBackend {
    unlinked: Unlinked,
}

pub(super) const DIR: &str = "/dev/shm";

fn path(key: Key) -> PathBuf {
    Path::new(DIR).join(segment_name(key))
}

fn shmem(key: Key) -> ShmemConf {
    ShmemConf::new().os_id(format!("/{}", segment_name(key)))
}

impl Backend for PosixBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Posix
    }

    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        let path = path(key);
        Ok(find_file(&path)?.or_else(|| self.unlinked.facts_of(&path)))
    }

    fn list_once(&self, once: bool) {
        self.unlinked.list_once(once);
    }

    fn find(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        find_file(&path(key))
    }

    fn create(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment> {
        // The crate creates the name first and sets the size later. A death between the two leaves
        // a name without bytes, which is safe to remove. A creation in progress looks the same, so
        // creations take turns.
        let _turn = turn()?;
        if find_file(&path(key))?.is_some_and(|found| found.bytes.0 == 0) {
            fs::remove_file(path(key))?;
        }
        let conf = shmem(key).size(bytes as usize);
        let segment = Segment::kept(|| Ok(Segment::posix(kept(conf.create())?)))?;
        fs::set_permissions(path(key), Permissions::from_mode(mode & 0o777))?;
        Ok(segment)
    }

    fn reserve(&self, key: Key, span: &Region, bytes: u64) -> io::Result<()> {
        reserve_in_file(&path(key), span, bytes)
    }

    fn attach(&self, key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
        if access == Access::Read {
            return attach_file(&path(key), facts, access);
        }
        let segment = Segment::kept(|| Ok(Segment::posix(kept(shmem(key).open())?)))?;
        // The crate opens by name: check that the name still leads to the segment that was judged.
        match self.stat(key)? {
            Some(now) if now.id == facts.id && segment.region().len() == facts.bytes.0 => Ok(segment),
            _ => Err(super::backend::replaced()),
        }
    }

    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()> {
        remove_file(&path(key), facts)
    }

    fn path(&self, key: Key) -> Option<PathBuf> {
        Some(path(key))
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        keys_in(Path::new(DIR))
    }

    fn file(&self, key: Key, facts: &SegmentFacts) -> Option<File> {
        open_file(&path(key), facts)
    }

    fn writers(&self, key: Key, facts: &SegmentFacts) -> Vec<i32> {
        writers_of(key, facts)
    }
}

/// Returns the exclusive right to create memory on this host, which the kernel releases if its
/// holder dies.
fn turn() -> io::Result<File> {
    const TRIES: u32 = 2000;
    let folder = File::open(DIR)?;
    for _ in 0..TRIES {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("another process keeps {DIR} locked: see `lslocks`")))
}
