//! Images of the pool, for snapshots and tests.

use crate::pool::image::{Budget, ImagePiece, Taking};
use crate::pool::manager::MemoryPoolMgr;
use std::sync::Arc;

impl MemoryPoolMgr {
    /// Notes from here on what changes, so that the first image, too, gives first what changes often.
    ///
    /// Changes pay for it. Call it some ticks before the first image.
    #[doc(hidden)]
    pub fn image_track(&mut self) {
        let MemoryPoolMgr { types, space, base, image, .. } = self;
        if image.is_none() {
            image.insert(Box::new(Taking::new(space))).track(base, types, space);
        }
    }

    /// Begins an image of this moment; returns whether it has all pages.
    ///
    /// With `only_changed` it has the pages that changed since the last image that was kept, if that
    /// one tracks, and else all. If `tracks`, the next image can be one of changed pages. Until then
    /// changes pay for it. An image that is still being taken is dropped.
    #[doc(hidden)]
    pub fn image_begin(&mut self, only_changed: bool, tracks: bool) -> bool {
        self.image_drop();
        let MemoryPoolMgr { types, space, base, image, .. } = self;
        let taking = image.get_or_insert_with(|| Box::new(Taking::new(space)));
        taking.begin(base, types, space, only_changed, tracks)
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
        let MemoryPoolMgr { types, image, .. } = self;
        image.as_deref_mut().map_or(Ok(true), |taking| taking.step(types, budget, &mut take))
    }

    /// Ends an image of which all was given and kept.
    #[doc(hidden)]
    pub fn image_end(&mut self) {
        if self.image.as_deref_mut().is_some_and(|taking| !taking.end()) {
            self.image_forget();
        }
    }

    /// Drops the image that is being taken. The next one has what it would have had.
    #[doc(hidden)]
    pub fn image_drop(&mut self) {
        if self.image.as_deref_mut().is_some_and(|taking| !taking.drop_current()) {
            self.image_forget();
        }
    }

    /// Drops the image that is being taken, and what is known of earlier ones.
    #[doc(hidden)]
    pub fn image_forget(&mut self) {
        if self.image.take().is_some() {
            self.types.for_each_mut(|state| state.end_watch());
            self.space.watch(None);
        }
    }

    /// Returns the bytes that the current image keeps of pages that have changed.
    #[doc(hidden)]
    pub fn image_kept(&self) -> u64 {
        self.image.as_ref().map_or(0, |taking| taking.barrier().kept_bytes())
    }

    /// Returns a function that tells, in any thread, whether the page of an address is watched.
    #[doc(hidden)]
    pub fn image_watch(&self) -> Option<impl Fn(usize) -> bool + Send + use<>> {
        let barrier = Arc::clone(self.image.as_ref()?.barrier());
        Some(move |address| barrier.watches(address))
    }
}
