//! Segments as arrays of words, for tests that damage a pool.

pub use hotpool::share::raw::{peek, read, sum};
use hotpool::units::Key;

/// Replaces the segment under `key`, if any, with a new one.
pub fn plant(key: Key, bytes: u64, content: &[u8]) -> std::io::Result<()> {
    // SAFETY: these tests hold no reference to an object while they damage its pool.
    unsafe { hotpool::share::raw::plant(key, bytes, content) }
}

/// Removes the segment under `key`, if any.
pub fn remove(key: Key) {
    // SAFETY: as in `plant`.
    unsafe { hotpool::share::raw::remove(key) }
}

/// Changes the word at `offset` of the segment under `key`. Returns false if the word does not
/// exist.
pub fn poke(key: Key, offset: u64, change: impl FnOnce(u64) -> u64) -> bool {
    // SAFETY: as in `plant`.
    unsafe { hotpool::share::raw::poke(key, offset, change) }
}
