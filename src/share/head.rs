//! The head of a segment: a copy of its first bytes, which describe it.

use crate::layout::{
    BASE_KIND, BLOCK_VACANT, BaseHeader, BlockBase, DRAFT, Frozen, LAYOUT_VERSION, MAGIC_MAKING, RESTORING,
    text,
};
use crate::limits;
use crate::region::Region;
use crate::units::Key;
use crate::word::Word;

/// A copy of the first bytes of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// First word.
    pub magic: u64,
    /// Whether all 64 frozen bytes are zero.
    pub blank: bool,
    /// For an unfinished segment, the first offset with bytes that no creation writes.
    pub beyond: Option<u64>,
    /// Whether it is marked as a draft: the bytes after the first 64 hold nothing.
    pub draft: bool,
    /// Whether a restore has made this draft.
    pub restoring: bool,
    /// Layout version.
    pub layout: u32,
    /// Base or block.
    pub kind: u32,
    /// Identity of the pool.
    pub pool_id: [u64; 2],
    /// Requested size in bytes.
    pub bytes: u64,
    /// Segment key.
    pub key: Key,
    /// Block number.
    pub index: u32,
    /// Time of creation, in nanoseconds of the wall clock.
    pub created: u64,
    /// Whether the checksum is correct.
    pub sound: bool,
    /// State of the last owner; `None` in a block, or if the segment is too short.
    pub run: Option<u64>,
    /// Pid of the last owner; 0 if there was none.
    pub owner_pid: u64,
    /// Number of owners that the pool has had.
    pub epoch: u64,
    /// Process name.
    pub process: String,
    /// Time when the last owner attached, in nanoseconds of the wall clock; 0 if none has.
    pub started: u64,
    /// Time when an owner last called `ready()`, in nanoseconds of the wall clock; 0 if none has.
    pub readied: u64,
    /// Time when an owner last closed the pool, in nanoseconds of the wall clock; 0 if none has.
    pub closed: u64,
    /// Bytes of each block of a base of this layout.
    pub(crate) block_bytes: u64,
    /// Blocks that a base of this layout names.
    pub blocks: Vec<NamedBlock>,
}

/// A block as its base names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlock {
    /// Segment key.
    pub key: Key,
    /// Whether the block was given up while it was empty.
    pub vacant: bool,
}

impl Head {
    /// Returns whether hotpool created the segment.
    pub fn is_hotpool(&self) -> bool {
        Frozen::is_magic(self.magic)
    }

    /// Returns whether its creation has begun and not ended, according to its first bytes.
    pub fn is_incomplete(&self) -> bool {
        self.magic == MAGIC_MAKING || self.blank
    }

    /// Copies the head out of a mapping; returns `None` if the mapping is too short.
    pub(crate) fn read(region: &Region) -> Option<Head> {
        let frozen = region.at::<Frozen>(0).ok()?;
        let mut head = Head {
            magic: frozen.magic.load(),
            blank: (0..size_of::<Frozen>() as u64 / 8)
                .all(|word| region.at::<Word>(word * 8).is_ok_and(|word| word.load() == 0)),
            layout: frozen.layout.load(),
            kind: frozen.kind.load(),
            pool_id: [frozen.pool_id[0].load(), frozen.pool_id[1].load()],
            bytes: frozen.bytes.load(),
            key: Key(frozen.key.load()),
            index: frozen.index.load(),
            created: frozen.created.load(),
            draft: [DRAFT, RESTORING].contains(&frozen.draft.load()),
            restoring: frozen.draft.load() == RESTORING,
            sound: frozen.check.load() == frozen.sum(),
            ..Head::default()
        };
        if head.kind == BASE_KIND
            && let Ok(base) = region.at::<BaseHeader>(0)
        {
            head.run = Some(base.run.load());
            head.owner_pid = base.owner_pid.load();
            head.epoch = base.epoch.load();
            head.process = text(&base.geometry.process);
            head.started = base.start_wall.load();
            head.readied = base.ready_wall.load();
            head.closed = base.closed_wall.load();
            if head.sound && head.layout == LAYOUT_VERSION {
                head.block_bytes = base.geometry.block_bytes.load();
                head.blocks = named_blocks(region, &base);
            }
        }
        Some(head)
    }
}

/// Returns the blocks that a base names; none if the table is invalid.
fn named_blocks(region: &Region, base: &BaseHeader) -> Vec<NamedBlock> {
    let count = base.nblocks.load().min(limits::MAX_BLOCKS.into());
    let Ok(table) = region.table::<BlockBase>(base.geometry.blocks_off.load(), count) else {
        return Vec::new();
    };
    let block = |block: &BlockBase| NamedBlock {
        key: Key(block.key.load()),
        vacant: block.state.load() == BLOCK_VACANT,
    };
    (0..table.len()).filter_map(|number| table.get(number)).map(block).collect()
}
