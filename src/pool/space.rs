//! Extents: which pages of which block belong to which type.

use crate::layout::{BaseHeader, ExtentKind, ExtentRec, TypeInfo};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::pool::base::Base;
use crate::pool::black_box::{BlackBox, Event};
use crate::pool::slots::{Shape, Slots};
use crate::pool::typed::WHOLE_WORD_STRIDE;
use crate::pool::types::TypeSet;
use crate::region::{At, Region, Table};
use crate::units::round_up;

/// The blocks of a pool and what is left of them.
pub(crate) struct Space {
    header: At<BaseHeader>,
    black_box: BlackBox,
    table: Table<ExtentRec>,
    blocks: Vec<Block>,
    /// Blocks below this one have no page left.
    first_open: usize,
    block_bytes: u64,
}

struct Block {
    /// `None` for one that the ini gave up while it was empty.
    region: Option<Region>,
    used: u64,
}

/// An extent of a type, found in the table.
pub(crate) struct Extent {
    pub(crate) block: Region,
    pub(crate) offset: u64,
    /// Its number in the table.
    pub(crate) number: u32,
}

/// Whom a new extent is for.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    type_id: u16,
    kind: ExtentKind,
    align: u64,
}

impl Owner {
    pub(crate) fn new(shape: &Shape, kind: ExtentKind) -> Self {
        Owner { type_id: shape.type_id, kind, align: shape.align }
    }
}

/// Why there is no new extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSpace {
    /// No block has so many pages left.
    Blocks,
    /// The extent table is full.
    Table,
    /// The kernel has no memory for the pages.
    Memory(i32),
}

/// For each type and kind the extents in their order, as a chain through the table.
pub(crate) struct Chains {
    first: Vec<u32>,
    last: Vec<u32>,
    next: Vec<u32>,
    counts: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Chains {
    fn new(extents: usize) -> Self {
        let ends = 2 * limits::TYPE_TABLE as usize;
        Chains {
            first: vec![NONE; ends],
            last: vec![NONE; ends],
            next: vec![NONE; extents],
            counts: vec![0; ends],
        }
    }

    fn slot(type_id: u16, kind: ExtentKind) -> usize {
        usize::from(type_id) * 2 + usize::from(kind == ExtentKind::Index)
    }

    fn append(&mut self, type_id: u16, kind: ExtentKind, number: u32) {
        let slot = Self::slot(type_id, kind);
        match self.last[slot] {
            NONE => self.first[slot] = number,
            last => self.next[last as usize] = number,
        }
        self.last[slot] = number;
        self.counts[slot] += 1;
    }

    /// Number of extents of one kind of a type.
    pub(crate) fn count(&self, type_id: u16, kind: ExtentKind) -> usize {
        self.counts[Self::slot(type_id, kind)] as usize
    }

    /// Numbers of the extents of one kind of a type, in their order.
    pub(crate) fn of(&self, type_id: u16, kind: ExtentKind) -> impl Iterator<Item = u32> + '_ {
        let first = self.first[Self::slot(type_id, kind)];
        std::iter::successors(Some(first), |number| self.next.get(*number as usize).copied())
            .take_while(|number| *number != NONE)
    }
}

impl Space {
    /// The blocks of a pool, each with its region if it is part of it.
    pub(crate) fn new(base: &Base, regions: Vec<Option<Region>>) -> Self {
        Space {
            header: base.header,
            black_box: BlackBox::of(base),
            table: base.extents,
            blocks: regions.into_iter().map(|region| Block { region, used: limits::PAGE }).collect(),
            first_open: 0,
            block_bytes: base.block_bytes(),
        }
    }

    /// Adds a block that has just become part of the pool.
    pub(crate) fn push(&mut self, region: Region) {
        self.blocks.push(Block { region: Some(region), used: limits::PAGE });
    }

    /// Memory of the block `number`, if it is part of the pool.
    pub(crate) fn region(&self, number: usize) -> Option<Region> {
        self.blocks.get(number)?.region
    }

    /// Bytes of a block that extents have taken.
    pub(crate) fn block_used(&self, number: usize) -> u64 {
        self.blocks.get(number).map_or(0, |block| block.used - limits::PAGE)
    }

