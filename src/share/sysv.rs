//! The backend `sysv`: System V shared memory, the default.

use super::backend::{Access, Backend, SegmentFacts, replaced};
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::layout::Frozen;
use crate::sys::sysv::SHM_DEST;
use crate::sys::{proc, sysv};
use crate::units::{Bytes, Key};
use std::io;
use std::sync::{Mutex, PoisonError};

/// System V shared memory.
#[derive(Debug, Default)]
pub(crate) struct SysvBackend {
    /// Cache for [`list_once`](Backend::list_once).
    removed: Mutex<Listed>,
}

/// The segments of pools that were removed while a process has them attached.
#[derive(Debug, Default)]
enum Listed {
    /// Listed anew for each key.
    #[default]
    Never,
    /// The next absent key lists them for the keys after it.
    Next,
    /// Key and shmid of each.
    Once(Vec<(u32, i32)>),
}

impl Backend for SysvBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Sysv
    }

    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        match self.find(key)? {
            None => self.removed_but_attached(key),
            found => Ok(found),
        }
    }

    fn find(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        // A table of blocks that is damaged or half written may have it.
        if key == Key(0) {
            return Ok(None);
        }
        match sysv::shm_find(key)?.map(facts_of) {
            // Removed between the two calls.
            Some(Err(error)) if gone(&error) => Ok(None),
            found => found.transpose(),
        }
    }

    fn create(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment> {
        make(key, bytes, mode, false)
    }

    fn create_huge(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment> {
        make(key, bytes, mode, true)
    }

    fn attach(&self, _key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
        match attach(facts.id as i32, facts.bytes.0, access) {
            Err(error) if gone(&error) => Err(replaced()),
            answer => answer,
        }
    }

    fn remove(&self, _key: Key, facts: &SegmentFacts) -> io::Result<()> {
        match sysv::shm_remove(facts.id as i32) {
            Err(error) if gone(&error) => Err(replaced()),
            other => other,
        }
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        Ok(proc::segments()?.into_iter().filter(|row| row.key != 0).map(|row| Key(row.key)).collect())
    }

    fn list_once(&self, once: bool) {
        let mut listed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        *listed = if once { Listed::Next } else { Listed::Never };
    }

    fn writers(&self, _key: Key, facts: &SegmentFacts) -> Vec<i32> {
        // The kernel shows the shmid as the inode of a mapping, and `/SYSV` and the key as its path.
        proc::writers(|path, inode| inode == facts.id && path.starts_with("/SYSV"))
    }
}

impl SysvBackend {
    /// Returns the segment that had `key` until it was removed while a process has it attached.
    fn removed_but_attached(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        let mut listed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Listed::Next = *listed {
            *listed = Listed::Once(list_removed()?);
        }
        let fresh;
        let found = match &*listed {
            Listed::Once(found) => found,
            _ => {
                fresh = list_removed()?;
                &fresh
            }
        };
        let of_key = found.iter().filter(|(of, _)| *of == key.0);
        Ok(of_key.filter_map(|(_, shmid)| facts_of(*shmid).ok()).find(|facts| facts.removed))
    }
}

fn make(key: Key, bytes: u64, mode: u32, huge: bool) -> io::Result<Segment> {
    let shmid = sysv::shm_create(key, bytes, mode, huge)?;
    let made = Segment::kept(|| Ok(Segment::sysv_made(sysv::shm_attach(shmid, true)?, bytes, huge)));
    if made.is_err() {
        // Zeros that a refused start leaves without semaphores would be a stranger's to the next.
        let _ = sysv::shm_remove(shmid);
    }
    made
}

fn attach(shmid: i32, bytes: u64, access: Access) -> io::Result<Segment> {
    Segment::kept(|| Ok(Segment::sysv(sysv::shm_attach(shmid, access == Access::Write)?, bytes)))
}

/// Returns whether the error means that the shmid is no longer in use.
fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM))
}

fn facts_of(shmid: i32) -> io::Result<SegmentFacts> {
    let stat = match sysv::shm_stat(shmid) {
        // The table of all segments has the same facts if this user may not query the segment.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => proc::segment_stat(shmid).ok_or(error)?,
        other => other?,
    };
    Ok(SegmentFacts {
        bytes: Bytes(stat.bytes),
        uid: stat.uid,
        gid: stat.gid,
        mode: stat.mode & 0o777,
        id: shmid as u64,
        creator_pid: Some(stat.creator_pid),
        last_pid: Some(stat.last_pid),
        attached: Some(stat.attached),
        removed: stat.mode & SHM_DEST != 0,
        changed: stat.created,
        last_attach: Some(stat.last_attach).filter(|t| *t != 0),
        last_detach: Some(stat.last_detach).filter(|t| *t != 0),
    })
}

/// Returns key and shmid of every pool segment that was removed while a process has it attached.
///
/// The kernel no longer has their keys, but the frozen bytes do.
fn list_removed() -> io::Result<Vec<(u32, i32)>> {
    let mut found = Vec::new();
    for row in proc::segments()?.iter().filter(|row| row.mode & SHM_DEST != 0) {
        let Ok(facts) = facts_of(row.shmid) else { continue };
        let Ok(segment) = attach(row.shmid, facts.bytes.0, Access::Read) else { continue };
        if let Ok(frozen) = segment.region().at::<Frozen>(0)
            && Frozen::is_magic(frozen.magic.load())
        {
            found.push((frozen.key.load(), row.shmid));
        }
    }
    Ok(found)
}
