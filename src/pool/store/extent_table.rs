//! Reads the table of extents: which bytes of which block belong to which form of a type, and which
//! are free.
//!
//! A table to which entries were only appended is read once, in its order. One with free bytes, or
//! with extents that took free bytes, is sorted by block and offset first.

use crate::layout::{Broken, ExtentKind, ExtentRec, TypeInfo};
use crate::limits;
use crate::pool::store::base::Base;
use crate::pool::store::chains::{Chains, Run};
use crate::pool::store::gaps::{Gap, Gaps};
use crate::pool::store::shape::{ExtentRule, TypeSet, check_extent, extent_length, extent_start};
use crate::region::Table;
use std::ops::Range;

/// What the table says.
pub(crate) struct Loaded {
    pub(crate) chains: Chains,
    pub(crate) gaps: Gaps,
    /// For each block, where its extents end.
    pub(crate) used: Vec<u64>,
}

/// A reading of the table.
pub(crate) struct Reading<'a> {
    base: &'a Base,
    types: Table<TypeInfo>,
    /// Positions of the entries that may have extents.
    owners: &'a TypeSet,
    /// For each block, whether it exists.
    exists: &'a [bool],
}

/// Entry number, and the rule that it breaks.
pub(crate) type BrokenEntry = (u32, Broken);

/// An extent in the table, and what its form says about it.
#[derive(Clone, Copy)]
struct Expected {
    place: u16,
    kind: ExtentKind,
    rule: ExtentRule,
}

impl<'a> Reading<'a> {
    /// Prepares to read. While new forms replace old ones, extents of other owners are free.
    pub(crate) fn new(base: &'a Base, owners: &'a TypeSet, exists: &'a [bool]) -> Self {
        Reading { base, types: base.types, owners, exists }
    }

    /// Reads the table; the error names the entry and the rule that is broken.
    pub(crate) fn read(&self) -> Result<Loaded, BrokenEntry> {
        match self.in_order() {
            Ok(loaded) => Ok(loaded),
            // The first error names the entry that is out of its place.
            Err(broken) => self.sorted().map_err(|_| broken),
        }
    }

    fn count(&self) -> usize {
        (self.base.header.nextents.load() as usize).min(self.base.extents.len())
    }

    /// Returns whether free bytes begin with this entry.
    fn is_free(&self, rec: &ExtentRec) -> bool {
        let is_given_up = || rec.parse_owner().is_some_and(|(place, _)| !self.owners.contains(place));
        rec.is_free() || (self.base.header.forms.load() == 1 && is_given_up())
    }

    fn expected(&self, rec: &ExtentRec) -> Result<Expected, Broken> {
        let (place, kind) = rec.parse_owner().ok_or(Broken::ExtentOwner)?;
        let info = self.types.get(place.into()).filter(|_| self.owners.contains(place));
        let info = info.ok_or(Broken::ExtentType)?;
        let rule = ExtentRule { bytes: extent_length(info, kind)?, align: info.align.load().into() };
        Ok(Expected { place, kind, rule })
    }

    fn block(&self, rec: &ExtentRec) -> Result<usize, Broken> {
        let block = rec.block.load() as usize;
        let exists = self.exists.get(block).is_some_and(|exists| *exists);
        exists.then_some(block).ok_or(Broken::NoBlock)
    }

    /// Reads a table to which entries were only appended.
    #[expect(clippy::indexing_slicing, reason = "`block` returns the number of a block that exists")]
    fn in_order(&self) -> Result<Loaded, BrokenEntry> {
        let mut loaded = self.nothing();
        let (count, mut number) = (self.count(), 0);
        while number < count {
            let Some(rec) = self.base.extents.get(number) else { break };
            let wrong = |what| (number as u32, what);
            if self.is_free(rec) {
                return Err(wrong(Broken::FreeFirst));
            }
            let Expected { place, kind, rule } = self.expected(rec).map_err(wrong)?;
            let block = self.block(rec).map_err(wrong)?;
            let end = check_extent(rec, rule, loaded.used[block], false, self.base.block_bytes());
            loaded.used[block] = end.map_err(wrong)?;
            if rec.ordinal.load() as usize != loaded.chains.count(place, kind) {
                return Err(wrong(Broken::ExtentOrder));
            }
            let offset = loaded.used[block] - rule.bytes;
            let run = self.run_of(rec, number, count, rule, &mut loaded.used[block]);
            loaded.chains.append(place, kind, Run::new(number as u32, run, block as u32, offset, rule.bytes));
            number += run as usize;
        }
        self.add_last_holes(&mut loaded)?;
        Ok(loaded)
    }

