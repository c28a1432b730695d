use super::record::record;
use crate::word::Word;

/// One cache line of the index that maps a type's user keys to slots.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Group {
    /// Upper bound on the entries whose first choice is this group and that are stored in their
    /// second choice.
    pub overflow: Word,
    /// Entries of the form `hash << 26 | slot + 1`, or 0.
    ///
    /// An entry is a hint: it counts only while the slot is live and its key has that hash.
    pub entries: [Word; 7],
}

record!(Group, 64);
