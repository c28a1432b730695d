use super::record::{checksum, record};
use crate::word::{Half, Word};

/// Magic word of a segment whose creation has begun and not ended.
pub const MAGIC_MAKING: u64 = u64::from_le_bytes(*b"HOTPMAKE");
/// Magic word of a complete segment.
pub const MAGIC_READY: u64 = u64::from_le_bytes(*b"HOTPOOL1");
/// Magic word of a base segment whose pool is being removed.
pub const MAGIC_GONE: u64 = u64::from_le_bytes(*b"HOTPGONE");

/// Value of `draft`: the bytes after the first 64 of this unfinished segment hold nothing.
pub const DRAFT: u32 = u32::from_le_bytes(*b"DRFT");

/// Value of `draft`: the same, and a restore of a set wrote it. The blocks that an unfinished base
/// names belong to the same restore.
pub const RESTORING: u32 = u32::from_le_bytes(*b"RSTR");

/// Version of the layout of all bytes after the frozen ones.
pub const LAYOUT_VERSION: u32 = 1;
/// Value of `kind` in a base segment.
pub const BASE_KIND: u32 = 1;
/// Value of `kind` in a block.
pub const BLOCK_KIND: u32 = 2;

/// The first 64 bytes of every segment, which stay the same in every layout version.
///
/// Any build of hotpool can therefore identify a segment. The first store into a new segment sets
/// `magic` to [`MAGIC_MAKING`], and the last store of its creation sets it to [`MAGIC_READY`]. The
/// other fields, except `draft`, are written once, between those two.
#[repr(C)]
#[derive(Debug)]
pub struct Frozen {
    /// One of the three magic words. Storing [`MAGIC_READY`] commits a creation.
    pub magic: Word,
    /// Layout version of the bytes after these.
    pub layout: Half,
    /// [`BASE_KIND`] or [`BLOCK_KIND`].
    pub kind: Half,
    /// Random identity of the pool, the same in the base and all its blocks.
    pub pool_id: [Word; 2],
    /// Requested size of the segment in bytes.
    pub bytes: Word,
    /// Segment key.
    pub key: Half,
    /// Block number; 0 in the base.
    pub index: Half,
    /// Time of creation, in nanoseconds of the wall clock.
    pub created: Word,
    /// CRC-32C of the words from `layout` to `created`.
    pub check: Half,
    /// [`DRAFT`] while a creation writes past these bytes, or while the segment is being emptied;
    /// [`RESTORING`] while a restore writes there; else zero.
    pub draft: Half,
}

record!(Frozen, 64);

impl Frozen {
    /// Returns whether a first word is one of the three that hotpool stores.
    pub fn is_magic(word: u64) -> bool {
        [MAGIC_MAKING, MAGIC_READY, MAGIC_GONE].contains(&word)
    }

    /// Computes the expected value of `check`.
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
