use super::record::record;
use crate::word::Word;

/// The head of a lane, followed by the undo log of the current transaction.
#[repr(C)]
#[derive(Debug)]
pub struct LaneHead {
    /// Bytes of log in use; 0 if no transaction is open.
    ///
    /// Bit 63 is set once the transaction is committed and until its frees are done. Storing this
    /// word commits a transaction.
    pub tail: Word,
    /// Number of lanes into which the log after this head is divided; 0 if it is the log of this
    /// lane.
    ///
    /// Only the first head has such a number, and only while threads work side by side.
    pub lanes: Word,
    /// Reserved, zero.
    pub spare: [Word; 6],
}

record!(LaneHead, 64);

/// Bit of `tail` that is set once the transaction is committed.
pub(crate) const COMMITTED: u64 = 1 << 63;

/// The kinds of records in an undo log.
///
/// The first word of a record is `kind | payload bytes << 8`, the second is the operand. The
/// payload follows, padded to whole words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UndoKind {
    /// The object with this handle had these bytes.
    Bytes,
    /// An object was allocated; the operand is its handle.
    Alloc,
    /// The object with this handle is to be freed at the commit.
    Free,
    /// The operand is the tag that was committed last before this transaction.
    Tag,
    /// The operand is the position of a reader before this transaction.
    Position,
}

impl UndoKind {
    pub(crate) const fn word(self, payload: u64) -> u64 {
        let kind = match self {
            UndoKind::Bytes => 1,
            UndoKind::Alloc => 2,
            UndoKind::Free => 3,
            UndoKind::Tag => 4,
            UndoKind::Position => 5,
        };
        payload << 8 | kind
    }

    /// Returns the kind and the bytes of payload; `None` if the word is not the first word of a
    /// record.
    pub(crate) fn parse(word: u64) -> Option<(Self, u64)> {
        let kind = match word & 0xff {
            1 => UndoKind::Bytes,
            2 => UndoKind::Alloc,
            3 => UndoKind::Free,
            4 => UndoKind::Tag,
            5 => UndoKind::Position,
            _ => return None,
        };
        Some((kind, word >> 8))
    }
}
