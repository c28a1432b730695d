//! Describes the blocks and types of a pool as its base records them, without a store.
//!
//! The base is input: whatever it holds, the copy ends and reads only inside the mapping.
//! `describe` does not check whether the facts fit together; `verify` does.

use crate::layout::{BLOCK_VACANT, Broken, ExtentKind, TypeInfo};
use crate::limits;
use crate::object::StoredField;
#[cfg(feature = "schemas")]
use crate::object::{Schemas, TypeSchema};
use crate::pool::store::base::Base;
use crate::pool::store::extent_table::Reading;
use crate::pool::store::gaps::Gaps;
use crate::pool::store::named_header::named_header;
use crate::pool::store::slot::Slot;
use crate::pool::store::{schema_texts, shape};
use crate::share::{Facts, Home, Observed, PageKind, ShareError, Verdict};
use crate::units::{Bytes, Key};
use std::collections::{BTreeMap, BTreeSet};

/// Reasons why a pool cannot be described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// The base cannot be attached, or has another layout.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The base holds bytes that no pool has.
    #[error("the base segment under {key} is damaged: {what}")]
    Corrupt {
        /// Segment key of the base.
        key: Key,
        /// Rule that the bytes break.
        what: &'static str,
    },
}

/// A pool as its base describes it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Header of the base, its owner, and the facts that the system reports.
    pub facts: Facts,
    /// Kind of the base's pages; `None` if the system does not report it.
    pub base_pages: Option<PageKind>,
    /// Size of every block.
    pub block_bytes: Bytes,
    /// Number of extents in use.
    pub extents: u64,
    /// Number of starts that found the pool closed.
    pub starts_clean: u64,
    /// Number of starts that found that the last owner had died.
    pub starts_crashed: u64,
    /// Blocks in the order of their numbers.
    pub blocks: Vec<BlockShape>,
    /// Types in the order in which they were added.
    pub types: Vec<TypeShape>,
}

/// A block as the base describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Block number.
    pub index: u32,
    /// Segment key.
    pub key: Key,
    /// Whether the block was given up while it was empty.
    pub vacant: bool,
    /// Number of extents in the block.
    pub extents: u64,
    /// Bytes allocated to extents, including alignment gaps between them.
    pub taken: Bytes,
    /// Bytes that no extent has; 0 if the block was given up.
    pub free: Bytes,
}

/// A type as the base describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeShape {
    /// Type number.
    pub id: u16,
    /// Name of the type.
    pub name: String,
    /// Rule that the entry breaks; `None` if it breaks none. The other fields are unreliable if it
    /// does.
    pub problem: Option<&'static str>,
    /// Whether objects have a user key.
    pub keyed: bool,
    /// Size of an object in bytes.
    pub object_bytes: u64,
    /// Bytes from one slot to the next.
    pub stride: u64,
    /// Alignment of an object in bytes.
    pub align: u32,
    /// Fingerprint of the fields.
    pub fingerprint: u64,
    /// Number of live objects.
    pub live: u64,
    /// Number of slots that have been used at least once.
    pub high_water: u64,
    /// Number of slots that have memory.
    pub capacity: u64,
    /// Number of retired slots.
    pub retired: u64,
    /// Number of extents of slots.
    pub slot_extents: u64,
    /// Number of extents of the index.
    pub index_extents: u64,
    /// Bytes of all extents.
    pub bytes: u64,
    /// Number of groups of the index in use.
    pub groups: u64,
    /// Bytes of the schema text; 0 if it was not kept.
    pub schema_bytes: u32,
    /// Fields of an object from the schema text; `None` if the text was not kept or is damaged.
    pub fields: Option<Vec<StoredField>>,
}

#[cfg(feature = "schemas")]
impl Description {
    /// Returns the schemas of the types whose fields are stored, as a program prints its own.
    pub fn schemas(&self) -> Schemas {
        let mut schemas = Schemas::new();
        schemas.types.extend(self.types.iter().filter_map(TypeShape::schema));
        schemas
    }
}

#[cfg(feature = "schemas")]
impl TypeShape {
    fn schema(&self) -> Option<TypeSchema> {
        let fields = self.fields.clone().filter(|_| self.problem.is_none())?;
        Some(TypeSchema {
            id: self.id,
            name: self.name.clone(),
            keyed: self.keyed,
            bytes: self.object_bytes,
            align: self.align,
            fingerprint: self.fingerprint,
            removed: Vec::new(),
            fields: fields.into_iter().map(Into::into).collect(),
            functions: Vec::new(),
        })
    }
}

