//! Whether the memory of a pool suffices for what a start will allocate, without a start.

use crate::conf::ProcessConf;
use crate::layout::{BLOCK_VACANT, Broken};
use crate::limits;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extent_table::Reading;
use crate::pool::store::shape::extent_start;
use crate::units::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) block: u32,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Free bytes of the blocks that a pool has at its next start.
#[derive(Clone)]
pub(super) struct Room {
    /// Free bytes between extents, which are used first.
    gaps: Vec<Piece>,
    /// Free bytes after the extents of each block.
    ends: Vec<Piece>,
    /// The extents: block and begin, with their end.
    taken: BTreeMap<(u32, u64), u64>,
    block_bytes: u64,
}

impl Room {
    /// Reads the free bytes of a pool, and its extents. An ini that names more blocks, or names an
    /// empty one again, adds theirs. The error is the rule that the table of extents breaks.
    pub(super) fn of(base: &Base, conf: Option<&ProcessConf>) -> Result<(Self, Chains), Broken> {
        let block_bytes = base.block_bytes();
        let named: BTreeSet<Key> = conf.iter().flat_map(|conf| &conf.shm_keys).copied().collect();
        let blocks = || (0..base.nblocks()).filter_map(|number| base.blocks.get(number));
        let exists: Vec<bool> = blocks()
            .map(|block| block.state.load() != BLOCK_VACANT || named.contains(&Key(block.key.load())))
            .collect();
        let loaded = Reading::new(base, &base.owners(), &vec![true; exists.len()]).read();
        let loaded = loaded.map_err(|(_, what)| what)?;
        let end_of = |block: u32, used: u64| Piece { block, start: used.max(limits::PAGE), end: block_bytes };
        let ends = (0..).zip(exists.iter().zip(&loaded.used)).filter(|(_, (exists, _))| **exists);
        let known: BTreeSet<Key> = blocks().map(|block| Key(block.key.load())).collect();
        let new = (exists.len() as u32..).zip(named.difference(&known));
        let ends = ends.map(|(block, (_, used))| end_of(block, *used));
        let ends = ends.chain(new.map(|(block, _)| end_of(block, 0))).collect();
        let of = |piece: Piece| ((piece.block, piece.start), piece.end);
        let taken = loaded.chains.all().map(|(block, start, end)| of(Piece { block, start, end })).collect();
        let gaps = loaded.gaps.runs().map(|(block, start, end)| Piece { block, start, end }).collect();
        Ok((Room { gaps, ends, taken, block_bytes }, loaded.chains))
    }

    /// Returns the bytes of all blocks that extents can use.
    pub(super) fn pool_bytes(&self) -> u64 {
        self.ends.len() as u64 * (self.block_bytes - limits::PAGE)
    }

    /// Returns the bytes that are free.
    pub(super) fn free(&self) -> u64 {
        self.gaps.iter().chain(&self.ends).map(|piece| piece.end.saturating_sub(piece.start)).sum()
    }

    /// Takes `count` extents of `bytes` bytes; returns how many did not fit.
    pub(super) fn take(&mut self, count: u64, bytes: u64, align: u64) -> u64 {
        let mut left = count;
        for piece in self.gaps.iter_mut().chain(&mut self.ends) {
            while left > 0 {
                let place =
                    extent_start(piece.start, align).and_then(|at| Some((at, at.checked_add(bytes)?)));
                let Some((start, end)) = place.filter(|(_, end)| *end <= piece.end) else { break };
                self.taken.insert((piece.block, start), end);
                piece.start = end;
                left -= 1;
            }
        }
        left
    }

    /// Gives the bytes of extents back, together with free bytes beside them.
    pub(super) fn give(&mut self, extents: &[Piece]) {
        for Piece { block, start, .. } in extents {
            let (block, start) = (*block, *start);
            let Some(end) = self.ends.iter().find(|end| end.block == block).map(|end| end.start) else {
                continue;
            };
            if self.taken.remove(&(block, start)).is_none() {
                continue;
            }
            let before = self.taken.range((block, 0)..(block, start)).next_back();
            let low = before.map_or(limits::PAGE, |(_, end)| *end);
            let after = self.taken.range((block, start)..=(block, u64::MAX)).next();
            let high = after.map_or(end, |((_, start), _)| *start);
            self.gaps.retain(|gap| gap.block != block || gap.start < low || gap.end > high);
            self.gaps.push(Piece { block, start: low, end: high });
        }
    }

    /// Returns how many more blocks `count` extents of `bytes` bytes need.
    pub(super) fn blocks_for(&self, count: u64, bytes: u64, align: u64) -> u64 {
        let end = Piece { block: 0, start: limits::PAGE, end: self.block_bytes };
        let mut block = Room { gaps: Vec::new(), ends: vec![end], taken: BTreeMap::new(), ..*self };
        let each = count - block.take(count, bytes, align);
        if each == 0 { 0 } else { count.div_ceil(each) }
    }
}
