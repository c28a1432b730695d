//! Checks the tables of the base segment: header, types, blocks, extents, marks.

use crate::inspect::finding::{Place, Report, Severity, TypeReport};
use crate::inspect::forms;
use crate::inspect::keys::Groups;
use crate::inspect::lane;
use crate::inspect::refs;
use crate::inspect::slots;
use crate::inspect::walk::{Pool, Standing, Tables, Type, Walk};
use crate::layout::{
    BASE_KIND, BLOCK_ACTIVE, BLOCK_KIND, BLOCK_VACANT, BaseHeader, Frozen, LAYOUT_VERSION, Last,
    MAGIC_MAKING, MAGIC_READY, RUN_CLOSED, RUN_READY, RUN_STARTING,
};
use crate::limits::{self, PAGE};
use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, TYPE_SHIFT};
use crate::pool::store::base::Base;
use crate::region::Region;
use crate::units::Key;
use crate::word::Word;
use std::collections::{BTreeMap, HashSet};
use std::mem::offset_of;

/// Returns the segment keys of the blocks that a base names; none if the base is damaged.
pub(crate) fn block_keys(base: &Region) -> Vec<Key> {
    let Ok(base) = Base::find(*base) else { return Vec::new() };
    (0..base.nblocks()).filter_map(|n| base.blocks.get(n)).map(|block| Key(block.key.load())).collect()
}

/// Verifies a whole pool.
pub(crate) fn walk(pool: &Pool) -> Report {
    let mut report = Report { key: pool.key, live: pool.standing == Standing::Live, ..Report::default() };
    let place = Place { segment: Some(pool.key), offset: Some(0), ..Place::default() };
    if let Some(what) = frozen(&pool.base, pool.key, BASE_KIND, 0) {
        report.add(Severity::Damage, place, what);
    }
    let base = match Base::find(pool.base) {
        Ok(base) => base,
        Err(broken) => {
            report.add(Severity::Damage, place, broken.as_str());
            return report;
        }
    };
    report.process = crate::layout::text(&base.header.geometry.process);
    report.blocks = base.header.nblocks.load();
    report.extents = base.header.nextents.load();
    let mut walk = Walk { pool, base: &base, report, began: Tables::of(&base), parked: Vec::new() };
    if base.header.moved.load() != 0 {
        let what =
            "the pool was moved aside to its post-mortem keys and holds nothing; the next start is cold";
        walk.report.add(Severity::Note, place, what);
        return walk.report;
    }
    header(&mut walk);
    blocks(&mut walk);
    let types = forms::check(&mut walk);
    for ty in types.values() {
        let groups = Groups::find(&mut walk, ty);
        let counted = slots::check(&mut walk, ty, groups);
        walk.report.types.push(counted);
    }
    refs::check(&mut walk, &types);
    lane::check(&mut walk, &types);
    marks(&mut walk, &types);
    quarantine(&mut walk);
    order(&mut walk);
    walk.report.grew = walk.has_grown();
    walk.report
}

/// Returns what is wrong with the first 64 bytes of a segment.
fn frozen(region: &Region, key: Key, kind: u32, index: u32) -> Option<String> {
    let Ok(frozen) = region.at::<Frozen>(0) else {
        return Some("the segment is shorter than 64 bytes".into());
    };
    let wrong = |what: &str, found: u64, expected: u64| {
        (found != expected).then(|| format!("its {what} is {found:#x}, expected {expected:#x}"))
    };
    wrong("first word", frozen.magic.load(), MAGIC_READY)
        .or_else(|| wrong("checksum", frozen.check.load().into(), frozen.sum().into()))
        .or_else(|| wrong("layout version", frozen.layout.load().into(), LAYOUT_VERSION.into()))
        .or_else(|| wrong("kind", frozen.kind.load().into(), kind.into()))
        .or_else(|| wrong("key", frozen.key.load().into(), key.0.into()))
        .or_else(|| wrong("block number", frozen.index.load().into(), index.into()))
        .or_else(|| wrong("size", frozen.bytes.load(), region.len()))
}

