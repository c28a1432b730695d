//! The index of a keyed type, from user key to slot: a table of groups, each one cache line with 7
//! entries.
//!
//! The slot that carries a key is the truth. An entry is a hint, with 38 bits of hash and 26 bits
//! of slot number, and it is trusted only after the slot was read. So no order of stores, and no
//! kill between them, can make it wrong. A stale entry is ignored, and swept when its room is
//! needed. A missing entry cannot occur: an entry is written before its slot is committed, and
//! cleared after the object is freed.
//!
//! A key may be stored in either of two groups, its first or its second choice. This keeps groups
//! from overflowing far beyond the fill at which the table grows. The table grows by one group at a
//! time (linear hashing): the entries of the new group are copied there, `TypeInfo::groups`
//! commits, and the old copies are cleared. The table is never rehashed as a whole, so an insert
//! costs at most two splits.

pub(crate) mod ahead;
pub(crate) mod hash;

use crate::commits::Commit;
use crate::layout::Group;
use crate::mutants::{Mutant, planted};
use crate::pool::store::barrier::Barrier;
use crate::pool::store::extents::Extents;
use crate::pool::store::index::hash::{Addressing, Hash};
use crate::pool::store::probe::{Hits, SLOT_MASK, overflow_of};
use crate::pool::store::slot::Slot;
use crate::pool::store::slots::Slots;
use crate::region::{OutOfBounds, Tables};
use crate::word::Word;
use std::cell::Cell;
use std::sync::Arc;

/// Entries of a group.
const ENTRIES: u64 = 7;
/// Most splits for one insert while the table doubles.
const SPLITS: u64 = 2;
/// Entries in use, out of ten, at which the table begins to double.
///
/// It has then doubled before it is much fuller. Meanwhile, groups that are not split yet hold
/// twice as many entries.
const FILL: u64 = 7;

/// The index of one type.
pub(crate) struct Index {
    tables: Tables<Group>,
    seed: u64,
    /// Groups in use: `TypeInfo::groups`, limited to the groups that have memory.
    groups: Cell<u64>,
    /// Copy of `Addressing::mask`.
    mask: Cell<u64>,
    /// Number of objects from which on the table grows; 0 while it doubles.
    grows_at: Cell<u64>,
    /// Number of objects in other slots than the named one from which on an entry needs preparation:
    /// `grows_at`, or the least number while pages are watched.
    prepares_at: Cell<i64>,
    /// The write barrier of an image, if pages are watched.
    barrier: Option<Arc<Barrier>>,
}

/// A free entry that `Index::reserve` has found.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    group: u64,
    entry: usize,
    /// Group of first choice, if the entry is in the second.
    spilled_from: Option<u64>,
    hash: Hash,
}

