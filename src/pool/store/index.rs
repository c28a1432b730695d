//! From a user key to a slot: a table of groups, each one cache line of seven entries.
//!
//! The truth about a key is the slot that carries it. An entry is a hint of 38 bits of
//! hash and 26 of slot number, believed only after a look at the slot, so no order of
//! stores and no kill between them can make it lie: an entry too many is ignored and
//! swept up when its place is wanted, and one too few cannot be, because an entry is
//! written before its slot is committed and taken out after its slot has died.
//!
//! A key may live in either of two groups, its first choice and its second; that keeps
//! groups from overflowing far beyond the fill at which the table grows. The table grows a group
//! at a time (linear hashing): entries that belong to the new group are copied there,
//! `TypeInfo::groups` commits, the old copies are taken out. Nothing is ever rehashed at
//! once, so an insert costs at most two such splits.

use crate::commits::Commit;
use crate::layout::Group;
use crate::limits::INDEX_BITS;
use crate::mutants::{Mutant, planted};
use crate::pool::store::extents::Extents;
use crate::pool::store::probe::Hits;
use crate::pool::store::slot::Slot;
use crate::pool::store::slots::Slots;
use crate::region::{OutOfBounds, Tables};
use crate::word::Word;
use std::cell::Cell;

/// The part of an entry that is the number of its slot and 1.
const SLOT_MASK: u64 = (1 << INDEX_BITS) - 1;
/// Entries of a group.
const ENTRIES: u64 = 7;
/// Splits that an insert makes at the most while the table doubles.
const SPLITS: u64 = 2;
/// The table begins to double when so many of ten entries are in use, and has then doubled
/// before it is much fuller. (In the middle, groups that are not split yet hold twice as much.)
const FILL: u64 = 7;

/// The index of one type.
pub(crate) struct Index {
    tables: Tables<Group>,
    seed: u64,
    /// Groups in use: `TypeInfo::groups`, but never more than memory is there for.
    groups: Cell<u64>,
    /// See `Addressing`.
    mask: Cell<u64>,
    /// The table grows as long as there are so many objects; 0 while it doubles.
    grows_at: Cell<u64>,
}

