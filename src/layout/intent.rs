use crate::layout::LEN_MASK;
use crate::limits::{GENERATION_BITS, GENERATION_MASK, INDEX_BITS, INDEX_SHIFT, MAX_TYPE_ID, TYPE_SHIFT};

/// What an operation is about to do to a slot: one word, stored before its first
/// change and overwritten by the next operation, never cleared.
///
/// ```text
/// 63..38 slot | 37..28 type | 27..26 operation | 25..0 objects of the type before it
/// ```
///
/// Slot and type lie where a handle has them, so that nothing has to be moved.
/// Whether it was done is not in here: that is the parity of the slot's generation.
/// From both, recovery derives the bit in the map and the count of the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Intent {
    pub(crate) op: Op,
    pub(crate) type_id: u16,
    pub(crate) index: u32,
    pub(crate) len: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Alloc,
    Free,
}

const OP_SHIFT: u32 = INDEX_BITS;
const ALLOC: u64 = 1 << OP_SHIFT;
const FREE: u64 = 2 << OP_SHIFT;
const _: () = assert!(OP_SHIFT + 2 == GENERATION_BITS);

impl Intent {
    /// The word of an alloc in the slot that a header or handle names.
    #[inline(always)]
    pub(crate) const fn alloc(header: u64, len: u64) -> u64 {
        header & !GENERATION_MASK | ALLOC | len
    }

    /// The word of a free.
    #[inline(always)]
    pub(crate) const fn free(header: u64, len: u64) -> u64 {
        header & !GENERATION_MASK | FREE | len
    }

    /// What a word found in a segment says; `None` if it says nothing.
    pub(crate) fn parse(word: u64) -> Option<Self> {
        let op = match word >> OP_SHIFT & 3 {
            1 => Op::Alloc,
            2 => Op::Free,
            _ => return None,
        };
        let type_id = (word >> TYPE_SHIFT) as u16 & MAX_TYPE_ID;
        Some(Intent { op, type_id, index: (word >> INDEX_SHIFT) as u32, len: (word & LEN_MASK) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn every_field_survives_its_extremes() {
        let (id, index, len) = (limits::MAX_TYPE_ID, limits::MAX_SLOTS - 1, limits::MAX_SLOTS);
        let expected = Intent { op: Op::Alloc, type_id: id, index, len };
        let header = |id: u16, index: u32| {
            u64::from(index) << INDEX_SHIFT | u64::from(id) << TYPE_SHIFT | GENERATION_MASK
        };
        assert_eq!(Intent::parse(Intent::alloc(header(id, index), len.into())), Some(expected));
        assert_eq!(
            Intent::parse(Intent::free(header(1, 0), 1)),
            Some(Intent { op: Op::Free, type_id: 1, index: 0, len: 1 })
        );
        assert_eq!(Intent::parse(0), None);
        assert_eq!(Intent::parse(u64::MAX), None);
    }
}
