//! The pools of a host as an operator sees them: the base looked into, its blocks only counted.

use super::backend::{Home, SegmentFacts};
use super::facts::{Facts, Head, observe};
use super::owner::{self, LockFacts, Whose};
use crate::conf::BackendKind;
use crate::layout::BLOCK_KIND;
use crate::sys::proc;
use crate::units::{Bytes, Key};
use std::collections::BTreeSet;
use std::io;

/// A pool: what is under the key of its base, and under those of its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFacts {
    /// The base.
    pub base: Facts,
    /// The blocks that the base names, in their order.
    pub blocks: Vec<BlockFacts>,
}

/// A block, as its base and the system know it. It is not attached for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its key.
    pub key: Key,
    /// The ini gave it up while it was empty.
    pub vacant: bool,
    /// What the system says of it; `None` if there is none, or this user may not ask.
    pub segment: Option<SegmentFacts>,
}

/// When the last owner of a pool ended, seconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Then.
    At(u64),
    /// Then or before: something else has looked at the pool since.
    Before(u64),
}

/// Everything of hotpool in one home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Pools, in the order of their keys. One of which `base.segment` is `None` has semaphores alone.
    pub pools: Vec<PoolFacts>,
    /// Blocks that no pool of the home names.
    pub strays: Vec<Facts>,
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

    /// Whether a process has a segment of it attached that nobody owns by its semaphores, as after
    /// an `ipcrm -s` beside a running server. Observers do not count.
    pub fn is_held_unlocked(&self) -> bool {
        let observers = u64::from(self.base.lock.observers());
        let attached = self.base.segment.as_ref().and_then(|segment| segment.attached);
        let locked = matches!(self.base.lock, LockFacts::Held { .. } | LockFacts::Ours { .. });
        !locked && attached.is_some_and(|attached| attached > observers)
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

/// Facts of a pool for a tool: its base is attached for a moment, for reading, registered as an
/// observer; of its blocks only the system is asked.
pub fn observe_pool(key: Key, home: &Home) -> io::Result<PoolFacts> {
    let mut pool = look(key, home)?;
    // Semaphores and segment are two looks: an owner that came or went between them seems to hold
    // the segment without the lock. One that really does still does so at the next look.
    for _ in 1..LOOKS {
        if !pool.is_held_unlocked() {
            break;
        }
        pool = look(key, home)?;
    }
    Ok(pool)
}

/// How often a segment is looked at before it is said to be held without the lock.
const LOOKS: u32 = 5;

fn look(key: Key, home: &Home) -> io::Result<PoolFacts> {
    let base = observe(key, home)?;
    let backend = home.open();
    let named = base.head().map_or(&[][..], |head| &head.blocks).iter();
    let blocks = named.map(|block| BlockFacts {
        key: block.key,
        vacant: block.vacant,
        segment: backend.stat(block.key).ok().flatten(),
    });
    let blocks = blocks.collect();
    Ok(PoolFacts { base, blocks })
}

/// All pools of a home, with what is left of some: semaphores without a segment, blocks without
/// a base. What is not hotpool's is left out. Segments whose kind nothing else tells are attached
/// for a moment, for reading.
pub fn list_pools(home: &Home) -> io::Result<Listing> {
    let segments: BTreeSet<Key> = home.open().keys()?.into_iter().collect();
    let mut pools = Vec::new();
    let owned = match home.backend {
        BackendKind::Sysv => owned_keys()?,
        _ => segments.iter().copied().filter(|key| is_owned(*key)).collect(),
    };
    for &key in &owned {
        let Ok(pool) = observe_pool(key, home) else { continue };
        if pool.base.segment.is_none() || pool.base.head().is_some_and(Head::is_hotpool) {
            pools.push(pool);
        }
    }
    let unnamed = |pools: &[PoolFacts]| -> Vec<Key> {
        let named: BTreeSet<Key> = pools.iter().flat_map(|pool| pool.blocks.iter().map(|b| b.key)).collect();
        segments.difference(&owned).copied().filter(|key| !named.contains(key)).collect()
    };
    // An owner that starts makes a block first and names it then: look at it once more.
    if !unnamed(&pools).is_empty() {
        for pool in pools.iter_mut().filter(|pool| matches!(pool.base.lock, LockFacts::Held { .. })) {
            *pool = observe_pool(pool.base.key, home).unwrap_or_else(|_| pool.clone());
        }
    }
    let mut strays = Vec::new();
    for key in unnamed(&pools) {
        let Ok(pool) = observe_pool(key, home) else { continue };
        match pool.base.head() {
            Some(head) if head.is_hotpool() && head.kind == BLOCK_KIND => strays.push(pool.base),
            Some(head) if head.is_hotpool() => pools.push(pool),
            _ => {}
        }
    }
    pools.sort_by_key(|pool| pool.base.key);
    // Named by a base that has no semaphores, and was found later than the block.
    strays.retain(|stray| !pools.iter().any(|pool| pool.blocks.iter().any(|block| block.key == stray.key)));
    Ok(Listing { pools, strays })
}

/// Keys of all owner semaphores of the host.
fn owned_keys() -> io::Result<BTreeSet<Key>> {
    Ok(proc::semaphore_keys()?.into_iter().map(Key).filter(|key| is_owned(*key)).collect())
}

/// Whether a key has owner semaphores of hotpool.
fn is_owned(key: Key) -> bool {
    let found = owner::look(key, Whose::Any);
    found.is_ok_and(|lock| !matches!(lock, LockFacts::None | LockFacts::Foreign(_)))
}
