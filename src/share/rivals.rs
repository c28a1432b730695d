//! Rivals: processes that have a segment attached and are neither its owner nor a registered
//! observer.

use super::backend::{Access, Backend, SegmentFacts};
use super::observer;
use super::owner::OwnerLock;
use super::owner_error::OwnerError;
use super::owner_set::vanished;
use crate::conf::BackendKind;
use crate::sys;
use crate::sys::proc::{self, Process};
use crate::units::Key;
use std::io;
use std::time::Duration;

/// The processes that have a segment attached without being counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rivals {
    /// Facts that the system reports about the segment.
    pub(crate) facts: SegmentFacts,
    /// Visible processes that can write to it.
    pub(crate) writers: Vec<i32>,
    /// Number of registered observers.
    pub(crate) observers: u32,
}

impl Rivals {
    /// Returns the refusal of a start or removal that has waited for `waited_ms` milliseconds.
    pub(crate) fn refusal(self, key: Key, waited_ms: u64) -> OwnerError {
        // Its semaphores are in its own namespace, so the ones of this namespace do not count it.
        if let Some(&owner) = self.writers.iter().find(|pid| proc::has_another_ipc_namespace(**pid)) {
            return OwnerError::Held { key, holder: Process::look(owner), waited_ms };
        }
        OwnerError::Attached {
            key,
            id: self.facts.id,
            writers: self.writers.into_iter().map(Process::look).collect(),
            attached: self.facts.attached,
            observers: self.observers,
            waited_ms,
        }
    }
}

/// Returns the number of observers and the facts about the segment under `key`, both of one moment.
pub(crate) fn count(backend: &dyn Backend, key: Key) -> io::Result<(u32, Option<SegmentFacts>)> {
    match observer::set_of(key) {
        Some(semid) => or_without_a_set(backend, key, observer::quietly(semid, || backend.stat(key))),
        None => Ok((0, backend.stat(key)?)),
    }
}

/// Returns 0 observers for a set that was removed meanwhile: they are registered nowhere any more.
fn or_without_a_set(
    backend: &dyn Backend,
    key: Key,
    counted: io::Result<(u32, Option<SegmentFacts>)>,
) -> io::Result<(u32, Option<SegmentFacts>)> {
    match counted {
        Err(error) if vanished(&error) => Ok((0, backend.stat(key)?)),
        counted => counted,
    }
}

/// Counts as [`count`] does, for the owner, which has the set. Observers of a detached segment do
/// not count.
pub(crate) fn count_as_owner(
    backend: &dyn Backend,
    key: Key,
    lock: &OwnerLock,
) -> io::Result<(u32, Option<SegmentFacts>)> {
    match backend.stat(key)? {
        found if found.as_ref().is_none_or(|facts| facts.attached == Some(0)) => Ok((0, found)),
        _ => or_without_a_set(backend, key, lock.quietly(|| backend.stat(key))),
    }
}

/// Searches for rivals; `count` works as [`count`] does.
///
/// A visible process that can write is a rival whatever the counts are. The counts reveal processes
/// that are not visible. A visible process that cannot write is no rival, registered or not.
///
/// A tool that found no semaphores to register at, because they were being created, is not counted
/// either, and may detach before it is searched for. So a rival that only the counts show is
/// trusted to exist only if it stays.
pub(crate) fn find(
    backend: &dyn Backend,
    key: Key,
    count: &mut dyn FnMut() -> io::Result<(u32, Option<SegmentFacts>)>,
) -> io::Result<Option<Rivals>> {
    const READINGS: u32 = 20;
    let mut found = find_once(backend, key, count)?;
    for _ in 1..READINGS {
        if found.as_ref().is_none_or(|rivals| !rivals.writers.is_empty()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
        found = find_once(backend, key, count)?;
    }
    Ok(found)
}

fn find_once(
    backend: &dyn Backend,
    key: Key,
    count: &mut dyn FnMut() -> io::Result<(u32, Option<SegmentFacts>)>,
) -> io::Result<Option<Rivals>> {
    let (observers, Some(facts)) = count()? else { return Ok(None) };
    if facts.attached == Some(0) {
        return Ok(None);
    }
    let writers = backend.writers(key, &facts);
    let hidden = writers.is_empty() && is_attached_unseen(backend.kind(), &facts, observers);
    Ok((hidden || !writers.is_empty()).then_some(Rivals { facts, writers, observers }))
}

/// Returns the number of attaches of an incomplete segment by processes other than visible tools.
///
/// `own` is the caller's own access, if it has the segment attached. The number of registered observers does
/// not help: an observer is registered under the key of a base, and may not have this segment attached at
/// all. A tool attaches an incomplete segment only briefly, so an invisible tool is gone at one of the next
/// readings.
pub(super) fn strangers(backend: &dyn Backend, key: Key, own: Option<Access>) -> io::Result<u64> {
    let ours = u64::from(own.is_some());
    let Some(before) = backend.stat(key)? else { return Ok(0) };
    let Some(attached) = before.attached else {
        let me = proc::self_pid();
        return Ok(backend.writers(key, &before).into_iter().filter(|pid| Some(*pid) != me).count() as u64);
    };
    if attached <= ours || backend.kind() != BackendKind::Sysv {
        return Ok(attached.saturating_sub(ours));
    }
    let found = mappings(&before);
    // This process was the last to attach it, so no other process has attached or detached it since.
    let is_steady = before.last_pid == Some(sys::pid() as i32) && backend.stat(key)? == Some(before);
    let readers = found.iter().filter(|(_, writes)| !writes).count() as u64;
    let writers = if own == Some(Access::Write) { ours } else { 0 };
    let others = attached.saturating_sub(readers + writers);
    Ok(if is_steady { others } else { others.max(1) })
}

/// Returns whether every attach of a System V segment is by a visible process that maps it
/// read-only.
pub(crate) fn only_readers(facts: &SegmentFacts) -> bool {
    let found = mappings(facts);
    let readers = found.iter().filter(|(_, writes)| !writes).count();
    readers == found.len() && facts.attached.is_none_or(|attached| attached <= readers as u64)
}

fn mappings(facts: &SegmentFacts) -> Vec<(i32, bool)> {
    proc::mappings_of(|path, id| id == facts.id && path.starts_with("/SYSV"))
}

/// Returns whether there are more attaches than observers and visible readers.
fn is_attached_unseen(backend: BackendKind, facts: &SegmentFacts, observers: u32) -> bool {
    // An observer is registered under the key, and the key does not lead to a removed segment.
    let observers = if facts.removed { 0 } else { observers };
    let uncounted = facts.attached.unwrap_or(0).saturating_sub(observers.into());
    if uncounted == 0 {
        return false;
    }
    let in_sight = match backend {
        BackendKind::Sysv => mappings(facts),
        _ => Vec::new(),
    };
    uncounted > in_sight.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    #[test]
    fn an_observer_of_the_key_does_not_hide_the_owner_of_a_removed_segment() {
        let facts = |removed| SegmentFacts {
            bytes: Bytes(4096),
            uid: 0,
            gid: 0,
            mode: 0o600,
            // No segment of this host.
            id: u64::MAX,
            creator_pid: None,
            last_pid: None,
            attached: Some(1),
            removed,
            changed: 0,
            last_attach: None,
            last_detach: None,
        };
        assert!(is_attached_unseen(BackendKind::Sysv, &facts(true), 1));
        assert!(!is_attached_unseen(BackendKind::Sysv, &facts(false), 1));
    }
}
