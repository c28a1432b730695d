//! What a base says about the bytes of its pool.

use crate::layout::{BASE_KIND, BLOCK_VACANT, MAGIC_READY, TypeInfo};
use crate::pool::start::{judging, move_aside};
use crate::pool::store::base::Base;
use crate::pool::store::extent_table::Reading;
use crate::pool::store::named_header::named_header;
use crate::pool::store::schema_texts;
use crate::pool::store::slot::Slot;
use crate::region::{At, Region};
use crate::snapshot::SetType;
use crate::units::Key;

/// A block of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) key: Key,
    /// Whether the block was given up while it was empty, so that it has no segment.
    pub(super) is_vacant: bool,
    /// Where its extents end.
    pub(super) used: u64,
    /// Whether it has an extent.
    pub(super) has_extents: bool,
}

/// A base, found and checked, and the blocks that it names.
pub(super) struct Image {
    pub(super) base: Base,
    pub(super) blocks: Vec<Block>,
}

impl Image {
    /// Reads a base; the error says what is wrong with it.
    pub(super) fn of(region: Region) -> Result<Image, String> {
        let base = Base::find(region).map_err(|broken| broken.to_string())?;
        let frozen = &base.header.frozen;
        if frozen.magic.load() != MAGIC_READY || frozen.check.load() != frozen.sum() {
            return Err("it is not complete".into());
        }
        if frozen.kind.load() != BASE_KIND || frozen.bytes.load() != region.len() {
            return Err("it is no base of this size".into());
        }
        if move_aside::is_moved(&base.header) {
            return Err("the pool was moved aside to its post-mortem keys, and holds nothing".into());
        }
        judging::table(&base)?;
        let named = (0..base.nblocks()).filter_map(|number| base.blocks.get(number));
        let named: Vec<_> =
            named.map(|block| (Key(block.key.load()), block.state.load() == BLOCK_VACANT)).collect();
        let exists: Vec<bool> = named.iter().map(|(_, vacant)| !vacant).collect();
        let loaded = Reading::new(&base, &base.owners(), &exists).read();
        let loaded = loaded.map_err(|(number, what)| format!("its extent {number} is invalid: {what}"))?;
        let taken = base.taken();
        let block = |(number, ((key, is_vacant), used)): (usize, (&(Key, bool), &u64))| Block {
            key: *key,
            is_vacant: *is_vacant,
            used: if *is_vacant { 0 } else { *used },
            has_extents: taken.of(number as u32) != 0,
        };
        let blocks = named.iter().zip(&loaded.used).enumerate().map(block).collect();
        Ok(Image { base, blocks })
    }

    /// Returns the types of the pool; `regions` are those of base and blocks.
    pub(super) fn types(&self, regions: &[Region]) -> Vec<SetType> {
        let mut block = |key: Key| {
            let number = self.blocks.iter().position(|block| block.key == key)?;
            regions.get(number + 1).copied()
        };
        let of_type = |info: At<TypeInfo>| {
            let schema = schema_texts::text(&self.base, &info).unwrap_or_default();
            let lives = named_header(&self.base, &info, &mut block).is_some_and(Slot::is_live);
            SetType::new(info.id.load(), &info.name(), info.len(lives), &schema)
        };
        self.base.used_types().map(of_type).collect()
    }
}
