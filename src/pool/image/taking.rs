//! Begins an image, gives it in steps, and ends it.

use crate::pool::image::base_copy::BaseCopy;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::barrier::{Barrier, Changed, PAGE, Piece};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most work of one step of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// About so many bytes, at least one page.
    Bytes(u64),
    /// About so much time: it may take the time of one write longer.
    Time(Duration),
}

/// Bytes of an image.
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
}

/// An image that is being taken.
struct Current {
    base: BaseCopy,
    /// Pages of the base that were given.
    given: usize,
    /// Pages of the blocks that it has.
    has: Changed,
    only_changed: bool,
}

/// Pages between two looks at the clock.
const STRIDE: usize = 16;

impl MemoryPoolMgr {
    /// Begins an image of this moment; returns whether it has all pages.
    ///
    /// With `only_changed` it has the pages that changed since the last image that was kept, if that
    /// one tracks, and else all.
    ///
    /// If `tracks`, the next image can be one of changed pages. Then writes pay for it until
    /// [`image_abandon`](Self::image_abandon) or the end of an image that does not track.
    ///
    /// An image that is still being taken is dropped.
    #[doc(hidden)]
    pub fn image_begin(&mut self, only_changed: bool, tracks: bool) -> bool {
        self.image_drop();
        let MemoryPoolMgr { types, space, base, .. } = self;
        let blocks = || space.regions();
        let taking = self.image.get_or_insert_with(|| {
            let barrier = Arc::new(Barrier::new(blocks()));
            Box::new(Taking { barrier, last: None, current: None, tracks: false })
        });
        let only_changed = only_changed && taking.tracks && taking.last.is_some();
        let used = |number: u32| space.block(number as usize).map_or(0, |(_, used)| used);
        taking.barrier.begin(only_changed, tracks, used);
        taking.tracks = tracks;
        let has = taking.barrier.needed();
        taking.current = Some(Current { base: BaseCopy::of(base), given: 0, has, only_changed });
        let barrier = Arc::clone(&taking.barrier);
        types.for_each_mut(|state| state.watch(&barrier));
        space.watch(Some(barrier));
        !only_changed
    }

    /// Gives `take` some of the image; returns whether it has all.
    ///
    /// # Errors
    ///
    /// Fails as `take` does. The next step begins with the piece that failed.
    #[doc(hidden)]
    pub fn image_step<E>(
        &mut self,
        budget: Budget,
        mut take: impl FnMut(ImagePiece<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(taking) = self.image.as_deref_mut() else { return Ok(true) };
        let began = Instant::now();
        let mut given = 0;
        loop {
            if taking.give(STRIDE.min(pages_of(budget) - given), &mut take)? {
                return Ok(true);
            }
            given += STRIDE;
            let is_over = match budget {
                Budget::Bytes(_) => given >= pages_of(budget),
                Budget::Time(time) => began.elapsed() >= time,
            };
            if is_over {
                return Ok(false);
            }
        }
    }

    /// Ends an image of which all was given and kept.
    #[doc(hidden)]
    pub fn image_end(&mut self) {
        let Some(taking) = self.image.as_deref_mut() else { return };
        let Some(current) = taking.current.take() else { return };
        taking.last = Some(current.base);
        if !taking.tracks {
            self.image_forget();
        }
    }

    /// Drops the image that is being taken, and what is known of earlier ones.
    #[doc(hidden)]
    pub fn image_abandon(&mut self) {
        self.image_forget();
    }

    /// Drops the image that is being taken. The next one has what it would have had.
    #[doc(hidden)]
    pub fn image_drop(&mut self) {
        let Some(taking) = self.image.as_deref_mut() else { return };
        let Some(current) = taking.current.take() else { return };
        taking.barrier.abandon(&current.has);
        if !taking.tracks {
            self.image_forget();
        }
    }

    fn image_forget(&mut self) {
        if self.image.take().is_some() {
            self.types.for_each_mut(|state| state.end_watch());
            self.space.watch(None);
        }
    }

    /// Returns a function that tells whether a change of an address would be noticed for the first
    /// time, and could be asked by another thread; for tests.
    #[doc(hidden)]
    pub fn image_watch(&self) -> Option<impl Fn(usize) -> bool + Send + use<>> {
        let barrier = Arc::clone(&self.image.as_ref()?.barrier);
        Some(move |address| barrier.watches(address))
    }

    /// Returns the bytes that the current image keeps of pages that have changed.
    #[doc(hidden)]
    pub fn image_kept(&self) -> u64 {
        self.image.as_ref().map_or(0, |taking| taking.barrier.kept() as u64 * PAGE as u64)
    }
}

fn pages_of(budget: Budget) -> usize {
    match budget {
        Budget::Bytes(bytes) => (bytes as usize / PAGE).max(1),
        Budget::Time(_) => usize::MAX,
    }
}

impl Taking {
    /// Gives about `pages` pages; returns whether all were given.
    fn give<E>(
        &mut self,
        pages: usize,
        take: &mut dyn FnMut(ImagePiece<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(current) = &mut self.current else { return Ok(true) };
        let end = (current.given + pages).min(current.base.pages());
        if current.given < end {
            let last = self.last.as_ref().filter(|_| current.only_changed);
            for number in current.given..end {
                let bytes = current.base.page(number);
                if last.is_none_or(|last| last.page(number) != bytes) {
                    take(ImagePiece { segment: 0, offset: (number * PAGE) as u64, bytes })?;
                }
                current.given = number + 1;
            }
            return Ok(false);
        }
        self.barrier.give(pages, &mut |Piece { block, offset, bytes }| {
            take(ImagePiece { segment: block + 1, offset, bytes })
        })
    }
}
