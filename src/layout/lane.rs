use super::record;
use crate::word::Word;

/// The head of a lane: the undo log of the transaction in flight follows it.
#[repr(C)]
#[derive(Debug)]
pub struct LaneHead {
    /// Bytes of log in use; bit 63 set once the transaction is committed and its frees are being
    /// done; 0 if there is none in flight. The word that commits.
    pub tail: Word,
    /// Zero.
    pub spare: [Word; 7],
}

record!(LaneHead, 64);

/// `tail`: the transaction is committed.
pub(crate) const COMMITTED: u64 = 1 << 63;

/// What a record of an undo log says. Its first word is `kind | bytes of the payload << 8`, its second
/// is the operand, and the payload follows, padded to whole words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UndoKind {
    /// The object of a handle had these bytes.
    Bytes,
    /// An object was made; the operand is its handle.
    Alloc,
    /// The object of a handle is to be freed at the commit.
    Free,
    /// The last committed tag was the operand.
    Tag,
}

impl UndoKind {
    pub(crate) const fn word(self, payload: u64) -> u64 {
        let kind = match self {
            UndoKind::Bytes => 1,
            UndoKind::Alloc => 2,
            UndoKind::Free => 3,
            UndoKind::Tag => 4,
        };
        payload << 8 | kind
    }

    /// Kind and bytes of payload; `None` if the word is none of ours.
    pub(crate) fn parse(word: u64) -> Option<(Self, u64)> {
        let kind = match word & 0xff {
            1 => UndoKind::Bytes,
            2 => UndoKind::Alloc,
            3 => UndoKind::Free,
            4 => UndoKind::Tag,
            _ => return None,
        };
        Some((kind, word >> 8))
    }
}
