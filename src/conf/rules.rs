//! The rules for each value, the same for an ini and for a configuration that a program created.
//!
//! Every rule takes the value and a way to show it: the text of the ini, or the value itself.

use super::fits;
use super::memory::{HugePages, MemoryConf};
use super::problem::{Found, ProblemKind};
use super::process::BackendKind;
use super::resume::{OnCrashLoop, ResumeConf};
use super::snapshots::SnapshotConf;
use crate::limits;
use crate::units::{Bytes, Key};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

type Ruled<T> = Result<T, ProblemKind>;

/// Allowed capacities of a type.
pub(super) const CAPACITY: RangeInclusive<u32> = 0..=limits::MAX_CAPACITY;
/// Allowed sizes of one object.
pub(super) const OBJECT_BYTES: RangeInclusive<Bytes> = Bytes(1)..=Bytes(limits::MAX_BLOCK_BYTES);
/// Allowed values of `OwnerWaitMs`.
pub(super) const OWNER_WAIT_MS: RangeInclusive<u64> = 0..=limits::MAX_OWNER_WAIT_MS;
/// Allowed values of `MaxCrashResumes`.
pub(super) const CRASH_RESUMES: RangeInclusive<u32> = 0..=limits::MAX_CRASH_RESUMES;
/// Allowed values of `CrashWindowSec`.
pub(super) const CRASH_WINDOW_SEC: RangeInclusive<u64> = 1..=limits::MAX_CRASH_WINDOW_SEC;
/// Allowed values of `SnapshotEverySec`.
pub(super) const SNAPSHOT_EVERY_SEC: RangeInclusive<u64> = 0..=limits::MAX_SNAPSHOT_EVERY_SEC;
/// Allowed values of `SnapshotKeep`.
pub(super) const SNAPSHOT_KEEP: RangeInclusive<u32> = 1..=limits::MAX_SNAPSHOTS_KEPT;
/// Allowed values of `BlockSize`.
pub(super) const BLOCK_SIZE: RangeInclusive<Bytes> =
    Bytes(limits::MIN_BLOCK_BYTES)..=Bytes(limits::MAX_BLOCK_BYTES);
/// Allowed values of `UndoSize`.
pub(super) const UNDO_SIZE: RangeInclusive<Bytes> =
    Bytes(limits::MIN_UNDO_BYTES)..=Bytes(limits::MAX_UNDO_BYTES);

/// Returns the value if it is in `range`.
pub(super) fn within<T: Ord + Display>(
    value: Option<T>,
    range: &RangeInclusive<T>,
    shown: &dyn Display,
) -> Ruled<T> {
    value.filter(|value| range.contains(value)).ok_or_else(|| ProblemKind::OutOfRange {
        found: Found::of(shown),
        min: range.start().to_string(),
        max: range.end().to_string(),
    })
}

/// Returns the key if a restarted process can find it again.
pub(super) fn key(key: Key, shown: &dyn Display) -> Ruled<Key> {
    match key {
        Key(0) => Err(ProblemKind::PrivateKey { found: Found::of(shown) }),
        key => Ok(key),
    }
}

/// Checks the number of blocks.
pub(super) fn blocks(count: usize) -> Ruled<()> {
    match count {
        0 => Err(ProblemKind::EmptyShmKeys),
        found if found > limits::MAX_BLOCKS as usize => Err(ProblemKind::TooManyBlocks { found }),
        _ => Ok(()),
    }
}

/// Returns the size if it is in `range` and a whole number of pages.
pub(super) fn whole_pages(
    size: Option<Bytes>,
    range: &RangeInclusive<Bytes>,
    shown: &dyn Display,
) -> Ruled<Bytes> {
    let size = within(size, range, shown)?;
    let below = size.0 - size.0 % limits::PAGE;
    if below == size.0 {
        return Ok(size);
    }
    Err(ProblemKind::NotWholePages { found: size, below: Bytes(below), above: Bytes(below + limits::PAGE) })
}

