//! Judges what a start finds before its first store: the blocks of the pool, and segments under new
//! keys.

use crate::conf::ProcessConf;
use crate::layout::{BLOCK_ACTIVE, BLOCK_VACANT, Broken, ExtentKind};
use crate::limits;
use crate::pool::error::PoolError;
use crate::pool::start::agree;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::Space;
use crate::pool::store::shape::{self, TypeSet};
use crate::region::Region;
use crate::share::{
    BlockWant, Facts, Home, Judged, PoolSegments, Prospect, ShareError, Standing, Verdict, orphans,
};
use crate::units::{Bytes, Key};
use std::cell::LazyCell;
use std::collections::HashSet;

/// The blocks of a pool.
pub(crate) struct Blocks {
    /// Complete blocks, in their order.
    pub(crate) complete: Vec<Judged>,
    /// Regions by block number; `None` for a block that is not part of the pool, or that does not
    /// exist yet.
    pub(crate) regions: Vec<Option<Region>>,
    /// Empty blocks that become part of the pool again.
    pub(crate) pending: Vec<Pending>,
}

/// A block to be attached or created.
pub(crate) struct Pending {
    pub(crate) want: BlockWant,
    pub(crate) judged: Judged,
}

/// Checks the table of blocks; the error names the rule that is broken.
pub(crate) fn table(base: &Base) -> Result<(), String> {
    let mut keys = Vec::with_capacity(base.nblocks());
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        if block.index.load() as usize != number {
            return Err(format!("block {number} has the block number {}", block.index.load()));
        }
        if ![BLOCK_ACTIVE, BLOCK_VACANT].contains(&block.state.load()) {
            return Err(format!("block {number} has the state {}, which is invalid", block.state.load()));
        }
        keys.push(block.key.load());
    }
    keys.sort_unstable();
    let twice = keys.windows(2).find_map(|pair| pair.first().filter(|key| pair.last() == Some(key)));
    match (twice, keys.first()) {
        (Some(0), _) | (None, Some(0)) => Err("a block has the segment key 0".into()),
        (Some(key), _) => Err(format!("two blocks have the segment key {}", Key(*key))),
        _ => Ok(()),
    }
}

/// Judges every block of the pool.
pub(crate) fn blocks(conf: &ProcessConf, base: &Base, prospect: &Prospect) -> Result<Blocks, PoolError> {
    let mut found = Blocks { complete: Vec::new(), regions: Vec::new(), pending: Vec::new() };
    let keys: HashSet<u32> = conf.shm_keys.iter().map(|key| key.0).collect();
    let taken = LazyCell::new(|| base.taken());
    let taken = |number| taken.of(number);
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        let key = Key(block.key.load());
        let is_named = keys.contains(&key.0);
        let want =
            BlockWant { key, index: number as u32, bytes: base.block_bytes(), pool_id: prospect.pool_id() };
        let judged = match (block.state.load() == BLOCK_VACANT, is_named) {
            (true, false) => None,
            // The block is empty: if its segment was removed meanwhile, a new one replaces it.
            (true, true) => Some(prospect.judge_new(&want)?),
            (false, true) => Some(named(&taken, prospect, &want)?),
            (false, false) => unnamed(conf, &taken, prospect, &want)?,
        };
        found.regions.push(judged.as_ref().and_then(Judged::region));
        match judged {
            Some(judged) if judged.standing() == Standing::Complete => found.complete.push(judged),
            Some(judged) => found.pending.push(Pending { want, judged }),
            None => {}
        }
    }
    Ok(found)
}

