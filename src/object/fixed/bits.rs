//! `BitSet`: a set of small numbers, one bit each.

use super::no_room::NoRoom;
use crate::object::Schema;
use std::fmt;

/// A set of the numbers below `64 * WORDS`, one bit each, as a field of an object.
///
/// ```
/// use hotpool::object::BitSet;
///
/// let mut quests = BitSet::<2>::new(); // 0 to 127
/// assert_eq!(quests.insert(70), Ok(true));
/// assert_eq!(quests.insert(3), Ok(true));
/// assert!(quests.contains(70) && !quests.contains(71));
/// assert_eq!(quests.iter().collect::<Vec<_>>(), [3, 70]);
/// assert!(quests.insert(128).is_err());
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Schema)]
pub struct BitSet<const WORDS: usize> {
    #[pool(bits)]
    words: [u64; WORDS],
}

impl<const WORDS: usize> BitSet<WORDS> {
    /// Creates an empty set.
    pub const fn new() -> Self {
        BitSet { words: [0; WORDS] }
    }

    /// Returns the first number that is too large for the set.
    pub const fn capacity(&self) -> usize {
        WORDS * 64
    }

    /// Returns whether a number is in the set.
    #[inline]
    pub fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Adds a number; returns whether it is new.
    ///
    /// # Errors
    ///
    /// Returns a number that is too large.
    pub fn insert(&mut self, number: usize) -> Result<bool, NoRoom<usize>> {
        let error = NoRoom { value: number, capacity: self.capacity() };
        let word = self.words.get_mut(number / 64).ok_or(error)?;
        let old = *word;
        *word |= 1 << (number % 64);
        Ok(*word != old)
    }

    /// Removes a number; returns whether it was there.
    pub fn remove(&mut self, number: usize) -> bool {
        let was_there = self.contains(number);
        if let Some(word) = self.words.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
        was_there
    }

    /// Adds or removes a number.
    ///
    /// # Errors
    ///
    /// Returns a number that is too large to be added.
    pub fn set(&mut self, number: usize, is_there: bool) -> Result<(), NoRoom<usize>> {
        if is_there {
            return self.insert(number).map(drop);
        }
        self.remove(number);
        Ok(())
    }

    /// Returns how many numbers are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Removes all numbers.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Iterates over the numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

impl<const WORDS: usize> Default for BitSet<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORDS: usize> fmt::Debug for BitSet<WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
