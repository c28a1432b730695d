use crate::limits::{GENERATION_BITS, GENERATION_MASK, INDEX_BITS, INDEX_SHIFT};

/// What a type has of objects and which slot it keeps at hand, in one word, so that one store says both at
/// the end of an operation.
///
/// ```text
/// 63..38 slot kept at hand | 37..28 type | 27 there is one | 26 zero | 25..0 live objects
/// ```
///
/// The slot kept at hand was freed last, and its bit in the map still says that it is used. The
/// alloc that takes it then has nothing to do there, and neither had the free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    pub(crate) len: u64,
    pub(crate) spare: Option<u32>,
}

/// Objects of a type that a word can count.
pub(crate) const LEN_MASK: u64 = (1 << INDEX_BITS) - 1;
const SPARE: u64 = 1 << (GENERATION_BITS - 1);
const _: () = assert!(INDEX_BITS < GENERATION_BITS - 1);

impl Tally {
    /// The word of so many objects and no slot at hand.
    #[inline(always)]
    pub(crate) const fn of(len: u64) -> u64 {
        len
    }

    /// The word of so many objects and the slot at hand that a header or handle names.
    #[inline(always)]
    pub(crate) const fn with_spare(len: u64, header: u64) -> u64 {
        header & !GENERATION_MASK | SPARE | len
    }

    /// What a word says.
    pub(crate) fn parse(word: u64) -> Self {
        let spare = (word & SPARE != 0).then_some((word >> INDEX_SHIFT) as u32);
        Tally { len: word & LEN_MASK, spare }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_SLOTS;

    #[test]
    fn both_survive_their_extremes() {
        for len in [0, 1, u64::from(MAX_SLOTS)] {
            assert_eq!(Tally::parse(Tally::of(len)), Tally { len, spare: None });
            for index in [0, MAX_SLOTS - 1] {
                let header = u64::from(index) << INDEX_SHIFT | GENERATION_MASK;
                let word = Tally::with_spare(len, header);
                assert_eq!(Tally::parse(word), Tally { len, spare: Some(index) });
            }
        }
    }
}
