//! What a killed restore of a set has left, and its removal by the next start.
//!
//! `restoring.rs` has the steps of a restore. It names its blocks in the draft of its base, before it
//! creates them, and all its segments have an identity that no other pool has. So what it has left is
//! found, and nothing else is taken for it. The blocks go first and the base last, so a kill meanwhile
//! changes nothing.

use super::backend::Backend;
use super::error::{ShareError, system};
use super::facts::{Facts, Want};
use super::ground::Ground;
use super::head::Head;
use super::lock_facts::LockFacts;
use super::manager::remove_if;
use super::verdict::Verdict;
use crate::layout::{BASE_KIND, BLOCK_KIND, MAGIC_MAKING};
use crate::sys::sysv;
use crate::units::{Bytes, Key, plural};

/// Returns the head of a base that a killed restore has left.
pub(super) fn remains(facts: &Facts) -> Option<&Head> {
    let of_a_creation = matches!(
        facts.verdict(),
        Verdict::Unfinished | Verdict::WrongSize { .. } | Verdict::WrongMode { .. }
    );
    let head = facts.head().filter(|_| of_a_creation)?;
    let is_ours = head.restoring && head.sound && head.key == facts.key;
    (is_ours && head.magic == MAGIC_MAKING && head.kind == BASE_KIND).then_some(head)
}

/// Removes the segment under a key that the draft names, if it is the beginning of a creation: the
/// restore was killed before the block had an identity. A start would go on with such a segment.
pub(super) fn remove_empty(backend: &dyn Backend, key: Key, base: &Head) -> Result<bool, ShareError> {
    let unknown = |call| system(key, 0, call);
    let want = Want { kind: Some(BLOCK_KIND), bytes: Some(Bytes(base.block_bytes)), ..Want::default() };
    let facts = Facts::collect(backend, key, want, LockFacts::None).map_err(unknown("inspect"))?;
    let is_nameless = facts.head().is_none_or(|head| head.blank || !head.sound);
    let segment =
        facts.segment.as_ref().filter(|segment| !segment.removed && segment.uid == sysv::effective_uid());
    match segment.filter(|_| is_nameless && facts.verdict() == Verdict::Unfinished) {
        Some(segment) => backend.remove(key, segment).map_err(unknown("remove")).map(|()| true),
        None => Ok(false),
    }
}

/// Removes what a killed restore has left: the blocks that its base names, then the base.
///
/// The caller holds the owner lock.
pub(super) fn sweep(ground: &Ground, head: &Head) -> Result<(), ShareError> {
    let (backend, pool_id) = (&*ground.backend, head.pool_id);
    let mut blocks = 0;
    for block in head.blocks.iter().filter(|block| block.key.0 != 0) {
        let ours = |head: &Head| head.pool_id == pool_id && head.kind == BLOCK_KIND && head.sound;
        blocks += u64::from(remove_if(backend, block.key, ours)? || remove_empty(backend, block.key, head)?);
    }
    remove_if(backend, ground.key, |head| head.pool_id == pool_id && head.restoring)?;
    log::warn!(
        "{}: an earlier restore was interrupted; its base and {} held nothing and were removed",
        ground.key,
        plural(blocks, "block")
    );
    Ok(())
}
