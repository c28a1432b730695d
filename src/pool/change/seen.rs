//! A set of handles in a transaction: those it has freed, or those whose bytes its log has.
//!
//! A small set is searched linearly. A larger one also has a table with open addressing, so that a
//! transaction takes time in proportion to its objects. Clearing keeps the memory: a transaction
//! that is no larger than an earlier one allocates nothing. Small sets are stored inline.

use crate::object::Handle;

/// Largest size that is searched linearly.
const FEW: usize = 8;

/// A set of handles.
#[derive(Default)]
pub(crate) struct Seen {
    /// Number of handles in the set.
    len: usize,
    /// The first handles.
    few: [u64; FEW],
    /// The handles after the first [`FEW`].
    rest: Vec<u64>,
    /// All handles, once there are more than [`FEW`]; 0 in free entries.
    ///
    /// Its size is a power of two, and at most half of the entries are used.
    table: Vec<u64>,
}

impl Seen {
    /// Removes all handles.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        if self.len > FEW {
            self.clear_many();
        }
        self.len = 0;
    }

    #[cold]
    #[inline(never)]
    fn clear_many(&mut self) {
        self.rest.clear();
        self.table.clear();
    }

    /// Returns whether a handle is in the set.
    #[inline(always)]
    pub(crate) fn contains(&self, handle: Handle) -> bool {
        match self.len {
            0 => false,
            1 => self.few[0] == handle.to_bits(),
            _ => self.has(handle.to_bits()),
        }
    }

    #[inline(never)]
    fn has(&self, bits: u64) -> bool {
        match self.few.get(..self.len) {
            Some(few) => few.contains(&bits),
            None => self.table.get(self.position(bits)).is_some_and(|found| *found != 0),
        }
    }

    /// Adds a handle that is not in the set.
    #[inline(always)]
    pub(crate) fn insert(&mut self, handle: Handle) {
        match self.few.get_mut(self.len) {
            Some(entry) => *entry = handle.to_bits(),
            None => self.insert_among_many(handle.to_bits()),
        }
        self.len += 1;
    }

    #[cold]
    #[inline(never)]
    fn insert_among_many(&mut self, bits: u64) {
        self.rest.push(bits);
        let len = FEW + self.rest.len();
        if len * 2 <= self.table.len() {
            return self.put(bits);
        }
        self.table.clear();
        self.table.resize((len * 4).next_power_of_two(), 0);
        for bits in self.few {
            self.put(bits);
        }
        for at in 0..self.rest.len() {
            if let Some(bits) = self.rest.get(at) {
                self.put(*bits);
            }
        }
    }

    fn put(&mut self, bits: u64) {
        let at = self.position(bits);
        if let Some(entry) = self.table.get_mut(at) {
            *entry = bits;
        }
    }

    /// Returns the position of a handle in the table, or that of the free entry for it.
    #[expect(clippy::indexing_slicing, reason = "the mask keeps `at` below the size of the table")]
    fn position(&self, bits: u64) -> usize {
        let mask = self.table.len() - 1;
        let hash = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut at = (hash ^ hash >> 32) as usize & mask;
        while self.table[at] != 0 && self.table[at] != bits {
            at = (at + 1) & mask;
        }
        at
    }

    /// Returns the handles of a type.
    pub(crate) fn of_type(&self, type_id: u16) -> impl Iterator<Item = Handle> + '_ {
        let few = self.few.iter().take(self.len);
        let handles = few.chain(&self.rest).filter_map(|bits| Handle::from_bits(*bits));
        handles.filter(move |handle| handle.type_id() == type_id)
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;
    use crate::object::Handle;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set_whatever_its_size(rounds in prop::collection::vec(prop::collection::btree_set(0u64..5000, 0..300), 1..4)) {
            let handle = |slot: u64| Handle::from_bits(slot << 38 | 1 << 28 | 1).unwrap();
            let mut seen = Seen::default();
            for slots in rounds {
                seen.clear();
                let mut model = BTreeSet::new();
                for slot in slots {
                    prop_assert!(!seen.contains(handle(slot)));
                    seen.insert(handle(slot));
                    model.insert(slot);
                }
                prop_assert_eq!(seen.of_type(1).count(), model.len());
                prop_assert!((0..5000).all(|slot| seen.contains(handle(slot)) == model.contains(&slot)));
            }
        }
    }
}
