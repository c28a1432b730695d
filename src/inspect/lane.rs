//! Checks the undo log of an interrupted transaction.

use crate::inspect::finding::{Place, Severity};
use crate::inspect::walk::{Standing, Type, Walk};
use crate::layout::{Broken, COMMITTED, LaneHead, UndoKind, position_of};
use crate::limits;
use crate::object::Handle;
use crate::pool::lane_logs;
use crate::region::Region;
use crate::units::plural;
use crate::word::Word;
use std::collections::BTreeMap;

/// Checks that the next start can roll the transaction back or finish it, and undo the updates of
/// threads.
pub(crate) fn check(walk: &mut Walk<'_>, types: &BTreeMap<u16, Type>) {
    let g = &walk.base.header.geometry;
    let (at, bytes) = (g.lanes_off.load(), g.lanes_bytes.load());
    let Ok(head) = walk.base.region.at::<LaneHead>(at) else { return check_log(walk, types, at, bytes) };
    if head.lanes.load() == 0 || walk.is_live() {
        return check_log(walk, types, at, bytes);
    }
    match lane_logs::places(walk.base) {
        Ok(places) => places.for_each(|(at, bytes)| check_log(walk, types, at, bytes)),
        Err(broken) => {
            let place = Place { segment: Some(walk.pool.key), offset: Some(at), ..Place::default() };
            walk.damage(place, broken.as_str());
        }
    }
}

fn check_log(walk: &mut Walk<'_>, types: &BTreeMap<u16, Type>, at: u64, bytes: u64) {
    let place = Place { segment: Some(walk.pool.key), offset: Some(at), ..Place::default() };
    let head = walk.base.region.at::<LaneHead>(at).ok();
    let room = bytes.checked_sub(size_of::<LaneHead>() as u64).map(|room| room & !7);
    let log = at.checked_add(size_of::<LaneHead>() as u64);
    let (Some(head), Some(room), Some(log)) = (head, room, log) else {
        walk.damage(place, "the undo log lies outside the segment");
        return;
    };
    let tail = head.tail.load();
    if tail == 0 || walk.is_live() {
        return;
    }
    if walk.pool.standing == Standing::Owned {
        walk.damage(place, "a transaction is still open");
        return;
    }
    let used = tail & !COMMITTED;
    let fits = used <= room && walk.base.region.span(log, used).is_ok();
    match fits.then(|| records(&walk.base.region, types, log, used)) {
        Some(Ok(count)) => {
            let ends = if tail & COMMITTED != 0 { "finishes it" } else { "rolls it back" };
            let what = format!(
                "a transaction was interrupted after {}; the next start {ends}",
                plural(count, "undo record")
            );
            walk.report.add(Severity::Note, place, what);
        }
        Some(Err(broken)) => walk.damage(place, broken.as_str()),
        None => walk.damage(place, "the undo log is longer than its lane"),
    }
}

/// Checks the records and returns their number.
fn records(base: &Region, types: &BTreeMap<u16, Type>, log: u64, used: u64) -> Result<u64, Broken> {
    let word = |at: u64| base.at::<Word>(log + at).map(|word| word.load()).map_err(|_| Broken::LogCut);
    let (mut at, mut count) = (0, 0);
    while at < used {
        if used - at < 16 {
            return Err(Broken::RecordCut);
        }
        let (kind, payload) = UndoKind::parse(word(at)?).ok_or(Broken::RecordKind)?;
        let operand = word(at + 8)?;
        at += 16;
        if payload > used - at {
            return Err(Broken::RecordLength);
        }
        let ty = Handle::from_bits(operand).and_then(|handle| types.get(&handle.type_id()));
        match (kind, ty) {
            (UndoKind::Tag, _) => {}
            (UndoKind::Position, _) if position_of(operand).0 as u64 >= limits::POSITIONS => {
                return Err(Broken::RecordReader);
            }
            (UndoKind::Position, _) => {}
            (_, None) => return Err(Broken::RecordObject),
            (UndoKind::Bytes, Some(ty)) if payload != ty.info.size.load() => {
                return Err(Broken::RecordSize);
            }
            _ => {}
        }
        at += payload.next_multiple_of(8).min(used - at);
        count += 1;
    }
    Ok(count)
}

/// Returns whether a transaction may have been interrupted.
///
/// Two objects may then have the same key, one of which the next start frees.
pub(crate) fn is_cut(walk: &Walk<'_>) -> bool {
    let head = walk.base.region.at::<LaneHead>(walk.base.header.geometry.lanes_off.load());
    walk.pool.standing != Standing::Owned && head.is_ok_and(|head| head.tail.load() != 0)
}
