//! A set of handles that a transaction has to do with: those it has freed, and those whose bytes its log has.
//!
//! Few are kept as a list, many also in a table with open addressing, so that a transaction over any number of
//! objects takes time in proportion to them. What was used is cleared, and its room kept: a transaction of a size that
//! was seen before allocates nothing.

use crate::object::Handle;

/// So many are looked through one by one.
const FEW: usize = 8;

/// A set of handles.
#[derive(Default)]
pub(crate) struct Seen {
    list: Vec<Handle>,
    /// Empty, or a power of two of places, at most half of them taken; 0 in those that are not.
    table: Vec<u64>,
}

impl Seen {
    /// Forgets all.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.table.clear();
    }

    /// Whether a handle is in the set.
    #[inline(always)]
    pub(crate) fn contains(&self, handle: Handle) -> bool {
        !self.list.is_empty() && self.has(handle)
    }

    fn has(&self, handle: Handle) -> bool {
        if self.table.is_empty() {
            return self.list.contains(&handle);
        }
        self.table.get(self.place(handle)).is_some_and(|found| *found != 0)
    }

    /// Adds a handle that is not in the set.
    pub(crate) fn insert(&mut self, handle: Handle) {
        self.list.push(handle);
        if self.list.len() <= FEW {
            return;
        }
        if self.list.len() * 2 > self.table.len() {
            return self.grow();
        }
        self.put(handle);
    }

    #[cold]
    fn grow(&mut self) {
        let places = (self.list.len() * 4).next_power_of_two();
        self.table.clear();
        self.table.resize(places, 0);
        for at in 0..self.list.len() {
            self.put(self.list[at]);
        }
    }

    fn put(&mut self, handle: Handle) {
        let at = self.place(handle);
        if let Some(place) = self.table.get_mut(at) {
            *place = handle.to_bits();
        }
    }

    /// The place of a handle in the table, or the free one where it would be.
    fn place(&self, handle: Handle) -> usize {
        let (bits, mask) = (handle.to_bits(), self.table.len() - 1);
        let hash = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut at = (hash ^ hash >> 32) as usize & mask;
        while self.table[at] != 0 && self.table[at] != bits {
            at = (at + 1) & mask;
        }
        at
    }

    /// The handles of a type.
    pub(crate) fn of_type(&self, type_id: u16) -> impl Iterator<Item = Handle> + '_ {
        self.list.iter().copied().filter(move |handle| handle.type_id() == type_id)
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
