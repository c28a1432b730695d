//! Which slots of a type are in use: a bit a slot, in front of the slots of each extent.
//!
//! ```text
//! extent:  [ used: a bit a slot ][ full: a bit a word of `used` ] slots …
//! ```
//!
//! `used` decides where an alloc goes, always the lowest free slot, and what an iteration
//! visits. It follows the slot headers: a kill between the two is mended by recovery, from
//! the intent. The bits of `full`, and the mark of a full extent in the extent table, are hints:
//! set when a search found nothing free, cleared before a bit of `used` is; 0 is always right.

use crate::region::{At, OutOfBounds, Region, Table};
use crate::sync::{Half, Word};

/// The map of one type.
pub(crate) struct Map {
    extents: Vec<ExtentMap>,
    /// Slots of an extent: `1 << shift`.
    shift: u32,
    /// Slots of a word: `1 << word_bits`.
    word_bits: u32,
    /// Words of an extent: `1 << word_shift`.
    word_shift: u32,
    /// A word of `used` when all its slots are.
    full: u64,
    /// No word below this one has a free slot.
    hint: u32,
}

struct ExtentMap {
    used: Table<Word>,
    full: Table<Word>,
    /// Mark in the extent table: nothing was free when last looked at.
    is_full: At<Half>,
}

/// A free slot that `lowest_free` has found.
#[derive(Clone, Copy)]
pub(crate) struct Free {
    pub(crate) index: u32,
    bits: u64,
}

impl Map {
    /// Bytes of the map of an extent of `1 << shift` slots.
    pub(crate) const fn bytes(shift: u32) -> u64 {
        let (used, full) = Self::words(shift);
        (used + full) * 8
    }

    const fn words(shift: u32) -> (u64, u64) {
        let used = (1u64 << shift).div_ceil(64);
        (used, used.div_ceil(64))
    }

    pub(crate) fn new(shift: u32) -> Self {
        let word_bits = shift.min(6);
        let full = if word_bits == 6 { u64::MAX } else { (1 << (1 << word_bits)) - 1 };
        Map { extents: Vec::new(), shift, word_bits, word_shift: shift - word_bits, full, hint: 0 }
    }

    /// Adds the map at the start of the extent at `offset` of a block.
    pub(crate) fn push(&mut self, block: &Region, offset: u64, is_full: At<Half>) -> Result<(), OutOfBounds> {
        let (used, full) = Self::words(self.shift);
        let used_table = block.table(offset, used)?;
        let full_table = block.table(offset + used * 8, full)?;
        self.extents.push(ExtentMap { used: used_table, full: full_table, is_full });
        Ok(())
    }

    #[inline(always)]
    fn word(&self, number: u32) -> Option<&Word> {
        let extent = self.extents.get((number >> self.word_shift) as usize)?;
        extent.used.get((number & ((1 << self.word_shift) - 1)) as usize)
    }

    #[inline(always)]
    fn split(&self, index: u32) -> (u32, u64) {
        (index >> self.word_bits, 1 << (index & ((1 << self.word_bits) - 1)))
    }

    /// The lowest free slot.
    #[inline(always)]
    pub(crate) fn lowest_free(&mut self) -> Option<Free> {
        let bits = self.word(self.hint)?.load();
        let free = !bits & self.full;
        if free == 0 {
            return self.search();
        }
        Some(Free { index: self.hint << self.word_bits | free.trailing_zeros(), bits })
    }

    /// The same when the word of the hint is full.
    #[inline(never)]
    fn search(&mut self) -> Option<Free> {
        let first = self.hint >> self.word_shift;
        for number in first as usize..self.extents.len() {
            let extent = &self.extents[number];
            if extent.is_full.load() == 1 {
                continue;
            }
            if let Some((word, bits)) = extent.lowest_word(self.full) {
                self.hint = (number as u32) << self.word_shift | word;
                let free = !bits & self.full;
                return Some(Free { index: self.hint << self.word_bits | free.trailing_zeros(), bits });
            }
            extent.is_full.store(1);
        }
        self.hint = (self.extents.len() as u32) << self.word_shift;
        None
    }

    /// Marks a slot that `lowest_free` has returned as used.
    #[inline(always)]
    pub(crate) fn set(&self, free: Free) {
        let (number, bit) = self.split(free.index);
        if let Some(word) = self.word(number) {
            word.store(free.bits | bit);
        }
    }

    /// Marks a slot as free.
    #[inline(always)]
    pub(crate) fn clear(&mut self, index: u32) {
        let (number, bit) = self.split(index);
        let Some(word) = self.word(number) else { return };
        let bits = word.load();
        if bits == self.full {
            self.not_full(number);
        }
        word.store(bits & !bit);
        if number < self.hint {
            self.hint = number;
        }
    }

    /// Takes back the hints that a word has nothing free.
    #[inline(always)]
    fn not_full(&self, number: u32) {
        let extent = &self.extents[(number >> self.word_shift) as usize];
        let within = number & ((1 << self.word_shift) - 1);
        if let Some(word) = extent.full.get((within / 64) as usize) {
            let bits = word.load();
            if bits & 1 << (within % 64) != 0 {
                word.store(bits & !(1 << (within % 64)));
            }
        }
        if extent.is_full.load() != 0 {
            extent.is_full.store(0);
        }
    }

    /// Makes the bit of a slot say `used`, and the hints above it true. For recovery: it may
    /// be cut anywhere and done again.
    pub(crate) fn mend(&mut self, index: u32, used: bool) {
        let (number, bit) = self.split(index);
        let Some(word) = self.word(number) else { return };
        let bits = word.load();
        if used {
            word.store(bits | bit);
        } else {
            self.not_full(number);
            if bits & bit != 0 {
                word.store(bits & !bit);
            }
            self.hint = self.hint.min(number);
        }
    }

    /// Whether the bit of a slot is set.
    pub(crate) fn is_used(&self, index: u32) -> bool {
        let (number, bit) = self.split(index);
        self.word(number).is_some_and(|word| word.load() & bit != 0)
    }

    /// The first slot at or behind `from` whose bit is set.
    #[inline(always)]
    pub(crate) fn next_used(&self, from: u32) -> Option<u32> {
        let (number, bit) = self.split(from);
        let bits = self.word(number)?.load() & !(bit - 1);
        if bits != 0 {
            return Some(number << self.word_bits | bits.trailing_zeros());
        }
        self.next_used_word(number + 1)
    }

    /// The same from the start of a word, as far as it has to go.
    fn next_used_word(&self, mut number: u32) -> Option<u32> {
        loop {
            let extent = self.extents.get((number >> self.word_shift) as usize)?;
            let start = number & ((1 << self.word_shift) - 1);
            for within in start..1 << self.word_shift {
                let bits = extent.used.get(within as usize)?.load();
                if bits != 0 {
                    let number = number - start + within;
                    return Some(number << self.word_bits | bits.trailing_zeros());
                }
            }
            number = number - start + (1 << self.word_shift);
        }
    }
}

impl ExtentMap {
    /// The lowest word with a free slot, and its bits.
    fn lowest_word(&self, when_full: u64) -> Option<(u32, u64)> {
        for group in 0..self.full.len() {
            let hints = self.full.get(group)?;
            let mut open = !hints.load();
            while open != 0 {
                let bit = open.trailing_zeros();
                let within = group * 64 + bit as usize;
                let Some(word) = self.used.get(within) else { break };
                let bits = word.load();
                if !bits & when_full != 0 {
                    return Some((within as u32, bits));
                }
                hints.store(hints.load() | 1 << bit);
                open &= open - 1;
            }
        }
        None
    }
}
