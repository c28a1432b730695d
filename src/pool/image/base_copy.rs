//! A copy of the base, made when an image begins.
//!
//! Left out is what means nothing at that moment: unused entries of the table of extents, and the
//! undo log after its head, because no transaction is open. They are zero in the copy.

use crate::layout::{ExtentRec, LaneHead};
use crate::pool::store::barrier::{CHUNK_PAGES, PAGE};
use crate::pool::store::base::Base;
use crate::word::Word;
use std::ops::Range;

/// Words of a chunk.
const CHUNK_WORDS: usize = CHUNK_PAGES * PAGE / size_of::<Word>();

/// The words of a base.
#[derive(Default)]
pub(crate) struct BaseCopy {
    words: Vec<u64>,
    /// The bytes that were copied; the others are zero.
    parts: Vec<Range<u64>>,
}

impl BaseCopy {
    /// Copies the base into the memory of `earlier`, a copy that is no longer needed.
    ///
    /// New memory begins as zeros, and then zeros are not stored. So it takes memory, and page faults,
    /// only where the base has other bytes. The page faults of new memory take milliseconds.
    pub(crate) fn of(base: &Base, earlier: BaseCopy) -> Self {
        let BaseCopy { mut words, parts: before } = earlier;
        let len = (base.region.len() / size_of::<Word>() as u64) as usize;
        let (is_new, parts) = (words.len() != len, parts(base));
        if is_new {
            words = vec![0; len];
        } else if parts != before {
            before.iter().for_each(|part| zero(&mut words, part));
        }
        for part in &parts {
            let bytes = part.end.saturating_sub(part.start);
            let Ok(from) = base.region.table::<Word>(part.start, bytes / size_of::<Word>() as u64) else {
                continue;
            };
            let to = words.iter_mut().skip(part.start as usize / size_of::<Word>());
            for (at, to) in (0..from.len()).zip(to) {
                match from.get(at).map_or(0, Word::load) {
                    0 if is_new => {}
                    word => *to = word,
                }
            }
        }
        BaseCopy { words, parts }
    }

    /// Returns the bytes of a chunk.
    pub(crate) fn chunk(&self, number: usize) -> Option<&[u8]> {
        self.words.chunks(CHUNK_WORDS).nth(number).map(bytemuck::cast_slice)
    }
}

fn zero(words: &mut [u64], part: &Range<u64>) {
    let word = |offset: u64| offset as usize / size_of::<Word>();
    if let Some(words) = words.get_mut(word(part.start)..word(part.end)) {
        words.fill(0);
    }
}

/// Returns the bytes that are copied.
fn parts(base: &Base) -> Vec<Range<u64>> {
    let g = &base.header.geometry;
    let (extents, lanes) = (g.extents_off.load(), g.lanes_off.load());
    let used = base.header.nextents.load().min(base.extents.len() as u64) * size_of::<ExtentRec>() as u64;
    let extents_end = extents + base.extents.len() as u64 * size_of::<ExtentRec>() as u64;
    let lanes_end = lanes.saturating_add(g.lanes_bytes.load());
    // The tables of extents and the lanes may be in any order.
    let mut left_out = [extents + used..extents_end, lanes + size_of::<LaneHead>() as u64..lanes_end];
    left_out.sort_by_key(|range| range.start);
    let [first, second] = left_out;
    vec![0..first.start, first.end..second.start, second.end..base.region.len()]
}