/// Judges a block that the ini names. A missing one is created again if it has no extent.
fn named(taken: &dyn Fn(u32) -> u64, prospect: &Prospect, want: &BlockWant) -> Result<Judged, PoolError> {
    match prospect.judge_block(want) {
        Ok(judged) if judged.standing() == Standing::Complete => Ok(judged),
        Ok(judged) if taken(want.index) == 0 => {
            log::warn!("block {} was empty and is gone: creating it again", want.key);
            Ok(judged)
        }
        Ok(judged) => {
            let mut facts = Box::new(judged.facts().clone());
            facts.want.taken = true;
            Err(ShareError::Refused { verdict: facts.verdict(), facts }.into())
        }
        Err(ShareError::Refused { verdict, mut facts }) => {
            facts.want.taken = taken(want.index) != 0;
            facts.want.empty = !facts.want.taken;
            Err(ShareError::Refused { verdict, facts }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Judges a block that the ini does not name any more, which may be missing if it has no extent.
fn unnamed(
    conf: &ProcessConf,
    taken: &dyn Fn(u32) -> u64,
    prospect: &Prospect,
    want: &BlockWant,
) -> Result<Option<Judged>, PoolError> {
    let judged = prospect.judge_block(want).ok().filter(|judged| judged.standing() == Standing::Complete);
    match taken(want.index) {
        _ if judged.is_some() => Ok(judged),
        0 => Ok(None),
        used => Err(PoolError::Disagrees(Box::new(agree::dropped(conf, want.key, used)))),
    }
}

/// Refuses files that were truncated and extended with zeros, or copied without their zeros.
///
/// All bytes that a pool has allocated were populated, so its files have no holes.
pub(crate) fn holes(
    conf: &ProcessConf,
    prospect: &Prospect,
    complete: &[Judged],
    space: &Space,
) -> Result<(), PoolError> {
    let in_block = |judged: &Judged| {
        let want = &judged.facts().want;
        let (_, end) = space.block(want.index? as usize)?;
        Some((judged.facts().key, prospect.hole_in(judged, end)?))
    };
    let in_base = prospect.hole_in_base().map(|hole| (conf.base_key, hole));
    match in_base.or_else(|| complete.iter().find_map(in_block)) {
        None => Ok(()),
        Some((key, (at, bytes))) => Err(PoolError::Hole {
            process: conf.name.clone(),
            base: conf.base_key,
            key,
            at,
            bytes: Bytes(bytes),
        }),
    }
}

/// Judges the segments under keys of the ini that the pool has not used yet.
pub(crate) fn new_keys(
    conf: &ProcessConf,
    base: &Base,
    prospect: &Prospect,
) -> Result<Vec<Pending>, PoolError> {
    let new = unused(conf, base);
    let found = base.nblocks() + new.len();
    if found > base.blocks.len() {
        let place = conf.places.shm_keys.clone();
        return Err(PoolError::TooManyBlocks { place, found, limit: limits::MAX_BLOCKS });
    }
    let bytes = base.block_bytes();
    pending(&new, base.nblocks(), bytes, prospect.pool_id(), |want| prospect.judge_new(want))
}

fn unused(conf: &ProcessConf, base: &Base) -> Vec<Key> {
    let blocks = (0..base.nblocks()).filter_map(|number| base.blocks.get(number));
    let has: HashSet<u32> = blocks.map(|block| block.key.load()).collect();
    conf.shm_keys.iter().copied().filter(|key| !has.contains(&key.0)).collect()
}

/// Judges the segments under the keys of the ini for a cold start.
pub(crate) fn all_new(conf: &ProcessConf, prospect: &Prospect) -> Result<Vec<Pending>, PoolError> {
    let judged = pending(&conf.shm_keys, 0, conf.block_size.0, [0; 2], |want| prospect.judge_new(want));
    match judged {
        Err(PoolError::Share(ShareError::Refused { verdict: Verdict::Foreign { .. }, facts }))
            if facts.head().is_some_and(|head| head.is_hotpool()) =>
        {
            Err(another_pool(conf, *facts))
        }
        judged => judged,
    }
}

/// Returns the refusal for a block of another pool, whose base exists elsewhere or was removed.
#[cold]
fn another_pool(conf: &ProcessConf, facts: Facts) -> PoolError {
    let found = orphans(&conf.shm_keys, &Home::of(conf)).unwrap_or_default();
    if found.is_empty() {
        return ShareError::Refused { verdict: facts.verdict(), facts: Box::new(facts) }.into();
    }
    let place = conf.places.section.clone();
    let blocks: Vec<Key> = found.iter().map(|facts| facts.key).collect();
    let next = match place.line {
        0 => blocks.iter().fold("hotpool rm".into(), |next: String, key| format!("{next} --key {key}")),
        _ => format!("hotpool rm --conf {} --process {}", place.file.display(), conf.name),
    };
    PoolError::Orphans { place: conf.places.shm_keys.clone(), base: conf.base_key, blocks, next }
}

/// Judges the segments under the keys of the ini for a pool that began in this start.
pub(crate) fn of_new_pool(conf: &ProcessConf, share: &PoolSegments) -> Result<Vec<Pending>, PoolError> {
    share.list_once(true);
    let judged = pending(&conf.shm_keys, 0, conf.block_size.0, share.pool_id(), |want| share.judge_new(want));
    share.list_once(false);
    judged
}

fn pending(
    keys: &[Key],
    first: usize,
    bytes: u64,
    pool_id: [u64; 2],
    judge: impl Fn(&BlockWant) -> Result<Judged, ShareError>,
) -> Result<Vec<Pending>, PoolError> {
    let want = |(number, key): (usize, &Key)| {
        let want = BlockWant { key: *key, index: (first + number) as u32, bytes, pool_id };
        judge(&want).map(|judged| Pending { want, judged })
    };
    Ok(keys.iter().enumerate().map(want).collect::<Result<_, _>>()?)
}

/// Judges the segments under the keys of the ini for a pool that begins again.
///
/// They are blocks of the old pool, complete or emptied, or segments that any new key may have.
/// Returns the keys of complete blocks that the base does not name: they are emptied, too.
pub(crate) fn again(conf: &ProcessConf, base: &Base, prospect: &Prospect) -> Result<Vec<Key>, PoolError> {
    let (bytes, pool_id) = (base.block_bytes(), prospect.pool_id());
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        let key = Key(block.key.load());
        if conf.shm_keys.contains(&key) {
            prospect.judge_block(&BlockWant { key, index: number as u32, bytes, pool_id })?;
        }
    }
    let mut uncounted = Vec::new();
    for key in unused(conf, base) {
        let want = BlockWant { key, index: 0, bytes: conf.block_size.0, pool_id };
        if prospect.judge_new(&want)?.facts().head().is_some_and(|head| head.pool_id == pool_id) {
            uncounted.push(key);
        }
    }
    Ok(uncounted)
}

/// Reads the extents of the blocks.
pub(crate) fn space(
    conf: &ProcessConf,
    base: &Base,
    regions: Vec<Option<Region>>,
) -> Result<(Space, Chains), PoolError> {
    let mut space = Space::new(base, regions, Home::of(conf));
    check_types(conf, base)?;
    let loaded = space
        .read(base, &base.owners())
        .map_err(|(number, what)| PoolError::corrupt(conf, format!("extent {number} is invalid: {what}")))?;
    let chains = space.adopt(loaded).map_err(|source| PoolError::no_zeros(conf, source))?;
    check_counts(conf, base, &chains)?;
    Ok((space, chains))
}

fn check_types(conf: &ProcessConf, base: &Base) -> Result<(), PoolError> {
    let (mut numbers, mut places) = (TypeSet::default(), TypeSet::default());
    let count = base.header.ntypes.load() as usize;
    for (number, place) in base.header.order.iter().take(count).enumerate() {
        let place = place.load();
        let found = check_type(base, place.into(), &mut numbers, &mut places);
        found.map_err(|what| {
            PoolError::corrupt(conf, format!("type {place}, added as number {number}: {what}"))
        })?;
    }
    Ok(())
}

/// Checks the entries of all forms of a type.
fn check_type(base: &Base, place: u64, numbers: &mut TypeSet, places: &mut TypeSet) -> Result<(), Broken> {
    let entry = |place: u64| usize::try_from(place).ok().and_then(|place| base.types.get(place));
    let old = entry(place).ok_or(Broken::TypeRange)?;
    let mut forms = vec![place, old.newer.load(), old.filling.load()];
    forms.dedup();
    for place in forms.into_iter().filter(|place| *place != 0) {
        let info = entry(place).ok_or(Broken::FormPlace)?;
        shape::check(info, place as u16, base.block_bytes())?;
        if info.id.load() != old.id.load() {
            return Err(Broken::FormType);
        }
        if !places.insert(place as u16) {
            return Err(Broken::TypeTwice);
        }
    }
    numbers.insert(old.id.load() as u16).then_some(()).ok_or(Broken::TypeTwice)
}

/// Refuses counts that the extents cannot hold.
fn check_counts(conf: &ProcessConf, base: &Base, chains: &Chains) -> Result<(), PoolError> {
    for info in base.used_types() {
        let place = info.place();
        let slots = (chains.count(place, ExtentKind::Slots) as u64) << info.shift.load();
        let groups = (chains.count(place, ExtentKind::Index) as u64) << info.group_shift.load();
        let found = shape::check_counts(&info, slots, groups);
        found.map_err(|what| PoolError::corrupt(conf, format!("type `{}`: {what}", info.name())))?;
    }
    Ok(())
}
