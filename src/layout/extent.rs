use super::record;
use crate::limits::LINE;
use crate::units::round_up;
use crate::word::{Half, Word};

/// What an extent holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtentKind {
    /// Slots of a type, with their map in front.
    Slots,
    /// Groups of a type's index.
    Index,
}

/// A run of pages of one block that belongs to one type. The table only grows: an
/// entry is written beyond `nextents`, then `nextents` is stored.
#[repr(C)]
#[derive(Debug)]
pub struct ExtentRec {
    /// Number of the type, and bit 16 set for an extent of its index.
    pub owner: Half,
    /// Counts the extents of this kind of this type from 0.
    pub ordinal: Half,
    /// Number of the block.
    pub block: Half,
    /// 1: no slot was free when last looked at. A hint: 0 is always right.
    pub full: Half,
    /// First byte in the block's segment, a multiple of the page.
    pub offset: Word,
    /// Length in bytes, a multiple of the page.
    pub bytes: Word,
}

record!(ExtentRec, 32);

const INDEX: u32 = 1 << 16;

impl ExtentRec {
    /// The `owner` word.
    pub(crate) fn owner_word(type_id: u16, kind: ExtentKind) -> u32 {
        u32::from(type_id) | if kind == ExtentKind::Index { INDEX } else { 0 }
    }

    /// Type and kind, `None` if the word is no such pair.
    pub fn parse_owner(&self) -> Option<(u16, ExtentKind)> {
        let word = self.owner.load();
        let kind = if word & INDEX != 0 { ExtentKind::Index } else { ExtentKind::Slots };
        u16::try_from(word & !INDEX).ok().map(|id| (id, kind))
    }
}

/// Bytes of the map in front of `1 << shift` slots of `stride` bytes, and of the whole extent; `None` if that overflows.
pub(crate) fn slots_extent(shift: u32, stride: u64, align: u64) -> Option<(u64, u64)> {
    let map = round_up((1u64 << shift).div_ceil(64) * 8, align.max(LINE))?;
    let slots = stride.checked_shl(shift).filter(|bytes| bytes >> shift == stride)?;
    Some((map, round_up(map.checked_add(slots)?, LINE)?))
}
