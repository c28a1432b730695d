//! Segments of the backend `heap` as words, to be damaged: for the fuzz targets and for tests, behind the
//! feature `fuzzing`.
//!
//! # What the unsafe code here relies on
//!
//! The functions that write are unsafe because a pool of this process hands out references to what they write to; the
//! caller promises that there is none. They do nothing else that is unsafe.
#![allow(unsafe_code)]

use super::heap::HeapBackend;
use crate::units::Key;
use crate::word::Word;
use std::io;

/// The words of the segment under `key`; `None` if there is none.
pub fn read(key: Key) -> Option<Vec<u64>> {
    let segment = HeapBackend::find(key)?;
    let region = segment.region();
    let words = (0..region.len() / 8).map_while(|word| region.at::<Word>(word * 8).ok());
    Some(words.map(|word| word.load()).collect())
}

/// Puts a segment of `bytes` bytes under `key`, in place of what is there: `content`, as far as there is room for it, and
/// zeros behind it. A segment of that size whose memory nobody has attached any more is used again.
///
/// # Safety
///
/// No reference to an object of the segment is alive, in no thread, while this runs.
pub unsafe fn plant(key: Key, bytes: u64, content: &[u8]) -> io::Result<()> {
    HeapBackend::replace(key, bytes)?.region().restore(content);
    Ok(())
}

/// Removes the segment under `key` if there is one.
///
/// # Safety
///
/// No reference to an object of the segment is alive, in no thread, while this runs.
pub unsafe fn remove(key: Key) {
    HeapBackend::discard(key);
}

/// Changes the word at `offset` of the segment under `key`; false if there is none.
///
/// # Safety
///
/// No reference to an object of the segment is alive, in no thread, while this runs.
pub unsafe fn poke(key: Key, offset: u64, change: impl FnOnce(u64) -> u64) -> bool {
    let Some(segment) = HeapBackend::find(key) else { return false };
    let Ok(word) = segment.region().at::<Word>(offset) else { return false };
    word.store(change(word.load()));
    true
}

/// The word at `offset` of the segment under `key`.
pub fn peek(key: Key, offset: u64) -> Option<u64> {
    HeapBackend::find(key)?.region().at::<Word>(offset).ok().map(|word| word.load())
}

/// CRC-32C of `bytes` bytes at `offset` of the segment under `key`; what lies behind its end counts as zeros.
pub fn sum(key: Key, offset: u64, bytes: u64) -> Option<u32> {
    let segment = HeapBackend::find(key)?;
    let region = segment.region();
    let word = |at| region.at::<Word>(at).map_or(0, |word| word.load());
    let words = (offset..offset + bytes).step_by(8).map(word);
    Some(words.fold(0, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes())))
}
