//! What batches of lookups ask the index for before they need it.

use super::{Hash, Index, SLOT_MASK};
use crate::layout::Group;
use crate::pool::store::probe::Hits;
use crate::pool::store::slot::fetch;

/// The group of first choice of a key, which is on its way to the cache.
#[derive(Clone, Copy)]
pub(crate) struct Coming<'a> {
    /// `None` if the index has no groups.
    group: Option<&'a Group>,
    /// Upper half of an entry of the key.
    upper: u32,
}

impl Coming<'_> {
    /// The group of no key.
    pub(crate) const NONE: Self = Coming { group: None, upper: 0 };

    /// Returns the slot that probably carries the key, without reading it.
    ///
    /// If no entry of the group has the hash of the key, it is a slot that does not exist.
    #[inline(always)]
    pub(crate) fn slot(self) -> u32 {
        let entry = self.group.and_then(|group| Hits::new(group, self.upper).next_entry());
        (entry.unwrap_or(0) as u32 & SLOT_MASK as u32).wrapping_sub(1)
    }
}

impl Index {
    /// Prefetches the group of first choice of a key.
    #[inline(always)]
    pub(crate) fn fetch(&self, key: u64) -> Coming<'_> {
        let hash = Hash::of(key, self.seed);
        let group = self.group(self.addressing().first(hash));
        if let Some(group) = group {
            fetch(std::ptr::from_ref(group).cast());
        }
        Coming { group, upper: hash.upper() }
    }
}
