//! The slot of a type that changed last, found by the table of extents alone.

use crate::layout::TypeInfo;
use crate::pool::store::base::Base;
use crate::pool::store::shape;
use crate::region::Region;
use crate::units::Key;
use crate::word::Word;

/// Returns the header of the named slot of a type. `block` attaches only the block of that slot.
pub(crate) fn named_header(
    base: &Base,
    info: &TypeInfo,
    block: &mut dyn FnMut(Key) -> Option<Region>,
) -> Option<u64> {
    let (index, shift) = (info.named()?, info.shift.load());
    let (owner, ordinal) = (u32::from(info.place()), index.checked_shr(shift)?);
    let count = (base.header.nextents.load() as usize).min(base.extents.len());
    let records = (0..count).filter_map(|number| base.extents.get(number));
    let rec = { records }.find(|rec| rec.owner.load() == owner && rec.ordinal.load() == ordinal)?;
    let region = block(Key(base.blocks.get(rec.block.load() as usize)?.key.load()))?;
    let offset = shape::slot_offset(info, rec.offset.load(), index)?;
    region.at::<Word>(offset).ok().map(|header| header.load())
}
