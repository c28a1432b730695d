//! What a killed restore of a set has left, and its removal by the next start.
//!
//! `restoring.rs` has the steps of a restore. It names its blocks in the draft of its base, before it
//! creates them, and all its segments have an identity that no other pool has. So what it has left is
//! found, and nothing else is taken for it. The blocks go first and the base last, so a kill meanwhile
//! changes nothing.

use super::error::ShareError;
use super::facts::Facts;
use super::ground::Ground;
use super::head::Head;
use super::manager::remove_if;
use super::verdict::Verdict;
use crate::layout::{BASE_KIND, BLOCK_KIND, MAGIC_MAKING};
use crate::units::plural;

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

/// Removes what a killed restore has left: the blocks that its base names, then the base.
///
/// The caller holds the owner lock.
pub(super) fn sweep(ground: &Ground, head: &Head) -> Result<(), ShareError> {
    let (backend, pool_id) = (&*ground.backend, head.pool_id);
    let mut blocks = 0;
    for block in head.blocks.iter().filter(|block| block.key.0 != 0) {
        let ours = |head: &Head| head.pool_id == pool_id && head.kind == BLOCK_KIND && head.sound;
        blocks += u64::from(remove_if(backend, block.key, ours)?);
    }
    remove_if(backend, ground.key, |head| head.pool_id == pool_id && head.restoring)?;
    log::warn!(
        "{}: an earlier restore was interrupted; its base and {} held nothing and were removed",
        ground.key,
        plural(blocks, "block")
    );
    Ok(())
}