/// Reads what the base under `key` records about its pool.
///
/// The base is attached for reading, as an observer, and nothing is stored. Of the blocks, only
/// those with the named slot of a type are attached. If an owner is running meanwhile, the numbers
/// are from slightly different moments.
///
/// # Errors
///
/// Fails if there is no pool of this layout under the key, if it may not be read, or if the base is
/// damaged.
pub fn describe_pool(key: Key, home: &Home) -> Result<Description, DescribeError> {
    Observed::steadily(key, home, |observed| describe_observed(key, observed))
}

pub(super) fn describe_observed(key: Key, observed: &mut Observed) -> Result<Description, DescribeError> {
    let facts = observed.facts().clone();
    let verdict = facts.verdict();
    if let Verdict::Incompatible { .. } = verdict {
        return Err(ShareError::Refused { verdict, facts: Box::new(facts) }.into());
    }
    let base =
        Base::find(observed.base()).map_err(|what| DescribeError::Corrupt { key, what: what.as_str() })?;
    let base_pages = observed.base_pages().ok().map(|pages| pages.kind);
    let mut blocks = BTreeMap::new();
    let mut lives = |info: &TypeInfo| {
        let mut block = |key: Key| *blocks.entry(key).or_insert_with(|| observed.block(key).ok());
        named_header(&base, info, &mut block).is_some_and(Slot::is_live)
    };
    Ok(Description { base_pages, ..describe(&base, facts, &mut lives) })
}

fn describe(base: &Base, facts: Facts, lives: &mut dyn FnMut(&TypeInfo) -> bool) -> Description {
    let sums = Sums::of(base);
    let mut seen = BTreeSet::new();
    Description {
        facts,
        base_pages: None,
        block_bytes: Bytes(base.block_bytes()),
        extents: base.header.nextents.load(),
        starts_clean: base.header.starts_clean.load(),
        starts_crashed: base.header.starts_crashed.load(),
        blocks: blocks(base, &sums),
        types: base
            .used_types()
            .filter(|info| seen.insert(info.id.load()))
            .map(|info| type_shape(base, &info, &sums, lives(&info)))
            .collect(),
    }
}

/// The sums over the table of extents, computed in one pass.
#[derive(Default)]
struct Sums {
    /// For each block: number of extents, and end of the last one.
    blocks: BTreeMap<u32, (u64, u64)>,
    /// Free bytes between extents; none if the table is damaged.
    gaps: Gaps,
    /// For each form of a type, separately for slots and index: number of extents, and their bytes.
    types: BTreeMap<(u16, bool), (u64, u64)>,
}

impl Sums {
    fn of(base: &Base) -> Self {
        let exists = vec![true; base.nblocks()];
        let gaps = Reading::new(base, &base.owners(), &exists).read().map(|loaded| loaded.gaps);
        let mut sums = Sums { gaps: gaps.unwrap_or_default(), ..Sums::default() };
        let count = (base.header.nextents.load() as usize).min(base.extents.len());
        for rec in (0..count).filter_map(|number| base.extents.get(number)) {
            let (offset, bytes) = (rec.offset.load(), rec.bytes.load());
            if rec.is_free() {
                continue;
            }
            let (extents, end) = sums.blocks.entry(rec.block.load()).or_default();
            *extents += 1;
            *end = (*end).max(offset.saturating_add(bytes));
            let Some((place, kind)) = rec.parse_owner() else { continue };
            let (extents, sum) = sums.types.entry((place, kind == ExtentKind::Index)).or_default();
            *extents += 1;
            *sum = sum.saturating_add(bytes);
        }
        sums
    }
}

fn blocks(base: &Base, sums: &Sums) -> Vec<BlockShape> {
    let room = base.block_bytes().saturating_sub(limits::PAGE);
    let numbered = (0u32..).zip((0..base.nblocks()).filter_map(|number| base.blocks.get(number)));
    numbered
        .map(|(index, block)| {
            let (extents, end) = sums.blocks.get(&index).copied().unwrap_or_default();
            let between = sums.gaps.bytes_before(index, end);
            let taken = end.saturating_sub(limits::PAGE).saturating_sub(between).min(room);
            let vacant = block.state.load() == BLOCK_VACANT;
            BlockShape {
                index,
                key: Key(block.key.load()),
                vacant,
                extents,
                taken: Bytes(taken),
                free: Bytes(if vacant { 0 } else { room - taken }),
            }
        })
        .collect()
}

