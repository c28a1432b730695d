//! Checks whether the types of the ini can fit the blocks of the ini.
//!
//! Only what no program could make fit is refused here. The exact size of a type is known when it
//! is added, and is checked again then.

use super::problem::ProblemKind;
use super::process::TypeConf;
use crate::layout::slots_extent;
use crate::limits::PAGE;
use crate::units::{Bytes, round_up};

/// Fewest bytes of a slot before its object: the slot header.
const SLOT_HEAD_LEAST: u64 = 8;

/// Returns the bytes of the smallest block for one object: the block's header page and an extent of
/// one slot.
///
/// Returns `None` on overflow.
fn block_for(object: u64) -> Option<u64> {
    let stride = round_up(object.checked_add(SLOT_HEAD_LEAST)?, 8)?;
    let (_map, extent) = slots_extent(0, stride, 8)?;
    round_up(extent.checked_add(PAGE)?, PAGE)
}

/// Checks whether objects of this size fit blocks of that size.
pub(super) fn object(object: Bytes, block: Bytes) -> Option<ProblemKind> {
    let needed = Bytes(block_for(object.0).unwrap_or(u64::MAX));
    (needed > block).then_some(ProblemKind::BlockTooSmall { object, needed, block })
}

/// Checks whether all types fit the blocks. Types whose object size the ini does not state count as
/// 0.
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
