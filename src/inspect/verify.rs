//! `verify`: every invariant of `docs/layout.md`, checked over all bytes of a pool without a store.
//!
//! The segments are input: whatever they hold, the walk ends, reads inside its mappings only, and
//! says what it has found. It reads the tables and slots by itself and shares with the pool only
//! the layout records and the arithmetic of the index.

use crate::inspect::finding::Report;
use crate::inspect::tables;
use crate::pool::MemoryPoolMgr;
use crate::region::Region;
use crate::share::{Home, LockFacts, Observed, ShareError};
use crate::units::Key;

/// What a walk is given: the segments of a pool, and who is at them.
pub(crate) struct Pool {
    pub(crate) key: Key,
    pub(crate) base: Region,
    /// By the number of the block; `None` where the segment could not be had, and why.
    pub(crate) blocks: Vec<Result<Region, String>>,
    pub(crate) standing: Standing,
}

/// Who is at the pool, which decides what may be in motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its owner asks, between two operations: nothing is half done.
    Owned,
    /// It has no owner. A split of an index group may be half done.
    Left,
    /// Another process is its owner and goes on meanwhile.
    Live,
}

/// Walks over the pool whose base is under `key`: attached for reading, registered as an observer,
/// nothing is stored. A pool whose owner is running may be looked at too.
///
/// # Errors
///
/// There is no pool of ours under the key, or it may not be read. What is wrong inside the
/// pool is in the report.
pub fn verify_pool(key: Key, home: &Home) -> Result<Report, ShareError> {
    let mut report = look(key, home)?;
    for _ in 1..LOOKS {
        if !report.grew {
            break;
        }
        report = look(key, home)?;
    }
    Ok(report)
}

/// How often a pool that grows meanwhile is walked over.
const LOOKS: u32 = 8;

fn look(key: Key, home: &Home) -> Result<Report, ShareError> {
    Observed::steadily(key, home, |observed| Ok(walk(key, observed)))
}

fn walk(key: Key, observed: &mut Observed) -> Report {
    let standing = match &observed.facts().lock {
        LockFacts::Held { .. } | LockFacts::Ours { .. } => Standing::Live,
        _ => Standing::Left,
    };
    let base = observed.base();
    let keys = tables::block_keys(&base);
    let blocks = keys.into_iter().map(|key| observed.block(key).map_err(|error| error.to_string()));
    let blocks = blocks.collect();
    tables::walk(&Pool { key, base, blocks, standing })
}

impl MemoryPoolMgr {
    /// Walks over all bytes of the pool and checks every invariant: for tests, and for a server that
    /// wants to know. Takes time in proportion to the pool; stores nothing.
    pub fn verify(&self) -> Report {
        let blocks = (0..self.base.nblocks())
            .map(|number| self.space.region(number).ok_or_else(|| "it is given up".to_string()))
            .collect();
        tables::walk(&Pool {
            key: self.base_key(),
            base: self.base.region,
            blocks,
            standing: Standing::Owned,
        })
    }
}
