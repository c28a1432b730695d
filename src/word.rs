//! The words that a segment consists of: the only access to atomics.
//!
//! A segment has one writer, so no word needs a lock prefix or a fence of the processor. It needs
//! the compiler neither to drop nor to move a store: a killed process leaves exactly the stores
//! that retired, in program order. `Word::store` therefore has a compiler fence on both sides.
//! `Word::fill` has none: it serves fields that are invisible until a later `store` publishes them.
//!
//! After a fence the compiler cannot reuse values that it has read before. Hot paths therefore read
//! what they need before their first `store`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

/// A compiler fence: the compiler moves no load or store across it.
#[inline(always)]
pub(crate) fn edge() {
    compiler_fence(Ordering::SeqCst);
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
