//! The pieces of an image, put together to the chunks of a set.

use crate::pool::image::ImagePiece;
use crate::snapshot::{CHUNK, Chunk, SetThread};

/// The chunk whose pieces arrive.
#[derive(Debug)]
pub(crate) struct Assembly {
    /// Lengths of the base and of a block.
    lengths: [u64; 2],
    open: Option<Chunk>,
}

/// All buffers wait to be written.
pub(crate) struct Busy;

impl Assembly {
    /// Begins an image of segments with these lengths, of the base and of a block.
    pub(crate) fn new(lengths: [u64; 2]) -> Self {
        Assembly { lengths, open: None }
    }

    /// Takes a piece; the error says that no buffer is free for its chunk.
    ///
    /// The pieces of a chunk follow one another, in their order.
    pub(crate) fn take(&mut self, piece: ImagePiece<'_>, thread: &mut SetThread) -> Result<(), Busy> {
        let chunk = u64::from(CHUNK);
        let (number, at) = ((piece.offset / chunk) as u32, (piece.offset % chunk) as usize);
        let is_open = |open: &Chunk| (open.segment, open.number) == (piece.segment, number);
        if !self.open.as_ref().is_some_and(is_open) {
            self.close(thread);
            let bytes = thread.buffer().ok_or(Busy)?;
            self.open = Some(Chunk { segment: piece.segment, number, bytes });
        }
        if let Some(Chunk { bytes, .. }) = &mut self.open {
            // What no piece has is zero.
            bytes.resize(at, 0);
            bytes.extend_from_slice(piece.bytes);
        }
        Ok(())
    }

    /// Gives the open chunk to the thread.
    pub(crate) fn close(&mut self, thread: &SetThread) {
        let Some(mut open) = self.open.take() else { return };
        let [base, block] = self.lengths;
        let segment = if open.segment == 0 { base } else { block };
        let left = segment.saturating_sub(u64::from(open.number) * u64::from(CHUNK));
        open.bytes.resize(left.min(CHUNK.into()) as usize, 0);
        thread.chunk(open);
    }
}
