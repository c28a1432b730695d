//! The undo logs of lanes: one log, divided among threads while they work side by side.
//!
//! No transaction is open then, because a scope borrows the pool. So the log is free, and each
//! thread gets a part of it, which begins with a `LaneHead` of its own.
//!
//! | step | state if killed after this step |
//! |---|---|
//! | the heads of all parts get `tail` = 0 | no change: nothing reads them |
//! | `lanes` of the first head = their number | parts without records |
//! | threads change objects, each with its part, as `undo.rs` describes | the next start undoes each open one |
//! | all threads are done, `lanes` = 0 | no transaction |
//!
//! A start rolls the parts back in any order, because no two have records of one object, and then
//! stores `lanes` = 0. If it is killed before, the next one finds all parts again.

use crate::commits::Commit;
use crate::layout::{Broken, LaneHead};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::pool::change::undo::{States, Undo};
use crate::pool::store::base::Base;
use crate::region::At;
use crate::word::Word;

const HEAD: u64 = size_of::<LaneHead>() as u64;

/// Returns the bytes of each of `count` parts of a log of `bytes` bytes, with their heads.
fn part_bytes(bytes: u64, count: u64) -> u64 {
    bytes.saturating_sub(HEAD).checked_div(count).unwrap_or(0) & !(limits::LINE - 1)
}

fn head(base: &Base) -> Result<At<LaneHead>, Broken> {
    base.region.at(base.header.geometry.lanes_off.load()).map_err(|_| Broken::LogOutside)
}

/// Returns part `number` of `count`.
fn part(base: &Base, number: u64, count: u64) -> Result<Undo, Broken> {
    let (at, bytes) = place(base, number, count)?;
    Undo::at(base, at, bytes)
}

/// Returns offset and bytes of part `number` of `count`.
fn place(base: &Base, number: u64, count: u64) -> Result<(u64, u64), Broken> {
    let g = &base.header.geometry;
    let bytes = part_bytes(g.lanes_bytes.load(), count);
    if bytes <= HEAD || count > limits::LANES as u64 {
        return Err(Broken::LogLanes);
    }
    let first = g.lanes_off.load().checked_add(HEAD).ok_or(Broken::LogOutside)?;
    Ok((first.saturating_add(number.saturating_mul(bytes)), bytes))
}

/// Returns offset and bytes of the parts that an owner has left; none if the log is not divided.
pub(crate) fn places(base: &Base) -> Result<impl Iterator<Item = (u64, u64)> + use<>, Broken> {
    let head = head(base)?;
    let count = head.lanes.load();
    if count > limits::LANES as u64 || count != 0 && head.tail.load() != 0 {
        return Err(Broken::LogLanes);
    }
    let places: Result<Vec<_>, _> = (0..count).map(|number| place(base, number, count)).collect();
    Ok(places?.into_iter())
}

/// Returns the parts that an owner has left.
pub(crate) fn left(base: &Base) -> Result<Vec<Undo>, Broken> {
    places(base)?.map(|(at, bytes)| Undo::at(base, at, bytes)).collect()
}

/// Rolls back what an owner has left in the parts; returns whether there was anything.
pub(crate) fn recover(base: &Base, states: &mut dyn States, last_tag: &Word) -> Result<bool, Broken> {
    let (parts, head) = (left(base)?, head(base)?);
    if parts.is_empty() {
        return Ok(false);
    }
    let mut found = false;
    if planted(Mutant::LanesEndFirst) {
        Commit::LanesEnded.store(&head.lanes, 0);
    }
    let skipped = usize::from(planted(Mutant::LanesLastForgotten));
    for mut part in parts.into_iter().rev().skip(skipped) {
        found |= part.recover(states, last_tag)?.is_some();
    }
    Commit::LanesEnded.store(&head.lanes, 0);
    Ok(found)
}

/// The log while it is divided: until this value is dropped.
pub(crate) struct Divided(Parts);

/// The parts of a divided log.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    base: Base,
    count: u64,
}

impl Divided {
    /// Divides the log into `wanted` parts, or fewer if it has no room for so many.
    ///
    /// The caller borrows the pool exclusively, and no transaction is open.
    pub(crate) fn begin(base: &Base, wanted: usize) -> Self {
        let bytes = base.header.geometry.lanes_bytes.load();
        let fits = (bytes.saturating_sub(HEAD) / (2 * limits::LINE)).min(limits::LANES as u64);
        let count = (wanted as u64).min(fits);
        let Some(head) = head(base).ok().filter(|head| head.tail.load() == 0) else {
            return Divided(Parts { base: *base, count: 0 });
        };
        if planted(Mutant::LanesCountedFirst) {
            Commit::LanesBegin.store(&head.lanes, count);
        }
        (0..count).filter_map(|number| part(base, number, count).ok()).for_each(|part| part.empty());
        if count != 0 {
            Commit::LanesBegin.store(&head.lanes, count);
        }
        Divided(Parts { base: *base, count })
    }

    pub(crate) fn parts(&self) -> Parts {
        self.0
    }
}

impl Parts {
    /// Returns the number of parts.
    pub(crate) fn count(&self) -> u32 {
        self.count as u32
    }

    /// Returns a part.
    pub(crate) fn part(&self, number: u32) -> Option<Undo> {
        let number = if planted(Mutant::LaneLogShared) { 0 } else { number };
        part(&self.base, number.into(), self.count).ok()
    }
}

impl Drop for Divided {
    fn drop(&mut self) {
        let Parts { base, count } = &self.0;
        if let (Ok(head), true) = (head(base), *count != 0) {
            Commit::LanesEnd.store(&head.lanes, 0);
        }
    }
}
