//! Segments of the `heap` backend as words that can be damaged, for fuzz targets and tests (feature
//! `__internal_fuzzing`).
//!
//! # What the unsafe code here relies on
//!
//! The functions that write are unsafe because a pool of this process hands out references to the
//! memory that they write; the caller guarantees that there are none. They do nothing else that is
//! unsafe.
#![allow(unsafe_code)]

use super::heap::HeapBackend;
use crate::units::Key;
use crate::word::Word;
use std::io;

/// Returns the words of the segment under `key`; `None` if there is none.
pub fn read(key: Key) -> Option<Vec<u64>> {
    let segment = HeapBackend::find(key)?;
    let region = segment.region();
    let words = (0..region.len() / 8).map_while(|word| region.at::<Word>(word * 8).ok());
    Some(words.map(|word| word.load()).collect())
}

/// Replaces the segment under `key` by one of `bytes` bytes with `content`, as far as it fits, and
/// zeros.
///
/// The memory of an older segment of this size is reused if no code has it attached any more.
///
/// # Errors
///
/// There is no memory for the segment.
///
/// # Safety
///
/// No reference to an object of the segment exists in any thread while this runs.
pub unsafe fn plant(key: Key, bytes: u64, content: &[u8]) -> io::Result<()> {
    HeapBackend::replace(key, bytes)?.region().restore(content);
    Ok(())
}

/// Removes the segment under `key` if there is one.
///
/// # Safety
///
/// No reference to an object of the segment exists in any thread while this runs.
pub unsafe fn remove(key: Key) {
    HeapBackend::discard(key);
}

/// Changes the word at `offset` of the segment under `key`; returns false if there is none.
///
/// # Safety
///
/// No reference to an object of the segment exists in any thread while this runs.
pub unsafe fn poke(key: Key, offset: u64, change: impl FnOnce(u64) -> u64) -> bool {
    let Some(segment) = HeapBackend::find(key) else { return false };
    let Ok(word) = segment.region().at::<Word>(offset) else { return false };
    word.store(change(word.load()));
    true
}

/// Returns the word at `offset` of the segment under `key`.
pub fn peek(key: Key, offset: u64) -> Option<u64> {
    HeapBackend::find(key)?.region().at::<Word>(offset).ok().map(|word| word.load())
}

/// Returns the CRC-32C of `bytes` bytes at `offset` of the segment under `key`.
///
/// Bytes past its end count as zeros.
pub fn sum(key: Key, offset: u64, bytes: u64) -> Option<u32> {
    let segment = HeapBackend::find(key)?;
    let region = segment.region();
    let word = |at| region.at::<Word>(at).map_or(0, |word| word.load());
    let words = (offset..offset + bytes).step_by(8).map(word);
    Some(words.fold(0, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes())))
}
