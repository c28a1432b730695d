//! Whether the memory of a pool suffices for what a start will allocate, without a start.

use crate::conf::ProcessConf;
use crate::layout::{BLOCK_VACANT, Broken};
use crate::limits;
use crate::pool::store::base::Base;
use crate::pool::store::extent_table::Reading;
use crate::pool::store::shape::extent_start;
use crate::units::Key;
use std::collections::BTreeSet;

/// Free bytes of the blocks that a pool has at its next start.
pub(super) struct Room {
    /// Begin and end of each run of free bytes: first those between extents, then the ends of blocks.
    runs: Vec<(u64, u64)>,
    block_bytes: u64,
    blocks: u64,
}

impl Room {
    /// Reads the free bytes of a pool. An ini that names more blocks, or names an empty one again,
    /// adds theirs. The error is the rule that the table of extents breaks.
    pub(super) fn of(base: &Base, conf: Option<&ProcessConf>) -> Result<Self, Broken> {
        let block_bytes = base.block_bytes();
        let named: BTreeSet<Key> = conf.iter().flat_map(|conf| &conf.shm_keys).copied().collect();
        let blocks = || (0..base.nblocks()).filter_map(|number| base.blocks.get(number));
        let exists: Vec<bool> = blocks()
            .map(|block| block.state.load() != BLOCK_VACANT || named.contains(&Key(block.key.load())))
            .collect();
        let loaded = Reading::new(base, &base.owners(), &vec![true; exists.len()]).read();
        let loaded = loaded.map_err(|(_, what)| what)?;
        let mut runs: Vec<(u64, u64)> = loaded.gaps.runs().collect();
        let ends = exists.iter().zip(&loaded.used).filter(|(exists, _)| **exists);
        runs.extend(ends.map(|(_, used)| ((*used).max(limits::PAGE), block_bytes)));
        let known: BTreeSet<Key> = blocks().map(|block| Key(block.key.load())).collect();
        let new = named.difference(&known).count();
        runs.extend(std::iter::repeat_n((limits::PAGE, block_bytes), new));
        let blocks = exists.iter().filter(|exists| **exists).count() + new;
        Ok(Room { runs, block_bytes, blocks: blocks as u64 })
    }

    /// Returns the bytes of all blocks that extents can use.
    pub(super) fn pool_bytes(&self) -> u64 {
        self.blocks * (self.block_bytes - limits::PAGE)
    }

    /// Returns the bytes that are free.
    pub(super) fn free(&self) -> u64 {
        self.runs.iter().map(|(start, end)| end.saturating_sub(*start)).sum()
    }

    /// Takes `count` extents of `bytes` bytes; returns how many did not fit.
    pub(super) fn take(&mut self, count: u64, bytes: u64, align: u64) -> u64 {
        let mut left = count;
        for (start, end) in &mut self.runs {
            while left > 0 {
                let place = extent_start(*start, align).and_then(|at| at.checked_add(bytes));
                let Some(next) = place.filter(|next| next <= end) else { break };
                *start = next;
                left -= 1;
            }
        }
        left
    }

    /// Returns how many more blocks `count` extents of `bytes` bytes need.
    pub(super) fn blocks_for(&self, count: u64, bytes: u64, align: u64) -> u64 {
        let mut block = Room { runs: vec![(limits::PAGE, self.block_bytes)], ..*self };
        let each = count - block.take(count, bytes, align);
        if each == 0 { 0 } else { count.div_ceil(each) }
    }
}
