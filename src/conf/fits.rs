//! Whether the types of the ini can fit the blocks of the ini.
//!
//! Only what no program could make fit is refused here. What a type really takes is known
//! when it is added, and checked there again.

use super::problem::ProblemKind;
use super::process::TypeConf;
use crate::limits::PAGE;
use crate::units::{Bytes, round_up};

/// The most bytes of a slot before its object: the handle word and a user key.
const SLOT_HEAD_MOST: u64 = 16;
/// The least: the handle word.
const SLOT_HEAD_LEAST: u64 = 8;

/// The smallest block that holds one object: the page of the block's header, the page of
/// the map of its slots, and a slot in whole pages. `None` where that overflows.
fn block_for(object: u64) -> Option<u64> {
    round_up(object.checked_add(SLOT_HEAD_MOST)?, PAGE)?.checked_add(2 * PAGE)
}

/// What is wrong with objects of this size in blocks of that size.
pub(super) fn object(object: Bytes, block: Bytes) -> Option<ProblemKind> {
    let needed = Bytes(block_for(object.0).unwrap_or(u64::MAX));
    (needed > block).then_some(ProblemKind::BlockTooSmall { object, needed, block })
}

/// What is wrong with the sum of all types. Types whose size the ini does not say count nothing.
pub(super) fn total(types: &[TypeConf], block: Bytes, blocks: usize) -> Option<ProblemKind> {
    let least = |t: &TypeConf| {
        let slot = round_up(t.object_bytes?.checked_add(SLOT_HEAD_LEAST)?, 8)?;
        slot.checked_mul(t.capacity.into())
    };
    let sizes = types.iter().filter(|t| t.object_bytes.is_some());
    let needed = sizes.fold(0u64, |sum, t| sum.saturating_add(least(t).unwrap_or(u64::MAX)));
    let room = block.0.saturating_sub(PAGE).saturating_mul(blocks as u64);
    (needed > room).then_some(ProblemKind::TypesTooBig {
        needed: Bytes(needed),
        blocks,
        block,
        room: Bytes(room),
    })
}
