//! What batches of lookups ask the index for before they need it.

use super::{Hash, Index, SLOT_MASK};
use crate::pool::store::probe::Hits;
use crate::pool::store::slot::fetch;

impl Index {
    /// Prefetches the group of first choice of a key.
    #[inline(always)]
    pub(crate) fn fetch(&self, key: u64) {
        if let Some(group) = self.group(self.addressing().first(Hash::of(key, self.seed))) {
            fetch(std::ptr::from_ref(group).cast());
        }
    }

    /// Returns the slot that probably carries a key, without reading it.
    #[inline(always)]
    pub(crate) fn hint(&self, key: u64) -> Option<u32> {
        let hash = Hash::of(key, self.seed);
        let group = self.group(self.addressing().first(hash))?;
        let entry = Hits::new(group, hash.upper()).next_entry()?;
        u32::try_from((entry & SLOT_MASK).wrapping_sub(1)).ok()
    }
}
