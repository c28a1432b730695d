/// What an operation is about to do to a slot: one word, stored before its first
/// change and overwritten by the next operation, never cleared.
///
/// ```text
/// 63..62 operation | 61..52 type | 51..26 slot | 25..0 objects of the type before it
/// ```
///
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

const ALLOC: u64 = 1 << 62;
const FREE: u64 = 2 << 62;

impl Intent {
    /// The word of an alloc, the slot and the count left open.
    #[inline(always)]
    pub(crate) const fn alloc(type_id: u16, index: u32, len: u64) -> u64 {
        ALLOC | (type_id as u64) << 52 | (index as u64) << 26 | len
    }

    /// The word of a free.
    #[inline(always)]
    pub(crate) const fn free(type_id: u16, index: u32, len: u64) -> u64 {
        FREE | (type_id as u64) << 52 | (index as u64) << 26 | len
    }

    /// What a word found in a segment says; `None` if it says nothing.
    pub(crate) fn parse(word: u64) -> Option<Self> {
        let op = match word >> 62 {
            1 => Op::Alloc,
            2 => Op::Free,
            _ => return None,
        };
        let field = |shift: u32, bits: u32| (word >> shift & ((1 << bits) - 1)) as u32;
        Some(Intent { op, type_id: field(52, 10) as u16, index: field(26, 26), len: field(0, 26) })
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
        assert_eq!(Intent::parse(Intent::alloc(id, index, len.into())), Some(expected));
        assert_eq!(
            Intent::parse(Intent::free(1, 0, 1)),
            Some(Intent { op: Op::Free, type_id: 1, index: 0, len: 1 })
        );
        assert_eq!(Intent::parse(0), None);
        assert_eq!(Intent::parse(u64::MAX), None);
    }
}
