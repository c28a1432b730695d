//! Compares the seven entries of a group with a hash at once.
//!
//! # What the unsafe code here relies on
//!
//! SSE2 is part of every x86-64 processor. A group has 64 bytes in eight words, the overflow count
//! first and then the entries, and is aligned to a cache line. It is read as plain bytes: only the
//! owner of the pool uses the index, and no other process stores to it.
#![allow(unsafe_code)]

use crate::layout::Group;
use crate::limits::INDEX_BITS;
use crate::word::Word;
use std::mem::offset_of;

const _: () =
    assert!(size_of::<Group>() == 64 && align_of::<Group>() == 64 && offset_of!(Group, entries) == 8);

/// The entries of a group whose upper half equals a given one, with their positions.
///
/// The upper half has 32 of the 38 bits of a hash. Only the slot tells whether an entry leads to
/// the key.
pub(crate) struct Hits<'a> {
    group: &'a Group,
    /// Bit `2 n + 1` for word `n` of the group; never set for word 0, the overflow count.
    bits: u32,
}

/// Bits of an entry for the slot number plus 1.
pub(crate) const SLOT_MASK: u64 = (1 << INDEX_BITS) - 1;
/// Bits of a result that stand for entries.
const ENTRY_BITS: u32 = 0b1010_1010_1010_1000;

impl<'a> Hits<'a> {
    #[inline(always)]
    pub(crate) fn new(group: &'a Group, upper: u32) -> Self {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every processor of the architecture has SSE2.
        let bits = unsafe { sse2::matches(group, upper) };
        #[cfg(not(target_arch = "x86_64"))]
        let bits = one_by_one(group, upper);
        Hits { group, bits: bits & ENTRY_BITS }
    }
}

impl<'a> Hits<'a> {
    /// Returns the position and address of the next entry.
    #[inline(always)]
    fn next_word(&mut self) -> Option<(usize, *const Word)> {
        if self.bits == 0 {
            return None;
        }
        let bit = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        let words: *const Word = std::ptr::from_ref(self.group).cast();
        // SAFETY: the bit is 2 n + 1 with n from 1 to 7, so this leads to word n of the group.
        Some((bit / 2 - 1, unsafe { words.byte_add((bit - 1) * 4) }))
    }

    /// Reads the next entry, as plain bytes, and returns its slot.
    #[inline(always)]
    pub(crate) fn next_slot(&mut self) -> Option<u32> {
        // SAFETY: the word of an entry, which no process stores to meanwhile.
        let entry = self.next_word().map(|(_, word)| unsafe { word.cast::<u64>().read() })?;
        Some((entry as u32 & SLOT_MASK as u32).wrapping_sub(1))
    }
}

impl<'a> Iterator for Hits<'a> {
    type Item = (usize, &'a Word);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: the word of an entry, which belongs to the group.
        self.next_word().map(|(at, word)| (at, unsafe { &*word }))
    }
}

/// Reads the overflow count of a group, as plain bytes.
#[inline(always)]
pub(crate) fn overflow_of(group: &Group) -> u64 {
    // SAFETY: a word of the group, which no process stores to meanwhile.
    unsafe { std::ptr::from_ref(&group.overflow).cast::<u64>().read() }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn one_by_one(group: &Group, upper: u32) -> u32 {
    let bit = |(at, entry): (usize, &Word)| u32::from((entry.load() >> 32) as u32 == upper) << (2 * at + 3);
    group.entries.iter().enumerate().map(bit).sum()
}

/// The comparison with SSE2.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use crate::layout::Group;
    use std::arch::x86_64::{
        __m128i, _mm_castps_si128, _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi32,
        _mm_set1_epi32, _mm_shuffle_ps,
    };

    /// Returns two bits for each word of the group.
    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn matches(group: &Group, upper: u32) -> u32 {
        let quarters = std::ptr::from_ref(group).cast::<[__m128i; 4]>();
        // SAFETY: a group has as many bytes and a wider alignment, and no process stores to it
        // meanwhile.
        let [a, b, c, d] = unsafe { quarters.read() };
        let expected = _mm_set1_epi32(upper as i32);
        let first = _mm_cmpeq_epi32(upper_halves(a, b), expected);
        let last = _mm_cmpeq_epi32(upper_halves(c, d), expected);
        _mm_movemask_epi8(_mm_packs_epi32(first, last)) as u32
    }

    /// Returns the upper halves of four words.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn upper_halves(low: __m128i, high: __m128i) -> __m128i {
        const ODD: i32 = 0b11_01_11_01;
        _mm_castps_si128(_mm_shuffle_ps::<ODD>(_mm_castsi128_ps(low), _mm_castsi128_ps(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_at_once_is_one_by_one(entries in any::<[u64; 7]>(), other in any::<u64>(), pick in 0usize..8) {
            let group = Group { overflow: Word::new(u64::MAX), entries: entries.map(Word::new) };
            let upper = (entries.get(pick).copied().unwrap_or(other) >> 32) as u32;
            prop_assert_eq!(Hits::new(&group, upper).bits, one_by_one(&group, upper));
            let expected = entries.into_iter().enumerate().filter(|(_, entry)| (entry >> 32) as u32 == upper);
            prop_assert!(Hits::new(&group, upper).map(|(at, word)| (at, word.load())).eq(expected));
        }
    }
}
