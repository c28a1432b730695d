use super::record;
use crate::word::Word;

/// One note of the black box.
///
/// The note number `n` since the pool was made lies at place `n % count`, and counts when
/// `NoteRing::count` is above `n`.
#[repr(C)]
#[derive(Debug)]
pub struct NoteRec {
    /// Low 32 bits of its number below, its tag above.
    pub number_tag: Word,
    /// When, nanoseconds of the coarse monotonic clock.
    pub nanos: Word,
    /// Whatever the tag says.
    pub a: Word,
    /// Whatever the tag says.
    pub b: Word,
}

record!(NoteRec, 32);

/// The first bytes of the black box.
#[repr(C)]
#[derive(Debug)]
pub struct NoteRing {
    /// Notes since the pool was made. Storing it commits a note.
    pub count: Word,
    /// Zero.
    pub spare: [Word; 3],
}

record!(NoteRing, 32);
