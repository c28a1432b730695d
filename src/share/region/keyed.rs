//! Named regions as segments of a backend: inspecting a key, creating a region, mapping a region.

use super::error::RegionError;
use super::head::{HEAD_BYTES, Head, Identity, MAKING, REMOVED, WHOLE, Words};
use super::keys::RegionKeys;
use super::turn::Turn;
use super::view::{Named, Region, RegionView};
use crate::conf::BackendKind;
use crate::region::OutOfBounds;
use crate::share::backend::{Access, Backend, SegmentFacts, replaced};
use crate::share::blank;
use crate::share::error::{ShareError, system};
use crate::share::segment::Segment;
use crate::share::small;
use crate::sys::guard::guarded;
use crate::sys::sysv;
use crate::units::Key;
use crate::word::{Word, read_before};
use std::io::{self, Read};

const MODE: u32 = 0o600;

/// The content of a key.
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// A region that is not whole, or was removed. If this process has the turn, a dead process
    /// left it.
    Leftover(SegmentFacts),
    /// A whole region.
    Whole(Whole),
}

/// A whole region.
pub(super) struct Whole {
    pub(super) facts: SegmentFacts,
    pub(super) identity: Identity,
}

fn refused(backend: &dyn Backend, error: ShareError) -> RegionError {
    error.at(backend).into()
}

fn foreign(key: Key, why: impl Into<String>) -> RegionError {
    RegionError::Foreign { key, why: why.into() }
}

/// Inspects a key, without changing anything.
///
/// Without the turn, another process may be creating a segment of zeros at this moment. So such a
/// segment counts as absent.
pub(super) fn look(backend: &dyn Backend, key: Key, turn: Option<&Turn>) -> Result<Found, RegionError> {
    let found = backend.find(key).map_err(system(key, 0, "look at"));
    let Some(facts) = found.map_err(|error| refused(backend, error))? else {
        return Ok(Found::Absent);
    };
    if facts.uid != sysv::effective_uid() {
        return Err(foreign(key, format!("it belongs to user {}", facts.uid)));
    }
    let words = head_of(backend, key, &facts).and_then(|words| match words[0] {
        // The other words were complete before the stage. They may have been read before it.
        WHOLE => {
            read_before();
            head_of(backend, key, &facts)
        }
        _ => Ok(words),
    });
    let words = match words {
        Ok(words) => words,
        // The segment was removed or replaced since it was found.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(refused(backend, system(key, facts.bytes.0, "read")(error))),
    };
    match words[0] {
        MAKING => Ok(Found::Leftover(facts)),
        0 if turn.is_none() => Ok(Found::Absent),
        0 if is_blank(backend, key, &facts) => Ok(Found::Leftover(facts)),
        WHOLE if words[8] == REMOVED => Ok(Found::Leftover(facts)),
        WHOLE => match Identity::of(&words) {
            Some(identity) if identity.key == key && identity.bytes + HEAD_BYTES == facts.bytes.0 => {
                Ok(Found::Whole(Whole { facts, identity }))
            }
            _ => Err(foreign(key, "the head of its region is damaged")),
        },
        _ => Err(foreign(key, "it has a segment of another kind")),
    }
}

/// Reads the words of a head; those after the end of the segment are zero.
fn head_of(backend: &dyn Backend, key: Key, facts: &SegmentFacts) -> io::Result<Words> {
    let mut words = Words::default();
    if backend.path(key).is_some() {
        // A read through a mapping would populate a hole of a file, and the disk may be full.
        let mut file = backend.file(key, facts).ok_or_else(replaced)?;
        let mut bytes = [0; size_of::<Words>()];
        let mut at = 0;
        while let read @ 1.. = file.read(bytes.get_mut(at..).unwrap_or_default())? {
            at += read;
        }
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        return Ok(words);
    }
    let segment = backend.attach(key, facts, Access::Read)?;
    for (n, word) in words.iter_mut().enumerate() {
        *word = segment.region().at::<Word>(n as u64 * 8).map_or(0, |word| word.load());
    }
    Ok(words)
}