    /// A block that is part of the pool, and where what extents have taken of it ends.
    pub(crate) fn block(&self, number: usize) -> Option<(Region, u64)> {
        let block = self.blocks.get(number)?;
        Some((block.region?, block.used))
    }

    /// Leaves out a block that nothing has been taken of.
    pub(crate) fn give_up(&mut self, number: usize) {
        if let Some(block) = self.blocks.get_mut(number) {
            block.region = None;
        }
    }

    /// Bytes that all blocks have for extents.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks = self.blocks.iter().filter(|block| block.region.is_some()).count() as u64;
        blocks * (self.block_bytes - limits::PAGE)
    }

    /// Bytes of them that no extent has taken.
    pub(crate) fn bytes_free(&self) -> u64 {
        self.blocks.iter().filter(|b| b.region.is_some()).map(|b| self.block_bytes - b.used).sum()
    }

    /// Number of blocks that are part of the pool.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.iter().filter(|block| block.region.is_some()).count()
    }

    /// Reads the whole table once; the error says what in it makes no sense, and where.
    pub(crate) fn load(
        &mut self,
        types: &Table<TypeInfo>,
        used: &TypeSet,
    ) -> Result<Chains, (u32, &'static str)> {
        let count = (self.header.nextents.load() as usize).min(self.table.len());
        let mut chains = Chains::new(count);
        for number in 0..count {
            let Some(rec) = self.table.get(number) else { break };
            let wrong = |what| Err((number as u32, what));
            let Some((type_id, kind)) = rec.parse_owner() else { return wrong("it has no owner") };
            let info = types.get(type_id.into()).filter(|_| used.contains(type_id));
            let Some(info) = info else { return wrong("its type is not in use") };
            if kind == ExtentKind::Index && !info.keyed() {
                return wrong("it is an index of a type without user keys");
            }
            let wanted = match kind {
                ExtentKind::Slots => info.extent_bytes.load(),
                ExtentKind::Index => info.index_bytes.load(),
            };
            if rec.bytes.load() != wanted || wanted == 0 || wanted % limits::LINE != 0 {
                return wrong("its length is not that of its type");
            }
            if rec.ordinal.load() as usize != chains.count(type_id, kind) {
                return wrong("it is out of order");
            }
            let Some(block) = self.blocks.get_mut(rec.block.load() as usize) else {
                return wrong("its block does not exist");
            };
            let (offset, bytes) = (rec.offset.load(), rec.bytes.load());
            let end = offset.checked_add(bytes).filter(|end| *end <= self.block_bytes);
            match end {
                Some(end)
                    if Some(offset) == start(block.used, info.align.load().into())
                        && block.region.is_some() =>
                {
                    block.used = end
                }
                _ => return wrong("it is outside of its block or does not follow the one before it"),
            }
            chains.append(type_id, kind, number as u32);
        }
        Ok(chains)
    }

    /// The extent `number`, found by `load`.
    pub(crate) fn extent(&self, number: u32) -> Option<Extent> {
        let rec = self.table.get(number as usize)?;
        let block = self.blocks.get(rec.block.load() as usize)?.region?;
        Some(Extent { block, offset: rec.offset.load(), number })
    }

    /// Takes an extent for `owner`. The pages are populated before the table says that they
    /// are taken, so that want of memory is an error here and not a signal later. The store
    /// to `nextents` commits; a kill before it leaves the pages free.
    pub(crate) fn take(&mut self, owner: Owner, ordinal: u32, bytes: u64) -> Result<Extent, NoSpace> {
        let number = self.header.nextents.load();
        let rec = self.table.at(number as usize).ok_or(NoSpace::Table)?;
        let (block_number, region, offset) = self.room(owner.align, bytes).ok_or(NoSpace::Blocks)?;
        let (first, end) = (offset & !(limits::PAGE - 1), (offset + bytes).next_multiple_of(limits::PAGE));
        let populated = crate::sys::mem::populate(&region, first, end - first);
        populated.map_err(|error| NoSpace::Memory(error.raw_os_error().unwrap_or(0)))?;
        if planted(Mutant::GrowCountsFirst) {
            self.header.nextents.store(number + 1);
        }
        rec.owner.fill(ExtentRec::owner_word(owner.type_id, owner.kind));
        rec.ordinal.fill(ordinal);
        rec.block.fill(block_number as u32);
        rec.full.store(0);
        rec.offset.fill(offset);
        rec.bytes.fill(bytes);
        self.header.nextents.store(number + 1);
        self.blocks[block_number].used = offset + bytes;
        self.black_box.event(Event::Grow, owner.type_id.into(), number);
        Ok(Extent { block: region, offset, number: number as u32 })
    }

    /// The first block with so many bytes left, and where they start.
    fn room(&mut self, align: u64, bytes: u64) -> Option<(usize, Region, u64)> {
        let is_full = |block: &Block, limit| block.region.is_none() || block.used >= limit;
        while self.blocks.get(self.first_open).is_some_and(|block| is_full(block, self.block_bytes)) {
            self.first_open += 1;
        }
        let open = self.blocks.iter().enumerate().skip(self.first_open);
        open.filter_map(|(number, block)| Some((number, block.region?, start(block.used, align)?)))
            .find(|(_, _, offset)| offset + bytes <= self.block_bytes)
    }
}