    /// Appends the hollow extents after the last one of each form that has memory.
    ///
    /// Hollow extents that the form's entry does not count are extents that were lost, except in a
    /// form that is being filled. Those at the end are not appended then, so that the high water of
    /// the form is found to be wrong.
    fn add_last_holes(&self, loaded: &mut Loaded) -> Result<(), BrokenEntry> {
        let mut drafts = TypeSet::default();
        self.base.listed_types().filter_map(|old| self.base.draft_of(&old)).for_each(|draft| {
            drafts.insert(draft.place());
        });
        let places = (1..=limits::MAX_TYPE_ID).filter(|place| self.owners.contains(*place));
        for (place, info) in places.filter_map(|place| Some((place, self.types.get(place.into())?))) {
            let Some(slots) = 1u64.checked_shl(info.shift.load()) else { continue };
            let holes = Holes::of(&loaded.chains, place);
            let begun = info.high_water.load().min(limits::MAX_SLOTS.into()).div_ceil(slots);
            let last = begun.min(limits::MAX_EXTENTS.into()).saturating_sub(holes.extents);
            if holes.count == 0 && last == 0 {
                continue;
            }
            let is_hole = |ordinal| ordinal >= holes.extents || holes.contain(ordinal);
            match (info.counts_hollow(holes.count + last, is_hole), holes.after) {
                (true, _) if last != 0 => {
                    loaded.chains.append(place, ExtentKind::Slots, Run::hollow(last as u32));
                }
                (true, _) | (false, None) => {}
                (false, Some(_)) if drafts.contains(place) => {}
                (false, Some(number)) => return Err((number, Broken::ExtentOrder)),
            }
        }
        Ok(())
    }

    fn nothing(&self) -> Loaded {
        let used = vec![limits::PAGE; self.exists.len()];
        Loaded { chains: Chains::new(), gaps: Gaps::default(), used }
    }

    /// Returns how many entries from `number` on, whose first is checked, are consecutive.
    ///
    /// Extents of one type usually are.
    fn run_of(
        &self,
        first: &ExtentRec,
        number: usize,
        count: usize,
        rule: ExtentRule,
        used: &mut u64,
    ) -> u32 {
        let (owner, block, bytes) = (first.owner.load(), first.block.load(), rule.bytes);
        let mut ordinal = first.ordinal.load();
        let is_dense = extent_start(*used, rule.align) == Some(*used);
        let mut next = number + 1;
        while is_dense && next < count && self.base.block_bytes() - *used >= bytes {
            let Some(rec) = self.base.extents.get(next) else { break };
            ordinal += 1;
            let same = rec.owner.load() == owner && rec.block.load() == block && rec.bytes.load() == bytes;
            if !same || rec.ordinal.load() != ordinal || rec.offset.load() != *used {
                break;
            }
            *used += bytes;
            next += 1;
        }
        (next - number) as u32
    }

