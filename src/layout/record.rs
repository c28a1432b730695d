//! What a struct of a segment is, and the checksum of its words.
//!
//! # What the unsafe code here relies on
//!
//! It marks structs as [`Record`] and does nothing else. Each is `repr(C)`, all its fields are
//! [`Word`]s and [`Half`]s, and an assertion of its size beside the mark shows that there is no padding.

use crate::word::{Half, Shared, SharedHalf, Word};

/// A record of a segment: `repr(C)`, made of [`Word`] and [`Half`] alone, without padding.
///
/// # Safety
///
/// The implementor has no byte that is not part of an atomic word, and an
/// alignment of at most a cache line, 64.
#[allow(unsafe_code)]
pub unsafe trait Record {}

macro_rules! record {
    ($name:ty, $bytes:expr) => {
        const _: () = assert!(size_of::<$name>() == $bytes && align_of::<$name>() <= 64);
        // SAFETY: every field is a `Word`, a `Half` or one of their shared kin, and the size says that there is no padding.
        #[allow(unsafe_code)]
        unsafe impl $crate::layout::Record for $name {}
    };
}
pub(crate) use record;

record!(Word, 8);
record!(Half, 4);
record!(Shared, 8);
record!(SharedHalf, 4);

/// Computes the CRC-32C of a sequence of words.
pub(crate) fn checksum(words: impl IntoIterator<Item = u64>) -> u32 {
    words.into_iter().fold(0, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes()))
}
