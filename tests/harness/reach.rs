//! Records which commit stores of docs/layout.md were done when a kill came.
//!
//! With the feature `__internal_mutants` the library logs each commit store by name in memory that parent and
//! child share. A kill comes *before* commit store `n` of an operation if exactly the `n` stores
//! before it are done. It comes *after* commit store `n` if that is the last one done.

use std::collections::{BTreeMap, BTreeSet};

/// For each commit store, the tests that killed before it and after it.
#[derive(Default)]
pub struct Reached {
    pub by: BTreeMap<usize, [BTreeSet<String>; 2]>,
}

impl Reached {
    /// Records a kill after the first `done` stores of `log`.
    pub fn kill(&mut self, test: &str, log: &[usize], done: usize) {
        if let Some(next) = log.get(done) {
            self.by.entry(*next).or_default()[0].insert(test.to_string());
        }
        if let Some(last) = done.checked_sub(1).and_then(|last| log.get(last)) {
            self.by.entry(*last).or_default()[1].insert(test.to_string());
        }
    }
}

#[cfg(feature = "__internal_mutants")]
mod board {
    use hotpool::commits;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Two counts and the log.
    const WORDS: usize = 1 << 16;

    fn board() -> &'static [AtomicU32] {
        static BOARD: OnceLock<&'static [AtomicU32]> = OnceLock::new();
        BOARD.get_or_init(|| {
            let (protection, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            // SAFETY: the kernel chooses a free address.
            let memory = unsafe { libc::mmap(std::ptr::null_mut(), WORDS * 4, protection, flags, -1, 0) };
            assert!(memory.addr() != usize::MAX, "mmap: {}", std::io::Error::last_os_error());
            // SAFETY: zeroed memory for so many words, never unmapped.
            let board = unsafe { std::slice::from_raw_parts(memory.cast::<AtomicU32>(), WORDS) };
            commits::log_in(board);
            board
        })
    }

    /// Clears the log.
    pub fn reset() {
        board()[..2].iter().for_each(|count| count.store(0, Ordering::SeqCst));
    }

    /// Returns how many commit stores were begun.
    pub fn begun() -> usize {
        board()[0].load(Ordering::SeqCst) as usize
    }

    /// Returns how many commit stores are done.
    pub fn done() -> usize {
        board()[1].load(Ordering::SeqCst) as usize
    }

    /// Returns the logged commit stores in their order.
    pub fn log() -> Vec<usize> {
        let entries = board()[2..].iter().take(begun());
        entries.map(|entry| entry.load(Ordering::SeqCst) as usize).collect()
    }
}

#[cfg(not(feature = "__internal_mutants"))]
mod board {
    pub fn reset() {}

    pub fn begun() -> usize {
        0
    }

    pub fn done() -> usize {
        0
    }

    pub fn log() -> Vec<usize> {
        Vec::new()
    }
}

pub use board::{begun, done, log, reset};
