//! From a user key to a slot: a table of groups, each one cache line of seven entries.
//!
//! The truth about a key is the slot that carries it. An entry is a hint of 38 bits of
//! hash and 26 of slot number, believed only after a look at the slot, so no order of
//! stores and no kill between them can make it lie: an entry too many is ignored and
//! swept up when its place is wanted, and one too few cannot be, because an entry is
//! written before its slot is committed and taken out after its slot has died.
//!
//! A key may live in either of two groups, its first choice and its second; that keeps
//! groups from overflowing up to a fill of 0.6 and well beyond. The table grows a group
//! at a time (linear hashing): entries that belong to the new group are copied there,
//! `TypeInfo::groups` commits, the old copies are taken out. Nothing is ever rehashed at
//! once, so an insert costs at most two such splits.

use crate::layout::Group;
use crate::limits::INDEX_BITS;
use crate::object::INDEX_MASK;
use crate::pool::slot::{Slot, Slots};
use crate::region::{OutOfBounds, Region, Table};
use crate::sync::Word;

/// Entries of a group.
const ENTRIES: u64 = 7;
/// Splits that an insert makes at the most to keep the fill below six tenths.
const SPLITS: u32 = 2;

/// How many entries move one after the other to make room for a new one.
const PUSHES: u32 = 4;

/// The index of one type.
pub(crate) struct Index {
    extents: Vec<Table<Group>>,
    /// Groups of an extent: `1 << shift`.
    shift: u32,
    seed: u64,
}

/// What is stored of the hash of a key; both choices of a group follow from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    /// 38 bits of the product of the key and an odd constant, folded to 64 bits; the seed is
    /// random for each pool, so that nobody can choose keys that meet.
    #[inline(always)]
    pub(crate) fn of(key: u64, seed: u64) -> Self {
        let product = u128::from(key ^ seed) * 0x9e37_79b9_7f4a_7c15;
        let folded = (product >> 64) as u64 ^ product as u64;
        Hash((folded ^ folded >> 32) >> INDEX_BITS)
    }

    #[inline(always)]
    fn entry(self, slot: u32) -> u64 {
        self.0 << INDEX_BITS | (u64::from(slot) + 1)
    }

    fn of_entry(entry: u64) -> Self {
        Hash(entry >> INDEX_BITS)
    }

    /// First choice among `groups` groups.
    #[inline(always)]
    fn first(self, groups: u64) -> u64 {
        address(self.0, groups)
    }

    /// Second choice; may be the same.
    #[inline(always)]
    fn second(self, groups: u64) -> u64 {
        address(self.0.wrapping_mul(0x9fb2_1c65_1e98_df25) >> 27, groups)
    }
}

/// Linear hashing: the hash modulo the next power of two, or modulo half of it where that
/// group does not exist yet.
#[inline(always)]
fn address(hash: u64, groups: u64) -> u64 {
    let mask = u64::MAX >> (groups.max(2) - 1).leading_zeros();
    let wide = hash & mask;
    if wide < groups { wide } else { hash & mask >> 1 }
}

/// Where `Index::reserve` has made room for one entry.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    group: u64,
    entry: usize,
    /// First choice, if the place is in the second.
    spilled_from: Option<u64>,
    hash: Hash,
}

impl Index {
    pub(crate) fn new(shift: u32, seed: u64) -> Self {
        Index { extents: Vec::new(), shift, seed }
    }

    /// Adds the extent at `offset` of a block, behind those that are there.
    pub(crate) fn push(&mut self, block: &Region, offset: u64) -> Result<(), OutOfBounds> {
        self.extents.push(block.table(offset, 1 << self.shift)?);
        Ok(())
    }

    /// Groups that memory is there for.
    pub(crate) fn capacity(&self) -> u64 {
        (self.extents.len() as u64) << self.shift
    }

    /// Number of extents.
    pub(crate) fn extents(&self) -> u32 {
        self.extents.len() as u32
    }

    #[inline(always)]
    fn group(&self, number: u64) -> Option<&Group> {
        let extent = self.extents.get((number >> self.shift) as usize)?;
        extent.get((number & ((1 << self.shift) - 1)) as usize)
    }

    /// Groups in use, never more than memory is there for, whatever the word says.
    #[inline(always)]
    fn groups(&self, slots: &Slots) -> u64 {
        slots.info.groups.load().min(self.capacity())
    }

