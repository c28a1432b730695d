//! The first bytes of a segment, copied: what it says of itself.

use crate::layout::{
    BASE_KIND, BLOCK_VACANT, BaseHeader, BlockBase, DRAFT, Frozen, LAYOUT_VERSION, MAGIC_MAKING, text,
};
use crate::limits;
use crate::region::Region;
use crate::units::Key;
use crate::word::Word;

/// The first bytes of a segment, copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// First word.
    pub magic: u64,
    /// All 64 frozen bytes are zero.
    pub blank: bool,
    /// Of a segment that is not complete: the first offset that holds something which no creation writes.
    pub beyond: Option<u64>,
    /// It is marked as a draft: what follows its first 64 bytes holds nothing.
    pub draft: bool,
    /// Version of the layout.
    pub layout: u32,
    /// Base or block.
    pub kind: u32,
    /// Identity of the pool.
    pub pool_id: [u64; 2],
    /// Size that was asked for.
    pub bytes: u64,
    /// Its key.
    pub key: Key,
    /// Number of the block.
    pub index: u32,
    /// When it was made, nanoseconds of the wall clock.
    pub created: u64,
    /// The checksum is what it has to be.
    pub sound: bool,
    /// How the last owner left; `None` in a block or where the segment ends before it.
    pub run: Option<u64>,
    /// Last owner's pid, 0 if none has been.
    pub owner_pid: u64,
    /// Owners the pool has had.
    pub epoch: u64,
    /// Name of the process in the ini.
    pub process: String,
    /// When the last owner attached, nanoseconds of the wall clock; 0 if none has.
    pub started: u64,
    /// When an owner last said that it is serving; 0 if none has.
    pub readied: u64,
    /// When an owner last closed the pool; 0 if none has.
    pub closed: u64,
    /// The blocks that a base of this layout names.
    pub blocks: Vec<NamedBlock>,
}

/// A block as its base names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlock {
    /// Its key.
    pub key: Key,
    /// The ini gave it up while it was empty.
    pub vacant: bool,
}

impl Head {
    /// Whether hotpool made the segment.
    pub fn is_hotpool(&self) -> bool {
        Frozen::is_magic(self.magic)
    }

    /// Whether a creation of it has begun and not ended, as far as its first bytes say.
    pub fn is_incomplete(&self) -> bool {
        self.magic == MAGIC_MAKING || self.blank
    }

    /// Copies the head out of a mapping; `None` if it has no room for one.
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
            draft: frozen.draft.load() == DRAFT,
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
                head.blocks = named_blocks(region, &base);
            }
        }
        Some(head)
    }
}

/// What a base says of its blocks; nothing where it says what cannot be.
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
