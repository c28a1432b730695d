//! The base lock: the lock on the base itself, for the backends `file` and `posix`.
//!
//! Files may be visible in several IPC namespaces, but semaphores are not. So a start also locks
//! the first byte of the base. A mapping of one page, the anchor, keeps the open file that has the
//! lock. This gives the lock the lifetime of an owner:
//!
//! | event | the lock |
//! |---|---|
//! | the owner dies | ends when its memory is unmapped: the kernel unmaps all pages of a process before it closes the files of its mappings |
//! | the owner forks | is not inherited: no forked child has the anchor or a descriptor |
//! | the owner executes a program | ends with its memory |
//! | the owner is stopped | stays |
//! | the same process opens the base again | conflicts, as between two processes |
//!
//! On an overlay, a mapping keeps the file of the lower layer, so the lock on the opened file ends with the
//! last descriptor. There, a descriptor stays open while the lock is held. On other file systems, a start
//! tests whether the mapping keeps the lock, on a byte that no other start uses. On an overlay this test is
//! not sufficient: a process that is just being spawned has a copy of the descriptor until it executes its
//! program. `docs/owner.md` has the steps of a start.

use super::owner_error::OwnerError;
use super::segment::Segment;
use super::wait::Wait;
use crate::limits::{self, PAGE};
use crate::sys;
use crate::sys::file_lock::{is_locked, try_lock};
use crate::sys::fork::OwnFile;
use crate::sys::sparse;
use crate::units::Key;
use memmap2::MmapOptions;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// The byte that the owner locks.
const OWNER_BYTE: u64 = 0;

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// The lock on the base of a pool; dropping it unlocks it, in the process that took it only.
#[derive(Debug)]
pub(super) struct BaseLock {
    /// Keeps the open file that has the lock.
    _anchor: Segment,
    /// Keeps that open file if a mapping keeps another one.
    _file: Option<OwnFile>,
    id: FileId,
}

/// The result of one attempt.
enum Attempt {
    Taken(BaseLock),
    /// Another open file has the lock.
    Held,
    /// The file does not exist.
    Absent,
    /// The path led to another file during the attempt.
    Replaced,
}

impl BaseLock {
    /// Locks the base at `path`, waiting for a dying owner; returns `None` if there is no file.
    ///
    /// `held` creates the error if the lock is still held after the wait.
    pub(super) fn take(
        key: Key,
        path: &Path,
        wait: Wait,
        held: &dyn Fn() -> OwnerError,
    ) -> Result<Option<Self>, OwnerError> {
        // A spawned process has the descriptors of its parent until it executes its program, also the one that
        // was open for the lock. So a lock counts as held only if it lasts.
        let doubt = Wait::ms(limits::LOCK_DOUBT_MS);
        let mut pause = Duration::from_micros(200);
        let mut replaced = 0;
        loop {
            match try_take(path) {
                Ok(Attempt::Taken(lock)) => return Ok(Some(lock)),
                Ok(Attempt::Absent) => return Ok(None),
                Ok(Attempt::Replaced) if replaced < limits::OWNER_ROUNDS => replaced += 1,
                Ok(Attempt::Replaced) => return Err(OwnerError::Removed { key, rounds: replaced }),
                Ok(Attempt::Held) if wait.left().max(doubt.left()).is_zero() => return Err(held()),
                Ok(Attempt::Held) => {
                    std::thread::sleep(pause.min(wait.left().max(doubt.left())));
                    pause = (pause * 2).min(Duration::from_millis(limits::FENCE_PAUSE_MS));
                }
                Err(source) => return Err(OwnerError::Base { key, path: path.to_path_buf(), source }),
            }
        }
    }

    /// Returns the inode of the locked file.
    pub(super) fn inode(&self) -> u64 {
        self.id.inode
    }

    /// Returns whether `path` leads to the locked file.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(id_at(path)? == Some(self.id))
    }
}

/// Returns whether any process has locked the base at `path`; `false` if this user may not read it.
pub(super) fn is_held(path: &Path) -> io::Result<bool> {
    match open(path, false) {
        Ok(file) => is_locked(&file, OWNER_BYTE),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn try_take(path: &Path) -> io::Result<Attempt> {
    let open = || OwnFile::open(|| open(path, true));
    let (holder, probe) = match (open(), open()) {
        (Ok(holder), Ok(probe)) => (holder, probe),
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Attempt::Absent);
        }
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let id = id_of(&of_this_process(&holder)?.metadata()?);
    if id != id_of(&of_this_process(&probe)?.metadata()?) {
        return Ok(Attempt::Replaced);
    }
    // No other process locks this byte: whether it is locked tells whether this lock exists.
    let own_byte = 1 + (sys::random_id()?[0] >> 2);
    if !try_lock(of_this_process(&holder)?, OWNER_BYTE)? || !try_lock(of_this_process(&holder)?, own_byte)? {
        return Ok(Attempt::Held);
    }
    let anchor = Segment::kept(|| {
        let map = MmapOptions::new().len(PAGE as usize).map_raw_read_only(of_this_process(&holder)?)?;
        Ok(Segment::mmap(map))
    })?;
    let is_on_overlay = sparse::is_on_overlay(of_this_process(&holder)?)?;
    let kept = is_on_overlay.then_some(holder);
    let file = match is_locked(of_this_process(&probe)?, own_byte)? {
        true => kept,
        // Between the two locks another start may have been faster.
        false if !try_lock(of_this_process(&probe)?, OWNER_BYTE)? => return Ok(Attempt::Held),
        false => Some(probe),
    };
    let lock = BaseLock { _anchor: anchor, _file: file, id };
    Ok(if lock.is_at(path)? { Attempt::Taken(lock) } else { Attempt::Replaced })
}

fn of_this_process(file: &OwnFile) -> io::Result<&File> {
    file.file().ok_or_else(|| io::Error::other("a forked child has no descriptor of its parent"))
}

/// Opens a file by its own name, without following a link.
fn open(path: &Path, writable: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path)
}

fn id_of(found: &fs::Metadata) -> FileId {
    FileId { device: found.dev(), inode: found.ino() }
}

fn id_at(path: &Path) -> io::Result<Option<FileId>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(id_of(&found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
