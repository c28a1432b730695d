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
    /// The word of the hint, so that an alloc does not look for it.
    at_hint: Option<At<Word>>,
    /// A bit an extent that may have a free slot.
    open: Vec<u64>,
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
    word: At<Word>,
    /// Its bits with that of the slot.
    bits: u64,
}

/// The bit of a slot, found before the slot is changed.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    word: At<Word>,
    number: u32,
    bit: u64,
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
        Map {
            extents: Vec::new(),
            shift,
            word_bits,
            word_shift: shift - word_bits,
            full,
            hint: 0,
            at_hint: None,
            open: Vec::new(),
        }
    }

    /// Adds the map at the start of the extent at `offset` of a block.
    pub(crate) fn push(&mut self, block: &Region, offset: u64, is_full: At<Half>) -> Result<(), OutOfBounds> {
        let (used, full) = Self::words(self.shift);
        let used_table = block.table(offset, used)?;
        let full_table = block.table(offset + used * 8, full)?;
        let number = self.extents.len();
        self.open.resize(number / 64 + 1, 0);
        if is_full.load() != 1 {
            self.open[number / 64] |= 1 << (number % 64);
        }
        self.extents.push(ExtentMap { used: used_table, full: full_table, is_full });
        self.set_hint(self.hint);
        Ok(())
    }

    #[inline(always)]
    fn word(&self, number: u32) -> Option<&Word> {
        let extent = self.extents.get((number >> self.word_shift) as usize)?;
        extent.used.get((number & ((1 << self.word_shift) - 1)) as usize)
    }

    #[inline(always)]
    fn at(&self, number: u32) -> Option<At<Word>> {
        let extent = self.extents.get((number >> self.word_shift) as usize)?;
        extent.used.at((number & ((1 << self.word_shift) - 1)) as usize)
    }

    #[inline(always)]
    fn set_hint(&mut self, number: u32) {
        self.hint = number;
        self.at_hint = self.at(number);
    }

    #[inline(always)]
    fn split(&self, index: u32) -> (u32, u64) {
        (index >> self.word_bits, 1 << (index & ((1 << self.word_bits) - 1)))
    }

    /// The lowest free slot.
    #[inline(always)]
    pub(crate) fn lowest_free(&mut self) -> Option<Free> {
        let word = self.at_hint?;
        let bits = word.load();
        match !bits & self.full {
            0 => self.search(),
            _ => Some(self.free_in(word, bits)),
        }
    }

    #[inline(always)]
    fn free_in(&self, word: At<Word>, bits: u64) -> Free {
        let index = self.hint << self.word_bits | (!bits).trailing_zeros();
        Free { index, word, bits: bits | bits.wrapping_add(1) }
    }

    /// The same when the word of the hint is full.
    #[inline(never)]
    fn search(&mut self) -> Option<Free> {
        let mut from = (self.hint >> self.word_shift) as usize;
        while let Some(number) = self.next_open(from) {
            let extent = &self.extents[number];
            if let Some((word, bits)) = extent.lowest_word(self.full) {
                self.set_hint((number as u32) << self.word_shift | word);
                return self.at_hint.map(|word| self.free_in(word, bits));
            }
            extent.is_full.store(1);
            self.open[number / 64] &= !(1 << (number % 64));
            from = number + 1;
        }
        self.set_hint((self.extents.len() as u32) << self.word_shift);
        None
    }

    /// The first extent at or behind `from` that may have a free slot.
    fn next_open(&self, from: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        for (number, word) in self.open.iter().enumerate().skip(from / 64) {
            if word & mask != 0 {
                return Some(number * 64 + (word & mask).trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    /// Marks a slot that `lowest_free` has returned as used.
    #[inline(always)]
    pub(crate) fn set(free: Free) {
        free.word.store(free.bits);
    }

    /// Where the bit of a slot is.
    #[inline(always)]
    pub(crate) fn place(&self, index: u32) -> Option<Place> {
        let (number, bit) = self.split(index);
        Some(Place { word: self.at(number)?, number, bit })
    }

    /// Marks a slot as free.
    #[inline(always)]
    pub(crate) fn clear(&mut self, place: Place) {
        let Place { word, number, bit } = place;
        let bits = word.load();
        if bits == self.full {
            self.not_full(number);
        }
        word.store(bits & !bit);
        if number < self.hint {
            self.hint = number;
            self.at_hint = Some(word);
        }
    }

    /// Takes back the hints that a word has nothing free.
    #[inline(always)]
    fn not_full(&mut self, number: u32) {
        let of = (number >> self.word_shift) as usize;
        let extent = &self.extents[of];
        let within = number & ((1 << self.word_shift) - 1);
        if let Some(word) = extent.full.get((within / 64) as usize) {
            let bits = word.load();
            if bits & 1 << (within % 64) != 0 {
                word.store(bits & !(1 << (within % 64)));
            }
        }
        if extent.is_full.load() != 0 {
            extent.is_full.store(0);
            self.open[of / 64] |= 1 << (of % 64);
        }
    }

    /// Makes the bit of a slot say `used`, and the hints above it true. For recovery: it may
    /// be cut anywhere and done again.
    pub(crate) fn mend(&mut self, index: u32, used: bool) {
        let (number, bit) = self.split(index);
        let Some(word) = self.at(number) else { return };
        let bits = word.load();
        if used {
            word.store(bits | bit);
        } else {
            self.not_full(number);
            if bits & bit != 0 {
                word.store(bits & !bit);
            }
            self.set_hint(self.hint.min(number));
        }
    }

    /// Whether the bit of a slot is set.
    pub(crate) fn is_used(&self, index: u32) -> bool {
        let (number, bit) = self.split(index);
        self.word(number).is_some_and(|word| word.load() & bit != 0)
    }

    /// The word with the bit of slot `index`, the bits below it left out; `None` behind the last slot.
    #[inline(always)]
    pub(crate) fn bits_from(&self, index: u32) -> Option<Bits> {
        let (number, bit) = self.split(index);
        let bits = self.word(number)?.load() & self.full & !(bit - 1);
        Some(Bits { bits, first: number << self.word_bits })
    }

    /// The bits of the next word that has one, behind the word that starts with slot `first`.
    pub(crate) fn bits_behind(&self, first: u32) -> Option<Bits> {
        let mut number = (first >> self.word_bits) + 1;
        loop {
            let extent = self.extents.get((number >> self.word_shift) as usize)?;
            let start = number & ((1 << self.word_shift) - 1);
            for within in start..1 << self.word_shift {
                let bits = extent.used.get(within as usize)?.load() & self.full;
                if bits != 0 {
                    return Some(Bits { bits, first: (number - start + within) << self.word_bits });
                }
            }
            number = number - start + (1 << self.word_shift);
        }
    }
}

/// What is left of a word of `used`, and the slot of its lowest bit's place.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    pub(crate) bits: u64,
    pub(crate) first: u32,
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