    /// The slot that carries `key`, and its header.
    #[inline(always)]
    pub(crate) fn find(&self, slots: &Slots, key: u64) -> Option<(u32, u64)> {
        let hash = Hash::of(key, self.seed);
        let groups = self.groups(slots);
        let first = self.group(hash.first(groups))?;
        if let Some(found) = find_in(first, slots, hash, key) {
            return Some(found);
        }
        if first.overflow.load() == 0 {
            return None;
        }
        find_in(self.group(hash.second(groups))?, slots, hash, key)
    }

    /// Whether one more entry wants more memory than there is.
    pub(crate) fn wants_extent(&self, slots: &Slots) -> bool {
        let entries = slots.info.len.load() + 1;
        entries * 10 > self.capacity() * ENTRIES * 6
    }

    /// Makes room for the entry of `key`; `None` if there is none to be made.
    pub(crate) fn reserve(&self, slots: &Slots, key: u64) -> Option<Place> {
        self.start_and_split(slots);
        let hash = Hash::of(key, self.seed);
        loop {
            let groups = self.groups(slots);
            let (first, second) = (hash.first(groups), hash.second(groups));
            if let Some(entry) = self.room(slots, first) {
                return Some(Place { group: first, entry, spilled_from: None, hash });
            }
            if let Some(entry) = self.room(slots, second) {
                return Some(Place { group: second, entry, spilled_from: Some(first), hash });
            }
            if self.push_out(slots, first, PUSHES) {
                continue;
            }
            if !self.split(slots) {
                return None;
            }
        }
    }

    /// Writes the entry of a slot that is about to be committed.
    pub(crate) fn link(&self, place: Place, slot: u32) {
        if let Some(from) = place.spilled_from.and_then(|from| self.group(from)) {
            from.overflow.store(from.overflow.load().saturating_add(1));
        }
        if let Some(group) = self.group(place.group) {
            group.entries[place.entry].store(place.hash.entry(slot));
        }
    }

    /// Takes out the entries that lead from `key` to a slot that has died. May be cut
    /// anywhere and done again.
    #[inline(always)]
    pub(crate) fn unlink(&self, slots: &Slots, key: u64, slot: u32) {
        let hash = Hash::of(key, self.seed);
        let groups = self.groups(slots);
        let (first, second) = (hash.first(groups), hash.second(groups));
        let Some(home) = self.group(first) else { return };
        if clear(home, hash.entry(slot)) || first == second || home.overflow.load() == 0 {
            return;
        }
        if self.group(second).is_some_and(|group| clear(group, hash.entry(slot))) {
            home.overflow.store(home.overflow.load().saturating_sub(1));
        }
    }

    /// A free entry of a group; entries that lead nowhere are swept up if it is full.
    fn room(&self, slots: &Slots, number: u64) -> Option<usize> {
        let group = self.group(number)?;
        let free = |group: &Group| group.entries.iter().position(|entry| entry.load() == 0);
        free(group).or_else(|| {
            for entry in &group.entries {
                self.sweep(slots, number, entry);
            }
            free(group)
        })
    }

    /// Clears an entry whose slot is dead or carries another key, or that belongs elsewhere.
    fn sweep(&self, slots: &Slots, number: u64, entry: &Word) {
        let word = entry.load();
        let groups = self.groups(slots);
        let hash = Hash::of_entry(word);
        let here = hash.first(groups) == number || hash.second(groups) == number;
        if !here || !self.leads_to(slots, word) {
            entry.store(0);
        }
    }

    /// Whether an entry leads to a live slot whose key has its hash.
    fn leads_to(&self, slots: &Slots, word: u64) -> bool {
        let index = (word & INDEX_MASK).wrapping_sub(1);
        let Some(slot) = u32::try_from(index).ok().and_then(|index| slots.slot(index)) else { return false };
        Slot::is_live(slot.header().load()) && Hash::of(slot.key().load(), self.seed) == Hash::of_entry(word)
    }

    /// Makes a place in a full group free: moves an entry of it to the entry's other choice, where
    /// one may have to move in turn, `depth` deep. Halfway through a doubling the groups that
    /// are not split yet hold twice what the others do, so one step is not enough.
    fn push_out(&self, slots: &Slots, number: u64, depth: u32) -> bool {
        let Some(group) = self.group(number) else { return false };
        if group.entries.iter().any(|entry| self.push_entry(slots, number, entry, 0)) {
            return true;
        }
        depth != 0 && group.entries.iter().any(|entry| self.push_entry(slots, number, entry, depth))
    }

