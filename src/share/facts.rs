//! What is known of a segment before anything is decided: collected without changing a byte.

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

/// What a caller needs the segment to be. `None` where anything will do, as for tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Its size.
    pub bytes: Option<Bytes>,
    /// Its owner.
    pub uid: Option<u32>,
    /// The permission bits it may have.
    pub mode: Option<u32>,
    /// Base or block, as the frozen bytes say it.
    pub kind: Option<u32>,
    /// The pool it belongs to.
    pub pool_id: Option<[u64; 2]>,
    /// Number of the block.
    pub index: Option<u32>,
    /// Its base says that types have taken parts of it.
    pub taken: bool,
    /// Its base says that no type has taken anything of it.
    pub empty: bool,
    /// The owner semaphores were made for this look: no start has ever left anything under the key.
    pub is_first: bool,
}

/// The head of a segment, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// There was nothing to read, or no reason to.
    Skipped,
    /// The segment is shorter than a head.
    TooShort,
    /// The system refused.
    Refused {
        /// Its answer.
        why: String,
    },
    /// This is what it says.
    Head(Head),
}

/// What is known of the segment under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The key.
    pub key: Key,
    /// Where it was looked for.
    pub backend: BackendKind,
    /// What the caller needs.
    pub want: Want,
    /// What the system says of the segment; `None` if there is none.
    pub segment: Option<SegmentFacts>,
    /// Name of its user, where that is not the one wanted and `/etc/passwd` knows it.
    pub user: Option<String>,
    /// What the owner semaphores say.
    pub lock: LockFacts,
    /// Its first bytes.
    pub reading: Reading,
    /// Of a segment that is not complete: attaches by processes that are no tool in sight. Zero for all others.
    pub strangers: u64,
    /// When all this was looked at, seconds of the wall clock.
    pub seen: u64,
}

impl Facts {
    /// The head, if it could be read.
    pub fn head(&self) -> Option<&Head> {
        match &self.reading {
            Reading::Head(head) => Some(head),
            _ => None,
        }
    }

    /// When the segment was last detached, seconds of the wall clock: when its last owner
    /// closed it or died, unless a tool has looked at it since.
    pub fn last_detach(&self) -> Option<u64> {
        self.segment.as_ref()?.last_detach
    }

    /// Facts for a caller that knows what the owner semaphores say.
    pub(crate) fn collect(backend: &dyn Backend, key: Key, want: Want, lock: LockFacts) -> io::Result<Facts> {
        Self::attach(backend, key, want, &|| Ok(lock.clone()), Access::Read).map(|(facts, _)| facts)
    }

    /// The same, and the segment that was attached to read its head: for a caller that keeps it if it is what it wants,
    /// and stores nothing before it knows that.
    ///
    /// `lock` says what the semaphores say now. A tool that comes or goes during the look seems to be a stranger, so a
    /// segment that a stranger seems to have attached is looked at again.
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
                facts.strangers != 0 && !matches!(facts.lock, LockFacts::Held { .. } | LockFacts::Foreign(_))
            },
        )
    }
}

/// One look: the system, the semaphores, the head.
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
    // The name is for people who are told of a stranger; a start that goes well has no use for it.
    let stranger = found.as_ref().filter(|found| want.uid != Some(found.uid));
    let user = stranger.and_then(|found| sys::user_name(found.uid));
    let (backend, seen) = (backend.kind(), sys::wall_seconds());
    let want = want.clone();
    Ok((Facts { key, backend, want, segment: found, user, lock, reading, strangers, seen }, segment))
}

/// Whether a segment of zeros may be the beginning of a creation.
///
/// A file or POSIX memory has a name that only hotpool gives. A System V segment has a number that any program may use.
/// A start makes the owner semaphores before the base, and a kill leaves them; without them the zeros are a stranger's.
/// A copy for the post-mortem has no semaphores: its maker knows what the creation would be.
pub(super) fn may_be_a_beginning(backend: BackendKind, want: &Want, lock: &LockFacts) -> bool {
    backend != BackendKind::Sysv
        || match lock {
            LockFacts::Free { .. } | LockFacts::Ours { .. } => !want.is_first,
            _ => want.bytes.is_some(),
        }
}

/// What a segment that is not complete holds beyond what a creation writes.
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
        // It was attached for reading alone, to read its head.
        None => match backend.attach(key, found, Access::Read) {
            Ok(segment) => blank::first_byte(backend, key, found, &segment, from),
            Err(_) => Some(from),
        },
    }
}

/// Facts for a tool: attaches the segment for a moment, for reading, registered as an observer.
/// Changes nothing but the kernel's times of the last attach and detach.
pub(super) fn observe(key: Key, home: &Home) -> io::Result<Facts> {
    let backend = home.open();
    if home.backend == BackendKind::Heap {
        return Facts::collect(&*backend, key, Want::default(), owner::look_heap(key));
    }
    let registered = Observer::register(key);
    let others = || Ok(owner::look_at(&*backend, key, Whose::Any)?.without(registered.is_some().into()));
    Facts::attach(&*backend, key, Want::default(), &others, Access::Read).map(|(facts, _)| facts)
}

/// What a segment of this user has to be.
pub(crate) fn want(bytes: u64, mode: u32, kind: u32) -> Want {
    Want {
        bytes: Some(Bytes(bytes)),
        uid: Some(sysv::effective_uid()),
        mode: Some(mode),
        kind: Some(kind),
        ..Want::default()
    }
}

/// A stranger's segment is not attached, not even for reading; a removed one has no key to
/// attach it by; an empty one has no byte.
fn readable(found: &SegmentFacts, want: &Want) -> bool {
    !found.removed && found.bytes.0 != 0 && want.uid.is_none_or(|uid| uid == found.uid)
}

/// Attaches the segment and reads its head. An error that says nothing of the segment is no answer about it.
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
        // It may still be read, and then there is more to say of it.
        Err(_) if access == Access::Write => Ok((read(backend, key, found, Access::Read)?.0, None)),
        Err(error) if is_of_this_process(&error) => Err(error),
        Err(error) => Ok((Reading::Refused { why: error.to_string() }, None)),
    }
}

/// Whether an attach was refused for what this process or host is short of, and not for what the segment is.
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
