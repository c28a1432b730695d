use super::record::record;
use crate::word::Word;

/// One note of the black box.
///
/// Note `n` since the pool was created is at position `n % 2047`, and counts once `NoteRing::count`
/// is above `n`.
#[repr(C)]
#[derive(Debug)]
pub struct NoteRec {
    /// Low 32 bits of the note's number in the low half, its tag in the high half.
    pub number_tag: Word,
    /// Time of the note, in nanoseconds of the coarse monotonic clock.
    pub nanos: Word,
    /// First operand; its meaning depends on the tag.
    pub a: Word,
    /// Second operand; its meaning depends on the tag.
    pub b: Word,
}

record!(NoteRec, 32);

/// The head of the black box, followed by its notes.
#[repr(C)]
#[derive(Debug)]
pub struct NoteRing {
    /// Number of notes since the pool was created. Storing it commits a note.
    pub count: Word,
    /// Reserved, zero.
    pub spare: [Word; 3],
}

record!(NoteRing, 32);