/// Reasons why there is no free entry for a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// The index needs one more extent.
    Memory,
    /// Another extent would not help: both groups stay full of entries that fit into no other
    /// group.
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
            prepares_at: Cell::new(0),
            barrier: None,
        }
    }

    /// Appends a run of extents.
    pub(crate) fn push(&mut self, run: &Extents) -> Result<(), OutOfBounds> {
        let bytes = self.extent_bytes();
        for n in 0..u64::from(run.count) {
            let offset = run.offset.checked_add(n * bytes).ok_or(OutOfBounds)?;
            self.tables.push(&run.block.table(offset, 1 << self.tables.shift())?)?;
        }
        Ok(())
    }

    /// Returns whether the extents from number `at` on are those of a run.
    pub(crate) fn holds(&self, at: u32, run: &Extents) -> bool {
        let bytes = self.extent_bytes();
        (0..run.count).all(|n| {
            let offset = u64::from(n).checked_mul(bytes).and_then(|more| run.offset.checked_add(more));
            let table = offset.and_then(|offset| run.block.table(offset, 1 << self.tables.shift()).ok());
            table.is_some_and(|table| self.tables.holds((at + n) as usize, &table))
        })
    }

    /// Returns the number of groups that have memory.
    pub(crate) fn capacity(&self) -> u64 {
        self.tables.len()
    }

    /// Returns the bytes of an extent.
    pub(crate) fn extent_bytes(&self) -> u64 {
        (size_of::<Group>() as u64) << self.tables.shift()
    }

    /// Returns the number of extents.
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

    /// Reads the number of groups from the type.
    ///
    /// Call it after an extent was added, or after the number has changed.
    pub(crate) fn refresh(&self, slots: &Slots) {
        let groups = slots.info.groups.load().min(self.capacity());
        self.groups.set(groups);
        self.mask.set(Addressing::new(groups).mask);
        self.grows_at.set(if groups.is_power_of_two() { groups * ENTRIES * FILL / 10 } else { 0 });
        self.prepares_at.set(if self.barrier.is_some() { i64::MIN } else { self.grows_at.get() as i64 });
    }

    /// Copies all groups to an index that has room for them and is not in use.
    pub(crate) fn copy_to(&self, to: &Index) {
        for number in 0..self.groups.get().min(to.capacity()) {
            let (Some(from), Some(to)) = (self.tables.get(number), to.tables.get(number)) else { break };
            to.overflow.fill(from.overflow.load());
            from.entries.iter().zip(&to.entries).for_each(|(from, to)| to.fill(from.load()));
        }
    }

    /// Returns what `probe` finds in the slot that carries `key`; `probe` gets candidate slots.
    #[inline(always)]
    pub(crate) fn find<R>(&self, key: u64, probe: impl Fn(u32) -> Option<R> + Copy) -> Option<R> {
        let hash = Hash::of(key, self.seed);
        let first = self.group(self.addressing().first(hash))?;
        let mut hits = Hits::new(first, hash.upper());
        match hits.next_slot() {
            Some(slot) => {
                if let Some(found) = probe(slot) {
                    return Some(found);
                }
            }
            None if overflow_of(first) == 0 => return None,
            None => {}
        }
        self.find_further(first, hits, hash, probe)
    }

    /// Goes on to the other hits in the first group of a hash, and then to its second group.
    ///
    /// It is generic, so that it is compiled beside its caller: a compiler then sees that the call changes
    /// nothing which a loop has read before.
    #[cold]
    #[inline(never)]
    fn find_further<R>(
        &self,
        first: &Group,
        mut hits: Hits<'_>,
        hash: Hash,
        probe: impl Fn(u32) -> Option<R>,
    ) -> Option<R> {
        let found = std::iter::from_fn(|| hits.next_slot()).find_map(&probe);
        if found.is_some() || overflow_of(first) == 0 {
            return found;
        }
        let mut hits = Hits::new(self.second(hash)?, hash.upper());
        std::iter::from_fn(|| hits.next_slot()).find_map(&probe)
    }

    /// Tells the barrier of every change from here on.
    pub(crate) fn watch(&mut self, barrier: &Arc<Barrier>) {
        self.barrier = Some(Arc::clone(barrier));
        self.prepares_at.set(i64::MIN);
    }

    /// Tells the barrier of no more changes.
    pub(crate) fn end_watch(&mut self) {
        self.barrier = None;
        self.prepares_at.set(self.grows_at.get() as i64);
    }

    /// Tells the barrier, if there is one, of a group that is about to change.
    #[inline(always)]
    fn before(&self, group: &Group, mutant: Mutant) {
        if let Some(barrier) = &self.barrier {
            before_group(barrier, group, mutant);
        }
    }

    /// Returns the second group of a hash.
    fn second(&self, hash: Hash) -> Option<&Group> {
        self.group(self.addressing().second(hash))
    }

    /// Returns whether one more entry needs another extent.
    pub(crate) fn wants_extent(&self, slots: &Slots) -> bool {
        self.groups() + SPLITS > self.capacity() && self.is_growing(slots)
    }

    /// Returns a free entry for `key`, if that takes no preparation.
    ///
    /// The table must not be growing, no page may be watched, and the group of first choice must
    /// have a free entry.
    #[inline(always)]
    pub(crate) fn place_at_once(&self, slots: &Slots, key: u64) -> Option<Place> {
        if slots.others() >= self.prepares_at.get() {
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

    /// Returns whether the groups of `hash` are full of entries that would still share them in a
    /// larger table.
    ///
    /// These are entries of one key that a transaction freed and allocated again, or keys chosen to
    /// collide.
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
        if let Some(entry) = self.group(place.group).and_then(|group| group.entries.get(place.entry)) {
            entry.store(place.hash.entry(slot));
        }
    }

    /// Clears the entries that lead from `key` to a slot whose object was freed.
    ///
    /// It may be interrupted at any point, and repeated.
    #[inline(always)]
    pub(crate) fn unlink(&self, key: u64, slot: u32) {
        let hash = Hash::of(key, self.seed);
        let Some(home) = self.group(self.addressing().first(hash)) else { return };
        self.before(home, Mutant::UnwatchedUnlink);
        if !clear(home, hash.entry(slot)) && home.overflow.load() != 0 {
            self.unlink_second(home, hash, slot);
        }
    }

    #[cold]
    #[inline(never)]
    fn unlink_second(&self, home: &Group, hash: Hash, slot: u32) {
        let Some(second) = self.second(hash) else { return };
        self.before(second, Mutant::UnwatchedUnlinkSecond);
        if !std::ptr::eq(home, second) && clear(second, hash.entry(slot)) {
            home.overflow.store(home.overflow.load().saturating_sub(1));
        }
    }

    /// Returns a free entry of a group. If the group is full, stale entries are swept first.
    fn room(&self, slots: &Slots, number: u64) -> Option<usize> {
        let group = self.group(number)?;
        self.before(group, Mutant::UnwatchedLink);
        free_entry(group).or_else(|| {
            for entry in &group.entries {
                self.sweep(slots, number, entry);
            }
            free_entry(group)
        })
    }

    /// Clears an entry if it is stale: its slot is not live or has another key, or it belongs
    /// elsewhere.
    fn sweep(&self, slots: &Slots, number: u64, entry: &Word) {
        let word = entry.load();
        let hash = Hash::of_entry(word);
        let here = [self.addressing().first(hash), self.addressing().second(hash)].contains(&number);
        if !here || !self.leads_to(slots, word) {
            entry.store(0);
        }
    }

    /// Returns whether an entry leads to a live slot whose key has its hash.
    fn leads_to(&self, slots: &Slots, word: u64) -> bool {
        let index = (word & SLOT_MASK).wrapping_sub(1);
        let Some(slot) = u32::try_from(index).ok().and_then(|index| slots.slot(index)) else { return false };
        Slot::is_live(slot.header().load()) && Hash::of(slot.key().load(), self.seed) == Hash::of_entry(word)
    }

    /// Moves one entry of a full group to its other group.
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
            let Some(free) = target.entries.get(free) else { continue };
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
            free.store(word);
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

    /// Begins to use the first groups, or adds one or two groups if the table is full enough.
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

    /// Returns whether the table is doubling or must begin to.
    #[inline(always)]
    fn is_growing(&self, slots: &Slots) -> bool {
        slots.len() >= self.grows_at.get()
    }

    /// Adds one group; returns false if it has no memory.
    #[cold]
    fn split(&self, slots: &Slots) -> bool {
        let to = self.groups();
        if to == 0 || to >= self.capacity() {
            return false;
        }
        let split = Split::new(to);
        let (Some(old), Some(new)) = (self.group(split.from), self.group(to)) else { return false };
        self.before(old, Mutant::UnwatchedSplitOld);
        self.before(new, Mutant::UnwatchedSplitNew);
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

    /// Clears the entries of the old group that have been copied to the new one.
    fn leave(&self, split: Split) {
        let (Some(old), Some(new)) = (self.group(split.from), self.group(split.to)) else { return };
        for entry in &old.entries {
            let word = entry.load();
            if word != 0 && split.moves(word) && new.entries.iter().any(|copy| copy.load() == word) {
                entry.store(0);
            }
        }
    }

    /// Completes an interrupted split; `to` is the group that was being added.
    pub(crate) fn end_split(&self, to: u64) {
        if to != 0 && to + 1 == self.groups() {
            self.leave(Split::new(to));
        }
    }
}

#[cold]
#[inline(never)]
fn before_group(barrier: &Barrier, group: &Group, mutant: Mutant) {
    if !planted(mutant) {
        barrier.before(std::ptr::from_ref(group).cast(), size_of::<Group>());
    }
}

/// The split of one group into two.
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

    /// Returns whether an entry of the old group belongs to the new one.
    fn moves(&self, word: u64) -> bool {
        let hash = Hash::of_entry(word);
        match self.before.first(hash) == self.from {
            true => self.after.first(hash) == self.to,
            false => self.after.second(hash) == self.to,
        }
    }
}

/// Returns the number of groups that hold `entries` entries before the table grows.
pub(crate) fn groups_for(entries: u32) -> u64 {
    (u64::from(entries) * 10).div_ceil(ENTRIES * FILL).next_power_of_two()
}

/// Returns the first free entry of a group.
#[inline(always)]
fn free_entry(group: &Group) -> Option<usize> {
    Hits::new(group, 0).find(|(_, entry)| entry.load() == 0).map(|(at, _)| at)
}

/// Clears every entry that equals `word`; returns whether there was one.
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
