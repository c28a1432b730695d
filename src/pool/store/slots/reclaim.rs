//! Extents without objects: which they are, and how they lose their memory and get other memory.
//!
//! An extent whose memory was given back is *hollow*: its slot numbers remain, and its slots read as
//! zeros. Handles into it do not resolve, and never will: `BaseHeader::floor` is at least as high as
//! every generation that its slots have reached, and slots of new memory begin above it.
//!
//! | step | state if killed after this step |
//! |---|---|
//! | no slot of the extent is at hand | as before |
//! | `floor` is raised to the highest generation of the extent | as before; slots that are used for the first time begin higher |
//! | `hollow` counts the extent and names it | as before: an extent that it names may have its memory |
//! | the high water is raised to the end of the extent | as before; fewer slots may have been used |
//! | the extent's entry is marked as free bytes | the extent is hollow |
//! | it is to get memory: `hollow` counts it, as before, and names it | it is hollow |
//! | an entry with its ordinal is committed | it has memory; `hollow` still counts it, because it names it |

use super::{Current, NO_NAME, Slots};
use crate::mutants::{Mutant, planted};
use crate::object::{GENERATION_MASK, INDEX_SHIFT};
use crate::pool::store::extents::{Extents, HOLLOW, Space};
use crate::pool::store::slot::Slot;
use std::ops::Range;

impl Slots {
    /// Returns the number of slots that have memory.
    pub(crate) fn with_memory(&self) -> u32 {
        self.capacity() - ((self.hollow.len() as u32) << self.shift())
    }

    /// Returns two numbers that differ after every alloc and free: the header of the slot that
    /// changed last, whose generation only grows, and the number of objects.
    pub(crate) fn last_change(&self) -> [u64; 2] {
        [if self.withdrawn == NO_NAME { self.named } else { self.withdrawn }, self.len()]
    }

    /// Returns whether a slot has no memory: its bytes are the zeros that all such slots share.
    pub(crate) fn is_hollow(&self, index: u32) -> bool {
        self.hollow.contains(&(index >> self.shift()))
    }

    /// Stores how many extents are hollow in an entry that is not in force yet.
    pub(crate) fn fill_hollow_count(&self) {
        self.info.hollow.fill((self.hollow.len() as u64) << 32);
    }

    /// Returns the lowest extent without memory.
    pub(crate) fn lowest_hollow(&self) -> Option<u32> {
        self.hollow.first().copied()
    }

    /// Stores the number of hollow extents, one of which may be about to change.
    fn count_hollow(&self, count: usize, changing: u32) {
        self.info.hollow.store((count as u64) << 32 | (u64::from(changing) + 1));
    }

    /// Announces that a hollow extent is to get memory.
    pub(crate) fn announce(&self, extent: u32) {
        self.count_hollow(self.hollow.len(), extent);
    }

    /// Gives a hollow extent its new memory, which is zero; `None` if it does not fit.
    pub(crate) fn fill_in(&mut self, extent: u32, memory: &Extents) -> Option<()> {
        let start = self.starts_of(extent as usize, memory).ok()?.next()?;
        self.addresses.replace(extent as usize, start)?;
        *self.numbers.get_mut(extent as usize)? = memory.number;
        self.hollow.remove(&extent);
        let words = 1u32 << self.word_shift;
        (extent * words..(extent + 1) * words).for_each(|word| self.open.open(word));
        Some(())
    }

    /// Gives back the memory of extents without objects, as long as `keep` slots have memory.
    ///
    /// Returns the number of extents. After it, the table of extents must be loaded again.
    pub(crate) fn reclaim(&mut self, space: &Space, zeros: &Extents, keep: u64) -> u32 {
        let per_extent = 1u64 << self.shift();
        let mut reclaimed = 0;
        self.take_back();
        for extent in (0..self.extents()).rev() {
            let left = u64::from(self.with_memory()).checked_sub(per_extent);
            if left.is_none_or(|left| left < keep.max(self.len())) {
                break;
            }
            if let Some(highest) = self.unused(extent) {
                reclaimed += u32::from(self.hollow_out(extent, highest, space, zeros).is_some());
            }
        }
        reclaimed
    }

    /// Returns the highest generation of an extent that has memory, but no object, no object in
    /// quarantine and no retired slot.
    fn unused(&self, extent: u32) -> Option<u64> {
        if self.hollow.contains(&extent) {
            return None;
        }
        let first = extent << self.shift();
        self.highest_unused(first..first + (1 << self.shift()))
    }

    /// Returns the highest generation of slots if none of them has an object or an object in
    /// quarantine, or is retired; 0 if they have no memory.
    pub(crate) fn highest_unused(&self, slots: Range<u32>) -> Option<u64> {
        let at_hand = self.header_at_hand().map(|header| (header >> INDEX_SHIFT) as u32);
        let (named, bit) = at_hand.map_or((u32::MAX, 0), |index| self.bit(index));
        let mut first = slots.start;
        while first < slots.end {
            let number = self.word_of(first);
            let (start, next) = (self.first_of_word(number), self.first_of_word(number + 1));
            let end = next.min(slots.end);
            let bits = u64::MAX >> (64 - (end - first)) << (first - start);
            let named_bit = if named == number { bit } else { 0 };
            if self.word(number)?.load() & bits & !named_bit != 0 {
                return None;
            }
            first = end;
        }
        let mut highest = 0;
        for index in slots {
            let header = self.slot(index)?.header().load();
            if Slot::is_live(header) || header >= u64::MAX << INDEX_SHIFT {
                return None;
            }
            highest = highest.max(header & GENERATION_MASK);
        }
        Some(highest)
    }

    /// Takes the memory of an extent without objects away.
    fn hollow_out(&mut self, extent: u32, highest: u64, space: &Space, zeros: &Extents) -> Option<()> {
        let at = extent as usize;
        let start = self.starts_of(at, zeros).ok()?.next()?;
        let number = *self.numbers.get(at)?;
        if self.named != NO_NAME && (self.named >> INDEX_SHIFT) as u32 >> self.shift() == extent {
            self.name_none();
        }
        let floor = self.first_generation.max(highest);
        let raise = || self.header.floor.store(self.header.floor.load().max(floor));
        let count = || self.count_hollow(self.hollow.len() + 1, extent);
        let (raises_last, counts_last) =
            (planted(Mutant::ReclaimRaisesLast), planted(Mutant::ReclaimCountsLast));
        let _ = (!raises_last).then(raise);
        let _ = (!counts_last).then(count);
        let end = (u64::from(extent) + 1) << self.shift();
        if self.info.high_water.load() < end {
            self.info.high_water.store(end);
        }
        space.release(number);
        let _ = raises_last.then(raise);
        let _ = counts_last.then(count);
        self.first_generation = floor;
        self.current = Current::NONE;
        self.addresses.replace(at, start)?;
        *self.numbers.get_mut(at)? = HOLLOW;
        self.hollow.insert(extent);
        let words = 1u32 << self.word_shift;
        self.open.close(extent * words, words);
        Some(())
    }
}
