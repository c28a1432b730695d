//! Extents: which bytes of which block belong to which type.

use crate::commits::Commit;
use crate::layout::{BaseHeader, EXTENT_FREE, ExtentKind, ExtentRec, TypeInfo};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::pool::forensics::black_box::{BlackBox, Event};
use crate::pool::store::barrier::Barrier;
use crate::pool::store::base::Base;
use crate::pool::store::chains::{Chains, Run};
use crate::pool::store::extent_table::{BrokenEntry, Loaded, Reading};
use crate::pool::store::gaps::{Gap, Gaps};
use crate::pool::store::hollow::Hollow;
use crate::pool::store::shape::{Shape, TypeSet, extent_start, slot_offset};
use crate::pool::store::slot::Slot;
use crate::region::{At, Region, Table};
use crate::share::{Home, growth};
use crate::word::Word;
use std::io;
use std::sync::Arc;

/// The blocks of a pool, and their free bytes.
pub(crate) struct Space {
    header: At<BaseHeader>,
    black_box: BlackBox,
    table: Table<ExtentRec>,
    blocks: Vec<Block>,
    gaps: Gaps,
    hollow: Hollow,
    /// The write barrier of an image, if pages are watched.
    barrier: Option<Arc<Barrier>>,
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
    /// Number of the first extent in the table, or `HOLLOW`.
    pub(crate) number: u32,
    pub(crate) count: u32,
}

/// In place of the number of an extent: it has no memory and thus no entry.
pub(crate) const HOLLOW: u32 = u32::MAX;

impl Extents {
    /// Returns whether the extents have no memory: each leads to the same zeros.
    pub(crate) fn is_hollow(&self) -> bool {
        self.number == HOLLOW
    }
}

/// The form of a type, and the kind, for which an extent is allocated.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    type_id: u16,
    /// Position of the form's entry.
    place: u16,
    kind: ExtentKind,
    align: u64,
}

impl Owner {
    pub(crate) fn new(shape: &Shape, kind: ExtentKind) -> Self {
        Owner { type_id: shape.type_id, place: shape.place, kind, align: shape.align }
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
    /// Returns the reason for an error of the kernel.
    pub(crate) fn memory(error: &io::Error, bytes: u64) -> Self {
        NoSpace::Memory { errno: error.raw_os_error().unwrap_or(0), bytes }
    }

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

impl Space {
    /// Creates the space of a pool; blocks that are part of it have a region.
    pub(crate) fn new(base: &Base, regions: Vec<Option<Region>>, home: Home) -> Self {
        Space {
            header: base.header,
            black_box: BlackBox::of(base),
            table: base.extents,
            blocks: regions.into_iter().map(|region| Block { region, used: limits::PAGE }).collect(),
            gaps: Gaps::default(),
            hollow: Hollow::default(),
            barrier: None,
            first_open: 0,
            block_bytes: base.block_bytes(),
            home,
        }
    }

    /// Returns the backend and folder of the pool.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Returns the write barrier, if pages are watched.
    pub(crate) fn barrier(&self) -> Option<&Arc<Barrier>> {
        self.barrier.as_ref()
    }

    /// Sets the write barrier, which is told of the bytes of extents that are allocated.
    pub(crate) fn watch(&mut self, barrier: Option<Arc<Barrier>>) {
        self.barrier = barrier;
    }

    /// Returns number and memory of the blocks that are part of the pool.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (u32, Region)> + '_ {
        let blocks = self.blocks.iter().enumerate();
        blocks.filter_map(|(number, block)| Some((number as u32, block.region?)))
    }

    /// Tells the barrier of the bytes of a new extent, so that what fills it need not.
    fn before(&self, region: &Region, offset: u64, bytes: u64, mutant: Mutant) {
        if let Some(barrier) = self.barrier.as_ref().filter(|_| !planted(mutant)) {
            barrier.before_bytes(region, offset, bytes);
        }
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
        let used = self.blocks.get(number).map_or(0, |block| block.used - limits::PAGE);
        used - self.gaps.bytes_of(number)
    }

    /// Returns a block that is part of the pool, and the offset where its extents end.
    pub(crate) fn block(&self, number: usize) -> Option<(Region, u64)> {
        let block = self.blocks.get(number)?;
        Some((block.region?, block.used))
    }

    /// Zeroes what earlier extents have left in a block without extents, so that it is taken back as
    /// an empty one.
    pub(crate) fn clear(&self, number: usize) {
        let Some((region, end)) = self.block(number).filter(|_| self.block_used(number) == 0) else { return };
        let words = region.table::<Word>(limits::PAGE, (end - limits::PAGE) / 8);
        if let Ok(words) = words {
            (0..words.len()).filter_map(|at| words.get(at)).for_each(|word| word.fill(0));
        }
    }

    /// Removes a block without extents from the space.
    pub(crate) fn give_up(&mut self, number: usize) {
        if let Some(block) = self.blocks.get_mut(number) {
            block.region = None;
        }
        self.gaps.forget(number);
    }

    /// Returns the bytes that all blocks have for extents.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks = self.blocks.iter().filter(|block| block.region.is_some()).count() as u64;
        blocks * (self.block_bytes - limits::PAGE)
    }

