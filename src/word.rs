//! The only door to atomics: the words that a segment is made of.
//!
//! A segment has one writer, so no word needs a lock prefix or a fence of the
//! processor. What it needs is that the compiler neither drops nor moves a store:
//! a process that is killed leaves exactly the stores that retired, in program
//! order. `Word::store` is therefore fenced against the compiler on both sides;
//! `Word::fill` is not, and serves fields that are invisible until a later
//! `store` publishes them.
//!
//! Behind an edge the compiler has forgotten whatever it has read. Hot paths therefore read what
//! they need before their first `store`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

/// An edge that no load or store is moved across by the compiler.
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
            /// A word of the process's own.
            #[allow(dead_code, reason = "only one of the two widths is used outside of segments")]
            pub(crate) const fn new(value: $int) -> Self {
                Self(<$atomic>::new(value))
            }

            /// Reads the word; another process may be writing it. Orders nothing: the owner needs no
            /// order among its own loads, and an observer may see any mixture of old and new.
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

            /// Writes a word that nothing can reach yet.
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
