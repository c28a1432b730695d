//! Which of the seven entries of a group may lead to a key: all compared at once.
//!
//! # What the unsafe code here relies on
//!
//! SSE2 is part of every x86-64 processor. A group is 64 bytes without padding, the count first and the entries
//! behind it. It is read as plain bytes: the index is used by the owner of the pool alone, who is the only one to
//! store to it.
#![allow(unsafe_code)]

use crate::layout::Group;
use crate::pool::index::Hash;

/// A bit for each entry whose upper half is that of `hash`: 32 of its 38 bits. That they lead there is for
/// the slot to say.
#[inline(always)]
pub(crate) fn matches(group: &Group, hash: Hash) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every processor of the architecture has SSE2.
        unsafe { sse2::matches(group, hash.upper()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        one_by_one(group, hash.upper())
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn one_by_one(group: &Group, wanted: u32) -> u32 {
    let bit =
        |(at, entry): (usize, &crate::sync::Word)| u32::from((entry.load() >> 32) as u32 == wanted) << at;
    group.entries.iter().enumerate().map(bit).sum()
}

/// With instructions that every processor of the architecture has.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use crate::layout::Group;
    use std::arch::x86_64::{
        __m128i, _mm_castps_si128, _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi16,
        _mm_packs_epi32, _mm_set1_epi32, _mm_setzero_si128, _mm_shuffle_ps,
    };
    use std::mem::offset_of;

    const _: () = assert!(size_of::<Group>() == 64 && offset_of!(Group, entries) == 8);

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn matches(group: &Group, wanted: u32) -> u32 {
        let quarters = std::ptr::from_ref(group).cast::<[__m128i; 4]>();
        // SAFETY: a group has as many bytes, and nobody stores to it meanwhile.
        let [a, b, c, d] = unsafe { quarters.read_unaligned() };
        let wanted = _mm_set1_epi32(wanted as i32);
        let first = _mm_cmpeq_epi32(upper_halves(a, b), wanted);
        let last = _mm_cmpeq_epi32(upper_halves(c, d), wanted);
        let bytes = _mm_packs_epi16(_mm_packs_epi32(first, last), _mm_setzero_si128());
        // The first of the eight is the count.
        _mm_movemask_epi8(bytes) as u32 >> 1 & 0x7f
    }

    /// The upper halves of four words.
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
    use crate::sync::Word;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_at_once_is_one_by_one(entries in any::<[u64; 7]>(), other in any::<u64>(), pick in 0usize..8) {
            let group = Group { overflow: Word::new(u64::MAX), entries: entries.map(Word::new) };
            let hash = Hash::of_entry(entries.get(pick).copied().unwrap_or(other));
            prop_assert_eq!(matches(&group, hash), one_by_one(&group, hash.upper()));
            if let Some(bit) = (pick < 7).then_some(1 << pick) {
                prop_assert!(matches(&group, hash) & bit != 0);
            }
        }
    }
}
