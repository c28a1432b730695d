//! What is under the key of a lock or queue: its segment and its semaphores, each whole or not.

use super::head::{Head, MAKING, READY};
use super::part::Part;
use super::seats::Seats;
use crate::share::{Access, Home, SegmentFacts, is_blank};
use crate::sys::sysv;
use crate::units::Key;
use std::io;

/// The two parts of a lock or queue.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The segment.
    pub segment: Part,
    /// The set of semaphores.
    pub seats: Part,
}

/// Returns what is under a key. Changes nothing.
///
/// # Errors
///
/// A system call failed.
#[doc(hidden)]
pub fn parts(key: Key) -> io::Result<Parts> {
    let backend = Home::sysv().open();
    let found = backend.stat(key)?.filter(|facts| !facts.removed);
    let segment = found.map_or(Ok(Part::Absent), |facts| segment_of(key, &facts));
    let segment = or_absent(segment)?;
    Ok(Parts { segment, seats: or_absent(Seats::find(key)?.map_or(Ok(Part::Absent), Seats::part))? })
}

/// Counts what was removed since it was found as absent.
fn or_absent(answer: io::Result<Part>) -> io::Result<Part> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Part::Absent),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL)) => Ok(Part::Absent),
        answer => answer,
    }
}

/// Returns what a segment is.
pub(super) fn segment_of(key: Key, facts: &SegmentFacts) -> io::Result<Part> {
    if facts.uid != sysv::effective_uid() {
        return Ok(Part::Foreign);
    }
    let backend = Home::sysv().open();
    let segment = backend.attach(key, facts, Access::Read)?;
    Ok(match segment.region().at::<Head>(0).map(|head| head.magic.load()) {
        Ok(READY) => Part::Whole,
        Ok(MAKING) => Part::Unfinished,
        // The first store of a creation changes the magic.
        Ok(0) if is_blank(&*backend, key, facts, &segment) => Part::Unfinished,
        _ => Part::Foreign,
    })
}
