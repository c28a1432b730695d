use super::record::record;
use crate::limits::LINE;
use crate::units::round_up;
use crate::word::{Half, Word};

/// What an extent holds: slots of a type, or groups of its index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtentKind {
    /// Slots of a type, preceded by their map.
    Slots,
    /// Groups of the type's index.
    Index,
}

/// One entry of the table of extents: a run of bytes in a block that belongs to one type.
///
/// The table only grows: an entry is written past `nextents`, then `nextents` is stored.
#[repr(C)]
#[derive(Debug)]
pub struct ExtentRec {
    /// Type number, with bit 16 set if the extent belongs to the type's index.
    pub owner: Half,
    /// Position of this extent among the type's extents of the same kind, from 0.
    pub ordinal: Half,
    /// Block number.
    pub block: Half,
    /// 1 if no slot was free when an alloc last searched this extent. A hint: 0 is always correct.
    pub full: Half,
    /// Offset of the first byte in the block's segment, a multiple of the cache line and of the
    /// type's alignment.
    pub offset: Word,
    /// Length in bytes, a multiple of the cache line.
    pub bytes: Word,
}

record!(ExtentRec, 32);

const INDEX: u32 = 1 << 16;

impl ExtentRec {
    /// Returns the `owner` word of an extent.
    pub(crate) fn owner_word(type_id: u16, kind: ExtentKind) -> u32 {
        u32::from(type_id) | if kind == ExtentKind::Index { INDEX } else { 0 }
    }

    /// Returns the type number and kind in `owner`; `None` if the word encodes no such pair.
    pub fn parse_owner(&self) -> Option<(u16, ExtentKind)> {
        let word = self.owner.load();
        let kind = if word & INDEX != 0 { ExtentKind::Index } else { ExtentKind::Slots };
        u16::try_from(word & !INDEX).ok().map(|id| (id, kind))
    }
}

/// Returns the bytes of the map before `1 << shift` slots of `stride` bytes, and of the whole
/// extent.
///
/// Returns `None` on overflow.
pub(crate) fn slots_extent(shift: u32, stride: u64, align: u64) -> Option<(u64, u64)> {
    let map = round_up((1u64 << shift).div_ceil(64) * 8, align.max(LINE))?;
    let slots = stride.checked_shl(shift).filter(|bytes| bytes >> shift == stride)?;
    Some((map, round_up(map.checked_add(slots)?, LINE)?))
}
