//! What batches of lookups ask the index for before they need it.

use super::Index;
use crate::layout::Group;
use crate::pool::store::index::hash::Hash;
use crate::pool::store::probe::{Hits, overflow_of};
use crate::pool::store::slot::fetch;

/// A group that probably has the entry of a key, on its way to the cache.
#[derive(Clone, Copy)]
pub(crate) struct Coming<'a> {
    /// `None` if there is nothing to look at.
    group: Option<&'a Group>,
    hash: Hash,
}

impl Coming<'_> {
    /// The group of no key.
    pub(crate) const NONE: Self = Coming { group: None, hash: Hash::of_entry(0) };

    /// Returns the slot that probably carries the key, without reading it.
    ///
    /// If no entry of the group has the hash of the key, it is a slot that does not exist.
    #[inline(always)]
    pub(crate) fn slot(self) -> u32 {
        let slot = self.group.and_then(|group| Hits::new(group, self.hash.upper()).next_slot());
        slot.unwrap_or(u32::MAX)
    }
}

impl Index {
    /// Prefetches the group of first choice of a key.
    #[inline(always)]
    pub(crate) fn fetch(&self, key: u64) -> Coming<'_> {
        let hash = Hash::of(key, self.seed);
        self.fetch_group(self.addressing().first(hash), hash)
    }

    /// Prefetches the second group of a key whose first one is `coming`, if its entry may be there.
    #[inline(always)]
    pub(crate) fn fetch_second(&self, coming: Coming<'_>) -> Coming<'_> {
        match coming.group {
            Some(first) if overflow_of(first) != 0 => {
                self.fetch_group(self.addressing().second(coming.hash), coming.hash)
            }
            _ => Coming::NONE,
        }
    }

    #[inline(always)]
    fn fetch_group(&self, number: u64, hash: Hash) -> Coming<'_> {
        let group = self.group(number);
        if let Some(group) = group {
            fetch(std::ptr::from_ref(group).cast());
        }
        Coming { group, hash }
    }
}
