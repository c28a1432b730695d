//! Segments of the backend `heap` as words, to be damaged: for the fuzz targets and for tests, behind the
//! feature `fuzzing`. Nobody may hold a reference to an object while its segment is written to.

use super::backend::{Access, Backend};
use super::heap::HeapBackend;
use super::segment::Segment;
use crate::sync::Word;
use crate::units::Key;
use std::io;

fn attach(key: Key) -> io::Result<Option<Segment>> {
    let found = HeapBackend.stat(key)?.filter(|facts| !facts.removed);
    found.map(|facts| HeapBackend.attach(key, &facts, Access::Write)).transpose()
}

/// The words of the segment under `key`; `None` if there is none.
pub fn read(key: Key) -> Option<Vec<u64>> {
    let region = attach(key).ok()??;
    let region = region.region();
    let words = (0..region.len() / 8).map_while(|word| region.at::<Word>(word * 8).ok());
    Some(words.map(|word| word.load()).collect())
}

/// Puts a segment of `bytes` bytes under `key`, in place of what is there: zeros but for `parts`, each
/// words with the offset of the first one. What does not fit is left out.
pub fn plant(key: Key, bytes: u64, parts: &[(u64, Vec<u64>)]) -> io::Result<()> {
    remove(key)?;
    let segment = HeapBackend.create(key, bytes, 0o600)?;
    let region = segment.region();
    for (offset, words) in parts {
        for (number, word) in words.iter().enumerate() {
            if let Ok(place) = region.at::<Word>(offset + number as u64 * 8) {
                place.store(*word);
            }
        }
    }
    Ok(())
}

/// Removes the segment under `key` if there is one.
pub fn remove(key: Key) -> io::Result<()> {
    match HeapBackend.stat(key)?.filter(|facts| !facts.removed) {
        Some(facts) => HeapBackend.remove(key, &facts),
        None => Ok(()),
    }
}

/// Changes the word at `offset` of the segment under `key`; false if there is none.
pub fn poke(key: Key, offset: u64, change: impl FnOnce(u64) -> u64) -> bool {
    let Ok(Some(segment)) = attach(key) else { return false };
    let Ok(word) = segment.region().at::<Word>(offset) else { return false };
    word.store(change(word.load()));
    true
}

/// The word at `offset` of the segment under `key`.
pub fn peek(key: Key, offset: u64) -> Option<u64> {
    attach(key).ok()??.region().at::<Word>(offset).ok().map(|word| word.load())
}
