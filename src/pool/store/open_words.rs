//! The words of a type's map that may have a free slot: a summary in the process's own memory.
//!
//! A set bit may be wrong, but a clear bit never is: a word is closed when it was found full, and
//! opened before one of its slots becomes free. With three levels, the lowest open word is found in
//! three steps, however large the type is.

/// A set of words whose lowest member is found in constant time.
#[derive(Default)]
pub(crate) struct OpenWords {
    words: u32,
    /// One bit for each word, and then for each `u64` of the level below.
    levels: [Vec<u64>; 3],
}

impl OpenWords {
    /// Appends `count` words, all of them open.
    pub(crate) fn push(&mut self, count: u32) {
        let mut range = self.words as usize..(self.words + count) as usize;
        self.words += count;
        for level in &mut self.levels {
            level.resize(range.end.div_ceil(64), 0);
            set_range(level, range.clone());
            range = range.start / 64..range.end.div_ceil(64);
        }
    }

    /// Returns the number of words.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u32 {
        self.words
    }

    /// Returns whether a word may have a free slot.
    #[inline(always)]
    pub(crate) fn is_open(&self, word: u32) -> bool {
        self.levels[0].get(word as usize / 64).is_some_and(|bits| bits >> (word % 64) & 1 != 0)
    }

    /// Records that a word may have a free slot.
    pub(crate) fn open(&mut self, word: u32) {
        let mut at = word as usize;
        for level in &mut self.levels {
            let Some(bits) = level.get_mut(at / 64) else { return };
            let was_empty = *bits == 0;
            *bits |= 1 << (at % 64);
            if !was_empty {
                return;
            }
            at /= 64;
        }
    }

    /// Records that `count` words from `first` on have no free slot.
    pub(crate) fn close(&mut self, first: u32, count: u32) {
        let (mut at, end) = (first as usize, (first + count) as usize);
        while at < end {
            let bits = (64 - at % 64).min(end - at);
            let Some(word) = self.levels[0].get_mut(at / 64) else { return };
            *word &= !((u64::MAX >> (64 - bits)) << (at % 64));
            if *word == 0 {
                self.close_above(at / 64);
            }
            at += bits;
        }
    }

    /// Records in the upper levels that a `u64` of the lowest level is zero.
    fn close_above(&mut self, mut at: usize) {
        for level in &mut self.levels[1..] {
            let Some(bits) = level.get_mut(at / 64) else { return };
            *bits &= !(1 << (at % 64));
            if *bits != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// Returns the lowest open word.
    pub(crate) fn first(&self) -> Option<u32> {
        let [bottom, middle, top] = &self.levels;
        let at = lowest(top.iter().position(|bits| *bits != 0)?, top)?;
        let at = lowest(at, middle)?;
        lowest(at, bottom).map(|word| word as u32)
    }

    /// Returns whether none of `count` words from `first` on is open.
    ///
    /// It begins at the end: words are closed from the beginning, so the last one usually decides.
    pub(crate) fn all_closed(&self, first: u32, count: u32) -> bool {
        (first..first + count).rev().all(|word| !self.is_open(word))
    }
}

/// Sets the bits of a range, a `u64` at a time.
fn set_range(level: &mut [u64], range: std::ops::Range<usize>) {
    let mut at = range.start;
    while at < range.end {
        let bits = (64 - at % 64).min(range.end - at);
        if let Some(word) = level.get_mut(at / 64) {
            *word |= (u64::MAX >> (64 - bits)) << (at % 64);
        }
        at += bits;
    }
}

fn lowest(at: usize, level: &[u64]) -> Option<usize> {
    level.get(at).map(|bits| at * 64 + bits.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::OpenWords;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set_that_knows_its_lowest(
            parts in prop::collection::vec(1u32..3000, 1..6),
            steps in prop::collection::vec((any::<u32>(), 1u32..200, any::<bool>()), 0..300),
        ) {
            let mut set = OpenWords::default();
            let mut model = BTreeSet::new();
            for count in parts {
                model.extend(set.len()..set.len() + count);
                set.push(count);
            }
            for (word, count, open) in steps {
                let word = word % set.len();
                if open {
                    set.open(word);
                    model.insert(word);
                } else {
                    let count = count.min(set.len() - word);
                    set.close(word, count);
                    (word..word + count).for_each(|word| _ = model.remove(&word));
                }
                prop_assert_eq!(set.first(), model.first().copied());
                prop_assert_eq!(set.is_open(word), open);
            }
            prop_assert_eq!(set.all_closed(0, set.len()), model.is_empty());
        }
    }
}
