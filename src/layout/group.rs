use super::record;
use crate::word::Word;

/// One cache line of a type's index from user keys to slots.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Group {
    /// At least the number of entries whose first choice is this group and that live in
    /// their second.
    pub overflow: Word,
    /// `hash << 26 | slot + 1`, or 0. An entry is a hint: it holds only as long as the slot
    /// is live and carries a key with that hash.
    pub entries: [Word; 7],
}

record!(Group, 64);
