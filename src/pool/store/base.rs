//! The base segment: the positions of its parts, its creation, and the check of found bytes.

use crate::conf::ProcessConf;
use crate::layout::{
    BaseHeader, BlockBase, Broken, ExtentRec, Geometry, NoteRec, NoteRing, PositionRec, StartRec, TypeInfo,
    fill_text,
};
use crate::limits;
use crate::region::{At, OutOfBounds, Region, Table};
use crate::sys;
use crate::units::{Key, round_up};
use crate::word::Half;
use std::collections::HashMap;

/// The parts of a base segment, found and checked.
#[derive(Clone, Copy)]
pub(crate) struct Base {
    pub(crate) region: Region,
    pub(crate) header: At<BaseHeader>,
    pub(crate) types: Table<TypeInfo>,
    pub(crate) blocks: Table<BlockBase>,
    pub(crate) extents: Table<ExtentRec>,
    pub(crate) starts: Table<StartRec>,
    pub(crate) note_ring: At<NoteRing>,
    pub(crate) notes: Table<NoteRec>,
    pub(crate) positions: Table<PositionRec>,
    /// Copy from when the parts were found: later stores to the geometry have no effect.
    block_bytes: u64,
}

/// Bytes that extents use, by block.
pub(crate) struct Taken(HashMap<u32, u64>);

impl Taken {
    /// Returns the bytes of one block that extents use.
    pub(crate) fn of(&self, number: u32) -> u64 {
        self.0.get(&number).copied().unwrap_or(0)
    }
}

/// Offsets of the parts, in the order of the segment.
struct Plan {
    types: u64,
    blocks: u64,
    extents: u64,
    schema: u64,
    starts: u64,
    black_box: u64,
    queues: u64,
    lanes: u64,
    end: u64,
}

impl Plan {
    const fn new(undo_bytes: u64) -> Self {
        let mut at = BaseHeader::BYTES;
        let types = at;
        at += limits::TYPE_TABLE as u64 * size_of::<TypeInfo>() as u64;
        let blocks = at;
        at += limits::MAX_BLOCKS as u64 * size_of::<BlockBase>() as u64;
        let extents = at;
        at += limits::MAX_EXTENTS as u64 * size_of::<ExtentRec>() as u64;
        let schema = at;
        at += limits::SCHEMA_BYTES;
        let starts = at;
        at += limits::STARTS * size_of::<StartRec>() as u64;
        let black_box = at;
        at += limits::BLACK_BOX_BYTES;
        let queues = at;
        at += limits::QUEUE_DIRECTORY_BYTES;
        let lanes = at;
        at = at.saturating_add(undo_bytes);
        Plan { types, blocks, extents, schema, starts, black_box, queues, lanes, end: at }
    }
}

/// Returns the size of the base segment of a new pool in bytes.
///
/// It is at most `u64::MAX`, for an `undo_size` that [`ProcessConf::validate`] refuses.
pub fn base_bytes(conf: &ProcessConf) -> u64 {
    round_up(Plan::new(conf.undo_size.0).end, limits::PAGE).unwrap_or(u64::MAX)
}

// The largest undo log keeps all offsets far below overflow.
const _: () = assert!(Plan::new(limits::MAX_UNDO_BYTES).end < 1 << 40);

/// Returns whether all parts lie inside the segment without overlapping.
fn are_apart(g: &Geometry) -> bool {
    let table = |records: &Half, bytes: usize| u64::from(records.load()) * bytes as u64;
    in_a_row([
        (0, BaseHeader::BYTES),
        (g.types_off.load(), table(&g.max_types, size_of::<TypeInfo>())),
        (g.blocks_off.load(), table(&g.max_blocks, size_of::<BlockBase>())),
        (g.extents_off.load(), table(&g.max_extents, size_of::<ExtentRec>())),
        (g.schema_off.load(), g.schema_bytes.load()),
        (g.lanes_off.load(), g.lanes_bytes.load()),
        (g.starts_off.load(), g.starts_bytes.load()),
        (g.black_box_off.load(), g.black_box_bytes.load()),
        (g.queues_off.load(), g.queues_bytes.load()),
    ])
}

/// Returns whether no two parts, each an offset and a number of bytes, overlap.
///
/// A stray write may have changed them after they were found inside the segment.
fn in_a_row<const N: usize>(mut parts: [(u64, u64); N]) -> bool {
    parts.sort_unstable();
    parts.is_sorted_by(|(start, bytes), (next, _)| start.checked_add(*bytes).is_some_and(|end| end <= *next))
}

/// Fills the header of a new base segment, all of whose bytes are zero.
///
/// No handle that was given out under its key before exceeds `first_generation`.
pub(crate) fn make(region: &Region, conf: &ProcessConf, first_generation: u64) {
    let Ok(header) = region.at::<BaseHeader>(0) else { return };
    let plan = Plan::new(conf.undo_size.0);
    let g: &Geometry = &header.geometry;
    g.block_bytes.fill(conf.block_size.0);
    g.types_off.fill(plan.types);
    g.blocks_off.fill(plan.blocks);
    g.extents_off.fill(plan.extents);
    g.schema_off.fill(plan.schema);
    g.schema_bytes.fill(limits::SCHEMA_BYTES);
    g.lanes_off.fill(plan.lanes);
    g.lanes_bytes.fill(conf.undo_size.0);
    g.starts_off.fill(plan.starts);
    g.starts_bytes.fill(limits::STARTS * size_of::<StartRec>() as u64);
    g.black_box_off.fill(plan.black_box);
    g.black_box_bytes.fill(limits::BLACK_BOX_BYTES);
    g.queues_off.fill(plan.queues);
    g.queues_bytes.fill(limits::QUEUE_DIRECTORY_BYTES);
    g.max_types.fill(limits::TYPE_TABLE);
    g.max_blocks.fill(limits::MAX_BLOCKS);
    g.max_extents.fill(limits::MAX_EXTENTS);
    g.lanes.fill(1);
    fill_text(&g.process, &conf.name);
    // Without randomness, the seed only protects less against chosen keys.
    g.hash_seed.fill(sys::random_id().map_or(0, |words| words[0]));
    g.first_generation.fill(first_generation);
    g.check.fill(g.sum());
}

