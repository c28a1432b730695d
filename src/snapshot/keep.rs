//! Which sets are kept: the last full ones, and what builds on them.

use super::manifest::SetInfo;
use super::set::Set;
use super::shelf::{self, Found};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Drops the sets of a pool that are older than its last `keep` full sets, after the set `last` was
/// written.
///
/// A set goes together with all that build on it, the youngest first. Never dropped are the set
/// `last`, what it builds on, sets of other pools, and sets that cannot be read.
pub(super) fn thin(shelf: &Path, pool: &SetInfo, last: &str, keep: u32) {
    let found = match shelf::list(shelf) {
        Ok(found) => found,
        Err(error) => return log::warn!("{}: cannot drop old snapshots: {error}", pool.process),
    };
    let is_of_pool = |found: &&Found| {
        let is_of = |info: &SetInfo| info.process == pool.process && info.base.0 == pool.base.0;
        found.info.as_ref().is_ok_and(is_of)
    };
    let sets: Vec<&Found> = found.iter().filter(is_of_pool).collect();
    let links: Vec<Link<'_>> = sets.iter().map(|set| (set.id.as_str(), set.parent.as_deref())).collect();
    let is_whole =
        |id: &str| sets.iter().find(|set| set.id == id).is_some_and(|set| Set::open(&set.path).is_ok());
    let superseded = superseded(&links, last, keep, is_whole);
    for set in sets.iter().rev().filter(|set| superseded.contains(set.id.as_str())) {
        match shelf::drop_set(&set.path, &set.id) {
            Ok(()) => log::info!("{}: dropped the snapshot {}", pool.process, set.path.display()),
            // What it builds on stays, too.
            Err(error) => return log::warn!("{}: cannot drop an old snapshot: {error}", pool.process),
        }
    }
}

/// A set and the one that it builds on.
type Link<'a> = (&'a str, Option<&'a str>);

/// Returns the sets that go, of the sets of one pool, the oldest first.
///
/// A full set counts as one that is kept only if `is_whole` says so.
fn superseded<'a>(
    sets: &[Link<'a>],
    last: &str,
    keep: u32,
    is_whole: impl Fn(&str) -> bool,
) -> BTreeSet<&'a str> {
    let parents: BTreeMap<&str, Option<&'a str>> = sets.iter().copied().collect();
    // The full set on which a set builds; `None` if one between them is missing.
    let root_of = |id: &'a str| {
        let mut at = id;
        for _ in 0..=sets.len() {
            match parents.get(at)? {
                None => return Some(at),
                Some(parent) => at = parent,
            }
        }
        None
    };
    let of_last = sets.iter().find(|(id, _)| *id == last).and_then(|(id, _)| root_of(id));
    let full = sets.iter().rev().filter(|(_, parent)| parent.is_none()).map(|(id, _)| *id);
    let mut kept: BTreeSet<&str> = of_last.into_iter().collect();
    for id in full {
        if kept.len() < keep as usize && !kept.contains(id) && is_whole(id) {
            kept.insert(id);
        }
    }
    if kept.len() < keep as usize {
        return BTreeSet::new();
    }
    let oldest = sets.iter().position(|(id, _)| kept.contains(id)).unwrap_or(0);
    let is_old = |root: &str| sets.iter().position(|(id, _)| *id == root).is_some_and(|at| at < oldest);
    let goes = |id: &&'a str| root_of(id).is_some_and(is_old);
    sets.iter().map(|(id, _)| *id).filter(goes).collect()
}