/// What is stored of the hash of a key, 38 bits, where an entry has them; both choices of a group follow from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    /// A multiplication folded to 64 bits (as in wyhash, public domain); the seed is random for each
    /// pool, so that nobody can know which keys meet.
    #[inline(always)]
    pub(crate) fn of(key: u64, seed: u64) -> Self {
        Hash(fold(key ^ seed, 0x9e37_79b9_7f4a_7c15) & !SLOT_MASK)
    }

    #[inline(always)]
    pub(crate) fn entry(self, slot: u32) -> u64 {
        self.0 | (u64::from(slot) + 1)
    }

    /// Its 38 bits as a number.
    #[inline(always)]
    fn number(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// The upper 32 bits of it.
    #[inline(always)]
    pub(crate) fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn of_entry(entry: u64) -> Self {
        Hash(entry & !SLOT_MASK)
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// How many groups there are, and where a hash belongs among them.
#[derive(Clone, Copy)]
pub(crate) struct Addressing {
    groups: u64,
    /// The next power of two, less 1.
    mask: u64,
}

impl Addressing {
    pub(crate) fn new(groups: u64) -> Self {
        Addressing { groups, mask: groups.max(2).next_power_of_two() - 1 }
    }

    /// Linear hashing: the hash modulo the next power of two, or modulo half of it where that
    /// group does not exist yet.
    #[inline(always)]
    fn address(self, hash: u64) -> u64 {
        let wide = hash & self.mask;
        if wide < self.groups { wide } else { hash & self.mask >> 1 }
    }

    /// The group of first choice.
    #[inline(always)]
    pub(crate) fn first(self, hash: Hash) -> u64 {
        self.address(hash.number())
    }

    /// The group of second choice; may be the same.
    #[inline(always)]
    pub(crate) fn second(self, hash: Hash) -> u64 {
        self.address(fold(hash.number(), 0x9fb2_1c65_1e98_df25))
    }

    /// The other one of the two groups of an entry that is in group `number`.
    fn other(self, hash: Hash, number: u64) -> u64 {
        let first = self.first(hash);
        if first == number { self.second(hash) } else { first }
    }
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

/// Why there is no place for an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// The index needs one more extent.
    Memory,
    /// No extent would help: both groups stay full of entries that belong nowhere else.
    Crowded,
}

impl Index {
    pub(crate) fn new(shift: u32, seed: u64) -> Self {
        Index {
            tables: Tables::new(shift),
            seed,
            groups: Cell::new(0),
            mask: Cell::new(1),
            grows_at: Cell::new(0),
        }
    }

    /// Adds a run of extents behind those that are there.
    pub(crate) fn push(&mut self, run: &Extents) -> Result<(), OutOfBounds> {
        let bytes = self.extent_bytes();
        for n in 0..u64::from(run.count) {
            let offset = run.offset.checked_add(n * bytes).ok_or(OutOfBounds)?;
            self.tables.push(&run.block.table(offset, 1 << self.tables.shift())?)?;
        }
        Ok(())
    }

    /// Groups that memory is there for.
    pub(crate) fn capacity(&self) -> u64 {
        self.tables.len()
    }

    /// Bytes of an extent.
    pub(crate) fn extent_bytes(&self) -> u64 {
        (size_of::<Group>() as u64) << self.tables.shift()
    }

    /// Number of extents.
    pub(crate) fn extents(&self) -> u32 {
        (self.tables.len() >> self.tables.shift()) as u32
    }

    #[inline(always)]
    fn group(&self, number: u64) -> Option<&Group> {
        self.tables.get(number)
    }

    #[inline(always)]
    fn addressing(&self) -> Addressing {
        Addressing { groups: self.groups.get(), mask: self.mask.get() }
    }

    fn groups(&self) -> u64 {
        self.groups.get()
    }

    /// Takes over the number of groups that the type says it uses. To be called when an extent was
    /// added and when the number has changed.
    pub(crate) fn refresh(&self, slots: &Slots) {
        let groups = slots.info.groups.load().min(self.capacity());
        self.groups.set(groups);
        self.mask.set(Addressing::new(groups).mask);
        self.grows_at.set(if groups.is_power_of_two() { groups * ENTRIES * FILL / 10 } else { 0 });
    }

    /// What `look` finds in the slot that carries `key`; `look` is given slots that may.
    #[inline(always)]
    pub(crate) fn find<R>(&self, key: u64, look: impl Fn(u32) -> Option<R>) -> Option<R> {
        let hash = Hash::of(key, self.seed);
        let first = self.group(self.addressing().first(hash))?;
        match find_in(first, hash, &look) {
            None if first.overflow.load() != 0 => find_in(self.second(hash)?, hash, &look),
            found => found,
        }
    }

    /// The second group of a hash.
    #[cold]
    #[inline(never)]
    fn second(&self, hash: Hash) -> Option<&Group> {
        self.group(self.addressing().second(hash))
    }

    /// Whether one more entry wants more memory than there is.
    pub(crate) fn wants_extent(&self, slots: &Slots) -> bool {
        self.groups() + SPLITS > self.capacity() && self.is_growing(slots)
    }

    /// A place for the entry of `key` where nothing has to be done for it: the table does not grow, and there is one in
    /// the group of first choice.
    #[inline(always)]
    pub(crate) fn place_at_once(&self, slots: &Slots, key: u64) -> Option<Place> {
        if self.is_growing(slots) {
            return None;
        }
        let hash = Hash::of(key, self.seed);
        let group = self.addressing().first(hash);
        let entry = free_entry(self.group(group)?)?;
        Some(Place { group, entry, spilled_from: None, hash })
    }

    /// Makes room for the entry of `key`.
    pub(crate) fn reserve(&self, slots: &Slots, key: u64) -> Result<Place, NoPlace> {
        self.start_and_split(slots);
        let hash = Hash::of(key, self.seed);
        loop {
            let (first, second) = (self.addressing().first(hash), self.addressing().second(hash));
            if let Some(entry) = self.room(slots, first) {
                return Ok(Place { group: first, entry, spilled_from: None, hash });
            }
            if let Some(entry) = self.room(slots, second) {
                return Ok(Place { group: second, entry, spilled_from: Some(first), hash });
            }
            let moved = self.push_out(slots, first) || self.push_out(slots, second);
            if !moved && self.is_crowded(hash) {
                return Err(NoPlace::Crowded);
            }
            if !moved && !self.split(slots) {
                return Err(NoPlace::Memory);
            }
        }
    }

    /// Whether the groups of `hash` are full of entries that would be together in a table of twice the size, too: those of
    /// one key that was freed and made again in a transaction, or of keys that were chosen to meet.
    #[cold]
    fn is_crowded(&self, hash: Hash) -> bool {
        let doubled = Addressing::new(self.groups() * 2);
        let home = [doubled.first(hash), doubled.second(hash)];
        let stays = |entry: &Word| {
            let other = Hash::of_entry(entry.load());
            home.contains(&doubled.first(other)) && home.contains(&doubled.second(other))
        };
        let (first, second) = (self.addressing().first(hash), self.addressing().second(hash));
        let numbers = if first == second { vec![first] } else { vec![first, second] };
        let groups = numbers.into_iter().filter_map(|number| self.group(number));
        let staying = groups.flat_map(|group| &group.entries).filter(|entry| stays(entry)).count();
        staying as u64 >= ENTRIES * if home[0] == home[1] { 1 } else { 2 }
    }

    /// Writes the entry of a slot that is about to be committed.
    #[inline(always)]
    pub(crate) fn link(&self, place: Place, slot: u32) {
        if let Some(from) = place.spilled_from.and_then(|from| self.group(from))
            && !planted(Mutant::LinkRaisesNothing)
        {
            from.overflow.store(from.overflow.load().saturating_add(1));
        }
        if let Some(group) = self.group(place.group) {
            group.entries[place.entry].store(place.hash.entry(slot));
        }
    }

    /// Takes out the entries that lead from `key` to a slot that has died. May be cut
    /// anywhere and done again.
    #[inline(always)]
    pub(crate) fn unlink(&self, key: u64, slot: u32) {
        let hash = Hash::of(key, self.seed);
        let Some(home) = self.group(self.addressing().first(hash)) else { return };
        if !clear(home, hash.entry(slot)) && home.overflow.load() != 0 {
            self.unlink_second(home, hash, slot);
        }
    }

    #[cold]
    #[inline(never)]
    fn unlink_second(&self, home: &Group, hash: Hash, slot: u32) {
        let Some(second) = self.second(hash) else { return };
        if !std::ptr::eq(home, second) && clear(second, hash.entry(slot)) {
            home.overflow.store(home.overflow.load().saturating_sub(1));
        }
    }

    /// A free entry of a group; entries that lead nowhere are swept up if it is full.
    fn room(&self, slots: &Slots, number: u64) -> Option<usize> {
        let group = self.group(number)?;
        free_entry(group).or_else(|| {
            for entry in &group.entries {
                self.sweep(slots, number, entry);
            }
            free_entry(group)
        })
    }

    /// Clears an entry whose slot is dead or carries another key, or that belongs elsewhere.
    fn sweep(&self, slots: &Slots, number: u64, entry: &Word) {
        let word = entry.load();
        let hash = Hash::of_entry(word);
        let here = [self.addressing().first(hash), self.addressing().second(hash)].contains(&number);
        if !here || !self.leads_to(slots, word) {
            entry.store(0);
        }
    }

    /// Whether an entry leads to a live slot whose key has its hash.
    fn leads_to(&self, slots: &Slots, word: u64) -> bool {
        let index = (word & SLOT_MASK).wrapping_sub(1);
        let Some(slot) = u32::try_from(index).ok().and_then(|index| slots.slot(index)) else { return false };
        Slot::is_live(slot.header().load()) && Hash::of(slot.key().load(), self.seed) == Hash::of_entry(word)
    }

    /// Moves one entry of a full group to the other group that it may live in.
    fn push_out(&self, slots: &Slots, number: u64) -> bool {
        let Some(group) = self.group(number) else { return false };
        for entry in &group.entries {
            let hash = Hash::of_entry(entry.load());
            let other = self.addressing().other(hash, number);
            if other == number {
                continue;
            }
            let Some(free) = self.room(slots, other) else { continue };
            let Some(target) = self.group(other) else { continue };
            let leaves_home = self.addressing().first(hash) == number;
            let raise = || group.overflow.store(group.overflow.load().saturating_add(1));
            let lower = || target.overflow.store(target.overflow.load().saturating_sub(1));
            if leaves_home && !planted(Mutant::PushOutRaisesLast) {
                raise();
            }
            if !leaves_home && planted(Mutant::PushOutLowersFirst) {
                lower();
            }
            let word = entry.load();
            if planted(Mutant::PushOutClearsFirst) {
                entry.store(0);
            }
            target.entries[free].store(word);
            entry.store(0);
            if !leaves_home && !planted(Mutant::PushOutLowersFirst) {
                lower();
            }
            if leaves_home && planted(Mutant::PushOutRaisesLast) {
                raise();
            }
            return true;
        }
        false
    }

    /// Puts the first groups to use, or, where the table is filled, one or two more.
    #[inline(always)]
    fn start_and_split(&self, slots: &Slots) {
        if self.groups() == 0 && self.capacity() != 0 {
            Commit::IndexBegins.store(&slots.info.groups, 1 << self.capacity().ilog2());
            self.refresh(slots);
            return;
        }
        if self.is_growing(slots) {
            for _ in 0..SPLITS {
                self.split(slots);
            }
        }
    }

    /// Whether the table is doubling, or has to begin to.
    #[inline(always)]
    fn is_growing(&self, slots: &Slots) -> bool {
        slots.len() >= self.grows_at.get()
    }

    /// Puts one more group to use. False if there is no memory for it.
    #[cold]
    fn split(&self, slots: &Slots) -> bool {
        let to = self.groups();
        if to == 0 || to >= self.capacity() {
            return false;
        }
        let split = Split::new(to);
        let (Some(old), Some(new)) = (self.group(split.from), self.group(to)) else { return false };
        Commit::SplitBegins.store(&slots.header.split, u64::from(slots.type_id()) << 32 | to);
        if planted(Mutant::SplitCountsFirst) {
            Commit::SplitCounts.store(&slots.info.groups, to + 1);
        }
        for (entry, target) in old.entries.iter().zip(&new.entries) {
            let word = entry.load();
            target.store(if word != 0 && split.moves(word) { word } else { 0 });
        }
        let overflow = || new.overflow.store(old.overflow.load());
        if !planted(Mutant::SplitCopiesOverflowLast) {
            overflow();
        }
        if planted(Mutant::SplitLeavesFirst) {
            self.leave(split);
        }
        Commit::SplitCounts.store(&slots.info.groups, to + 1);
        if planted(Mutant::SplitCopiesOverflowLast) {
            overflow();
        }
        self.refresh(slots);
        self.leave(split);
        Commit::SplitEnds.store(&slots.header.split, 0);
        true
    }

    /// Takes the entries out of the old group that have been copied to the new one.
    fn leave(&self, split: Split) {
        let (Some(old), Some(new)) = (self.group(split.from), self.group(split.to)) else { return };
        for entry in &old.entries {
            let word = entry.load();
            if word != 0 && split.moves(word) && new.entries.iter().any(|copy| copy.load() == word) {
                entry.store(0);
            }
        }
    }

    /// Ends a split that a kill has cut: `to` is the group that was being added.
    pub(crate) fn end_split(&self, to: u64) {
        if to != 0 && to + 1 == self.groups() {
            self.leave(Split::new(to));
        }
    }
}

/// One group becoming two.
#[derive(Clone, Copy)]
struct Split {
    from: u64,
    to: u64,
    before: Addressing,
    after: Addressing,
}

impl Split {
    fn new(to: u64) -> Self {
        let from = to - (1 << to.ilog2());
        Split { from, to, before: Addressing::new(to), after: Addressing::new(to + 1) }
    }

    /// Whether an entry of the old group belongs into the new one.
    fn moves(&self, word: u64) -> bool {
        let hash = Hash::of_entry(word);
        match self.before.first(hash) == self.from {
            true => self.after.first(hash) == self.to,
            false => self.after.second(hash) == self.to,
        }
    }
}

/// Groups that hold `entries` without the table having to grow.
pub(crate) fn groups_for(entries: u32) -> u64 {
    (u64::from(entries) * 10).div_ceil(ENTRIES * FILL).next_power_of_two()
}

#[inline(always)]
fn find_in<R>(group: &Group, hash: Hash, look: &impl Fn(u32) -> Option<R>) -> Option<R> {
    for (_, entry) in Hits::new(group, hash.upper()) {
        if let Some(found) = look((entry.load() as u32 & SLOT_MASK as u32).wrapping_sub(1)) {
            return Some(found);
        }
    }
    None
}

/// The first free entry of a group.
#[inline(always)]
fn free_entry(group: &Group) -> Option<usize> {
    Hits::new(group, 0).find(|(_, entry)| entry.load() == 0).map(|(at, _)| at)
}

/// Clears every entry that equals `word`; whether there was one.
#[inline(always)]
fn clear(group: &Group, word: u64) -> bool {
    let mut found = false;
    for (_, entry) in Hits::new(group, Hash::of_entry(word).upper()) {
        if entry.load() == word {
            entry.store(0);
            found = true;
        }
    }
    found
}
