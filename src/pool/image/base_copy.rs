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
pub(crate) struct BaseCopy(Vec<u64>);

impl BaseCopy {
    /// Copies the base.
    ///
    /// The memory of the copy begins as zeros, and zeros are not stored. So it takes memory, and page
    /// faults, only where the base has other bytes.
    pub(crate) fn of(base: &Base) -> Self {
        let mut words = vec![0; (base.region.len() / size_of::<Word>() as u64) as usize];
        for part in parts(base) {
            let bytes = part.end.saturating_sub(part.start);
            let Ok(from) = base.region.table::<Word>(part.start, bytes / size_of::<Word>() as u64) else {
                continue;
            };
            let to = words.iter_mut().skip(part.start as usize / size_of::<Word>());
            for (at, to) in (0..from.len()).zip(to) {
                match from.get(at).map_or(0, Word::load) {
                    0 => {}
                    word => *to = word,
                }
            }
        }
        BaseCopy(words)
    }

    /// Returns the bytes of a chunk.
    pub(crate) fn chunk(&self, number: usize) -> Option<&[u8]> {
        self.0.chunks(CHUNK_WORDS).nth(number).map(bytemuck::cast_slice)
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
