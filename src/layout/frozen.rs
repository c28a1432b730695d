use super::{checksum, record};
use crate::word::{Half, Word};

/// First word of a segment whose creation has begun and not ended.
pub const MAGIC_MAKING: u64 = u64::from_le_bytes(*b"HOTPMAKE");
/// First word of a segment that is complete.
pub const MAGIC_READY: u64 = u64::from_le_bytes(*b"HOTPOOL1");
/// First word of a base segment whose pool is being destroyed.
pub const MAGIC_GONE: u64 = u64::from_le_bytes(*b"HOTPGONE");

/// `draft`: what follows the first 64 bytes of an unfinished segment holds nothing.
pub const DRAFT: u32 = u32::from_le_bytes(*b"DRFT");

/// Version of everything behind the frozen bytes.
pub const LAYOUT_VERSION: u32 = 1;
/// `kind` of a base segment.
pub const BASE_KIND: u32 = 1;
/// `kind` of a block segment.
pub const BLOCK_KIND: u32 = 2;

/// The first 64 bytes of every segment, the same in every version for ever, so that
/// any build can tell what it has found.
///
/// The first store into a new segment sets `magic` to [`MAGIC_MAKING`], the last
/// one of its creation to [`MAGIC_READY`]; everything between is written once.
#[repr(C)]
#[derive(Debug)]
pub struct Frozen {
    /// One of the three magic words; the word that commits a creation.
    pub magic: Word,
    /// Version of the bytes behind these.
    pub layout: Half,
    /// Base or block.
    pub kind: Half,
    /// Identity of the pool, random, the same in the base and all its blocks.
    pub pool_id: [Word; 2],
    /// Size of the segment that was asked for.
    pub bytes: Word,
    /// Its key.
    pub key: Half,
    /// Number of the block; 0 in the base.
    pub index: Half,
    /// When it was made, nanoseconds of the wall clock.
    pub created: Word,
    /// CRC-32C of the words from `layout` to `created`.
    pub check: Half,
    /// [`DRAFT`] while a creation writes more than these bytes, or while a segment is emptied; else zero.
    pub draft: Half,
}

record!(Frozen, 64);

impl Frozen {
    /// What `check` has to be.
    pub fn sum(&self) -> u32 {
        let pair = |low: &Half, high: &Half| u64::from(low.load()) | u64::from(high.load()) << 32;
        checksum([
            pair(&self.layout, &self.kind),
            self.pool_id[0].load(),
            self.pool_id[1].load(),
            self.bytes.load(),
            pair(&self.key, &self.index),
            self.created.load(),
        ])
    }
}
