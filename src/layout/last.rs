use crate::limits::MAX_TYPE_ID;

/// The last operation on a slot, and the type of that slot.
///
/// Only the post-mortem reads it. The tally of the type names the slot.
///
/// ```text
/// 63..18 zero | 17..16 operation | 15..10 zero | 9..0 type
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Last {
    pub(crate) op: Op,
    pub(crate) type_id: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Alloc,
    Free,
}

const ALLOC: u64 = 1 << 16;
const FREE: u64 = 2 << 16;

impl Last {
    /// Returns the word that records an alloc.
    #[inline(always)]
    pub(crate) const fn alloc(type_id: u16) -> u64 {
        ALLOC | type_id as u64
    }

    /// Returns the word that records a free.
    #[inline(always)]
    pub(crate) const fn free(type_id: u16) -> u64 {
        FREE | type_id as u64
    }

    /// Decodes a word of a segment; `None` if it encodes no operation.
    pub(crate) fn parse(word: u64) -> Option<Self> {
        let type_id = u16::try_from(word & 0xffff).ok().filter(|id| *id != 0 && *id <= MAX_TYPE_ID)?;
        match word & !0xffff {
            ALLOC => Some(Last { op: Op::Alloc, type_id }),
            FREE => Some(Last { op: Op::Free, type_id }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_one_operation_or_none() {
        let last = |op, type_id| Some(Last { op, type_id });
        assert_eq!(Last::parse(Last::alloc(1)), last(Op::Alloc, 1));
        assert_eq!(Last::parse(Last::free(MAX_TYPE_ID)), last(Op::Free, MAX_TYPE_ID));
        for word in [0, u64::MAX, Last::alloc(0), Last::free(MAX_TYPE_ID + 1), 3 << 16 | 1, 1 << 40 | 1] {
            assert_eq!(Last::parse(word), None);
        }
    }
}
