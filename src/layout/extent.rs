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

/// One entry of the table of extents: a run of bytes in a block that belongs to one type, or the
/// beginning of free bytes.
///
/// The table only grows: an entry is written past `nextents`, then `nextents` is stored. An entry of
/// free bytes may become that of an extent, by a store to `owner`.
#[repr(C)]
#[derive(Debug)]
pub struct ExtentRec {
    /// Position of the entry of the type, with bit 16 set if the extent belongs to its index; or
    /// bit 17 alone for free bytes, which reach to the next entry of the block.
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
/// The `owner` word of free bytes.
pub(crate) const FREE: u32 = 1 << 17;

impl ExtentRec {
    /// Returns the `owner` word of an extent of the form at `place` of the table of types.
    pub(crate) fn owner_word(place: u16, kind: ExtentKind) -> u32 {
        u32::from(place) | if kind == ExtentKind::Index { INDEX } else { 0 }
    }

    /// Returns whether free bytes begin here.
    pub fn is_free(&self) -> bool {
        self.owner.load() == FREE
    }

    /// Returns the position of the type's entry and the kind in `owner`; `None` if the word encodes no such pair.
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
