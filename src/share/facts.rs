//! The facts about a segment, collected without changing a byte before anything is decided.

use super::backend::{Access, Backend, SegmentFacts};
use super::blank;
use super::head::Head;
use super::home::Home;
use super::lock_facts::LockFacts;
use super::making;
use super::observer::Observer;
use super::owner;
use super::owner_set::Whose;
use super::patience::Patience;
use super::rivals;
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::layout::MAGIC_MAKING;
use crate::sys::{self, sysv};
use crate::units::{Bytes, Key};
use std::io;

/// The properties that a caller requires of a segment; `None` where any value will do, as for
/// tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Size.
    pub bytes: Option<Bytes>,
    /// User who owns it.
    pub uid: Option<u32>,
    /// Permission bits that it may have.
    pub mode: Option<u32>,
    /// Base or block, as in the frozen bytes.
    pub kind: Option<u32>,
    /// Identity of its pool.
    pub pool_id: Option<[u64; 2]>,
    /// Block number.
    pub index: Option<u32>,
    /// Whether its base records extents in it.
    pub taken: bool,
    /// Whether its base records no extent in it.
    pub empty: bool,
    /// Whether this start created the owner semaphores: then no start has ever left anything under the key.
    pub is_first: bool,
}

/// The head of a segment, or the reason why it was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// There was nothing to read, or no reason to read it.
    Skipped,
    /// The segment is shorter than a head.
    TooShort,
    /// The system refused the attach.
    Refused {
        /// Reason that the system reported.
        why: String,
    },
    /// The head.
    Head(Head),
}

/// The facts about the segment under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Segment key.
    pub key: Key,
    /// Backend in which it was searched.
    pub backend: BackendKind,
    /// Properties that the caller requires.
    #[doc(hidden)]
    pub want: Want,
    /// Facts that the system reports; `None` if there is no segment.
    pub segment: Option<SegmentFacts>,
    /// Name of its user, if that is not the required one and `/etc/passwd` has it.
    pub user: Option<String>,
    /// State of the owner semaphores.
    pub lock: LockFacts,
    /// First bytes of the segment.
    #[doc(hidden)]
    pub reading: Reading,
    /// Number of attaches of an incomplete segment by processes other than visible tools; 0 for a
    /// complete one.
    #[doc(hidden)]
    pub strangers: u64,
    /// Time of this reading, in seconds of the wall clock.
    pub seen: u64,
}

impl Facts {
    /// Returns the head, if it could be read.
    pub fn head(&self) -> Option<&Head> {
        match &self.reading {
            Reading::Head(head) => Some(head),
            _ => None,
        }
    }

    /// Collects the facts for a caller that knows the state of the owner semaphores.
    pub(crate) fn collect(backend: &dyn Backend, key: Key, want: Want, lock: LockFacts) -> io::Result<Facts> {
        Self::attach(backend, key, want, &|| Ok(lock.clone()), Access::Read).map(|(facts, _)| facts)
    }

    /// Collects the facts, and returns the segment that was attached to read its head.
    ///
    /// The caller keeps the segment if it is suitable, and stores nothing before it knows that. `lock`
    /// returns the present state of the semaphores. A tool that attaches or detaches during a reading
    /// resembles a stranger, so a segment that strangers seem to have attached is read again. So is a removed
    /// one, which exists as long as a tool looks at it.
    pub(crate) fn attach(
        backend: &dyn Backend,
        key: Key,
        want: Want,
        lock: &dyn Fn() -> io::Result<LockFacts>,
        access: Access,
    ) -> io::Result<(Facts, Option<Segment>)> {
        let patience = if want.uid.is_some() { Patience::of_a_start() } else { Patience::of_a_tool() };
        patience.look(
            || look(backend, key, &want, lock, access),
            |(facts, _)| {
                let is_removed = facts.segment.as_ref().is_some_and(|segment| segment.removed);
                (facts.strangers != 0 || is_removed)
                    && !matches!(facts.lock, LockFacts::Held { .. } | LockFacts::Foreign(_))
            },
        )
    }
}

/// Reads the system's facts, the semaphores and the head once.
fn look(
    backend: &dyn Backend,
    key: Key,
    want: &Want,
    lock: &dyn Fn() -> io::Result<LockFacts>,
    access: Access,
) -> io::Result<(Facts, Option<Segment>)> {
    let (found, lock) = (backend.stat(key)?, lock()?);
    let (mut reading, segment) = match &found {
        Some(found) if readable(found, want) => read(backend, key, found, access)?,
        _ => (Reading::Skipped, None),
    };
    let strangers = match &reading {
        Reading::Head(head) if head.is_incomplete() => {
            rivals::strangers(backend, key, segment.as_ref().map(|_| access))?
        }
        _ => 0,
    };
    if let (Reading::Head(head), Some(found)) = (&mut reading, &found)
        && (head.magic == MAGIC_MAKING || head.blank && may_be_a_beginning(backend.kind(), want, &lock))
    {
        head.beyond = beyond(backend, key, found, segment.as_ref(), head);
    }
    // The name is only for messages about another user; a successful start does not need it.
    let stranger = found.as_ref().filter(|found| want.uid != Some(found.uid));
    let user = stranger.and_then(|found| sys::user_name(found.uid));
    let (backend, seen) = (backend.kind(), sys::wall_seconds());
    let want = want.clone();
    Ok((Facts { key, backend, want, segment: found, user, lock, reading, strangers, seen }, segment))
}

