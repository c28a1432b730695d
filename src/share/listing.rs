//! A pool as an operator sees it: the head of its base, and the system's facts about its blocks.

use super::backend::{Access, Backend, SegmentFacts};
use super::ended::{self, Ended};
use super::facts::Facts;
use super::home::Home;
use super::lock_facts::LockFacts;
use super::look::{self, Sight};
use super::rivals;
use crate::layout::{BaseHeader, ExtentRec};
use crate::limits;
use crate::sys::proc::Process;
use crate::units::{Bytes, Key};
use std::collections::BTreeSet;
use std::io;

/// A pool: the segments under the keys of its base and its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFacts {
    /// Facts about the base.
    pub base: Facts,
    /// Blocks that the base names, in their order.
    pub blocks: Vec<BlockFacts>,
    /// Visible processes that have the base attached although the semaphores show no owner.
    ///
    /// This happens after an `ipcrm -s` while a server runs. `None` if there is no such process.
    /// Tools do not count.
    pub rivals: Option<Vec<Process>>,
}

/// A block, as its base and the system describe it. It is not attached for this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Segment key.
    pub key: Key,
    /// Whether the block was given up while it was empty.
    pub vacant: bool,
    /// Facts that the system reports; `None` if the segment does not exist.
    pub segment: Option<SegmentFacts>,
    /// For a missing block, whether it has extents, so that objects may have been in it.
    ///
    /// `None` if the block exists, or if the base does not record it.
    pub was_used: Option<bool>,
}

impl BlockFacts {
    /// Returns whether a block that the base needs is gone, or was removed while a process uses it.
    pub fn is_missing(&self) -> bool {
        !self.vacant && self.segment.as_ref().is_none_or(|segment| segment.removed)
    }
}

impl PoolFacts {
    /// Returns the bytes of all segments.
    pub fn bytes(&self) -> Bytes {
        Bytes(self.segments().map(|segment| segment.bytes.0).sum())
    }

    /// Returns the system's facts about all segments, the base first.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentFacts> + Clone {
        self.base.segment.iter().chain(self.blocks.iter().filter_map(|block| block.segment.as_ref()))
    }

    /// Returns whether a rival has the base attached. Tools do not count.
    pub fn is_held_unlocked(&self) -> bool {
        self.rivals.is_some()
    }

    /// Returns the missing blocks that the base needs.
    ///
    /// A start that is not ready yet may be about to create them, so none is missing meanwhile.
    pub fn missing(&self) -> impl Iterator<Item = &BlockFacts> {
        let is_owned = matches!(self.base.lock, LockFacts::Held { .. } | LockFacts::Ours { .. });
        let is_serving = self.base.head().is_some_and(|head| head.run == Some(crate::layout::RUN_READY));
        self.blocks.iter().filter(move |block| (!is_owned || is_serving) && block.is_missing())
    }

    /// Returns when the last owner ended; `None` if the pool has an owner, or if the time is
    /// unknown.
    pub fn ended(&self) -> Option<Ended> {
        const NANOS: u64 = 1_000_000_000;
        let head = self.base.head()?;
        if matches!(self.base.lock, LockFacts::Held { .. } | LockFacts::Ours { .. }) {
            return None;
        }
        match head.run? {
            crate::layout::RUN_CLOSED if head.closed != 0 => return Some(Ended::At(head.closed / NANOS)),
            crate::layout::RUN_CLOSED => return None,
            _ => {}
        }
        ended::detached(head.owner_pid, self.segments())
    }
}

/// Returns consistent facts about a pool, for a tool.
///
/// The base is attached briefly for reading, as an observer. Of the blocks, only the system's facts
/// are read.
///
/// # Errors
///
/// Fails if the system refuses, or if owners attached and detached during every reading.
pub fn observe_pool(key: Key, home: &Home) -> io::Result<PoolFacts> {
    let backend = home.open();
    let (base, (blocks, rivals)) = look::agreed(key, home, &mut |sight| {
        Ok((blocks_of(&*backend, sight)?, rivals_of(&*backend, sight)?))
    })?;
    Ok(PoolFacts { base, blocks, rivals })
}

fn blocks_of(backend: &dyn Backend, sight: &Sight) -> io::Result<Vec<BlockFacts>> {
    let named = sight.facts.head().map_or(&[][..], |head| &head.blocks);
    let mut blocks = Vec::new();
    for block in named {
        let segment = backend.stat(block.key)?;
        blocks.push(BlockFacts { key: block.key, vacant: block.vacant, segment, was_used: None });
    }
    if blocks.iter().any(BlockFacts::is_missing) {
        let used = used_blocks(backend, &sight.facts);
        for (number, block) in (0..).zip(&mut blocks).filter(|(_, block)| block.is_missing()) {
            block.was_used = used.as_ref().map(|used| used.contains(&number));
        }
    }
    Ok(blocks)
}

/// Returns the numbers of the blocks that have extents; `None` if the base cannot be read.
fn used_blocks(backend: &dyn Backend, facts: &Facts) -> Option<BTreeSet<u32>> {
    let segment = backend.attach(facts.key, facts.segment.as_ref()?, Access::Read).ok()?;
    let region = segment.region();
    let base = region.at::<BaseHeader>(0).ok()?;
    let count = base.nextents.load().min(limits::MAX_EXTENTS.into());
    let extents = region.table::<ExtentRec>(base.geometry.extents_off.load(), count).ok()?;
    Some((0..extents.len()).filter_map(|number| Some(extents.get(number)?.block.load())).collect())
}

fn rivals_of(backend: &dyn Backend, sight: &Sight) -> io::Result<Option<Vec<Process>>> {
    let facts = &sight.facts;
    let attached = facts.segment.as_ref().and_then(|segment| segment.attached).unwrap_or(0);
    if attached == 0 || !matches!(facts.lock, LockFacts::None | LockFacts::Free { .. }) {
        return Ok(None);
    }
    let found = rivals::find(backend, facts.key, &mut || rivals::count(backend, facts.key))?;
    let found =
        found.filter(|rivals| facts.segment.as_ref().is_some_and(|segment| segment.id == rivals.facts.id));
    Ok(found.map(|rivals| rivals.writers.into_iter().map(Process::look).collect()))
}