/// Checks the words of the header that a start does not check.
fn header(walk: &mut Walk<'_>) {
    let header = walk.base.header;
    let place = |offset: usize| Place {
        segment: Some(walk.pool.key),
        offset: Some(offset as u64),
        ..Place::default()
    };
    let (at_run, at_used) = (place(offset_of!(BaseHeader, run)), place(offset_of!(BaseHeader, schema_used)));
    let (at_split, at_last) = (place(offset_of!(BaseHeader, split)), place(offset_of!(BaseHeader, last)));
    let run = header.run.load();
    if ![RUN_CLOSED, RUN_STARTING, RUN_READY].contains(&run) {
        walk.find(
            Severity::Warning,
            at_run,
            format!("the word `run`, the state of the last owner, has the invalid value {run}"),
        );
    }
    let used = header.schema_used.load();
    if used > header.geometry.schema_bytes.load() {
        walk.find(Severity::Damage, at_used, "the schema texts are longer than their room");
    }
    let split = header.split.load();
    if split != 0 && !walk.is_live() {
        let id = split >> 32;
        let known = walk.base.used_types().any(|info| {
            let groups = info.groups.load();
            u64::from(info.id.load()) == id
                && [groups, groups.wrapping_sub(1)].contains(&(split & 0xffff_ffff))
        });
        let (severity, what) = match (known, walk.pool.standing) {
            (true, Standing::Left) => {
                (Severity::Note, "the split of an index group was interrupted; the next start completes it")
            }
            (true, _) => (Severity::Damage, "a split of an index group is still open"),
            (false, _) => (Severity::Damage, "the word `split` names no group that could be split"),
        };
        walk.find(severity, at_split, what);
    }
    let word = header.last.load();
    if word != 0 && Last::parse(word).is_none() {
        walk.find(Severity::Warning, at_last, "the word `last` encodes no operation");
    }
}

fn blocks(walk: &mut Walk<'_>) {
    let mut keys = HashSet::new();
    let taken = walk.base.taken();
    for number in 0..walk.base.nblocks() {
        let Some(block) = walk.base.blocks.get(number) else { break };
        let (key, state) = (Key(block.key.load()), block.state.load());
        let place = Place { segment: Some(key), ..Place::default() };
        if block.index.load() as usize != number {
            walk.damage(place, format!("block {number} has the block number {}", block.index.load()));
        }
        if ![BLOCK_ACTIVE, BLOCK_VACANT].contains(&state) {
            walk.damage(place, format!("block {number} has the state {state}, which is invalid"));
        }
        if !keys.insert(key) {
            walk.damage(place, format!("block {number} has the segment key of another block"));
        }
        match walk.pool.blocks.get(number) {
            Some(Ok(region)) if taken.of(number as u32) == 0 && is_to_be_made(*region, state) => {
                if state == BLOCK_ACTIVE {
                    let what = format!(
                        "block {number} is half-made and holds nothing: the next start makes it again"
                    );
                    walk.report.add(Severity::Note, Place { offset: Some(0), ..place }, what);
                }
            }
            Some(Ok(region)) => block_segment(walk, place, *region, number),
            _ if state == BLOCK_VACANT => {}
            Some(Err(why)) => {
                let then = match taken.of(number as u32) != 0 {
                    true => "it holds objects",
                    false => "it is empty, so a start without its key in ShmKeys keeps all objects",
                };
                walk.damage(place, format!("block {number} cannot be read: {why}; {then}"));
            }
            None => walk.damage(place, format!("block {number} was added when the verification began")),
        }
    }
}

/// Returns whether a block without extents is being created, or its creation was cut. What lies
/// under the key of one that the ini gave up is the pool's again when a start takes it back.
fn is_to_be_made(region: Region, state: u64) -> bool {
    let word = |at| region.at::<Word>(at).map_or(u64::MAX, |word| word.load());
    let holds_nothing = || (size_of::<Frozen>() as u64..PAGE).step_by(8).all(|at| word(at) == 0);
    let is_begun =
        || word(0) == MAGIC_MAKING || (0..size_of::<Frozen>() as u64).step_by(8).all(|at| word(at) == 0);
    let is_anothers = || state == BLOCK_VACANT && word(0) != MAGIC_READY;
    is_anothers() || is_begun() && holds_nothing()
}

