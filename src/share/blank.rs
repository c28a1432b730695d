//! Whether a segment is blank, without giving memory to pages that have none.
//!
//! A read through a mapping gives a page to a hole of shared memory. So only what the system says may hold bytes is
//! read: the pages in RAM, or all of them where some are swapped out; of a file, what is no hole.

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

/// The offset of the first word from `from` on that is not zero, or of what follows the last word.
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
            // Asked again, because a page may have gone between the two looks.
            found.or_else(|| has_swapped().then(|| in_words(&region, from, words)).flatten())
        }
        BackendKind::Posix | BackendKind::File => match backend.file(key, facts) {
            Some(file) => {
                in_file(&file, &region, from, words).unwrap_or_else(|_| in_words(&region, from, words))
            }
            None => in_words(&region, from, words),
        },
    };
    // No segment of ours ends in the middle of a word.
    found.or_else(|| (words != region.len()).then_some(words))
}

fn in_words(region: &Region, from: u64, to: u64) -> Option<u64> {
    let words = (from..to).step_by(size_of::<Word>());
    words.into_iter().find(|at| region.at::<Word>(*at).is_ok_and(|word| word.load() != 0))
}

/// The same, of the pages in RAM.
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

/// The same, of what is no hole.
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
