//! A pool as an operator sees it: the base looked into, its blocks only counted.

use super::backend::{Access, Backend, SegmentFacts};
use super::facts::Facts;
use super::home::Home;
use super::lock_facts::LockFacts;
use super::look::{self, Sight};
use super::rivals;
use crate::layout::{BaseHeader, ExtentRec};
use crate::limits;
use crate::sys::proc::Process;
use crate::units::{Bytes, Key};
use std::io;

/// A pool: what is under the key of its base, and under those of its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFacts {
    /// The base.
    pub base: Facts,
    /// The blocks that the base names, in their order.
    pub blocks: Vec<BlockFacts>,
    /// Processes that have the base attached although it has no owner by its semaphores, as after an `ipcrm -s` beside
    /// a running server: those that can be seen. `None` if there is no such process. Tools do not count.
    pub rivals: Option<Vec<Process>>,
}

/// A block, as its base and the system know it. It is not attached for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its key.
    pub key: Key,
    /// The ini gave it up while it was empty.
    pub vacant: bool,
    /// What the system says of it; `None` if there is none.
    pub segment: Option<SegmentFacts>,
    /// Of a block that is gone: whether types have taken parts of it, so that objects may have been in it. `None` of one
    /// that is there, and if the base does not tell.
    pub was_used: Option<bool>,
}

impl BlockFacts {
    /// Whether the base counts on it and it is gone, or was removed under the process that uses it.
    pub fn is_missing(&self) -> bool {
        !self.vacant && self.segment.as_ref().is_none_or(|segment| segment.removed)
    }
}

/// When the last owner of a pool ended, seconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Then.
    At(u64),
    /// Then or before: something else has looked at the pool since.
    Before(u64),
}

impl PoolFacts {
    /// Bytes of all its segments.
    pub fn bytes(&self) -> Bytes {
        Bytes(self.segments().map(|segment| segment.bytes.0).sum())
    }

    /// What the system says of its segments, the base first.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentFacts> {
        self.base.segment.iter().chain(self.blocks.iter().filter_map(|block| block.segment.as_ref()))
    }

    /// Whether a process has its base attached that is not the owner by the semaphores. Tools do not count.
    pub fn is_held_unlocked(&self) -> bool {
        self.rivals.is_some()
    }

    /// Blocks that the base counts on and that are gone. A start that is not ready yet may be about to make them.
    pub fn missing(&self) -> impl Iterator<Item = &BlockFacts> {
        let is_owned = matches!(self.base.lock, LockFacts::Held { .. } | LockFacts::Ours { .. });
        let is_serving = self.base.head().is_some_and(|head| head.run == Some(crate::layout::RUN_READY));
        self.blocks.iter().filter(move |block| (!is_owned || is_serving) && block.is_missing())
    }

    /// When the last owner ended. `None` if somebody owns the pool, or nobody knows.
    ///
    /// Of an owner that died the kernel knows when its segments were detached. A tool that looks
    /// into the base changes that of the base; the blocks then still tell.
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
        let by_owner = |segment: &&SegmentFacts| {
            segment.last_pid.is_some_and(|pid| pid != 0 && u64::try_from(pid) == Ok(head.owner_pid))
        };
        let last = self.segments().filter(by_owner).filter_map(|segment| segment.last_detach).max();
        let first = || self.segments().filter_map(|segment| segment.last_detach).min();
        last.map(Ended::At).or_else(|| first().map(Ended::Before))
    }
}

/// Facts of a pool for a tool, all of one moment: its base is attached for a moment, for reading,
/// registered as an observer; of its blocks only the system is asked.
///
/// # Errors
///
/// The system refused, or owners came and went during every look.
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

/// Numbers of the blocks that types have taken parts of; `None` if the base cannot be read.
fn used_blocks(backend: &dyn Backend, facts: &Facts) -> Option<Vec<u32>> {
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
