//! Copies between the words of a segment and bytes of the process.

use crate::region::Region;
use crate::word::Word;

/// Bytes of a word.
const WORD: usize = size_of::<Word>();

/// Copies whole words from `offset` of a segment. Bytes outside of the segment are zero.
pub(super) fn read(from: &Region, offset: u64, to: &mut [u8]) {
    let Ok(words) = from.table::<Word>(offset, (to.len() / WORD) as u64) else {
        to.fill(0);
        return;
    };
    for (at, to) in to.chunks_exact_mut(WORD).enumerate() {
        to.copy_from_slice(&words.get(at).map_or(0, Word::load).to_le_bytes());
    }
}

/// Copies whole words to `offset` of a segment that no other process uses, and whose bytes are zero
/// from there.
pub(super) fn write(to: &Region, offset: u64, from: &[u8]) {
    let Ok(words) = to.table::<Word>(offset, (from.len() / WORD) as u64) else { return };
    for (at, from) in from.chunks_exact(WORD).enumerate() {
        if let (Some(word), Ok(bytes)) = (words.get(at), from.try_into()) {
            word.fill(u64::from_le_bytes(bytes));
        }
    }
}
