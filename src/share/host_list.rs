//! All pools on one backend, and blocks whose base is gone.

use super::error::ShareError;
use super::facts::{Facts, Want, observe_as};
use super::head::Head;
use super::home::Home;
use super::listing::{PoolFacts, observe_pool};
use super::lock_facts::LockFacts;
use super::look::observe;
use super::owner_set::{self, Whose};
use super::verdict::Verdict;
use crate::conf::{BackendKind, ProcessConf};
use crate::layout::BLOCK_KIND;
use crate::sys::proc::{self, Process};
use crate::units::Key;
use std::collections::BTreeSet;
use std::io;

/// All hotpool segments on one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Pools in the order of their keys. If `base.segment` is `None`, only the semaphores exist.
    pub pools: Vec<PoolFacts>,
    /// Blocks whose base is gone.
    pub strays: Vec<LooseBlock>,
    /// Blocks that a growth has created and that their base does not name yet.
    pub unnamed: Vec<Facts>,
}

/// A segment under a key of `ShmKeys` that the base does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LooseBlock {
    /// Facts about the segment.
    pub facts: Facts,
    /// Visible processes that use the segment: its base was removed while they were running.
    pub holders: Vec<Process>,
    /// Base key of the pool to which it belongs, if that pool exists.
    pub pool: Option<Key>,
}

/// Returns all pools on a backend, including remains: semaphores without a segment, blocks without
/// a base.
///
/// Foreign segments are left out. Segments that cannot be identified otherwise are attached
/// briefly, for reading.
///
/// # Errors
///
/// Fails if the system does not list the segments.
pub fn list_pools(home: &Home) -> io::Result<Listing> {
    let mut scan = Scan::of(home)?;
    let mut orphans = scan.orphans();
    if !orphans.is_empty() {
        // A base is older than its blocks, and never returns once it is removed. So a block that
        // was seen before the search for bases, and still exists after it, has lost its base for
        // good.
        let seen: BTreeSet<_> = orphans.iter().map(mark).collect();
        scan = Scan::of(home)?;
        orphans = scan.orphans();
        orphans.retain(|block| seen.contains(&mark(block)));
    }
    let lost: BTreeSet<Key> = orphans.iter().map(|block| block.key).collect();
    let named: BTreeSet<Key> = scan.pools.iter().flat_map(|pool| pool.blocks.iter().map(|b| b.key)).collect();
    let is_unnamed = |block: &Facts| !lost.contains(&block.key) && !named.contains(&block.key);
    let unnamed = scan.blocks.iter().filter(|block| is_unnamed(block)).cloned().collect();
    let strays =
        orphans.into_iter().map(|facts| LooseBlock { holders: holders(home, &facts), facts, pool: None });
    Ok(Listing { strays: strays.collect(), unnamed, pools: scan.pools })
}

/// Returns the pool of a process, and the segments under the keys of its ini that its base does not
/// name.
///
/// # Errors
///
/// Fails if the system refuses, or if owners attached and detached during every reading.
pub fn observe_process(conf: &ProcessConf) -> io::Result<(PoolFacts, Vec<LooseBlock>)> {
    const READINGS: u32 = 50;
    let home = Home::of(conf);
    let mut pool = observe_pool(conf.base_key, &home)?;
    for _ in 0..READINGS {
        let loose = loose_blocks(conf, &home, &pool)?;
        let again = observe_pool(conf.base_key, &home)?;
        if loose.is_empty() || is_same(&pool, &again) {
            return Ok((pool, loose));
        }
        pool = again;
    }
    Err(super::look::unsteady())
}

/// Returns whether both readings found the same base, naming the same blocks.
fn is_same(one: &PoolFacts, other: &PoolFacts) -> bool {
    let id = |pool: &PoolFacts| pool.base.segment.as_ref().map(|segment| (segment.id, segment.removed));
    id(one) == id(other) && one.base.reading == other.base.reading
}

fn loose_blocks(conf: &ProcessConf, home: &Home, pool: &PoolFacts) -> io::Result<Vec<LooseBlock>> {
    let mut loose = Vec::new();
    let known: BTreeSet<Key> = pool.blocks.iter().map(|block| block.key).collect();
    for &key in conf.shm_keys.iter().filter(|key| !known.contains(key)) {
        let facts = observe_block(key, home, conf, pool)?;
        let id = facts.head().filter(|head| is_block(head)).map(|head| head.pool_id);
        let of_the_pool = id.is_some() && id == pool.base.head().map(|head| head.pool_id);
        if facts.segment.is_none() || of_the_pool {
            continue;
        }
        let home_of = |id| list_pools(home).map(|listing| listing.base_of(id).map(|base| base.base.key));
        let belongs = id.map(home_of).transpose()?.flatten();
        loose.push(LooseBlock { holders: holders(home, &facts), facts, pool: belongs });
    }
    Ok(loose)
}

