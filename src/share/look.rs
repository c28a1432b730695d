//! A reading of a tool: facts that all held at one moment.
//!
//! The state of the semaphores, the system's facts and the bytes of the segment are three queries,
//! and owners and other tools attach and detach between them. So all are read twice, and again
//! until two consecutive readings agree. The words of a base that are compared change with every
//! start, `ready()` and close, so equal words did not change in between.

use super::backend::{Access, SegmentFacts};
use super::facts::{self, Facts, Reading};
use super::head::Head;
use super::home::Home;
use super::lock_facts::LockFacts;
use super::owner_set::{self, Stamp};
use super::rivals;
use crate::conf::BackendKind;
use crate::layout::MAGIC_GONE;
use crate::units::Key;
use std::io;
use std::time::Duration;

/// One reading, which may cover several moments.
pub(super) struct Sight {
    pub(super) facts: Facts,
    stamp: Option<Stamp>,
}

/// Returns consistent facts about the segment under `key`, for a tool.
///
/// The segment is attached briefly for reading, as an observer. Nothing changes but the kernel's
/// times of the last attach and detach.
///
/// # Errors
///
/// Fails if the system refuses, or if no two consecutive readings agree.
pub fn observe(key: Key, home: &Home) -> io::Result<Facts> {
    agreed(key, home, &mut |_| Ok(())).map(|(facts, ())| facts)
}

/// Returns consistent facts, and what `more` finds at a moment at which the facts hold, too.
pub(super) fn agreed<T>(
    key: Key,
    home: &Home,
    more: &mut dyn FnMut(&Sight) -> io::Result<T>,
) -> io::Result<(Facts, T)> {
    const READINGS: u32 = 2000;
    let mut first = sight(key, home)?;
    let mut found = more(&first)?;
    for round in 0..READINGS {
        let second = sight(key, home)?;
        if first.agrees(&second) {
            return Ok((second.facts, found));
        }
        if round > 20 {
            std::thread::sleep(Duration::from_micros(200));
        }
        found = more(&second)?;
        first = second;
    }
    Err(unsteady())
}

/// Returns the error for a pool whose owner changes all the time.
pub(super) fn unsteady() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "it changed during every reading")
}

/// Reads semaphores, facts and head once.
pub(super) fn sight(key: Key, home: &Home) -> io::Result<Sight> {
    if home.backend == BackendKind::Heap {
        return Ok(Sight { facts: facts::observe(key, home)?, stamp: None });
    }
    let stamp = owner_set::stamp(key)?;
    let mut facts = facts::observe(key, home)?;
    // The counts of attaches and of observers must come from the same moment.
    let (observers, found) = rivals::count(&*home.open(), key)?;
    if let (Some(segment), Some(found)) = (&mut facts.segment, found)
        && segment.id == found.id
    {
        *segment = found;
    }
    if facts.segment.as_ref().is_some_and(|segment| segment.removed) {
        read_removed(&mut facts, home);
        if is_left_by_a_removal(&facts, home) {
            (facts.segment, facts.reading) = (None, Reading::Skipped);
        }
    }
    match &mut facts.lock {
        LockFacts::Free { observers: counted }
        | LockFacts::Held { observers: counted, .. }
        | LockFacts::Ours { observers: counted } => *counted = observers,
        LockFacts::None | LockFacts::Foreign(_) => {}
    }
    Ok(Sight { facts, stamp })
}

/// Reads the head of a segment that was removed while in use, if the system still allows its
/// attach.
fn read_removed(facts: &mut Facts, home: &Home) {
    if let (BackendKind::Sysv, Some(segment)) = (home.backend, &facts.segment)
        && let Ok(attached) = home.open().attach(facts.key, segment, Access::Read)
        && let Some(head) = Head::read(&attached.region())
    {
        facts.reading = Reading::Head(head);
    }
}

/// Returns whether a removed segment only exists because tools have it attached.
fn is_left_by_a_removal(facts: &Facts, home: &Home) -> bool {
    let Some(segment) = &facts.segment else { return false };
    let by_hotpool = facts.head().is_some_and(|head| head.magic == MAGIC_GONE);
    by_hotpool || home.backend == BackendKind::Sysv && rivals::only_readers(segment)
}

impl Sight {
    /// Returns whether both readings found the same segment, the same head and the same owner.
    fn agrees(&self, other: &Sight) -> bool {
        self.is_same_pool(other) && self.facts.reading == other.facts.reading
    }

    /// Returns whether the process that holds the lock is removing the pool.
    pub(super) fn is_being_removed(&self) -> bool {
        let is_marked = self.facts.head().is_some_and(|head| head.magic == MAGIC_GONE);
        is_marked && matches!(self.facts.lock, LockFacts::Held { .. })
    }

    /// Returns whether both readings found the same pool with the same owner. It may have grown
    /// between them.
    pub(super) fn is_same_pool(&self, other: &Sight) -> bool {
        let segment = |sight: &Sight| sight.facts.segment.as_ref().map(identity);
        let start = |sight: &Sight| sight.facts.head().map(|head| (head.magic, head.pool_id, head.epoch));
        self.stamp == other.stamp
            && std::mem::discriminant(&self.facts.lock) == std::mem::discriminant(&other.facts.lock)
            && segment(self) == segment(other)
            && start(self) == start(other)
    }
}

/// Returns the facts that do not change while a segment is the same.
fn identity(segment: &SegmentFacts) -> (u64, bool, u64, u32, u32) {
    (segment.id, segment.removed, segment.bytes.0, segment.uid, segment.mode)
}
