//! The lock on the base itself, where the base is a file: of the `file` and the `posix` backend.
//!
//! Files are seen from more than one IPC namespace, and semaphores are not. So a start locks the first byte of the
//! base too. The open file that has the lock is kept by a mapping of one page, the anchor. That gives the lock
//! the life that an owner has:
//!
//! | what happens | the lock |
//! |---|---|
//! | the owner dies | goes when its memory is unmapped: the kernel unmaps all pages of a process before it closes the files of its mappings |
//! | the owner forks | is not inherited: no forked child has the anchor or a descriptor |
//! | the owner executes a program | goes with its memory |
//! | the owner is stopped | stays |
//! | the same process opens the base again | conflicts, as between two processes |
//!
//! A mapping of a file on an overlay keeps the file below it, so the lock on the file that was opened goes with the
//! last descriptor. There a descriptor stays open as long as the lock is held. On other file systems a byte that no other
//! start uses tells whether the mapping keeps the lock. That byte is not enough on an overlay: a process that is just
//! being spawned has a copy of the descriptor until it executes its program. `docs/owner.md` has the steps of a start.

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

/// The byte that the owner has locked.
const OWNER_BYTE: u64 = 0;

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// The lock on the base of a pool. Given back on drop, by the process that took it and no other.
#[derive(Debug)]
pub(super) struct BaseLock {
    /// Keeps the open file that has the lock.
    _anchor: Segment,
    /// The same, where a mapping keeps another file.
    _file: Option<OwnFile>,
    id: FileId,
}

/// What came of one try.
enum Attempt {
    Taken(BaseLock),
    /// Another open file has it.
    Held,
    /// There is no file.
    Absent,
    /// The path led to another file in the middle of the try.
    Replaced,
}

impl BaseLock {
    /// Locks the base at `path`, waiting for a dying owner; `None` if there is no file. `held` says why the lock is
    /// not had after the wait.
    pub(super) fn take(
        key: Key,
        path: &Path,
        wait: Wait,
        held: &dyn Fn() -> OwnerError,
    ) -> Result<Option<Self>, OwnerError> {
        // A process that was spawned has the descriptors of its parent until it executes its program, the one that was
        // open for the lock, too. So a lock is believed when it lasts.
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

    /// Number of the file that is locked.
    pub(super) fn inode(&self) -> u64 {
        self.id.inode
    }

    /// Whether `path` leads to the file that is locked.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(id_at(path)? == Some(self.id))
    }
}

/// Whether a process has the base at `path` locked, wherever it runs. `false` where this user may not look.
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
    // Nobody else locks this byte: whether it is locked says whether this lock is there.
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
        // Between the two locks another start may have been quicker.
        false if !try_lock(of_this_process(&probe)?, OWNER_BYTE)? => return Ok(Attempt::Held),
        false => Some(probe),
    };
    let lock = BaseLock { _anchor: anchor, _file: file, id };
    Ok(if lock.is_at(path)? { Attempt::Taken(lock) } else { Attempt::Replaced })
}

fn of_this_process(file: &OwnFile) -> io::Result<&File> {
    file.file().ok_or_else(|| io::Error::other("a forked child has no descriptor of its parent"))
}

/// Opens what is a file by its name, and no link to one.
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