fn type_shape(base: &Base, info: &TypeInfo, sums: &Sums, lives: bool) -> TypeShape {
    // A number that is no type number fits no entry, which `check` reports.
    let id = u16::try_from(info.id.load()).unwrap_or(0);
    let of = |index| sums.types.get(&(info.place(), index)).copied().unwrap_or_default();
    let ((slot_extents, slot_bytes), (index_extents, index_bytes)) = (of(false), of(true));
    let slots = 1u64.checked_shl(info.shift.load()).unwrap_or(0);
    TypeShape {
        id,
        name: info.name(),
        problem: shape::check(info, info.place(), base.block_bytes()).err().map(Broken::as_str),
        keyed: info.keyed(),
        object_bytes: info.size.load(),
        stride: info.stride.load(),
        align: info.align.load(),
        fingerprint: info.fingerprint.load(),
        live: info.len(lives),
        high_water: info.high_water.load(),
        capacity: slot_extents.saturating_mul(slots).min(limits::MAX_SLOTS.into()),
        retired: info.retired.load() >> 32,
        slot_extents,
        index_extents,
        bytes: slot_bytes.saturating_add(index_bytes),
        groups: info.groups.load(),
        schema_bytes: info.schema_len.load(),
        fields: schema_texts::read(base, info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryPoolMgr;
    use crate::conf::{BackendKind, ProcessConf};
    use crate::object::PoolObject;
    use crate::share::observe;
    use crate::word::Word;

    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, PoolObject)]
    #[pool(id = 3, keyed)]
    struct Player {
        uid: u64,
        hp: u32,
        level: u32,
    }

    fn pool(key: u32) -> MemoryPoolMgr {
        let mut conf = ProcessConf::new("zone", Key(key), Bytes(64 << 10), &[Key(key + 1), Key(key + 2)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Player>().unwrap();
        pool
    }

    fn facts(key: u32) -> Facts {
        observe(Key(key), &Home { backend: BackendKind::Heap, ..Home::sysv() }).unwrap()
    }

    #[test]
    fn what_the_base_says_is_copied() {
        let mut pool = pool(0x0d00_0001);
        for uid in 1..=5 {
            pool.alloc_keyed(uid, Player { uid, hp: 1, level: 2 }).unwrap();
        }
        let told = describe(&pool.base, facts(0x0d00_0001), &mut |_| true);
        let [player] = &told.types[..] else { panic!("{told:?}") };
        assert_eq!((player.id, player.name.as_str(), player.keyed), (3, "player", true));
        assert_eq!((player.problem, player.object_bytes, player.live, player.retired), (None, 16, 5, 0));
        assert!(player.stride >= 16 && player.high_water >= 5 && player.capacity >= player.high_water);
        assert!(player.slot_extents > 0 && player.index_extents > 0 && player.groups > 0);
        let names: Vec<_> =
            player.fields.iter().flatten().map(|field| (field.offset, &*field.name)).collect();
        assert_eq!(names, [(0, "uid"), (8, "hp"), (12, "level")]);
        let taken: u64 = told.blocks.iter().map(|block| block.taken.0).sum();
        assert!(taken >= player.bytes && player.bytes > 0, "{told:?}");
        for block in &told.blocks {
            assert_eq!(block.taken.0 + block.free.0, (64 << 10) - limits::PAGE);
        }
        assert_eq!(told.blocks.iter().map(|block| block.extents).sum::<u64>(), told.extents);
    }

    /// Returns a word that drives arithmetic to its limits, or a random one.
    fn word(random: &mut fastrand::Rng) -> u64 {
        match random.u32(..4) {
            0 => u64::MAX,
            1 => 1 << random.u32(..64),
            2 => random.u64(..5000),
            _ => random.u64(..),
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let key = 0x0d00_0011;
        let pool = pool(key);
        let region = pool.base.region;
        let words = region.table::<Word>(0, region.len() / 8).unwrap();
        let kept: Vec<u64> = (0..words.len()).map(|n| words.get(n).unwrap().load()).collect();
        let facts = facts(key);
        let mut random = fastrand::Rng::with_seed(7);
        let mut described = 0;
        for round in 0..120 {
            // Past the geometry, whose checksum would stop the test: the first tables, more, or
            // all.
            let ends = [0x3000, 0x10_0000, region.len()];
            for _ in 0..random.usize(1..200) {
                let at = random.u64(32..ends[round % 3] / 8) as usize;
                words.get(at).unwrap().store(word(&mut random));
            }
            let header = &pool.base.header;
            header.ntypes.store(random.u64(..1024));
            header.nblocks.store(random.u64(..=4096));
            header.nextents.store(random.u64(..=65536));
            if let Ok(base) = Base::find(region) {
                let told = describe(&base, facts.clone(), &mut |_| true);
                described += usize::from(!told.types.is_empty());
            }
        }
        assert!(described > 60, "{described}");
        for (at, word) in kept.into_iter().enumerate() {
            words.get(at).unwrap().store(word);
        }
    }
}
