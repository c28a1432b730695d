//! Checks the forms of the types, and which extents belong to them.

use crate::inspect::finding::{Place, Severity};
use crate::inspect::walk::{Extent, Type, Walk};
use crate::layout::{BaseHeader, Broken, ExtentKind, ExtentRec, TypeInfo};
use crate::limits;
use crate::pool::store::extent_table::by_place;
use crate::pool::store::forms::DECIDED;
use crate::pool::store::shape::{self, ExtentRule};
use crate::region::At;
use crate::units::{Key, plural};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

/// The forms of the types, by the position of their entries.
#[derive(Default)]
struct Forms {
    /// Those in force.
    types: BTreeMap<u16, Found>,
    /// Those that wait for a decision, or that were not completed.
    others: BTreeMap<u16, TypeInfo>,
}

/// A form in force, with its extents and their ordinals.
struct Found {
    ty: Type,
    slots: Vec<(u32, Extent)>,
    index: Vec<(u32, Extent)>,
}

/// Where a block is being checked.
#[derive(Clone, Copy)]
struct Progress {
    /// End of the last extent.
    used: u64,
    /// Whether free bytes follow it.
    free: bool,
}

/// Returns the types with valid entries by type number, each with its extents.
pub(crate) fn check(walk: &mut Walk<'_>) -> BTreeMap<u16, Type> {
    let mut forms = Forms::default();
    let mut texts_end = 0;
    let listed: Vec<At<TypeInfo>> = walk.base.listed_types().collect();
    let count = walk.base.header.ntypes.load() as usize;
    for place in walk.base.header.order.iter().take(count).map(|place| place.load()) {
        if walk.base.types.get(place as usize).is_none() {
            let at = Place { type_id: u16::try_from(place).ok(), ..Place::default() };
            walk.damage(at, format!("type number {place} is out of range"));
        }
    }
    for old in listed {
        let next = walk.base.next_of(&old);
        if next.is_some() && walk.base.header.forms.load() != DECIDED {
            let at = Place { type_id: u16::try_from(old.id.load()).ok(), ..Place::default() };
            let what = "it was migrated to a new form; the old one is kept until a start is ready";
            walk.report.add(Severity::Note, at, what);
        }
        let others = [next.map(|_| old), walk.base.draft_of(&old)];
        form(walk, &mut forms, next.unwrap_or(old), true, &mut texts_end);
        for other in others.into_iter().flatten() {
            form(walk, &mut forms, other, false, &mut texts_end);
        }
    }
    texts(walk, texts_end);
    extents(walk, &mut forms);
    forms.types.into_values().map(|found| (found.ty.id, in_order(walk, found))).collect()
}

/// Checks one entry, and keeps it if it is valid.
fn form(walk: &mut Walk<'_>, forms: &mut Forms, now: At<TypeInfo>, in_force: bool, texts_end: &mut u64) {
    let info = now.copy();
    let (id, position) = (info.id.load(), info.place());
    let place = Place { type_id: u16::try_from(id).ok(), ..Place::default() };
    if let Err(broken) = shape::check(&info, position, walk.base.block_bytes()) {
        walk.damage(place, broken.as_str());
        return;
    }
    let (start, len) = (info.schema_off.load(), u64::from(info.schema_len.load()));
    let room = walk.base.header.geometry.schema_off.load();
    let room = room..room.saturating_add(walk.base.header.geometry.schema_bytes.load());
    if len != 0 && !(room.contains(&start) && start.saturating_add(len) <= room.end) {
        walk.find(Severity::Warning, place, "its schema text lies outside the area of schema texts");
    }
    if len != 0 {
        let end = start.saturating_add(len).saturating_sub(room.start);
        *texts_end = (*texts_end).max(end.checked_next_multiple_of(8).unwrap_or(u64::MAX));
    }
    let is_known = |found: &Found| u32::from(found.ty.id) == id;
    let twice = forms.types.contains_key(&position) || forms.others.contains_key(&position);
    if twice || (in_force && forms.types.values().any(is_known)) {
        walk.damage(place, "it occurs twice in the list of types");
    } else if in_force {
        let ty = Type { id: id as u16, info, now, slots: Vec::new(), index: Vec::new() };
        forms.types.insert(position, Found { ty, slots: Vec::new(), index: Vec::new() });
    } else {
        forms.others.insert(position, info);
    }
}

/// Compares the end of the schema texts with the bytes in use.
fn texts(walk: &mut Walk<'_>, texts_end: u64) {
    let used = walk.base.header.schema_used.load();
    if used == texts_end || walk.is_live() {
        return;
    }
    let place = Place {
        segment: Some(walk.pool.key),
        offset: Some(offset_of!(BaseHeader, schema_used) as u64),
        ..Place::default()
    };
    let (severity, what) = match used > texts_end {
        true => (Severity::Note, format!("{} bytes of schema text belong to no type", used - texts_end)),
        false => (Severity::Damage, "the schema text of a type lies past the bytes in use".into()),
    };
    walk.find(severity, place, what);
}

