//! Checks the index of a keyed type: every live object is found by its key.

use crate::inspect::finding::{Place, Severity};
use crate::inspect::lane;
use crate::inspect::walk::{Type, Walk, place_of};
use crate::layout::{Broken, Group};
use crate::limits::INDEX_BITS;
use crate::pool::store::index::hash::{Addressing, Hash};
use crate::pool::store::shape::slot_offset;
use crate::pool::store::slot::Slot;
use crate::region::{OutOfBounds, Region, Table};
use crate::units::plural;
use crate::word::Word;

const SLOT_MASK: u64 = (1 << INDEX_BITS) - 1;

/// The groups in use of a type's index.
pub(crate) struct Groups {
    extents: Vec<Table<Group>>,
    shift: u32,
    count: u64,
    addressing: Addressing,
    seed: u64,
    /// For each group: live objects with their first choice there and their only entry in their
    /// second choice.
    spilled: Vec<u32>,
}

impl Groups {
    /// Returns the groups of a type; none if it is not keyed.
    pub(crate) fn find(walk: &mut Walk<'_>, ty: &Type) -> Self {
        let shift = ty.info.group_shift.load();
        let found: Result<Vec<_>, OutOfBounds> =
            ty.index.iter().map(|extent| extent.block.table(extent.offset, 1 << shift)).collect();
        let extents = found.unwrap_or_else(|OutOfBounds| {
            walk.damage(place_of(ty), "an extent of its index is too short");
            Vec::new()
        });
        let counted = ty.now.groups.load();
        let capacity = (extents.len() as u64) << shift;
        if counted > capacity {
            walk.damage(
                place_of(ty),
                format!("its index counts {}, but has room for {capacity}", plural(counted, "group")),
            );
        }
        let count = counted.min(capacity);
        Groups {
            extents,
            shift,
            count,
            addressing: Addressing::new(count),
            seed: walk.base.header.geometry.hash_seed.load(),
            spilled: vec![0; count as usize],
        }
    }