/// Returns whether a segment of zeros may be the beginning of a creation.
///
/// A file or POSIX memory has a name that only hotpool gives; a System V segment has a number that any
/// program may use. A start creates the owner semaphores before the base, and they survive a kill, so
/// without them the zeros belong to another program. A post-mortem copy has no semaphores, but its creator
/// knows what the creation would be.
pub(super) fn may_be_a_beginning(backend: BackendKind, want: &Want, lock: &LockFacts) -> bool {
    backend != BackendKind::Sysv
        || match lock {
            LockFacts::Free { .. } | LockFacts::Ours { .. } => !want.is_first,
            _ => want.bytes.is_some(),
        }
}

/// Returns the first offset in an unfinished segment with bytes that no creation writes.
fn beyond(
    backend: &dyn Backend,
    key: Key,
    found: &SegmentFacts,
    segment: Option<&Segment>,
    head: &Head,
) -> Option<u64> {
    let from = if head.blank { 0 } else { making::end_of_head(head.kind) };
    match segment {
        Some(segment) => blank::first_byte(backend, key, found, segment, from),
        // The segment was attached only for reading its head.
        None => match backend.attach(key, found, Access::Read) {
            Ok(segment) => blank::first_byte(backend, key, found, &segment, from),
            Err(_) => Some(from),
        },
    }
}

/// Collects facts for a tool: attaches the segment briefly for reading, as an observer.
///
/// It changes nothing but the kernel's times of the last attach and detach.
pub(super) fn observe(key: Key, home: &Home) -> io::Result<Facts> {
    observe_as(key, home, Want::default())
}

/// Collects facts for a tool that knows what the segment should be.
pub(super) fn observe_as(key: Key, home: &Home, want: Want) -> io::Result<Facts> {
    let backend = home.open();
    if home.backend == BackendKind::Heap {
        return Facts::collect(&*backend, key, want, owner::look_heap(key));
    }
    let registered = Observer::register(key);
    let others = || Ok(owner::look_at(&*backend, key, Whose::Any)?.without(registered.is_some().into()));
    Facts::attach(&*backend, key, want, &others, Access::Read).map(|(facts, _)| facts)
}

/// Returns the properties that a segment of this user must have.
pub(crate) fn want(bytes: u64, mode: u32, kind: u32) -> Want {
    Want {
        bytes: Some(Bytes(bytes)),
        uid: Some(sysv::effective_uid()),
        mode: Some(mode),
        kind: Some(kind),
        ..Want::default()
    }
}

/// Returns whether the head may be read.
///
/// A segment of another user is not attached, not even for reading. A removed one has no key to
/// attach it by, and an empty one has no byte.
fn readable(found: &SegmentFacts, want: &Want) -> bool {
    !found.removed && found.bytes.0 != 0 && want.uid.is_none_or(|uid| uid == found.uid)
}

/// Attaches the segment and reads its head.
///
/// An error that is not about the segment itself is returned as an error.
fn read(
    backend: &dyn Backend,
    key: Key,
    found: &SegmentFacts,
    access: Access,
) -> io::Result<(Reading, Option<Segment>)> {
    match backend.attach(key, found, access) {
        Ok(segment) => {
            Ok((Head::read(&segment.region()).map_or(Reading::TooShort, Reading::Head), Some(segment)))
        }
        // It may still be readable, and the facts are then more complete.
        Err(_) if access == Access::Write => Ok((read(backend, key, found, Access::Read)?.0, None)),
        Err(error) if is_of_this_process(&error) => Err(error),
        Err(error) => Ok((Reading::Refused { why: error.to_string() }, None)),
    }
}

/// Returns whether an attach failed because of this process or host, and not because of the
/// segment.
fn is_of_this_process(error: &io::Error) -> bool {
    const ITS_OWN: [i32; 8] = [
        libc::ENOMEM,
        libc::EMFILE,
        libc::ENFILE,
        libc::EAGAIN,
        libc::EPERM,
        libc::ENOSYS,
        libc::EIO,
        libc::EINTR,
    ];
    error.raw_os_error().is_some_and(|errno| ITS_OWN.contains(&errno))
}
