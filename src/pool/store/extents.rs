//! Extents: which bytes of which block belong to which type.

use crate::commits::Commit;
use crate::layout::{BaseHeader, ExtentKind, ExtentRec, TypeInfo};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::pool::forensics::black_box::{BlackBox, Event};
use crate::pool::store::base::Base;
use crate::pool::store::shape::{Shape, TypeSet, check_extent, extent_length, extent_start, slot_offset};
use crate::pool::store::slot::Slot;
use crate::region::{At, Region, Table};
use crate::share::{Home, growth};
use crate::word::Word;

/// The blocks of a pool, and their free bytes.
pub(crate) struct Space {
    header: At<BaseHeader>,
    black_box: BlackBox,
    table: Table<ExtentRec>,
    blocks: Vec<Block>,
    /// All blocks below this number are full.
    first_open: usize,
    block_bytes: u64,
    home: Home,
}

struct Block {
    /// `None` for a block that was given up while it was empty.
    region: Option<Region>,
    used: u64,
}

/// Consecutive extents of a type in the table and in a block.
pub(crate) struct Extents {
    pub(crate) block: Region,
    /// Offset of the first extent.
    pub(crate) offset: u64,
    /// Number of the first extent in the table.
    pub(crate) number: u32,
    pub(crate) count: u32,
}

/// The type and kind for which an extent is allocated.
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

/// Reasons why no extent could be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSpace {
    /// No block has enough bytes left.
    Blocks,
    /// The extent table is full.
    Table,
    /// The kernel has no memory for the pages.
    Memory {
        /// Error of the kernel.
        errno: i32,
        /// Bytes of the pages.
        bytes: u64,
    },
    /// The index has no free entry for this user key, and more memory would not provide one.
    Crowded(u64),
}

impl NoSpace {
    /// Returns what to do about it.
    pub(crate) fn remedy(self, home: &Home) -> String {
        match self {
            NoSpace::Blocks => "add a key to ShmKeys and restart: the pool grows when it is resumed".into(),
            NoSpace::Crowded(key) => format!("the index has no free entry for the user key {key}"),
            NoSpace::Table => "the type or the pool has reached its limit of slots or extents".into(),
            NoSpace::Memory { errno, bytes } => growth(errno, bytes, home),
        }
    }
}

/// The extents of each type and kind in their order, as chains of runs.
pub(crate) struct Chains {
    first: Vec<u32>,
    last: Vec<u32>,
    counts: Vec<u32>,
    runs: Vec<Run>,
}

/// Consecutive extents in the table and in their block, as they were when the table was checked.
///
/// Later stores to the table do not move them.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    number: u32,
    count: u32,
    block: u32,
    offset: u64,
    /// Bytes of each extent.
    bytes: u64,
    next: u32,
}

const NONE: u32 = u32::MAX;

impl Chains {
    fn new() -> Self {
        let ends = 2 * limits::TYPE_TABLE as usize;
        Chains { first: vec![NONE; ends], last: vec![NONE; ends], counts: vec![0; ends], runs: Vec::new() }
    }

    fn slot(type_id: u16, kind: ExtentKind) -> usize {
        usize::from(type_id) * 2 + usize::from(kind == ExtentKind::Index)
    }

    fn append(&mut self, chain: usize, found: Run) {
        let (run, count) = (self.runs.len() as u32, found.count);
        self.runs.push(found);
        match self.last[chain] {
            NONE => self.first[chain] = run,
            last => self.runs[last as usize].next = run,
        }
        self.last[chain] = run;
        self.counts[chain] += count;
    }

    /// Returns the number of extents of one kind of a type.
    pub(crate) fn count(&self, type_id: u16, kind: ExtentKind) -> usize {
        self.counts[Self::slot(type_id, kind)] as usize
    }

    /// Returns the extents of one kind of a type, in their order.
    pub(crate) fn of(&self, type_id: u16, kind: ExtentKind) -> impl Iterator<Item = Run> + '_ {
        let mut next = self.first[Self::slot(type_id, kind)];
        std::iter::from_fn(move || {
            let run = self.runs.get(next as usize)?;
            next = run.next;
            Some(*run)
        })
    }
}

/// The expected values of the table entries for one kind of extents of a type.
#[derive(Clone, Copy)]
struct Expected {
    chain: usize,
    bytes: u64,
    align: u64,
}