/// Returns the facts about the segment under a block key.
///
/// A start creates a block as zeros, and marks it afterwards. Beside a pool of the same ini, zeros of the right size
/// are such a beginning for a tool, as they are for the next start.
fn observe_block(key: Key, home: &Home, conf: &ProcessConf, pool: &PoolFacts) -> io::Result<Facts> {
    let facts = observe(key, home)?;
    let is_blank = facts.head().is_some_and(|head| head.blank);
    let fits = facts.segment.as_ref().is_some_and(|segment| segment.bytes == conf.block_size);
    let has_pool = !matches!(pool.base.lock, LockFacts::None | LockFacts::Foreign(_));
    if !(is_blank && fits && has_pool) {
        return Ok(facts);
    }
    let again = observe_as(key, home, Want { bytes: Some(conf.block_size), ..Want::default() })?;
    match again.verdict() {
        Verdict::Unfinished => Ok(again),
        // It is a stranger's, or has been marked since.
        _ => observe(key, home),
    }
}

impl Listing {
    /// Returns the pool with this identity.
    pub(super) fn base_of(&self, pool_id: [u64; 2]) -> Option<&PoolFacts> {
        self.pools.iter().find(|pool| pool.base.head().is_some_and(|head| head.pool_id == pool_id))
    }
}

/// Refuses a block where a base is needed. Names its base, if that is in the same home.
#[cold]
pub(super) fn not_a_base(home: &Home, key: Key, block: &Head) -> ShareError {
    let listing = list_pools(home).unwrap_or_default();
    let base = listing
        .base_of(block.pool_id)
        .and_then(|pool| Some((pool.base.key, pool.base.head()?.process.clone())));
    ShareError::Block { key, index: block.index, base }
}

/// Whether a complete segment says that it is a block.
pub(super) fn is_complete_block(head: &Head) -> bool {
    is_block(head) && head.sound
}

fn is_block(head: &Head) -> bool {
    head.is_hotpool() && head.kind == BLOCK_KIND
}

/// Returns what distinguishes a block from a later one under its key.
fn mark(block: &Facts) -> (Key, Option<u64>, Option<[u64; 2]>) {
    let id = block.segment.as_ref().map(|segment| segment.id);
    (block.key, id, block.head().map(|head| head.pool_id))
}

/// Returns the processes that have a block attached for writing.
fn holders(home: &Home, block: &Facts) -> Vec<Process> {
    let Some(segment) = &block.segment else { return Vec::new() };
    home.open().writers(block.key, segment).into_iter().map(Process::look).collect()
}

/// Every pool, and every block that no pool names.
struct Scan {
    pools: Vec<PoolFacts>,
    blocks: Vec<Facts>,
    /// Whether a segment could not be read, which may be any base.
    is_partial: bool,
}

impl Scan {
    fn of(home: &Home) -> io::Result<Scan> {
        let segments: BTreeSet<Key> = home.open().keys()?.into_iter().collect();
        let owned = match home.backend {
            BackendKind::Sysv => {
                proc::semaphore_keys()?.into_iter().map(Key).filter(|key| is_owned(*key)).collect()
            }
            _ => segments.iter().copied().filter(|key| is_owned(*key)).collect::<BTreeSet<Key>>(),
        };
        let mut scan = Scan { pools: Vec::new(), blocks: Vec::new(), is_partial: false };
        owned.iter().for_each(|&key| scan.add(key, home));
        let named: BTreeSet<Key> =
            scan.pools.iter().flat_map(|pool| pool.blocks.iter().map(|b| b.key)).collect();
        segments.difference(&owned).filter(|key| !named.contains(key)).for_each(|&key| scan.add(key, home));
        scan.pools.sort_by_key(|pool| pool.base.key);
        Ok(scan)
    }

    fn add(&mut self, key: Key, home: &Home) {
        let Ok(pool) = observe_pool(key, home) else {
            self.is_partial = true;
            return;
        };
        let has_set = !matches!(pool.base.lock, LockFacts::None);
        match pool.base.head() {
            Some(head) if is_block(head) => self.blocks.push(pool.base),
            Some(head) if head.is_hotpool() => self.pools.push(pool),
            // A semaphore set of another user counts only with a segment, whose kind is not
            // visible.
            None if matches!(pool.base.verdict(), Verdict::WrongOwner { .. }) => {
                let is_likely = has_set && pool.base.segment.is_some() || home.backend != BackendKind::Sysv;
                self.pools.extend(is_likely.then_some(pool));
            }
            _ if has_set && pool.base.segment.is_none() => self.pools.push(pool),
            _ if has_set && pool.base.verdict() == Verdict::Unfinished => self.pools.push(pool),
            _ => {}
        }
    }

    /// Returns the complete blocks whose pool does not exist.
    fn orphans(&self) -> Vec<Facts> {
        if self.is_partial {
            return Vec::new();
        }
        let bases: BTreeSet<[u64; 2]> =
            self.pools.iter().filter_map(|pool| pool.base.head()).map(|head| head.pool_id).collect();
        let is_orphan = |block: &&Facts| {
            block.verdict() == Verdict::Clean
                && block.head().is_some_and(|head| !bases.contains(&head.pool_id))
        };
        self.blocks.iter().filter(is_orphan).cloned().collect()
    }
}

/// Returns whether a key has owner semaphores of hotpool, or such of another user that resemble
/// them.
fn is_owned(key: Key) -> bool {
    match owner_set::look(key, Whose::Any) {
        Ok(LockFacts::Foreign(set)) => set.is_denied,
        found => found.is_ok_and(|lock| lock != LockFacts::None),
    }
}