    /// Reads any table.
    #[expect(clippy::indexing_slicing, reason = "`block` returns the number of a block that exists")]
    fn sorted(&self) -> Result<Loaded, BrokenEntry> {
        let mut loaded = self.nothing();
        let mut found: Vec<(u16, bool, u32, Run)> = Vec::new();
        let mut gap: Option<Gap> = None;
        for number in by_place(self.base) {
            let Some(rec) = self.base.extents.get(number as usize) else { break };
            let wrong = |what| (number, what);
            let block = match self.block(rec) {
                Ok(block) => block,
                // The block was empty and is given up.
                Err(_) if self.is_free(rec) => continue,
                Err(what) => return Err(wrong(what)),
            };
            if let Some(open) = gap.take_if(|open| open.block as usize != block) {
                loaded.close(open, self.base.block_bytes());
            }
            let used = loaded.used[block];
            if self.is_free(rec) {
                let offset = rec.offset.load();
                if offset > self.base.block_bytes() {
                    return Err(wrong(Broken::ExtentPlace));
                }
                // An extent of a block that was given up and taken back may cover it.
                if offset < used {
                    continue;
                }
                let end = offset.saturating_add(rec.bytes.load()).min(self.base.block_bytes());
                let open = gap.get_or_insert_with(|| Gap::new(block as u32, used));
                open.records.push(number);
                open.end = open.end.max(end);
                continue;
            }
            let Expected { place, kind, rule } = self.expected(rec).map_err(wrong)?;
            let end = check_extent(rec, rule, used, gap.is_some(), self.base.block_bytes()).map_err(wrong)?;
            let offset = end - rule.bytes;
            if let Some(mut open) = gap.take() {
                open.end = offset;
                loaded.gaps.push(open);
            }
            loaded.used[block] = end;
            let run = Run::new(number, 1, block as u32, offset, rule.bytes);
            found.push((place, kind == ExtentKind::Index, rec.ordinal.load(), run));
        }
        if let Some(open) = gap {
            loaded.close(open, self.base.block_bytes());
        }
        found.sort_unstable_by_key(|(place, index, ordinal, run)| (*place, *index, *ordinal, run.number));
        for (place, index, ordinal, run) in found {
            let kind = if index { ExtentKind::Index } else { ExtentKind::Slots };
            match (ordinal as usize).checked_sub(loaded.chains.count(place, kind)) {
                Some(0) => {}
                Some(hole) if kind == ExtentKind::Slots && ordinal < limits::MAX_EXTENTS => {
                    loaded.chains.append(place, kind, Run::hollow(hole as u32));
                }
                _ => return Err((run.number, Broken::ExtentOrder)),
            }
            loaded.chains.append(place, kind, run);
        }
        self.add_last_holes(&mut loaded)?;
        Ok(loaded)
    }
}

/// The hollow extents of a form between those that have memory.
struct Holes {
    ranges: Vec<Range<u64>>,
    count: u64,
    /// Entry number of the extent after the first of them.
    after: Option<u32>,
    /// Number of all extents of the form, up to the last that has memory.
    extents: u64,
}

impl Holes {
    fn of(chains: &Chains, place: u16) -> Self {
        let mut holes = Holes { ranges: Vec::new(), count: 0, after: None, extents: 0 };
        for run in chains.of(place, ExtentKind::Slots) {
            let range = holes.extents..holes.extents + u64::from(run.count);
            holes.extents = range.end;
            if run.is_hollow() {
                holes.count += u64::from(run.count);
                holes.ranges.push(range);
            } else if holes.count != 0 {
                holes.after.get_or_insert(run.number);
            }
        }
        holes
    }

    fn contain(&self, ordinal: u64) -> bool {
        self.ranges.iter().any(|range| range.contains(&ordinal))
    }
}

impl Loaded {
    /// Ends a gap after which its block has no extent.
    fn close(&mut self, mut gap: Gap, block_bytes: u64) {
        gap.end = gap.end.clamp(gap.start, block_bytes);
        if let Some(used) = self.used.get_mut(gap.block as usize) {
            *used = gap.end;
        }
        self.gaps.push(gap);
    }
}

/// Returns the numbers of the entries in use, by block and offset; at one offset, free bytes come
/// first.
pub(crate) fn by_place(base: &Base) -> Vec<u32> {
    let count = (base.header.nextents.load() as usize).min(base.extents.len());
    let mut numbers: Vec<u32> = (0..count as u32).collect();
    numbers.sort_by_cached_key(|number| {
        base.extents.get(*number as usize).map(|rec| (rec.block.load(), rec.offset.load(), !rec.is_free()))
    });
    numbers
}