impl Expected {
    fn of(rec: &ExtentRec, types: &Table<TypeInfo>, used: &TypeSet) -> Result<Self, &'static str> {
        let (type_id, kind) = rec.parse_owner().ok_or("its owner word is invalid")?;
        let info = types.get(type_id.into()).filter(|_| used.contains(type_id));
        let info = info.ok_or("its type is not in use")?;
        let bytes = extent_length(info, kind)?;
        Ok(Expected { chain: Chains::slot(type_id, kind), bytes, align: info.align.load().into() })
    }
}

impl Space {
    /// Creates the space of a pool; blocks that are part of it have a region.
    pub(crate) fn new(base: &Base, regions: Vec<Option<Region>>, home: Home) -> Self {
        Space {
            header: base.header,
            black_box: BlackBox::of(base),
            table: base.extents,
            blocks: regions.into_iter().map(|region| Block { region, used: limits::PAGE }).collect(),
            first_open: 0,
            block_bytes: base.block_bytes(),
            home,
        }
    }

    /// Returns the backend and folder of the pool.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Adds a block that has just become part of the pool.
    fn push(&mut self, region: Region) {
        self.blocks.push(Block { region: Some(region), used: limits::PAGE });
    }

    /// Sets the memory of an empty block, which may be the next one.
    pub(crate) fn put(&mut self, number: usize, region: Region) {
        match self.blocks.get_mut(number) {
            Some(block) => block.region = Some(region),
            None => self.push(region),
        }
    }

    /// Returns the memory of the block `number`, if it is part of the pool.
    pub(crate) fn region(&self, number: usize) -> Option<Region> {
        self.blocks.get(number)?.region
    }

    /// Returns the bytes of a block that extents use.
    pub(crate) fn block_used(&self, number: usize) -> u64 {
        self.blocks.get(number).map_or(0, |block| block.used - limits::PAGE)
    }

    /// Returns a block that is part of the pool, and the offset where its extents end.
    pub(crate) fn block(&self, number: usize) -> Option<(Region, u64)> {
        let block = self.blocks.get(number)?;
        Some((block.region?, block.used))
    }

    /// Removes a block without extents from the space.
    pub(crate) fn give_up(&mut self, number: usize) {
        if let Some(block) = self.blocks.get_mut(number) {
            block.region = None;
        }
    }

