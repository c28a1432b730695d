use super::record::record;
use crate::word::{Half, Word};

/// One block of a pool: a segment of `block_bytes` bytes under a key of `ShmKeys`.
#[repr(C)]
#[derive(Debug)]
pub struct BlockBase {
    /// Segment key.
    pub key: Half,
    /// The block's own number.
    pub index: Half,
    /// 1 if the segment is part of the pool, 2 if the ini gave it up while it was empty.
    pub state: Word,
    /// Time when the block was added, in nanoseconds of the wall clock.
    pub created: Word,
    /// Reserved, zero.
    pub spare: [Word; 5],
}

record!(BlockBase, 64);

/// Value of `state` for a segment that is part of the pool.
pub(crate) const BLOCK_ACTIVE: u64 = 1;
/// Value of `state` for a block that was given up while it was empty.
pub(crate) const BLOCK_VACANT: u64 = 2;