    /// Returns the number of groups in use.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    fn group(&self, number: u64) -> Option<&Group> {
        if number >= self.count {
            return None;
        }
        self.extents.get((number >> self.shift) as usize)?.get((number & ((1 << self.shift) - 1)) as usize)
    }

    /// Checks that the index leads from `key` to the object in slot `index`.
    pub(crate) fn reach(&mut self, walk: &mut Walk<'_>, place: Place, header: &Word, key: &Word, index: u64) {
        let seen = header.load();
        if !Slot::is_live(seen) {
            return;
        }
        let mut result = self.search(key.load(), index);
        for _ in 0..if walk.is_live() && !walk.report.is_full() { 8 } else { 0 } {
            if result.is_ok() || header.load() != seen || walk.has_grown() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_micros(200));
            self.refresh(walk, place);
            result = self.search(key.load(), index);
        }
        match result {
            // The object was freed during the last reading.
            Err(_) if header.load() != seen => {}
            Err(what) => walk.damage(place, format!("the key {}: {what}", key.load())),
            Ok(Reached { twice: true, .. }) => {
                walk.report.add(Severity::Note, place, "two index entries lead to it");
            }
            Ok(Reached { spilled_from: Some(group), .. }) => {
                if let Some(count) = self.spilled.get_mut(group as usize) {
                    *count += 1;
                }
            }
            Ok(_) => {}
        }
    }

    /// Updates the number of groups, because the index may be growing.
    fn refresh(&mut self, walk: &Walk<'_>, place: Place) {
        let info = place.type_id.and_then(|id| walk.base.used_type(id));
        let capacity = (self.extents.len() as u64) << self.shift;
        self.count = info.map_or(0, |info| info.groups.load()).min(capacity);
        self.addressing = Addressing::new(self.count);
        self.spilled.resize(self.count as usize, 0);
    }

    fn search(&self, key: u64, index: u64) -> Result<Reached, Broken> {
        let hash = Hash::of(key, self.seed);
        let (first, second) = (self.addressing.first(hash), self.addressing.second(hash));
        let Some(home) = self.group(first) else { return Err(Broken::NoGroup) };
        let Some(other) = self.group(second) else { return Err(Broken::NoGroup) };
        let expected = u32::try_from(index).map_or(0, |index| hash.entry(index));
        let count = |group: &Group| group.entries.iter().filter(|entry| entry.load() == expected).count();
        let here = count(home);
        let there = if first == second { 0 } else { count(other) };
        match (here, there) {
            (0, 0) => Err(Broken::NoEntry),
            (0, _) if home.overflow.load() == 0 => Err(Broken::SecondGroup),
            (0, n) => Ok(Reached { twice: n > 1, spilled_from: Some(first) }),
            (n, m) => Ok(Reached { twice: n + m > 1, spilled_from: None }),
        }
    }

    /// Checks the groups after all objects are known; returns the number of stale entries.
    pub(crate) fn finish(&self, walk: &mut Walk<'_>, ty: &Type) -> u64 {
        let mut stale = 0;
        for number in 0..self.count {
            let Some(group) = self.group(number) else { break };
            let spilled = self.spilled.get(number as usize).copied().unwrap_or(0);
            let counted = group.overflow.load();
            if counted < spilled.into() {
                let what = format!(
                    "index group {number} counts {counted} of its entries as stored in their second group, but {spilled} are"
                );
                walk.wrong_sum(place_of(ty), what);
            }
            for entry in &group.entries {
                stale += u64::from(self.is_stale(walk, ty, number, entry.load()));
            }
        }
        stale
    }

    fn is_stale(&self, walk: &mut Walk<'_>, ty: &Type, number: u64, entry: u64) -> bool {
        if entry == 0 {
            return false;
        }
        let hash = Hash::of_entry(entry);
        let index = (entry & SLOT_MASK).wrapping_sub(1);
        let here = [self.addressing.first(hash), self.addressing.second(hash)].contains(&number);
        let key = u32::try_from(index).ok().and_then(|index| key_of(ty, index));
        let leads = key.is_some_and(|key| Hash::of(key, self.seed) == hash);
        if here
            && leads
            && let Some(key) = key
            && let Some(other) = self.same_key(ty, number, key, index)
            && !walk.is_live()
            && !lane::is_cut(walk)
        {
            let place = Place { slot: u32::try_from(index).ok(), ..place_of(ty) };
            walk.damage(place, format!("slot {other} has the same user key, {key}"));
        }
        !here || !leads
    }

    /// Returns another live object with the same key, whose entry is later in these groups.
    fn same_key(&self, ty: &Type, number: u64, key: u64, index: u64) -> Option<u64> {
        let hash = Hash::of(key, self.seed);
        let other = if self.addressing.first(hash) == number { self.addressing.second(hash) } else { number };
        let groups = [self.group(number), self.group(other)];
        let entries = groups.into_iter().flatten().flat_map(|group| group.entries.iter().map(Word::load));
        entries
            .filter(|entry| *entry != 0 && Hash::of_entry(*entry) == hash)
            .map(|entry| (entry & SLOT_MASK).wrapping_sub(1))
            .filter(|other| *other > index)
            .find(|other| u32::try_from(*other).ok().and_then(|other| key_of(ty, other)) == Some(key))
    }
}

/// How the index leads to an object.
struct Reached {
    twice: bool,
    spilled_from: Option<u64>,
}

/// Returns the user key of the object in slot `index`, if one lives there.
fn key_of(ty: &Type, index: u32) -> Option<u64> {
    let extent = ty.slots.get((index >> ty.info.shift.load()) as usize)?.as_ref()?;
    let offset = slot_offset(&ty.info, extent.offset, index)?;
    let word = |block: &Region, offset| block.at::<Word>(offset).ok().map(|word| word.load());
    let header = word(&extent.block, offset)?;
    if !Slot::is_live(header) {
        return None;
    }
    word(&extent.block, offset.checked_add(8)?)
}
