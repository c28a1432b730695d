//! All pools of a host, and the removal of one, for operators.

use super::backend::{Access, Backend};
use super::error::{ShareError, refused, system};
use super::facts::{Facts, Want};
use super::fence;
use super::head::Head;
use super::home::Home;
use super::host_list::{is_complete_block, list_pools, not_a_base};
use super::listing::observe_pool;
use super::lock_facts::LockFacts;
use super::look::observe;
use super::making;
use super::manager::remove_if;
use super::owner::OwnerLock;
use super::owner_error::OwnerError;
use super::owner_set::Whose;
use super::remains;
use super::rivals;
use super::verdict::Verdict;
use super::wait::Wait;
use crate::conf::BackendKind;
use crate::layout::{BLOCK_KIND, MAGIC_GONE};
use crate::mutants::{Mutant, planted};
use crate::units::{Bytes, Key};
use std::collections::BTreeSet;
use std::io;

/// One thing that a removal removed, or would remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A segment.
    Segment {
        /// Segment key.
        key: Key,
        /// Size of the segment.
        bytes: Bytes,
        /// Block number; `None` for the base.
        block: Option<u32>,
    },
    /// The owner semaphores.
    Semaphores {
        /// Key of the semaphores, which is the base key.
        key: Key,
    },
}

/// What a removal removed, or would remove.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal {
    /// Things in the order of the removal.
    pub removed: Vec<Removed>,
    /// Whether nothing was actually removed.
    pub dry_run: bool,
}

/// Returns the facts of every hotpool segment of the host, bases and blocks, in the order of their
/// keys.
///
/// Each is attached briefly, for reading. Foreign segments are left out.
///
/// # Errors
///
/// Fails if the system does not list the segments.
pub fn list_host(home: &Home) -> io::Result<Vec<Facts>> {
    let mut keys = home.open().keys()?;
    keys.sort_unstable();
    let found = keys.into_iter().filter_map(|key| observe(key, home).ok());
    Ok(found.filter(|facts| facts.head().is_some_and(Head::is_hotpool)).collect())
}

/// Removes the pool whose base is under `key`, with its blocks and semaphores.
///
/// With `dry_run` it only returns what it would remove. It finds blocks by the identity of the
/// pool, which each of them stores. It removes a single block if the block has no base, or if its
/// base has given it up.
///
/// # Errors
///
/// Refuses a pool with a live owner, and every segment that does not begin with a magic word of
/// hotpool.
pub fn remove_pool(key: Key, home: &Home, dry_run: bool) -> Result<Removal, ShareError> {
    let backend = home.open();
    try_remove(key, home, &*backend, dry_run).map_err(|error| error.at(&*backend))
}

fn try_remove(key: Key, home: &Home, backend: &dyn Backend, dry_run: bool) -> Result<Removal, ShareError> {
    let pool = observe_pool(key, home).map_err(system(key, 0, "inspect"))?;
    let facts = pool.base;
    if let Some(head) = facts.head().filter(|head| is_complete_block(head)) {
        return remove_block(backend, home, &facts, head, dry_run);
    }
    let blocks = removable(backend, home, &facts)?;
    if let Some(writers) = pool.rivals {
        let (id, attached) =
            facts.segment.as_ref().map_or((0, None), |segment| (segment.id, segment.attached));
        let observers = facts.lock.observers();
        return Err(OwnerError::Attached { key, id, writers, attached, observers, waited_ms: 0 }.into());
    }
    let keeps_set = another_has(home, key);
    let mut removed = plan(&facts, &blocks);
    removed.retain(|thing| !keeps_set || !matches!(thing, Removed::Semaphores { .. }));
    if !dry_run && !removed.is_empty() {
        remove(backend, &facts, &blocks, keeps_set)?;
    }
    Ok(Removal { removed, dry_run })
}

/// Returns the blocks of a pool that may be removed, or the refusal.
fn removable(backend: &dyn Backend, home: &Home, facts: &Facts) -> Result<Vec<Facts>, ShareError> {
    match (facts.verdict(), facts.head()) {
        (Verdict::Absent, _) => Ok(Vec::new()),
        (verdict @ (Verdict::Foreign { .. } | Verdict::Busy { .. } | Verdict::Dying), _) => {
            Err(refused(verdict, facts.clone()))
        }
        // An empty file, or memory that its creator has not sized: it holds no data of anyone.
        (Verdict::Unfinished, None) => Ok(Vec::new()),
        (Verdict::Unfinished, Some(head)) if head.restoring && head.sound => blocks_of(backend, home, head),
        // All zeros, under the key of owner semaphores made by hotpool.
        (Verdict::Unfinished, Some(_)) => Ok(Vec::new()),
        (_, Some(head)) if head.is_hotpool() && head.sound => blocks_of(backend, home, head),
        // The identity in a damaged head cannot be trusted, so its blocks stay.
        (_, Some(head)) if head.is_hotpool() => Ok(Vec::new()),
        (verdict, _) => Err(refused(verdict, facts.clone())),
    }
}

/// Returns the blocks of a pool: those that its base names, and those with its identity that no
/// base names.
///
/// Blocks of other pools are not attached.
fn blocks_of(backend: &dyn Backend, home: &Home, base: &Head) -> Result<Vec<Facts>, ShareError> {
    let listing = list_pools(home).map_err(system(Key(0), 0, "list"))?;
    let strays =
        listing.strays.iter().map(|stray| &stray.facts).chain(&listing.unnamed).map(|block| block.key);
    let keys: BTreeSet<Key> = base.blocks.iter().map(|block| block.key).chain(strays).collect();
    let want = || Want { kind: Some(BLOCK_KIND), pool_id: Some(base.pool_id), ..Want::default() };
    let found = keys.into_iter().filter_map(|key| Facts::collect(backend, key, want(), LockFacts::None).ok());
    Ok(found.filter(|facts| facts.head().is_some_and(|head| belongs(head, base.pool_id))).collect())
}

