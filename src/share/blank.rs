//! Finds out whether a segment is blank, without populating pages.
//!
//! A read through a mapping populates a hole of shared memory. So only pages that may hold bytes
//! are read: the pages in RAM, or all of them if some are swapped out; in a file, the parts that
//! are not holes.

use super::backend::{Backend, SegmentFacts};
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::limits::PAGE;
use crate::region::Region;
use crate::sys::{mem, proc, sparse};
use crate::units::Key;
use crate::word::Word;
use std::fs::File;
use std::io;

/// Returns whether every byte of a segment is zero.
pub(crate) fn is_blank(backend: &dyn Backend, key: Key, facts: &SegmentFacts, segment: &Segment) -> bool {
    first_byte(backend, key, facts, segment, 0).is_none()
}

/// Returns the offset of the first word from `from` on that is not zero, or of the bytes after the
/// last word.
pub(super) fn first_byte(
    backend: &dyn Backend,
    key: Key,
    facts: &SegmentFacts,
    segment: &Segment,
    from: u64,
) -> Option<u64> {
    let region = segment.region();
    let words = region.len() / 8 * 8;
    let found = match backend.kind() {
        BackendKind::Heap => in_words(&region, from, words),
        BackendKind::Sysv => {
            let has_swapped = || proc::swapped(facts.id as i32) != Some(0);
            let found = if has_swapped() { None } else { in_pages(&region, from, words) };
            // Queried again, because a page may have been swapped out between the two readings.
            found.or_else(|| has_swapped().then(|| in_words(&region, from, words)).flatten())
        }
        BackendKind::Posix | BackendKind::File => match backend.file(key, facts) {
            Some(file) => {
                in_file(&file, &region, from, words).unwrap_or_else(|_| in_words(&region, from, words))
            }
            None => in_words(&region, from, words),
        },
    };
    // Hotpool creates no segment that ends within a word.
    found.or_else(|| (words != region.len()).then_some(words))
}

fn in_words(region: &Region, from: u64, to: u64) -> Option<u64> {
    let words = (from..to).step_by(size_of::<Word>());
    words.into_iter().find(|at| region.at::<Word>(*at).is_ok_and(|word| word.load() != 0))
}

/// Searches the pages in RAM for the first word that is not zero.
fn in_pages(region: &Region, from: u64, to: u64) -> Option<u64> {
    const AT_ONCE: u64 = 64 << 20;
    for start in (from / PAGE * PAGE..to).step_by(AT_ONCE as usize) {
        let bytes = AT_ONCE.min(region.len() - start);
        let Ok(pages) = mem::resident(region, start, bytes) else {
            return in_words(region, from.max(start), to);
        };
        for (number, _) in pages.iter().enumerate().filter(|(_, page)| **page != 0) {
            let at = start + number as u64 * PAGE;
            if let Some(found) = in_words(region, at.max(from), (at + PAGE).min(to)) {
                return Some(found);
            }
        }
    }
    None
}

/// Searches the parts of a file that are not holes for the first word that is not zero.
fn in_file(file: &File, region: &Region, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    while let Some(start) = sparse::next_bytes(file, at)?.filter(|start| *start < to) {
        let end = sparse::next_hole(file, start)?.unwrap_or(to).min(to);
        if let Some(found) = in_words(region, start / 8 * 8, end) {
            return Ok(Some(found));
        }
        at = end.max(start + 1);
    }
    Ok(None)
}