    /// Returns the bytes that all blocks have for extents.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks = self.blocks.iter().filter(|block| block.region.is_some()).count() as u64;
        blocks * (self.block_bytes - limits::PAGE)
    }

    /// Returns the bytes of all blocks that belong to no extent.
    pub(crate) fn bytes_free(&self) -> u64 {
        self.blocks.iter().filter(|b| b.region.is_some()).map(|b| self.block_bytes - b.used).sum()
    }

    /// Returns the number of blocks that are part of the pool.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.iter().filter(|block| block.region.is_some()).count()
    }

    /// Reads the whole table once; the error names the entry and the rule that is broken.
    pub(crate) fn load(
        &mut self,
        types: &Table<TypeInfo>,
        used: &TypeSet,
    ) -> Result<Chains, (u32, &'static str)> {
        let count = (self.header.nextents.load() as usize).min(self.table.len());
        let (mut chains, table) = (Chains::new(), self.table);
        let mut number = 0;
        while number < count {
            let Some(rec) = table.get(number) else { break };
            let wrong = |what| (number as u32, what);
            let expected = Expected::of(rec, types, used).map_err(wrong)?;
            let (block, offset) = self.count_in(rec, &expected, &chains).map_err(wrong)?;
            let run = self.run_of(rec, block, number, count, &expected);
            let bytes = expected.bytes;
            let found = Run { number: number as u32, count: run, block, offset, bytes, next: NONE };
            chains.append(expected.chain, found);
            number += run as usize;
        }
        Ok(chains)
    }

    /// Checks an entry of the table against its type, and counts its bytes as used.
    fn count_in(
        &mut self,
        rec: &ExtentRec,
        expected: &Expected,
        chains: &Chains,
    ) -> Result<(u32, u64), &'static str> {
        let number = rec.block.load();
        let block = self.blocks.get_mut(number as usize).filter(|block| block.region.is_some());
        let block = block.ok_or("its block does not exist")?;
        let ordinal = u64::from(chains.counts[expected.chain]);
        block.used =
            check_extent(rec, expected.bytes, expected.align, ordinal, block.used, self.block_bytes)?;
        Ok((number, block.used - expected.bytes))
    }

    /// Returns how many entries from `number` on, which `count_in` has checked, are consecutive.
    ///
    /// Extents of one type usually are.
    fn run_of(
        &mut self,
        first: &ExtentRec,
        block: u32,
        number: usize,
        count: usize,
        expected: &Expected,
    ) -> u32 {
        let (owner, bytes) = (first.owner.load(), expected.bytes);
        let mut ordinal = first.ordinal.load();
        let Some(space) = self.blocks.get_mut(block as usize) else { return 1 };
        let is_dense = extent_start(space.used, expected.align) == Some(space.used);
        let mut next = number + 1;
        while is_dense && next < count && self.block_bytes - space.used >= bytes {
            let Some(rec) = self.table.get(next) else { break };
            ordinal += 1;
            let same = rec.owner.load() == owner && rec.block.load() == block && rec.bytes.load() == bytes;
            if !same || rec.ordinal.load() != ordinal || rec.offset.load() != space.used {
                break;
            }
            space.used += bytes;
            next += 1;
        }
        (next - number) as u32
    }

    /// Returns the extents of a run that `load` has found.
    pub(crate) fn extents(&self, run: Run) -> Option<Extents> {
        let block = self.blocks.get(run.block as usize)?.region?;
        Some(Extents { block, offset: run.offset, number: run.number, count: run.count })
    }

    /// Returns the number of live objects of a type of this pool.
    pub(crate) fn objects(&self, chains: &Chains, info: &TypeInfo) -> u64 {
        let named = info.named().and_then(|index| self.slot_header(chains, info, index));
        info.len(named.is_some_and(Slot::is_live))
    }

    /// Returns the header of a slot of a type, even if this process has not added the type.
    pub(crate) fn slot_header(&self, chains: &Chains, info: &TypeInfo, index: u32) -> Option<u64> {
        let shift = info.shift.load();
        let mut ordinal = index.checked_shr(shift)?;
        for run in chains.of(u16::try_from(info.id.load()).ok()?, ExtentKind::Slots) {
            if ordinal < run.count {
                let extent = self.extents(run)?;
                let first = extent.offset.checked_add(u64::from(ordinal).checked_mul(run.bytes)?)?;
                let offset = slot_offset(info, first, index)?;
                return extent.block.at::<Word>(offset).ok().map(|header| header.load());
            }
            ordinal -= run.count;
        }
        None
    }

    /// Allocates an extent for `owner`.
    ///
    /// The pages are populated before the table counts the extent, so that out of memory is an
    /// error here and not a signal later. The store to `nextents` commits; if killed before it, the
    /// bytes stay free.
    pub(crate) fn take(&mut self, owner: Owner, ordinal: u32, bytes: u64) -> Result<Extents, NoSpace> {
        let number = self.header.nextents.load();
        let rec = self.table.at(number as usize).ok_or(NoSpace::Table)?;
        let (block_number, region, offset) = self.room(owner.align, bytes).ok_or(NoSpace::Blocks)?;
        let (first, end) = (offset & !(limits::PAGE - 1), (offset + bytes).next_multiple_of(limits::PAGE));
        let populated = crate::sys::mem::populate(&region, first, end - first);
        populated.map_err(|error| NoSpace::Memory {
            errno: error.raw_os_error().unwrap_or(0),
            bytes: end - first,
        })?;
        if planted(Mutant::GrowCountsFirst) {
            Commit::Extent.store(&self.header.nextents, number + 1);
        }
        rec.owner.fill(ExtentRec::owner_word(owner.type_id, owner.kind));
        rec.ordinal.fill(ordinal);
        rec.block.fill(block_number as u32);
        rec.full.store(0);
        rec.offset.fill(offset);
        rec.bytes.fill(bytes);
        Commit::Extent.store(&self.header.nextents, number + 1);
        self.blocks[block_number].used = offset + bytes;
        self.black_box.event(Event::Grow, owner.type_id.into(), number);
        Ok(Extents { block: region, offset, number: number as u32, count: 1 })
    }

    /// Returns the first block with so many bytes left, and the offset of the extent in it.
    fn room(&mut self, align: u64, bytes: u64) -> Option<(usize, Region, u64)> {
        let is_full = |block: &Block, limit| block.region.is_none() || block.used >= limit;
        while self.blocks.get(self.first_open).is_some_and(|block| is_full(block, self.block_bytes)) {
            self.first_open += 1;
        }
        let open = self.blocks.iter().enumerate().skip(self.first_open);
        open.filter_map(|(number, block)| Some((number, block.region?, extent_start(block.used, align)?)))
            .find(|(_, _, offset)| offset + bytes <= self.block_bytes)
    }
}