    /// Moves one entry of group `number` to its other choice. The copy is written before the old
    /// one is cleared, and the count that leads to the second choice before the copy.
    fn push_entry(&self, slots: &Slots, number: u64, entry: &Word, depth: u32) -> bool {
        let (groups, word) = (self.groups(slots), entry.load());
        let hash = Hash::of_entry(word);
        let (first, second) = (hash.first(groups), hash.second(groups));
        let other = if number == first { second } else { first };
        let (Some(home), Some(target)) = (self.group(first), self.group(other)) else { return false };
        if other == number || depth != 0 && !self.push_out(slots, other, depth - 1) {
            return false;
        }
        // A longer way may have come by here and moved this very entry.
        if entry.load() != word {
            return entry.load() == 0;
        }
        let Some(free) = self.room(slots, other) else { return false };
        if other == second {
            home.overflow.store(home.overflow.load().saturating_add(1));
        }
        target.entries[free].store(word);
        entry.store(0);
        if other == first {
            home.overflow.store(home.overflow.load().saturating_sub(1));
        }
        true
    }

    /// Puts the first groups to use, or, where the table is filled, one or two more.
    #[inline(always)]
    fn start_and_split(&self, slots: &Slots) {
        let groups = slots.info.groups.load();
        if groups == 0 && self.capacity() != 0 {
            slots.info.groups.store(1 << self.shift);
            return;
        }
        let entries = slots.info.len.load() + 1;
        if entries * 10 > groups * ENTRIES * 6 {
            for _ in 0..SPLITS {
                self.split(slots);
            }
        }
    }

    /// Puts one more group to use. False if there is no memory for it.
    #[cold]
    fn split(&self, slots: &Slots) -> bool {
        let groups = slots.info.groups.load();
        if groups == 0 || groups >= self.capacity() {
            return false;
        }
        let below = 1 << (63 - groups.leading_zeros());
        let (from, to) = (groups - below, groups);
        let (Some(old), Some(new)) = (self.group(from), self.group(to)) else { return false };
        slots.header.split.store(u64::from(slots.type_id()) << 32 | to);
        for (entry, target) in old.entries.iter().zip(&new.entries) {
            let word = entry.load();
            target.store(if word != 0 && self.moves(word, from, to) { word } else { 0 });
        }
        new.overflow.store(old.overflow.load());
        slots.info.groups.store(groups + 1);
        self.leave(from, to);
        slots.header.split.store(0);
        true
    }

    /// Whether an entry of group `from` belongs into `to`, the group that is being added.
    fn moves(&self, word: u64, from: u64, to: u64) -> bool {
        let hash = Hash::of_entry(word);
        if hash.first(to) == from { hash.first(to + 1) == to } else { hash.second(to + 1) == to }
    }

    /// Takes the entries out of `from` that have been copied to `to`.
    fn leave(&self, from: u64, to: u64) {
        let (Some(old), Some(new)) = (self.group(from), self.group(to)) else { return };
        for entry in &old.entries {
            let word = entry.load();
            if word != 0 && self.moves(word, from, to) && new.entries.iter().any(|copy| copy.load() == word) {
                entry.store(0);
            }
        }
    }

    /// Ends a split that a kill has cut: `to` is the group that was being added.
    pub(crate) fn end_split(&self, slots: &Slots, to: u64) {
        let groups = self.groups(slots);
        if to != 0 && to + 1 == groups {
            self.leave(to - (1 << (63 - to.leading_zeros())), to);
        }
    }

    /// All entries, with the number of their group; for tests and `verify`.
    pub(crate) fn entries<'a>(&'a self, slots: &Slots) -> impl Iterator<Item = (u64, u64)> + 'a {
        (0..self.groups(slots)).flat_map(|number| {
            let group = self.group(number).into_iter();
            group
                .flat_map(move |g| g.entries.iter().map(move |e| (number, e.load())))
                .filter(|(_, e)| *e != 0)
        })
    }
}

#[inline(always)]
fn find_in(group: &Group, slots: &Slots, hash: Hash, key: u64) -> Option<(u32, u64)> {
    let mut hits = 0u32;
    for (at, entry) in group.entries.iter().enumerate() {
        hits |= u32::from(entry.load() >> INDEX_BITS == hash.0) << at;
    }
    while hits != 0 {
        let entry = group.entries[hits.trailing_zeros() as usize % ENTRIES as usize].load();
        let index = ((entry & INDEX_MASK) as u32).wrapping_sub(1);
        if let Some(slot) = slots.slot(index) {
            let header = slot.header().load();
            if slot.key().load() == key && Slot::is_live(header) {
                return Some((index, header));
            }
        }
        hits &= hits - 1;
    }
    None
}

/// Clears every entry that equals `word`; whether there was one.
#[inline(always)]
fn clear(group: &Group, word: u64) -> bool {
    let mut found = false;
    for entry in &group.entries {
        if entry.load() == word {
            entry.store(0);
            found = true;
        }
    }
    found
}
