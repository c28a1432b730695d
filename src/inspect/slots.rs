//! Checks the slots of a type, and the sums over them.

use crate::inspect::finding::{Place, TypeReport};
use crate::inspect::keys::Groups;
use crate::inspect::values::Values;
use crate::inspect::walk::{Extent, Type, Walk, place_of};
use crate::limits;
use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, TYPE_SHIFT};
use crate::pool::store::slot::{self as store, RETIRED, is_parked};
use crate::region::{OutOfBounds, Table};
use crate::units::plural;
use crate::word::Word;
use std::time::Duration;

/// How often the check of one object is repeated while an owner is running, and after which pause.
///
/// An operation takes well under a microsecond.
const READINGS: u32 = 8;
const PAUSE: Duration = Duration::from_micros(200);

/// Sums over the slots of a type that are not in the report.
#[derive(Default)]
struct Sums {
    live: u64,
    retired: u64,
    /// Number of the highest slot whose header is not zero, plus one.
    used: u64,
    /// Whether an object lives in the named slot.
    /// Whether the named slot is retired.
    named_lives: bool,
    named_retired: bool,
}

/// The parts of one extent, checked to lie inside the block.
struct Parts {
    map: Table<Word>,
    first_slot: u64,
    stride: u64,
    per_word: u32,
}

/// Checks all slots of a type, and its index.
pub(crate) fn check(walk: &mut Walk<'_>, ty: &Type, mut groups: Groups) -> TypeReport {
    let mut sums = Sums::default();
    let values = Values::of(walk, ty);
    let shift = ty.info.shift.load();
    for (ordinal, extent) in ty.slots.iter().enumerate() {
        let first = (ordinal as u64) << shift;
        let Some(extent) = extent else {
            sums.used = first + (1 << shift);
            continue;
        };
        match parts(ty, extent) {
            Ok(parts) => check_extent(walk, ty, extent, &parts, (first, &values), &mut sums, &mut groups),
            Err(OutOfBounds) => walk.damage(place_of(ty), format!("extent {} is too short", extent.number)),
        }
    }
    let slots = (ty.slots.len() as u64) << shift;
    check_sums(walk, ty, &sums, slots);
    let stale_entries = groups.finish(walk, ty);
    TypeReport {
        id: ty.id,
        name: ty.info.name(),
        slots,
        live: sums.live,
        retired: sums.retired,
        groups: groups.count(),
        stale_entries,
    }
}

fn parts(ty: &Type, extent: &Extent) -> Result<Parts, OutOfBounds> {
    let (shift, map_bytes, stride) = (ty.info.shift.load(), ty.info.map_bytes.load(), ty.info.stride.load());
    let words = (1u64 << shift).div_ceil(64);
    if words * 8 > map_bytes {
        return Err(OutOfBounds);
    }
    let map = extent.block.table(extent.offset, words)?;
    let first_slot = extent.offset.checked_add(map_bytes).ok_or(OutOfBounds)?;
    let bytes = stride.checked_mul(1 << shift).ok_or(OutOfBounds)?;
    extent.block.span(first_slot, bytes)?;
    Ok(Parts { map, first_slot, stride, per_word: 1 << shift.min(6) })
}

fn check_extent(
    walk: &mut Walk<'_>,
    ty: &Type,
    extent: &Extent,
    parts: &Parts,
    (first, values): (u64, &Values),
    sums: &mut Sums,
    groups: &mut Groups,
) {
    let mut free = false;
    for number in 0..parts.map.len() {
        let Some(word) = parts.map.get(number) else { break };
        let beyond = if parts.per_word == 64 { 0 } else { word.load() >> parts.per_word };
        free |= word.load().count_ones() < parts.per_word;
        let place = Place {
            segment: Some(extent.key),
            offset: Some(extent.offset + number as u64 * 8),
            ..place_of(ty)
        };
        if beyond != 0 {
            walk.damage(place, "the map has bits set beyond the last slot");
        }
        for bit in 0..parts.per_word {
            let in_extent = number as u64 * 64 + u64::from(bit);
            let index = first + in_extent;
            let offset = parts.first_slot + in_extent * parts.stride;
            let Ok(header) = extent.block.at::<Word>(offset) else { break };
            let place = Place {
                type_id: Some(ty.id),
                slot: u32::try_from(index).ok(),
                segment: Some(extent.key),
                offset: Some(offset),
            };
            let slot = Slot { header: &header, map: word, bit, index };
            check_slot(walk, ty, place, &slot, sums);
            let lives = store::Slot::is_live(header.load());
            if lives || is_parked(header.load()) {
                values.check(walk, &extent.block, offset, place, lives);
            }
            if ty.info.keyed()
                && store::Slot::is_live(header.load())
                && let Ok(key) = extent.block.at::<Word>(offset + 8)
            {
                groups.reach(walk, place, &header, &key, index);
            }
        }
    }
    let full = walk.base.extents.get(extent.number).map_or(0, |rec| rec.full.load());
    if full == 1 && free && !walk.is_live() {
        let place = Place { segment: Some(extent.key), offset: Some(extent.offset), ..place_of(ty) };
        walk.damage(place, format!("extent {} is marked as full, but has a free slot", extent.number));
    }
}

