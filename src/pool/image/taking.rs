//! An image that is being taken, and what is known for the next one.

use crate::pool::image::base_copy::BaseCopy;
use crate::pool::store::barrier::{Barrier, CHUNK_PAGES, Changed, PAGE, Piece};
use crate::pool::store::base::Base;
use crate::pool::store::extents::Space;
use crate::pool::store::type_table::TypeTable;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most work of one step of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// About so many bytes, at least one chunk.
    Bytes(u64),
    /// About so much time: it may take the time of one chunk longer.
    Time(Duration),
}

/// Bytes of an image, which is divided into chunks of 256 KiB of each segment.
///
/// The pieces of a chunk follow one another. What they leave out of it is zero.
#[derive(Clone, Copy, Debug)]
pub struct ImagePiece<'a> {
    /// 0 for the base, else the number of the block + 1.
    pub segment: u32,
    /// Where the bytes are in the segment.
    pub offset: u64,
    /// At least one page, and whole pages.
    pub bytes: &'a [u8],
}

/// The images of a pool.
pub(crate) struct Taking {
    barrier: Arc<Barrier>,
    /// The base of the last image that was kept.
    last: Option<BaseCopy>,
    current: Option<Current>,
    tracks: bool,
    /// Copies of the base whose memory the next images use.
    spare: Vec<BaseCopy>,
}

/// An image that is being taken.
struct Current {
    base: BaseCopy,
    /// Chunks of the base that were given.
    given: usize,
    /// Pages of the blocks that it has.
    has: Changed,
    only_changed: bool,
}

/// Time in which a page is kept, and more than most hosts take: a step must not exceed its budget.
const OF_PAGE: Duration = Duration::from_micros(2);
/// Most pages that are kept together, by several threads. It takes a few milliseconds.
const MOST_TOGETHER: usize = 8192;

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = CHUNK_PAGES * PAGE;

impl Taking {
    /// Prepares for the images of a pool with these blocks.
    pub(crate) fn new(space: &Space) -> Self {
        let barrier = Arc::new(Barrier::new(space.regions()));
        Taking { barrier, last: None, current: None, tracks: false, spare: Vec::new() }
    }

    /// Returns the write barrier.
    pub(crate) fn barrier(&self) -> &Arc<Barrier> {
        &self.barrier
    }

    /// Notes changes from here on, so that the next image gives first what changes often.
    ///
    /// It gets the memory for copies of the base: of an image, and of the one before it.
    pub(crate) fn track(&mut self, base: &Base, types: &mut TypeTable, space: &mut Space) {
        self.spare = (0..2).map(|_| BaseCopy::of(base, BaseCopy::default())).collect();
        let used = |number: u32| space.block(number as usize).map_or(0, |(_, used)| used);
        self.barrier.track(used);
        self.tracks = true;
        self.watch(types, space);
    }

    /// Makes every type, and the space, tell the barrier of changes.
    fn watch(&self, types: &mut TypeTable, space: &mut Space) {
        types.for_each_mut(|state| state.watch(&self.barrier));
        space.watch(Some(Arc::clone(&self.barrier)));
    }

    /// Begins an image of this moment; returns whether it has all pages.
    ///
    /// No other image is being taken. From here on `types` and `space` tell the barrier of every
    /// change.
    pub(crate) fn begin(
        &mut self,
        base: &Base,
        types: &mut TypeTable,
        space: &mut Space,
        only_changed: bool,
        tracks: bool,
    ) -> bool {
        let only_changed = only_changed && self.tracks && self.last.is_some();
        let used = |number: u32| space.block(number as usize).map_or(0, |(_, used)| used);
        let has = self.barrier.begin(only_changed, tracks, used);
        self.tracks = tracks;
        let base = BaseCopy::of(base, self.spare.pop().unwrap_or_default());
        self.current = Some(Current { base, given: 0, has, only_changed });
        self.watch(types, space);
        !only_changed
    }

    /// Gives `take` some of the image; returns whether it has all.
    ///
    /// Pages that will probably change soon are kept first. Between two images it gets memory for them.
    pub(crate) fn step<E>(
        &mut self,
        types: &mut TypeTable,
        budget: Budget,
        take: &mut dyn FnMut(ImagePiece<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let began = Instant::now();
        let mut bytes = 0;
        if self.current.is_some() {
            types.for_each_mut(|state| state.slots.withdraw());
        }
        loop {
            let left = match budget {
                Budget::Bytes(_) => Duration::ZERO,
                Budget::Time(most) => most.saturating_sub(began.elapsed()),
            };
            let kept = self.prepare((left.as_nanos() / OF_PAGE.as_nanos()) as usize);
            if kept == 0 && !self.give(take)? {
                return Ok(true);
            }
            bytes += (kept * PAGE).max(CHUNK) as u64;
            let is_over = match budget {
                Budget::Bytes(most) => bytes >= most,
                Budget::Time(most) => began.elapsed() >= most,
            };
            if is_over {
                return Ok(false);
            }
        }
    }

    /// Keeps at most so many pages, or a chunk; between two images, gets memory for a chunk. Returns the
    /// number of pages.
    fn prepare(&mut self, most: usize) -> usize {
        match &self.current {
            Some(_) => self.barrier.keep(most.min(MOST_TOGETHER)),
            None => usize::from(self.barrier.reserve()) * CHUNK_PAGES,
        }
    }

    /// Gives the next chunk; returns false if there is none.
    fn give<E>(&mut self, take: &mut dyn FnMut(ImagePiece<'_>) -> Result<(), E>) -> Result<bool, E> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let last = self.last.as_ref().filter(|_| current.only_changed);
        while let Some(bytes) = current.base.chunk(current.given) {
            let offset = (current.given * CHUNK) as u64;
            let is_new = last.is_none_or(|last| last.chunk(current.given) != Some(bytes));
            if is_new {
                take(ImagePiece { segment: 0, offset, bytes })?;
            }
            current.given += 1;
            if is_new {
                return Ok(true);
            }
        }
        self.barrier.give(&mut |Piece { block, offset, bytes }| {
            take(ImagePiece { segment: block + 1, offset, bytes })
        })
    }

    /// Ends an image of which all was given and kept; returns whether changes are noted for the next
    /// one.
    pub(crate) fn end(&mut self) -> bool {
        if let Some(current) = self.current.take() {
            self.spare.extend(self.last.replace(current.base));
        }
        self.tracks
    }

    /// Drops the image that is being taken, whose pages the next one has then; returns whether
    /// changes are noted for it.
    pub(crate) fn drop_current(&mut self) -> bool {
        if let Some(current) = self.current.take() {
            self.barrier.abandon(&current.has);
            self.spare.push(current.base);
        }
        self.tracks
    }
}