    /// Returns the bytes of all blocks that belong to no extent.
    pub(crate) fn bytes_free(&self) -> u64 {
        let ends = self.blocks.iter().filter(|b| b.region.is_some()).map(|b| self.block_bytes - b.used);
        ends.sum::<u64>() + self.gaps.bytes()
    }

    /// Returns the number of blocks that are part of the pool.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.iter().filter(|block| block.region.is_some()).count()
    }

    /// Reads the whole table, without a change to the space; the error names the entry and the rule
    /// that is broken.
    ///
    /// `owners` are the positions of the entries of all forms that may have extents.
    pub(crate) fn read(&self, base: &Base, owners: &TypeSet) -> Result<Loaded, BrokenEntry> {
        let exists: Vec<bool> = self.blocks.iter().map(|block| block.region.is_some()).collect();
        Reading::new(base, owners, &exists).read()
    }

    /// Takes over what `read` has found. `Err` if there is no address space for hollow extents.
    pub(crate) fn adopt(&mut self, loaded: Loaded) -> io::Result<Chains> {
        if loaded.chains.has_hollow() {
            self.reserve_hollow()?;
        }
        let Loaded { chains, gaps, used } = loaded;
        for (block, used) in self.blocks.iter_mut().zip(used) {
            block.used = used;
        }
        self.first_open = 0;
        self.gaps = gaps;
        Ok(chains)
    }

    /// Returns the zeros that stand in for an extent of up to a block.
    pub(crate) fn reserve_hollow(&mut self) -> io::Result<Extents> {
        let block = self.hollow.region(self.block_bytes)?;
        Ok(Extents { block, offset: 0, number: HOLLOW, count: 1 })
    }

    /// Marks an extent as free bytes. After it, the table must be loaded again.
    pub(crate) fn release(&self, number: u32) {
        if let Some(rec) = self.table.get(number as usize) {
            Commit::ExtentReclaimed.store_half(&rec.owner, EXTENT_FREE);
        }
    }

    /// Marks the extents of all forms as free that `is_given_up` selects by the position of their
    /// entry.
    ///
    /// It may be interrupted anywhere, and repeated. After it, the table must be loaded again.
    pub(crate) fn free(&self, is_given_up: impl Fn(u16) -> bool) {
        let count = (self.header.nextents.load() as usize).min(self.table.len());
        for rec in (0..count).filter_map(|number| self.table.get(number)) {
            if rec.parse_owner().is_some_and(|(place, _)| is_given_up(place)) {
                Commit::ExtentFreed.store_half(&rec.owner, EXTENT_FREE);
            }
        }
    }

    /// Returns the extents of a run that `load` has found.
    pub(crate) fn extents(&self, run: Run) -> Option<Extents> {
        if run.is_hollow() {
            return Some(Extents { block: self.hollow.made()?, offset: 0, number: HOLLOW, count: run.count });
        }
        let block = self.blocks.get(run.block as usize)?.region?;
        Some(Extents { block, offset: run.offset, number: run.number, count: run.count })
    }

    /// Returns the number of live objects of a type of this pool.
    pub(crate) fn objects(&self, chains: &Chains, info: &TypeInfo) -> u64 {
        let named = info.named().and_then(|index| self.slot_header(chains, info, index));
        info.len(named.is_some_and(Slot::is_live))
    }

    /// Returns the header of a slot of a type, even if this process has not added the type; 0 if the
    /// slot has no memory.
    pub(crate) fn slot_header(&self, chains: &Chains, info: &TypeInfo, index: u32) -> Option<u64> {
        let shift = info.shift.load();
        let mut ordinal = index.checked_shr(shift)?;
        for run in chains.of(info.place(), ExtentKind::Slots) {
            if ordinal < run.count && run.is_hollow() {
                return Some(0);
            }
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

    /// Allocates an extent for `owner`, in free bytes that another one has left if they fit.
    pub(crate) fn take(&mut self, owner: Owner, ordinal: u32, bytes: u64) -> Result<Extents, NoSpace> {
        let may_split = (self.header.nextents.load() as usize) < self.table.len();
        match self.gaps.take(bytes, may_split, |start| extent_start(start, owner.align)) {
            Some((gap, offset)) => self.take_gap(owner, ordinal, bytes, gap, offset),
            None => self.append(owner, ordinal, bytes),
        }
    }

    /// Allocates an extent at `offset` of a gap.
    ///
    /// The free bytes after it keep or get an entry of their own. The store to the owner of the
    /// gap's first entry commits; if killed before it, the bytes stay free.
    #[cold]
    fn take_gap(
        &mut self,
        owner: Owner,
        ordinal: u32,
        bytes: u64,
        gap: Gap,
        offset: u64,
    ) -> Result<Extents, NoSpace> {
        let (end, number) = (offset + bytes, gap.records.first().copied().ok_or(NoSpace::Table)?);
        let region = self.region(gap.block as usize).ok_or(NoSpace::Blocks)?;
        let rec = self.table.at(number as usize).ok_or(NoSpace::Table)?;
        self.before(&region, offset, bytes, Mutant::UnwatchedTake);
        let made = if planted(Mutant::TakeKeepsBytes) { Ok(()) } else { zeroed(&region, offset, bytes) };
        if let Err(error) = made {
            self.gaps.push(gap);
            return Err(error);
        }
        let owner_word = ExtentRec::owner_word(owner.place, owner.kind);
        if planted(Mutant::TakeOwnsFirst) {
            Commit::ExtentTaken.store_half(&rec.owner, owner_word);
        }
        if planted(Mutant::TakeSplitsLast) {
            rec.bytes.store(bytes);
            rec.offset.store(offset);
            Commit::ExtentTaken.store_half(&rec.owner, owner_word);
        }
        let mut rest = Gap { start: end, records: gap.records.iter().skip(1).copied().collect(), ..gap };
        for free in rest.records.iter().filter_map(|number| self.table.get(*number as usize)) {
            if free.offset.load() < end {
                free.offset.store(end);
                free.bytes.store(rest.end - end);
            }
        }
        if rest.records.is_empty() && rest.end > end {
            let next = self.header.nextents.load();
            let free = self.table.at(next as usize).ok_or(NoSpace::Table)?;
            fill(&free, EXTENT_FREE, 0, gap.block, end, rest.end - end);
            Commit::Extent.store(&self.header.nextents, next + 1);
            rest.records.push(next as u32);
        }
        rec.ordinal.store(ordinal);
        rec.full.store(0);
        rec.bytes.store(bytes);
        rec.offset.store(offset);
        Commit::ExtentTaken.store_half(&rec.owner, owner_word);
        self.gaps.push(rest);
        self.black_box.event(Event::Grow, owner.type_id.into(), number.into());
        Ok(Extents { block: region, offset, number, count: 1 })
    }

    /// Allocates an extent after all others of a block.
    ///
    /// The pages are populated before the table counts the extent, so that out of memory is an
    /// error here and not a signal later. The store to `nextents` commits; if killed before it, the
    /// bytes stay free.
    fn append(&mut self, owner: Owner, ordinal: u32, bytes: u64) -> Result<Extents, NoSpace> {
        let number = self.header.nextents.load();
        let rec = self.table.at(number as usize).ok_or(NoSpace::Table)?;
        let (block_number, region, offset) = self.room(owner.align, bytes).ok_or(NoSpace::Blocks)?;
        self.before(&region, offset, bytes, Mutant::UnwatchedGrow);
        populate(&region, offset, bytes)?;
        if planted(Mutant::GrowCountsFirst) {
            Commit::Extent.store(&self.header.nextents, number + 1);
        }
        let word = ExtentRec::owner_word(owner.place, owner.kind);
        fill(&rec, word, ordinal, block_number as u32, offset, bytes);
        Commit::Extent.store(&self.header.nextents, number + 1);
        if let Some(block) = self.blocks.get_mut(block_number) {
            block.used = offset + bytes;
        }
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

/// Fills an entry past those in use.
fn fill(rec: &ExtentRec, owner: u32, ordinal: u32, block: u32, offset: u64, bytes: u64) {
    rec.owner.fill(owner);
    rec.ordinal.fill(ordinal);
    rec.block.fill(block);
    rec.full.store(0);
    rec.offset.fill(offset);
    rec.bytes.fill(bytes);
}

/// Populates the pages of an extent.
fn populate(region: &Region, offset: u64, bytes: u64) -> Result<(), NoSpace> {
    let (first, end) = (offset & !(limits::PAGE - 1), (offset + bytes).next_multiple_of(limits::PAGE));
    let populated = crate::sys::mem::populate(region, first, end - first);
    populated.map_err(|error| NoSpace::memory(&error, end - first))
}

/// Zeroes free bytes.
fn zeroed(region: &Region, offset: u64, bytes: u64) -> Result<(), NoSpace> {
    populate(region, offset, bytes)?;
    let words = region.table::<Word>(offset, bytes / 8).map_err(|_| NoSpace::Blocks)?;
    (0..words.len()).filter_map(|at| words.get(at)).for_each(|word| word.fill(0));
    Ok(())
}