/// Where an extent of a type of so much alignment begins behind `used` bytes of a block.
fn start(used: u64, align: u64) -> Option<u64> {
    round_up(used, align.max(limits::LINE))
}

/// How many slots of `stride` bytes an extent holds, as a power of two, and its bytes.
///
/// The aim is a fraction of the pool; one slot is the least, 64 of small ones.
pub(crate) fn plan_slots(stride: u64, align: u64, pool_bytes: u64, block_bytes: u64) -> Option<Plan> {
    let room = block_bytes - limits::PAGE;
    let aim =
        (pool_bytes / limits::EXTENTS_AIMED_AT).clamp(limits::MIN_EXTENT_BYTES, limits::MAX_EXTENT_BYTES);
    let plan = |shift| Plan::new(shift, stride, align).filter(|plan| plan.bytes <= room);
    let mut best = plan(0)?;
    for shift in 1..limits::INDEX_BITS {
        let Some(next) = plan(shift) else { break };
        let too_few = best.shift < 6 && stride <= WHOLE_WORD_STRIDE;
        if !too_few && next.bytes > aim {
            break;
        }
        best = next;
    }
    Some(best)
}

/// The shape of an extent of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) shift: u32,
    pub(crate) map_bytes: u64,
    pub(crate) bytes: u64,
}

impl Plan {
    fn new(shift: u32, stride: u64, align: u64) -> Option<Self> {
        let map_bytes = round_up(Slots::map_bytes(shift), align.max(limits::LINE))?;
        let slots = stride.checked_shl(shift).filter(|bytes| bytes >> shift == stride)?;
        let bytes = round_up(map_bytes.checked_add(slots)?, limits::LINE)?;
        Some(Plan { shift, map_bytes, bytes })
    }
}

/// How many groups an extent of the index holds, as a power of two.
pub(crate) fn plan_groups(pool_bytes: u64, block_bytes: u64) -> u32 {
    let aim =
        (pool_bytes / limits::EXTENTS_AIMED_AT).clamp(limits::MIN_EXTENT_BYTES, limits::MAX_EXTENT_BYTES);
    let bytes = aim.min(block_bytes - limits::PAGE);
    (bytes / size_of::<crate::layout::Group>() as u64).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_holds_at_least_one_slot_and_never_exceeds_a_block() {
        for block in [64u64 << 10, 1 << 20, 64 << 20, 1 << 30] {
            for stride in [16, 72, 264, 4104, 12_296, 32_776, block - 8192] {
                let plan = plan_slots(stride, 8, block * 4, block).unwrap();
                assert!(plan.bytes <= block - limits::PAGE, "{stride} {block}");
                assert!(plan.map_bytes + (stride << plan.shift) <= plan.bytes);
            }
        }
        assert_eq!(plan_slots((1 << 20) - 4096, 8, 1 << 22, 1 << 20), None);
    }
}
