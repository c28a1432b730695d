//! Which memory a start would do without: that of extents without objects, and of forms that it drops.

use crate::inspect::room::Piece;
use crate::layout::{ExtentKind, TypeInfo};
use crate::object::INDEX_SHIFT;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::shape::slot_offset;
use crate::pool::store::slot::{Slot, is_parked};
use crate::region::Region;
use crate::share::Observed;
use crate::units::Key;
use crate::word::Word;
use std::ops::Range;

/// The extents of a pool, and the blocks that have them.
pub(super) struct Extents {
    chains: Chains,
    /// `None` for a block that could not be attached.
    blocks: Vec<Option<Region>>,
}

/// The extents with the slots of one form, in their order; `None` for one without memory.
type Slots = Vec<Option<Piece>>;

impl Extents {
    /// Attaches the blocks of a pool.
    pub(super) fn of(base: &Base, chains: Chains, observed: &mut Observed) -> Self {
        let blocks = (0..base.nblocks()).filter_map(|number| base.blocks.get(number));
        let blocks = blocks.map(|block| observed.block(Key(block.key.load())).ok()).collect();
        Extents { chains, blocks }
    }

    /// Returns the number of extents of the index of a form.
    pub(super) fn of_index(&self, form: &TypeInfo) -> u64 {
        self.chains.count(form.place(), ExtentKind::Index) as u64
    }

    /// Returns the number of slots of a form that have memory.
    pub(super) fn slots_of(&self, form: &TypeInfo) -> u64 {
        (self.slots(form).iter().flatten().count() as u64) << form.shift.load().min(INDEX_SHIFT)
    }

    /// Returns the number of live objects of a form, and of those in quarantine.
    pub(super) fn objects(&self, form: &TypeInfo) -> (u64, u64) {
        let extents = self.slots(form);
        let all = 0..(extents.len() as u64) << form.shift.load().min(INDEX_SHIFT);
        all.filter_map(|index| self.header(form, &extents, index)).fold((0, 0), |(live, parked), header| {
            (live + u64::from(Slot::is_live(header)), parked + u64::from(is_parked(header)))
        })
    }

    /// Returns how many extents of `1 << shift` slots a new form needs for the slots of an old one
    /// that are in use.
    pub(super) fn in_use(&self, form: &TypeInfo, shift: u32) -> u64 {
        let (extents, slots) = (self.slots(form), 1u64 << shift.min(INDEX_SHIFT));
        let used = form.high_water.load().min((extents.len() as u64) << form.shift.load().min(INDEX_SHIFT));
        let is_used = |first: &u64| self.is_used(form, &extents, *first..(first + slots).min(used));
        (0..used).step_by(slots as usize).filter(is_used).count() as u64
    }

    /// Returns the extents of a type that a start can reclaim, if it keeps `keep` slots.
    ///
    /// It follows the rules of `Slots::reclaim`.
    pub(super) fn reclaimable(&self, form: &TypeInfo, keep: u64, live: u64) -> Vec<Piece> {
        let extents = self.slots(form);
        let slots = 1u64 << form.shift.load().min(INDEX_SHIFT);
        let mut with_memory = extents.iter().flatten().count() as u64 * slots;
        let mut found = Vec::new();
        for (number, extent) in extents.iter().enumerate().rev() {
            let Some(left) = with_memory.checked_sub(slots).filter(|left| *left >= keep.max(live)) else {
                break;
            };
            let first = number as u64 * slots;
            if let Some(extent) = extent.filter(|_| !self.is_used(form, &extents, first..first + slots)) {
                found.push(extent);
                with_memory = left;
            }
        }
        found
    }

    /// Returns all memory of the form of a type at this position.
    pub(super) fn all_of(&self, place: u16) -> Vec<Piece> {
        let kinds = [ExtentKind::Slots, ExtentKind::Index];
        kinds.iter().flat_map(|kind| self.pieces(place, *kind)).flatten().collect()
    }

    fn slots(&self, form: &TypeInfo) -> Slots {
        self.pieces(form.place(), ExtentKind::Slots).collect()
    }

    fn pieces(&self, place: u16, kind: ExtentKind) -> impl Iterator<Item = Option<Piece>> + '_ {
        self.chains.of(place, kind).flat_map(|run| {
            (0..u64::from(run.count)).map(move |number| {
                let start = run.offset + number * run.bytes;
                let piece = Piece { block: run.block, start, end: start + run.bytes };
                (!run.is_hollow()).then_some(piece)
            })
        })
    }

    /// Returns whether a slot of a range has an object or an object in quarantine, or is retired. A
    /// slot that cannot be read counts as used.
    fn is_used(&self, form: &TypeInfo, extents: &Slots, mut slots: Range<u64>) -> bool {
        let of = |index: u64| extents.get((index >> form.shift.load().min(INDEX_SHIFT)) as usize);
        slots.any(|index| match of(index) {
            Some(Some(_)) => self
                .header(form, extents, index)
                .is_none_or(|header| Slot::is_live(header) || header >= u64::MAX << INDEX_SHIFT),
            _ => false,
        })
    }

    fn header(&self, form: &TypeInfo, extents: &Slots, index: u64) -> Option<u64> {
        let extent = (*extents.get((index >> form.shift.load().min(INDEX_SHIFT)) as usize)?)?;
        let offset = slot_offset(form, extent.start, u32::try_from(index).ok()?)?;
        let block = self.blocks.get(extent.block as usize)?.as_ref()?;
        block.at::<Word>(offset).ok().map(|header| header.load())
    }
}
