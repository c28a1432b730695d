//! The bytes of a segment, without any behaviour.
//!
//! `docs/layout.md` describes the same bytes in prose; `tests/layout.rs` compares the two. Every
//! record consists of atomics alone, has fields of explicit width and no padding. Any bytes are a
//! valid value of a record: its reader checks what they mean.
//!
//! # What the unsafe code here relies on
//!
//! It marks structs as [`Record`] and does nothing else. Each is `repr(C)`, all its fields are
//! [`Word`]s and [`Half`]s, and an assertion of its size beside the mark shows that there is no padding.

mod block;
mod extent;
mod frozen;
mod group;
mod header;
mod lane;
mod last;
mod note;
mod start;
mod tally;
mod type_info;

pub use block::BlockBase;
pub(crate) use block::{BLOCK_ACTIVE, BLOCK_VACANT};
pub(crate) use extent::slots_extent;
pub use extent::{ExtentKind, ExtentRec};
pub use frozen::{
    BASE_KIND, BLOCK_KIND, DRAFT, Frozen, LAYOUT_VERSION, MAGIC_GONE, MAGIC_MAKING, MAGIC_READY,
};
pub use group::Group;
pub use header::{BaseHeader, Geometry, RUN_CLOSED, RUN_READY, RUN_STARTING};
pub use lane::LaneHead;
pub(crate) use lane::{COMMITTED, UndoKind};
pub(crate) use last::{Last, Op};
pub use note::{NoteRec, NoteRing};
pub use start::{
    BEFORE_CLOSED, BEFORE_DIED_READY, BEFORE_DIED_STARTING, BEFORE_LEFT_READY, BEFORE_LEFT_STARTING,
    BEFORE_NONE, END_CLOSED, END_DROPPED, END_NONE, END_PANICKED, END_SIGNAL, StartRec,
};
pub(crate) use tally::Tally;
pub(crate) use type_info::FLAG_KEYED;
pub use type_info::TypeInfo;

use crate::word::{Half, Word};

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
        // SAFETY: every field is a `Word` or a `Half`, and the size says that there is no padding.
        #[allow(unsafe_code)]
        unsafe impl $crate::layout::Record for $name {}
    };
}
pub(crate) use record;

record!(Word, 8);
record!(Half, 4);

/// Stores a text in whole words, truncated to fit and padded with zeros.
pub(crate) fn fill_text(words: &[Word], text: &str) {
    let mut bytes = text.as_bytes().iter().copied();
    for word in words {
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(&mut bytes) {
            *to = from;
        }
        word.fill(u64::from_le_bytes(eight));
    }
}

/// Returns the text in whole words up to the first zero byte; invalid UTF-8 is replaced.
pub(crate) fn text(words: &[Word]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.load().to_le_bytes()).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Computes the CRC-32C of a sequence of words.
pub(crate) fn checksum(words: impl IntoIterator<Item = u64>) -> u32 {
    words.into_iter().fold(0, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes()))
}
