//! The words that a segment consists of: the only access to atomics.
//!
//! A segment has one writer, so no word needs a lock prefix or a fence of the processor. It needs
//! the compiler neither to drop nor to move a store: a killed process leaves exactly the stores
//! that retired, in program order. `Word::store` therefore has a compiler fence on both sides.
//! `Word::fill` has none: it serves fields that are invisible until a later `store` publishes them.
//!
//! After a fence the compiler cannot reuse values that it has read before. Hot paths therefore read
//! what they need before their first `store`.
//!
//! Locks and queues have many writers. They consist of [`Shared`] and [`SharedHalf`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};

/// A compiler fence: the compiler moves no load or store across it.
#[inline(always)]
pub(crate) fn edge() {
    compiler_fence(Ordering::SeqCst);
}

/// Returns the value of a word that holds these bytes, at most 8, and zeros after them.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "the callers take the bytes from `chunks(8)`")]
pub(crate) fn padded(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(eight)
}

macro_rules! word {
    ($name:ident, $atomic:ty, $int:ty) => {
        /// A word of a segment.
        #[repr(transparent)]
        pub struct $name($atomic);

        impl $name {
            /// Creates a word in the process's own memory.
            #[allow(dead_code, reason = "only one of the two widths is used outside segments")]
            pub(crate) const fn new(value: $int) -> Self {
                Self(<$atomic>::new(value))
            }

            /// Reads the word, which another process may be writing.
            ///
            /// It orders nothing. The owner needs no order among its own loads, and an observer may
            /// see any mixture of old and new.
            #[inline(always)]
            pub fn load(&self) -> $int {
                self.0.load(Ordering::Relaxed)
            }

            /// Writes the word, after everything before it and before everything after it.
            #[inline(always)]
            pub(crate) fn store(&self, value: $int) {
                edge();
                self.0.store(value, Ordering::Release);
                edge();
            }

            /// Writes a word that no reader can reach yet.
            #[inline(always)]
            pub(crate) fn fill(&self, value: $int) {
                self.0.store(value, Ordering::Relaxed);
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.load(), f)
            }
        }
    };
}

word!(Word, AtomicU64, u64);
word!(Half, AtomicU32, u32);

macro_rules! shared_word {
    ($name:ident, $atomic:ty, $int:ty) => {
        /// A word that several processes write: each access takes part in one order that all of
        /// them see.
        #[repr(transparent)]
        pub struct $name($atomic);

        #[allow(dead_code, reason = "the two widths are not used in the same ways")]
        impl $name {
            /// Reads the word, and with it what was stored before the value that is found.
            #[inline(always)]
            pub(crate) fn load(&self) -> $int {
                edge();
                let value = self.0.load(Ordering::SeqCst);
                edge();
                value
            }

            /// Publishes what was stored before.
            #[inline(always)]
            pub(crate) fn store(&self, value: $int) {
                edge();
                self.0.store(value, Ordering::Release);
                edge();
            }

            /// Stores, and does not look at another word before the store is visible.
            #[inline(always)]
            pub(crate) fn swap(&self, value: $int) -> $int {
                edge();
                let before = self.0.swap(value, Ordering::SeqCst);
                edge();
                before
            }

            /// Stores `to` if the word is `from`; else returns what it is.
            #[inline(always)]
            pub(crate) fn replace(&self, from: $int, to: $int) -> Result<(), $int> {
                edge();
                let answer = self.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
                edge();
                answer.map(drop)
            }

            /// Adds, and returns the sum.
            #[inline(always)]
            pub(crate) fn add(&self, more: $int) -> $int {
                edge();
                let before = self.0.fetch_add(more, Ordering::SeqCst);
                edge();
                before.wrapping_add(more)
            }

            /// Subtracts, and returns the difference.
            #[inline(always)]
            pub(crate) fn sub(&self, less: $int) -> $int {
                edge();
                let before = self.0.fetch_sub(less, Ordering::SeqCst);
                edge();
                before.wrapping_sub(less)
            }

            /// Its address, for a call that waits until it changes.
            pub(crate) fn address(&self) -> *mut $int {
                self.0.as_ptr()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.load(), f)
            }
        }
    };
}

shared_word!(Shared, AtomicU64, u64);
shared_word!(SharedHalf, AtomicU32, u32);

/// Between reads of bytes that another process may be writing, and the read of the word that tells
/// whether it did.
#[inline(always)]
pub(crate) fn read_before() {
    fence(Ordering::Acquire);
}

/// Between the word that tells that bytes are about to change, and the stores that change them.
#[inline(always)]
pub(crate) fn write_after() {
    fence(Ordering::Release);
}

/// Between a store and the read of a word that another process writes before it reads the stored one:
/// at least one of the two processes sees the store of the other.
#[inline(always)]
pub(crate) fn look_after_store() {
    fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a round, each in a line of its own.
    #[repr(align(64))]
    struct Line(Shared);

    /// Waits until the other thread has reached the round, too.
    fn meet(mine: &Line, other: &Line, round: u64) {
        mine.0.swap(round);
        while other.0.load() < round {
            std::thread::yield_now();
        }
    }

    /// A writer stores and looks whether the reader sleeps; the reader says that it sleeps and looks
    /// for the store. If neither saw the other, the reader would sleep although a message is there.
    #[test]
    fn a_writer_and_a_reader_do_not_miss_each_other() {
        let rounds = if cfg!(miri) { 20 } else { 10_000 };
        let [entry, bell, first, second] = std::array::from_fn(|_| Line(Shared(AtomicU64::new(0))));
        let missed = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut answers = Vec::new();
                for round in 1..=rounds {
                    meet(&first, &second, 2 * round);
                    entry.0.store(round);
                    look_after_store();
                    answers.push(bell.0.load() == round);
                    meet(&first, &second, 2 * round + 1);
                }
                answers
            });
            let mut answers = Vec::new();
            for round in 1..=rounds {
                meet(&second, &first, 2 * round);
                bell.0.swap(round);
                answers.push(entry.0.load() == round);
                meet(&second, &first, 2 * round + 1);
            }
            let writer = writer.join().unwrap_or_default();
            assert_eq!(writer.len(), answers.len());
            writer.iter().zip(&answers).filter(|(saw, seen)| !**saw && !**seen).count()
        });
        assert_eq!(missed, 0, "of {rounds}");
    }
}
