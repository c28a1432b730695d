use crate::limits::{GENERATION_BITS, GENERATION_MASK, INDEX_BITS, INDEX_SHIFT};

/// The number of objects of a type, and the slot that changed last, in one word.
///
/// ```text
/// 63..38 slot | 37..28 type | 27 a slot is named | 26 zero | 25..0 objects
/// ```
///
/// The named slot is counted as if an object lived in it. The header of that slot decides whether
/// one does. This decides three things at once: whether the object exists, how many objects the
/// type has, and whether the slot is free although its bit in the map is set. An alloc or a free of
/// the named slot therefore stores nothing but that header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Number of objects, counting the named slot as live.
    pub(crate) counted: u64,
    pub(crate) named: Option<u32>,
}

const LEN_MASK: u64 = (1 << INDEX_BITS) - 1;
const NAMED: u64 = 1 << (GENERATION_BITS - 1);
const _: () = assert!(INDEX_BITS < GENERATION_BITS - 1);

impl Tally {
    /// Returns the word for `len` objects and no named slot.
    #[inline(always)]
    pub(crate) const fn of(len: u64) -> u64 {
        len
    }

    /// Returns the word for `len` objects, one of them in the slot that `header` or a handle names.
    #[inline(always)]
    pub(crate) const fn naming(len: u64, header: u64) -> u64 {
        header & !GENERATION_MASK | NAMED | len
    }

    /// Decodes a word.
    pub(crate) fn parse(word: u64) -> Self {
        let named = (word & NAMED != 0).then_some((word >> INDEX_SHIFT) as u32);
        Tally { counted: word & LEN_MASK, named }
    }

    /// Returns the number of objects; `lives` tells whether one lives in the named slot.
    pub(crate) fn len(self, lives: bool) -> u64 {
        self.counted.saturating_sub(u64::from(self.named.is_some() && !lives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_SLOTS;

    #[test]
    fn both_survive_their_extremes() {
        for counted in [0, 1, u64::from(MAX_SLOTS)] {
            assert_eq!(Tally::parse(Tally::of(counted)), Tally { counted, named: None });
            for index in [0, MAX_SLOTS - 1] {
                let header = u64::from(index) << INDEX_SHIFT | GENERATION_MASK;
                let word = Tally::naming(counted, header);
                assert_eq!(Tally::parse(word), Tally { counted, named: Some(index) });
            }
        }
    }

    #[test]
    fn the_named_slot_counts_if_an_object_lives_in_it() {
        let tally = Tally { counted: 7, named: Some(3) };
        assert_eq!((tally.len(true), tally.len(false)), (7, 6));
        assert_eq!(Tally { counted: 7, named: None }.len(false), 7);
        assert_eq!(Tally { counted: 0, named: Some(3) }.len(false), 0);
    }
}
