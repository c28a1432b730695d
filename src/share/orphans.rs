//! Orphans: blocks whose base is gone, so that no program can reach their objects any more.

use super::error::{ShareError, system};
use super::facts::{Facts, Want};
use super::head::Head;
use super::home::Home;
use super::host::{Removed, refuse_rivals};
use super::host_list::list_pools;
use super::lock_facts::LockFacts;
use super::manager::remove_if;
use super::verdict::Verdict;
use crate::layout::BLOCK_KIND;
use crate::units::Key;
use std::collections::BTreeSet;

/// Returns the segments under `keys` that belong to a pool whose base is not in `home`.
///
/// These are its blocks, and what an interrupted creation of one has left.
///
/// # Errors
///
/// Fails if the system does not list the segments.
pub fn orphans(keys: &[Key], home: &Home) -> Result<Vec<Facts>, ShareError> {
    let backend = home.open();
    let found = keys.iter().filter_map(|&key| {
        Facts::collect(&*backend, key, Want { kind: Some(BLOCK_KIND), ..Want::default() }, LockFacts::None)
            .ok()
    });
    let mut found: Vec<Facts> =
        found.filter(|facts| facts.head().is_some_and(|head| is_block(facts, head))).collect();
    if found.is_empty() {
        return Ok(found);
    }
    let listing = list_pools(home).map_err(system(Key(0), 0, "list"))?;
    let with_base: BTreeSet<[u64; 2]> =
        listing.pools.iter().filter_map(|pool| Some(pool.base.head()?.pool_id)).collect();
    found.retain(|facts| facts.head().is_some_and(|head| !with_base.contains(&head.pool_id)));
    Ok(found)
}

fn is_block(facts: &Facts, head: &Head) -> bool {
    let begun = facts.verdict() == Verdict::Unfinished && head.is_hotpool();
    begun || facts.verdict() == Verdict::Clean && head.kind == BLOCK_KIND
}

/// Removes the [`orphans`] under `keys`; with `dry_run` it only returns what it would remove.
///
/// # Errors
///
/// Fails before the first removal if a process has one of them attached.
pub fn remove_orphans(keys: &[Key], home: &Home, dry_run: bool) -> Result<Vec<Removed>, ShareError> {
    let backend = home.open();
    let found = orphans(keys, home)?;
    for facts in &found {
        refuse_rivals(&*backend, facts)?;
    }
    let mut removed = Vec::new();
    for facts in &found {
        let (Some(head), Some(segment)) = (facts.head(), &facts.segment) else { continue };
        let same = |now: &Head| now.pool_id == head.pool_id && now.magic == head.magic;
        if dry_run || remove_if(&*backend, facts.key, same)? {
            let block = Some(head.index);
            removed.push(Removed::Segment { key: facts.key, bytes: segment.bytes, block });
        }
    }
    Ok(removed)
}
