//! Segments as words, for tests that damage a pool.

pub use hotpool::share::raw::{peek, read, sum};
use hotpool::units::Key;

/// Puts a segment under `key` in place of what is there.
pub fn plant(key: Key, bytes: u64, content: &[u8]) -> std::io::Result<()> {
    // SAFETY: these tests keep no reference to an object while they damage its pool.
    unsafe { hotpool::share::raw::plant(key, bytes, content) }
}

/// Removes the segment under `key` if there is one.
pub fn remove(key: Key) {
    // SAFETY: as in `plant`.
    unsafe { hotpool::share::raw::remove(key) }
}

/// Changes the word at `offset` of the segment under `key`; false if there is none.
pub fn poke(key: Key, offset: u64, change: impl FnOnce(u64) -> u64) -> bool {
    // SAFETY: as in `plant`.
    unsafe { hotpool::share::raw::poke(key, offset, change) }
}