impl Base {
    /// Finds the parts of a base segment; the error names the rule that is broken.
    pub(crate) fn find(region: Region) -> Result<Base, Broken> {
        let header: At<BaseHeader> = region.at(0).map_err(|_| Broken::BaseLength)?;
        let g = &header.geometry;
        if g.check.load() != g.sum() {
            return Err(Broken::GeometrySum);
        }
        if g.max_types.load() != limits::TYPE_TABLE {
            return Err(Broken::TypeTable);
        }
        let block = g.block_bytes.load();
        if !(limits::MIN_BLOCK_BYTES..=limits::MAX_BLOCK_BYTES).contains(&block)
            || !block.is_multiple_of(limits::PAGE)
        {
            return Err(Broken::BlockSize);
        }
        let inside = |_: OutOfBounds| Broken::PartOutside;
        region.span(g.schema_off.load(), g.schema_bytes.load()).map_err(inside)?;
        if g.starts_bytes.load() != limits::STARTS * size_of::<StartRec>() as u64
            || g.black_box_bytes.load() != limits::BLACK_BOX_BYTES
            || g.queues_bytes.load() != limits::QUEUE_DIRECTORY_BYTES
        {
            return Err(Broken::SmallParts);
        }
        if !(limits::MIN_UNDO_BYTES..=limits::MAX_UNDO_BYTES).contains(&g.lanes_bytes.load()) {
            return Err(Broken::LogBytes);
        }
        let box_off = g.black_box_off.load();
        let notes_off =
            box_off.checked_add(size_of::<NoteRing>() as u64).ok_or(OutOfBounds).map_err(inside)?;
        region.span(g.lanes_off.load(), g.lanes_bytes.load()).map_err(inside)?;
        let base = Base {
            region,
            header,
            types: region.table(g.types_off.load(), g.max_types.load().into()).map_err(inside)?,
            blocks: region.table(g.blocks_off.load(), g.max_blocks.load().into()).map_err(inside)?,
            extents: region.table(g.extents_off.load(), g.max_extents.load().into()).map_err(inside)?,
            starts: region.table(g.starts_off.load(), limits::STARTS).map_err(inside)?,
            note_ring: region.at(box_off).map_err(inside)?,
            notes: region.table(notes_off, limits::NOTES).map_err(inside)?,
            positions: region.table(g.queues_off.load(), limits::POSITIONS).map_err(inside)?,
            block_bytes: block,
        };
        if !are_apart(g) {
            return Err(Broken::Overlap);
        }
        if header.nblocks.load() > base.blocks.len() as u64 {
            return Err(Broken::BlockCount);
        }
        if header.nextents.load() > base.extents.len() as u64 {
            return Err(Broken::ExtentCount);
        }
        if header.ntypes.load() > u64::from(limits::MAX_TYPE_ID) {
            return Err(Broken::TypeCount);
        }
        Ok(base)
    }

    /// Returns the size of every block in bytes.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// Returns the number of blocks.
    pub(crate) fn nblocks(&self) -> usize {
        (self.header.nblocks.load() as usize).min(self.blocks.len())
    }

    /// Returns the segment keys of the blocks, in their order.
    pub(crate) fn block_keys(&self) -> Vec<Key> {
        let blocks = (0..self.nblocks()).filter_map(|number| self.blocks.get(number));
        blocks.map(|block| Key(block.key.load())).collect()
    }

    /// Returns the bytes of each block that extents use, according to a table that is not checked
    /// yet.
    pub(crate) fn taken(&self) -> Taken {
        let mut taken = Taken(HashMap::new());
        let count = (self.header.nextents.load() as usize).min(self.extents.len());
        for extent in (0..count).filter_map(|at| self.extents.get(at)).filter(|extent| !extent.is_free()) {
            let of_block = taken.0.entry(extent.block.load()).or_insert(0u64);
            *of_block = of_block.saturating_add(extent.bytes.load().max(1));
        }
        taken
    }

    /// Returns the form in force of each type, in the order in which the types were added.
    pub(crate) fn used_types(&self) -> impl Iterator<Item = At<TypeInfo>> + '_ {
        let count = self.header.ntypes.load() as usize;
        self.header.order.iter().take(count).filter_map(|place| {
            let old = self.types.at(place.load() as usize)?;
            let next = usize::try_from(old.newer.load()).ok().filter(|next| *next != 0);
            Some(next.and_then(|next| self.types.at(next)).unwrap_or(old))
        })
    }

    /// Returns the type with this type number.
    pub(crate) fn used_type(&self, id: u16) -> Option<At<TypeInfo>> {
        self.used_types().find(|info| info.id.load() == u32::from(id))
    }
}

#[cfg(test)]
mod tests {
    use super::in_a_row;

    #[test]
    fn parts_that_overlap_or_end_nowhere_are_not_in_a_row() {
        assert!(in_a_row([(64, 8), (0, 64), (100, 0)]));
        assert!(!in_a_row([(63, 8), (0, 64)]));
        assert!(!in_a_row([(8, u64::MAX), (64, 8)]));
        assert!(!in_a_row([(u64::MAX, 1), (u64::MAX, 2)]));
    }
}