fn block_segment(walk: &mut Walk<'_>, place: Place, region: Region, number: usize) {
    let place = Place { offset: Some(0), ..place };
    let key = place.segment.unwrap_or_default();
    if let Some(what) = frozen(&region, key, BLOCK_KIND, number as u32) {
        walk.damage(place, what);
        return;
    }
    if region.len() != walk.base.block_bytes() {
        walk.damage(
            place,
            format!("its size is {} bytes, expected {} bytes", region.len(), walk.base.block_bytes()),
        );
    }
    let ids = |region: &Region| {
        let frozen = region.at::<Frozen>(0).ok()?;
        Some([frozen.pool_id[0].load(), frozen.pool_id[1].load()])
    };
    if ids(&region) != ids(&walk.pool.base) {
        walk.damage(place, "it belongs to another pool");
    }
}

/// Reports the objects that are or were being written.
fn marks(walk: &mut Walk<'_>, types: &BTreeMap<u16, Type>) {
    let header = walk.base.header;
    let marks: Vec<u64> = header.all_marks().map(Word::load).collect();
    let suspects: Vec<u64> = header.suspects.iter().map(Word::load).collect();
    let lists = [(marks, "is being written"), (suspects, "was being written when an owner died or panicked")];
    for (list, state) in lists {
        for word in list.into_iter().filter(|word| *word != 0) {
            let id = (word >> TYPE_SHIFT) as u16 & limits::MAX_TYPE_ID;
            let slot = (word >> INDEX_SHIFT) as u32;
            let ty = types.get(&id);
            let capacity = ty.map_or(0, |ty| (ty.slots.len() as u64) << ty.info.shift.load());
            let whole = slot == limits::MAX_SLOTS && word & GENERATION_MASK == 0;
            let one = Handle::from_bits(word).is_some() && u64::from(slot) < capacity;
            let place = Place { type_id: Some(id), slot: one.then_some(slot), ..Place::default() };
            match (ty, one || whole) {
                (Some(_), true) => walk.report.add(Severity::Note, place, state),
                _ => {
                    let what = format!("the mark {word:#x} names no object");
                    walk.find(Severity::Warning, place, what);
                }
            }
        }
    }
}

/// Compares the quarantine list with the slots in quarantine.
fn quarantine(walk: &mut Walk<'_>) {
    if walk.is_live() {
        return;
    }
    let listed = &walk.base.header.quarantine;
    let listed: HashSet<u64> = listed.iter().map(Word::load).filter(|word| *word != 0).collect();
    let parked = std::mem::take(&mut walk.parked);
    for (place, object) in parked.iter().filter(|(_, object)| !listed.contains(&object.to_bits())) {
        walk.damage(
            *place,
            format!("object {object} is in quarantine, but the quarantine list does not name it"),
        );
    }
    let parked: HashSet<u64> = parked.iter().map(|(_, object)| object.to_bits()).collect();
    for word in listed.difference(&parked) {
        let place = Place {
            segment: Some(walk.pool.key),
            offset: Some(offset_of!(BaseHeader, quarantine) as u64),
            ..Place::default()
        };
        let severity = if walk.pool.standing == Standing::Left { Severity::Note } else { Severity::Damage };
        let what = format!("the quarantine list names {word:#x}, which is not in quarantine");
        walk.find(severity, place, what);
    }
}

/// Sorts the counts of the types into the order in which the types were added.
fn order(walk: &mut Walk<'_>) {
    let order = walk.base.listed_types().map(|info| info.id.load()).collect::<Vec<_>>();
    let rank = |ty: &TypeReport| order.iter().position(|id| *id == u32::from(ty.id));
    walk.report.types.sort_by_key(rank);
}
