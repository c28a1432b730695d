use super::record;
use crate::word::{Half, Word};

/// One block of a pool: a segment of `block_bytes` under a key of `ShmKeys`.
#[repr(C)]
#[derive(Debug)]
pub struct BlockBase {
    /// Key of the segment.
    pub key: Half,
    /// Its own number.
    pub index: Half,
    /// 1 if the segment is part of the pool, 2 if the ini gave it up while it was empty.
    pub state: Word,
    /// When it was added, wall clock.
    pub created: Word,
    /// Zero.
    pub spare: [Word; 5],
}

record!(BlockBase, 64);

/// `state`: the segment is part of the pool.
pub(crate) const BLOCK_ACTIVE: u64 = 1;
/// `state`: the ini gave the block up while it was empty.
pub(crate) const BLOCK_VACANT: u64 = 2;