/// Returns whether a segment is all zeros and no other process has it: a creation that was
/// interrupted at its beginning.
fn is_blank(backend: &dyn Backend, key: Key, facts: &SegmentFacts) -> bool {
    if facts.bytes.0 == 0 {
        return true;
    }
    if facts.attached.is_some_and(|attached| attached > 0) || !backend.writers(key, facts).is_empty() {
        return false;
    }
    match backend.attach(key, facts, Access::Read) {
        Ok(segment) => blank::is_blank(backend, key, facts, &segment),
        Err(_) => false,
    }
}

/// Returns the current generation: the whole one with the highest number.
pub(super) fn current(
    backend: &dyn Backend,
    keys: RegionKeys,
    turn: Option<&Turn>,
) -> Result<Option<Whole>, RegionError> {
    let mut best: Option<Whole> = None;
    for key in keys.all() {
        if let Found::Whole(found) = look(backend, key, turn)?
            && best.as_ref().is_none_or(|best| best.identity.generation < found.identity.generation)
        {
            best = Some(found);
        }
    }
    Ok(best)
}

/// Removes a segment that was found.
pub(super) fn remove(backend: &dyn Backend, key: Key, facts: &SegmentFacts) -> Result<(), RegionError> {
    match backend.remove(key, facts) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer.map_err(|error| refused(backend, system(key, facts.bytes.0, "remove")(error))),
    }
}

/// Creates a whole region; `old` is the generation whose data it copies. The caller has the turn.
pub(super) fn make(
    backend: &dyn Backend,
    identity: &Identity,
    old: Option<&Region>,
) -> Result<(), RegionError> {
    let (key, bytes) = (identity.key, HEAD_BYTES + identity.bytes);
    let made = small::create(backend, key, bytes, MODE);
    let segment = made.map_err(|error| refused(backend, error))?;
    fill(backend, &segment, identity, old).inspect_err(|_| {
        // A failed creation removes its segment, which no other process has seen.
        if let Ok(Some(facts)) = backend.find(key) {
            let _ = backend.remove(key, &facts);
        }
    })
}

fn fill(
    backend: &dyn Backend,
    segment: &Segment,
    identity: &Identity,
    old: Option<&Region>,
) -> Result<(), RegionError> {
    let (key, span) = (identity.key, segment.region());
    let outside = |OutOfBounds| foreign(key, "its segment is too short");
    let head = span.at::<Head>(0).map_err(outside)?;
    let reserve = |bytes| {
        backend
            .reserve(key, &span, bytes)
            .map_err(|error| refused(backend, system(key, span.len(), "populate")(error)))
    };
    // The first store needs the memory of its page.
    reserve(HEAD_BYTES)?;
    head.stage.store(MAKING);
    reserve(span.len())?;
    if let Some(old) = old {
        old.copy_to(&span, HEAD_BYTES)?;
    }
    identity.fill(&head);
    head.stage.store(WHOLE);
    Ok(())
}

/// Maps a whole region; returns `None` if it was removed since it was found.
pub(super) fn map(
    backend: &dyn Backend,
    keys: RegionKeys,
    found: &Whole,
    access: Access,
) -> Result<Option<RegionView>, RegionError> {
    let (key, identity) = (found.identity.key, found.identity);
    let attach = || backend.attach(key, &found.facts, access);
    // Memory of the heap has its own guard.
    let mapped = match backend.kind() {
        BackendKind::Heap => attach().map(|segment| (segment, None)),
        _ => guarded(attach, Segment::span).map(|(segment, guard)| (segment, Some(guard))),
    };
    let (segment, guard) = match mapped {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        answer => {
            answer.map_err(|error| refused(backend, system(key, found.facts.bytes.0, "attach")(error)))?
        }
    };
    let head = segment.region().at::<Head>(0).map_err(|_| foreign(key, "its segment is too short"))?;
    RegionView::named(segment, guard, Named { keys, identity, head }).map(Some)
}