/// Assigns each extent to its form.
///
/// Extents of a block follow one another, or free bytes are between them. So an invalid one
/// invalidates only those after it in the block, and no byte is checked twice.
fn extents(walk: &mut Walk<'_>, forms: &mut Forms) {
    let mut blocks = vec![Progress { used: limits::PAGE, free: false }; walk.base.nblocks()];
    for number in by_place(walk.base) {
        let Some(rec) = walk.base.extents.get(number as usize) else { break };
        if let Err(what) = extent(walk, forms, &mut blocks, rec, number) {
            let block = walk.base.blocks.get(rec.block.load() as usize);
            let owner = rec.parse_owner().and_then(|(place, _)| forms.types.get(&place));
            let place = Place {
                type_id: owner.map(|found| found.ty.id).or(rec.parse_owner().map(|(place, _)| place)),
                segment: block.map(|block| Key(block.key.load())),
                offset: Some(rec.offset.load()),
                ..Place::default()
            };
            walk.damage(place, format!("extent {number}: {what}"));
        }
    }
}

fn extent(
    walk: &Walk<'_>,
    forms: &mut Forms,
    blocks: &mut [Progress],
    rec: &ExtentRec,
    number: u32,
) -> Result<(), Broken> {
    let block = rec.block.load() as usize;
    let is_decided = walk.base.header.forms.load() == DECIDED;
    let given_up = |place| is_decided && !forms.types.contains_key(&place);
    if rec.is_free() || rec.parse_owner().is_some_and(|(place, _)| given_up(place)) {
        let progress = blocks.get_mut(block).ok_or(Broken::NoBlock)?;
        let offset = rec.offset.load();
        if offset > walk.base.block_bytes() {
            return Err(Broken::ExtentPlace);
        }
        progress.free |= offset >= progress.used;
        return Ok(());
    }
    let (place, kind) = rec.parse_owner().ok_or(Broken::ExtentOwner)?;
    let info = forms.types.get(&place).map(|found| &found.ty.info).or(forms.others.get(&place));
    let info = info.ok_or(Broken::ExtentType)?;
    let rule = ExtentRule { bytes: shape::extent_length(info, kind)?, align: info.align.load().into() };
    let progress = blocks.get_mut(block).ok_or(Broken::NoBlock)?;
    let end = shape::check_extent(rec, rule, progress.used, progress.free, walk.base.block_bytes())?;
    *progress = Progress { used: end, free: false };
    let region = walk.pool.blocks.get(block).and_then(|region| region.as_ref().ok());
    let region = region.ok_or(Broken::BlockUnreadable)?;
    let Some(record) = walk.base.blocks.get(block) else { return Err(Broken::NoBlock) };
    let key = Key(record.key.load());
    let found = Extent { block: *region, key, offset: end - rule.bytes, number: number as usize };
    if let Some(owner) = forms.types.get_mut(&place) {
        let chain = if kind == ExtentKind::Slots { &mut owner.slots } else { &mut owner.index };
        chain.push((rec.ordinal.load(), found));
    }
    Ok(())
}

/// Puts the extents of a form into their order, up to the first that is missing.
///
/// Missing extents of slots that the form counts as hollow have a place without memory.
fn in_order(walk: &mut Walk<'_>, mut found: Found) -> Type {
    let shift = found.ty.info.shift.load();
    let most = u64::from(limits::MAX_EXTENTS);
    let ordinals = found.slots.iter().map(|(ordinal, _)| u64::from(*ordinal));
    let have: BTreeSet<u64> = ordinals.filter(|ordinal| *ordinal < most).collect();
    let begun = found.ty.now.high_water.load().min(limits::MAX_SLOTS.into()).div_ceil(1 << shift).min(most);
    let end = have.last().map_or(0, |last| last + 1).max(begun);
    let missing = end - have.len() as u64;
    let is_counted = found.ty.now.counts_hollow(missing, |ordinal| !have.contains(&ordinal));
    if !is_counted && !walk.is_live() {
        let counted = found.ty.now.hollow.load() >> 32;
        let counted = plural(counted, "extent");
        let place = Place { type_id: Some(found.ty.id), ..Place::default() };
        walk.damage(place, format!("it counts {counted} without memory, but {missing} are"));
    }
    found.slots.sort_by_key(|(ordinal, extent)| (*ordinal, extent.number));
    found.index.sort_by_key(|(ordinal, extent)| (*ordinal, extent.number));
    for (ordinal, extent) in std::mem::take(&mut found.slots) {
        let hole = (ordinal as usize).checked_sub(found.ty.slots.len());
        let hole = hole.filter(|hole| *hole == 0 || is_counted && u64::from(ordinal) < most);
        let Some(hole) = hole else {
            out_of_order(walk, found.ty.id, &extent);
            continue;
        };
        found.ty.slots.extend((0..hole).map(|_| None).chain([Some(extent)]));
    }
    if is_counted {
        found.ty.slots.resize_with(found.ty.slots.len().max(end as usize), || None);
    }
    for (ordinal, extent) in std::mem::take(&mut found.index) {
        match ordinal as usize == found.ty.index.len() {
            true => found.ty.index.push(extent),
            false => out_of_order(walk, found.ty.id, &extent),
        }
    }
    found.ty
}

fn out_of_order(walk: &mut Walk<'_>, type_id: u16, extent: &Extent) {
    let place = Place {
        type_id: Some(type_id),
        segment: Some(extent.key),
        offset: Some(extent.offset),
        ..Place::default()
    };
    walk.damage(place, format!("extent {}: it is out of order", extent.number));
}
