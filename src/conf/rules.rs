//! What each value may be. The ini and a configuration made by a program obey the same rules.
//!
//! Every rule takes the value and a way to show it: the text of the ini, or the value itself.

use super::fits;
use super::memory::{HugePages, MemoryConf};
use super::problem::{Found, ProblemKind};
use super::process::BackendKind;
use super::resume::{OnCrashLoop, ResumeConf};
use crate::limits;
use crate::units::{Bytes, Key};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

type Ruled<T> = Result<T, ProblemKind>;

/// Objects of one type that the ini can set aside.
pub(super) const CAPACITY: RangeInclusive<u32> = 0..=limits::MAX_CAPACITY;
/// Bytes of one object.
pub(super) const OBJECT_BYTES: RangeInclusive<Bytes> = Bytes(1)..=Bytes(limits::MAX_BLOCK_BYTES);
/// `OwnerWaitMs`.
pub(super) const OWNER_WAIT_MS: RangeInclusive<u64> = 0..=limits::MAX_OWNER_WAIT_MS;
/// `MaxCrashResumes`.
pub(super) const CRASH_RESUMES: RangeInclusive<u32> = 0..=limits::MAX_CRASH_RESUMES;
/// `CrashWindowSec`.
pub(super) const CRASH_WINDOW_SEC: RangeInclusive<u64> = 1..=limits::MAX_CRASH_WINDOW_SEC;
/// `BlockSize`.
pub(super) const BLOCK_SIZE: RangeInclusive<Bytes> =
    Bytes(limits::MIN_BLOCK_BYTES)..=Bytes(limits::MAX_BLOCK_BYTES);
/// `UndoSize`.
pub(super) const UNDO_SIZE: RangeInclusive<Bytes> =
    Bytes(limits::MIN_UNDO_BYTES)..=Bytes(limits::MAX_UNDO_BYTES);

/// The value, if `range` has it.
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

/// A key that a restarted process finds again.
pub(super) fn key(key: Key, shown: &dyn Display) -> Ruled<Key> {
    match key {
        Key(0) => Err(ProblemKind::PrivateKey { found: Found::of(shown) }),
        key => Ok(key),
    }
}

/// How many blocks a pool can have.
pub(super) fn blocks(count: usize) -> Ruled<()> {
    match count {
        0 => Err(ProblemKind::EmptyShmKeys),
        found if found > limits::MAX_BLOCKS as usize => Err(ProblemKind::TooManyBlocks { found }),
        _ => Ok(()),
    }
}

/// A size in `range` that is a whole number of pages.
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

/// Permission bits: read and write for the owner, and what of 0066 is asked for.
pub(super) fn mode(mode: u32, shown: &dyn Display) -> Ruled<u32> {
    match mode {
        _ if mode & !0o666 != 0 => Err(ProblemKind::ModeBits { found: Found::of(shown) }),
        _ if mode & 0o600 != 0o600 => Err(ProblemKind::ModeLocksOwner { found: Found::of(shown) }),
        mode => Ok(mode),
    }
}

/// Backend and folder, which only make sense together.
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

/// Only System V segments can be made of reserved pages.
pub(super) fn memory(memory: &MemoryConf, backend: BackendKind) -> Ruled<()> {
    match (memory.huge_pages, backend) {
        (HugePages::On, backend) if backend != BackendKind::Sysv => {
            Err(ProblemKind::HugeNotReserved { backend: backend.name() })
        }
        _ => Ok(()),
    }
}

/// A pool that must be hot cannot be moved aside.
pub(super) fn resume(resume: &ResumeConf) -> Ruled<()> {
    match (resume.on_crash_loop, resume.must_be_hot) {
        (OnCrashLoop::Cold, true) => Err(ProblemKind::HotAndCold),
        _ => Ok(()),
    }
}

/// How many types a pool can have.
pub(super) fn types(count: usize) -> Ruled<()> {
    match count {
        found if found > limits::MAX_TYPE_ID as usize => Err(ProblemKind::TooManyTypes { found }),
        _ => Ok(()),
    }
}

/// An object that a block has room for.
pub(super) fn object(size: Bytes, block: Option<Bytes>) -> Ruled<Bytes> {
    block.and_then(|block| fits::object(size, block)).map_or(Ok(size), Err)
}

/// The name of a process.
pub(super) fn process_name(text: &str) -> Ruled<&str> {
    match text {
        "common" => Err(ProblemKind::ReservedName),
        text => name(text, limits::MAX_PROCESS_NAME),
    }
}

/// The name of a process or of a type, at most `max` bytes.
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