/// Removes a block that no pool has any more.
fn remove_block(
    backend: &dyn Backend,
    home: &Home,
    facts: &Facts,
    head: &Head,
    dry_run: bool,
) -> Result<Removal, ShareError> {
    let base = base_of(home, head.pool_id)?;
    let given_up = |base: &Head| base.blocks.iter().any(|block| block.key == facts.key && block.vacant);
    if base.as_ref().and_then(Facts::head).is_some_and(|base| !given_up(base)) {
        return Err(not_a_base(home, facts.key, head));
    }
    refuse_rivals(backend, facts)?;
    let removed = plan(facts, &[]);
    if !dry_run {
        // While this process holds the lock of the base, no start can take the block back.
        let lock = match &base {
            Some(base) => Some(OwnerLock::take_of(backend.kind(), base.key, 0o600, Whose::Any, Wait::ms(0))?),
            None => None,
        };
        if let Some(lock) = &lock {
            lock.lock_base(backend, Wait::ms(0))?;
        }
        remove_if(backend, facts.key, |now| belongs(now, head.pool_id))?;
        drop(lock);
    }
    Ok(Removal { removed, dry_run })
}

/// Returns the base of a pool, found by its identity.
fn base_of(home: &Home, pool_id: [u64; 2]) -> Result<Option<Facts>, ShareError> {
    let listing = list_pools(home).map_err(system(Key(0), 0, "list"))?;
    Ok(listing.base_of(pool_id).map(|pool| pool.base.clone()))
}

/// Refuses a segment that a rival has attached. Tools do not count.
pub(super) fn refuse_rivals(backend: &dyn Backend, facts: &Facts) -> Result<(), ShareError> {
    if facts.segment.is_none() || backend.kind() == BackendKind::Heap {
        return Ok(());
    }
    let found = rivals::find(backend, facts.key, &mut || rivals::count(backend, facts.key));
    match found.map_err(system(facts.key, 0, "inspect"))? {
        None => Ok(()),
        Some(rivals) => Err(ShareError::Owner(rivals.refusal(facts.key, 0))),
    }
}

fn belongs(head: &Head, pool_id: [u64; 2]) -> bool {
    head.is_hotpool() && head.sound && head.kind == BLOCK_KIND && head.pool_id == pool_id
}

fn plan(facts: &Facts, blocks: &[Facts]) -> Vec<Removed> {
    let segment = |facts: &Facts| {
        let block = facts.head().filter(|head| head.kind == BLOCK_KIND).map(|head| head.index);
        Some(Removed::Segment { key: facts.key, bytes: facts.segment.as_ref()?.bytes, block })
    };
    let set = matches!(facts.lock, LockFacts::Free { .. }).then_some(Removed::Semaphores { key: facts.key });
    blocks.iter().chain([facts]).filter_map(segment).chain(set).collect()
}

/// Returns whether another backend has a pool under the key, which shares its owner semaphores.
fn another_has(home: &Home, key: Key) -> bool {
    let shared =
        [BackendKind::Sysv, BackendKind::Posix].into_iter().filter(|_| home.backend != BackendKind::Heap);
    shared.filter(|other| *other != home.backend).any(|backend| {
        let found = observe(key, &Home { backend, ..Home::sysv() });
        found.is_ok_and(|found| found.head().is_some_and(Head::is_hotpool))
    })
}

/// Removes the pool as its owner, so that no other owner can exist meanwhile.
fn remove(backend: &dyn Backend, facts: &Facts, blocks: &[Facts], keeps_set: bool) -> Result<(), ShareError> {
    let key = facts.key;
    let wait = Wait::ms(0);
    let lock = OwnerLock::take_of(backend.kind(), key, 0o600, Whose::Any, wait)?;
    fence::wait_for_rivals(backend, key, &lock, wait)?;
    let is_hotpool = facts.head().is_some_and(Head::is_hotpool);
    if let (Some(segment), Verdict::Unfinished, false) = (&facts.segment, facts.verdict(), is_hotpool) {
        // It holds nothing but zeros, and the semaphores show that hotpool made it.
        backend.remove(key, segment).map_err(system(key, segment.bytes.0, "remove"))?;
        lock.remove();
        return Ok(());
    }
    if let (Some(segment), Some(head)) = (&facts.segment, facts.head()) {
        let base =
            backend.attach(key, segment, Access::Write).map_err(system(key, segment.bytes.0, "attach"))?;
        let now = Head::read(&base.region());
        if now.is_none_or(|now| now.magic != head.magic || now.pool_id != head.pool_id) {
            return Err(system(key, segment.bytes.0, "remove")(super::backend::replaced()));
        }
        making::mark_gone(&base.region());
    }
    if planted(Mutant::RmTakesBaseFirst) {
        remove_if(backend, key, |head| head.magic == MAGIC_GONE)?;
    }
    for block in blocks {
        let Some(id) = block.head().map(|head| head.pool_id) else { continue };
        remove_if(backend, block.key, |head| belongs(head, id))?;
    }
    let restored = facts.head().filter(|head| head.restoring && head.sound);
    for (head, block) in restored.iter().flat_map(|head| head.blocks.iter().map(move |block| (head, block))) {
        if block.key.0 != 0 {
            remains::remove_empty(backend, block.key, head)?;
        }
    }
    remove_if(backend, key, |head| head.magic == MAGIC_GONE)?;
    if !keeps_set {
        lock.remove();
    }
    Ok(())
}