/// Returns the mode if it has 0600, and no bits outside 0666.
pub(super) fn mode(mode: u32, shown: &dyn Display) -> Ruled<u32> {
    match mode {
        _ if mode & !0o666 != 0 => Err(ProblemKind::ModeBits { found: Found::of(shown) }),
        _ if mode & 0o600 != 0o600 => Err(ProblemKind::ModeLocksOwner { found: Found::of(shown) }),
        mode => Ok(mode),
    }
}

/// Checks backend and folder together.
pub(super) fn dir(backend: BackendKind, dir: Option<&Path>) -> Ruled<()> {
    match (backend, dir) {
        (BackendKind::File, None) => Err(ProblemKind::DirMissing),
        (BackendKind::File, Some(dir)) if !dir.is_absolute() => {
            Err(ProblemKind::DirNotAbsolute { found: Found::of(&dir.display()) })
        }
        (BackendKind::File, Some(_)) | (_, None) => Ok(()),
        (_, Some(_)) => Err(ProblemKind::DirUnused),
    }
}

/// Checks that only System V segments are required to have reserved pages.
pub(super) fn memory(memory: &MemoryConf, backend: BackendKind) -> Ruled<()> {
    match (memory.huge_pages, backend) {
        (HugePages::On, backend) if backend != BackendKind::Sysv => {
            Err(ProblemKind::HugeNotReserved { backend: backend.name() })
        }
        _ => Ok(()),
    }
}

/// Checks that a pool that must be hot is not moved aside.
pub(super) fn resume(resume: &ResumeConf) -> Ruled<()> {
    match (resume.on_crash_loop, resume.must_be_hot) {
        (OnCrashLoop::Cold, true) => Err(ProblemKind::HotAndCold),
        _ => Ok(()),
    }
}

/// Checks the folder of the snapshots: a start from another folder must find it.
pub(super) fn snapshot_dir(dir: &Path) -> Ruled<()> {
    match dir.as_os_str().is_empty() || dir.is_absolute() {
        true => Ok(()),
        false => Err(ProblemKind::SnapshotDirNotAbsolute { found: Found::of(&dir.display()) }),
    }
}

/// Checks that a setting of snapshots, which differs from its default, has a folder to apply to.
pub(super) fn snapshot_setting(snapshots: &SnapshotConf, is_set: bool) -> Ruled<()> {
    match is_set && !snapshots.has_dir() {
        true => Err(ProblemKind::SnapshotDirMissing),
        false => Ok(()),
    }
}

/// Checks the number of types.
pub(super) fn types(count: usize) -> Ruled<()> {
    match count {
        found if found > limits::MAX_TYPE_ID as usize => Err(ProblemKind::TooManyTypes { found }),
        _ => Ok(()),
    }
}

/// Returns the size if a block has room for such an object.
pub(super) fn object(size: Bytes, block: Option<Bytes>) -> Ruled<Bytes> {
    block.and_then(|block| fits::object(size, block)).map_or(Ok(size), Err)
}

/// Returns the text if it is a valid process name.
pub(super) fn process_name(text: &str) -> Ruled<&str> {
    match text {
        "common" => Err(ProblemKind::ReservedName),
        text => name(text, limits::MAX_PROCESS_NAME),
    }
}

/// Returns the text if it is a valid name of a process or type of at most `max` bytes.
pub(super) fn name(text: &str, max: usize) -> Ruled<&str> {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let starts = text.bytes().next().is_some_and(letter);
    if !starts || !text.bytes().all(|b| letter(b) || b.is_ascii_digit() || b == b'-') {
        return Err(ProblemKind::BadName { found: Found::of(&text) });
    }
    if text.len() > max {
        return Err(ProblemKind::NameTooLong { found: Found::of(&text), length: text.len(), max });
    }
    Ok(text)
}