/// A slot, with its bit in the map.
struct Slot<'a> {
    header: &'a Word,
    map: &'a Word,
    bit: u32,
    index: u64,
}

fn check_slot(walk: &mut Walk<'_>, ty: &Type, place: Place, slot: &Slot<'_>, sums: &mut Sums) {
    let header = slot.header.load();
    sums.live += u64::from(store::Slot::is_live(header));
    if ty.now.named().map(u64::from) == Some(slot.index) {
        (sums.named_lives, sums.named_retired) = (store::Slot::is_live(header), header == RETIRED);
    }
    sums.retired += u64::from(header == RETIRED);
    if let Some(object) = parked_object(ty, header, slot.index) {
        walk.parked.push((place, object));
    }
    if header != 0 {
        sums.used = slot.index + 1;
    }
    let mut problem = slot_problem(ty, slot);
    let readings = if walk.is_live() && !walk.report.is_full() { READINGS } else { 0 };
    for _ in 0..readings {
        if problem.is_none() || walk.has_grown() {
            return;
        }
        std::thread::sleep(PAUSE);
        problem = slot_problem(ty, slot);
    }
    if let Some(what) = problem {
        walk.damage(place, what);
    }
}

/// Returns the handle of the object in quarantine that a slot holds.
fn parked_object(ty: &Type, header: u64, index: u64) -> Option<Handle> {
    let of_type = header >> TYPE_SHIFT & u64::from(limits::MAX_TYPE_ID) == u64::from(ty.id);
    let place = index << INDEX_SHIFT | u64::from(ty.id) << TYPE_SHIFT;
    let bits = place | ((header & GENERATION_MASK) + 1);
    (is_parked(header) && of_type).then(|| Handle::from_bits(bits)).flatten()
}

/// Returns what is wrong with a slot, by one reading.
fn slot_problem(ty: &Type, slot: &Slot<'_>) -> Option<String> {
    let header = slot.header.load();
    let used = slot.map.load() >> slot.bit & 1 != 0;
    if slot.index >= limits::MAX_SLOTS.into() {
        return (header != 0).then(|| "no handle can name it, but it has been used".into());
    }
    let generation = header & GENERATION_MASK;
    // The header of a slot in quarantine names its type, but not its slot.
    let parked =
        is_parked(header) && header >> TYPE_SHIFT & u64::from(limits::MAX_TYPE_ID) == u64::from(ty.id);
    if header != 0 && header != RETIRED && !parked {
        let expected = slot.index << (INDEX_SHIFT - TYPE_SHIFT) | u64::from(ty.id);
        if header >> TYPE_SHIFT != expected {
            return Some(format!("its header {header:#x} is that of another slot"));
        }
        let last = u64::from(ty.info.last_generation.load());
        if generation > last {
            return Some(format!("its generation {generation} exceeds the last one, {last}"));
        }
        if generation == 0 {
            return Some("its header has no generation".into());
        }
    }
    if header != 0 && slot.index >= ty.now.high_water.load() {
        return Some("it has been used, but is at or above the high water of its type".into());
    }
    let taken = store::Slot::is_live(header) || header == RETIRED || parked;
    // A free keeps the bit of the slot that it names.
    let is_at_hand = !taken && ty.now.named().map(u64::from) == Some(slot.index);
    if taken == used || is_at_hand {
        return None;
    }
    Some(match (store::Slot::is_live(header), taken) {
        (true, _) => "an object lives in it, but the map marks it as free".into(),
        (_, true) if parked => "it is in quarantine, but the map marks it as free".into(),
        (_, true) => "it is retired, but the map marks it as free".into(),
        _ => "it is free, but the map marks it as used: the slot is leaked".into(),
    })
}

fn check_sums(walk: &mut Walk<'_>, ty: &Type, sums: &Sums, slots: u64) {
    let len = ty.now.len(sums.named_lives);
    if len != sums.live {
        let counted = plural(len, "object");
        walk.wrong_sum(place_of(ty), format!("its tally counts {counted}, but {} are live", sums.live));
    }
    let retired = ty.now.retired.load() >> 32;
    if retired.abs_diff(sums.retired) > u64::from(sums.named_retired) {
        let are = if sums.retired == 1 { "is" } else { "are" };
        walk.wrong_sum(
            place_of(ty),
            format!("it counts {} as retired, but {} {are} retired", plural(retired, "slot"), sums.retired),
        );
    }
    let high_water = ty.now.high_water.load();
    // The highest slot may have been at hand and never used, and slots that were hollow begin anew.
    let was_hollow = ty.now.hollow.load() != 0;
    if high_water > slots {
        walk.wrong_sum(
            place_of(ty),
            format!("its high water is {high_water}, but it has {}", plural(slots, "slot")),
        );
    } else if high_water > sums.used + 1 && !was_hollow && !walk.is_live() {
        walk.wrong_sum(
            place_of(ty),
            format!("its high water is {high_water}, but the used slots end at {}", sums.used),
        );
    }
}
