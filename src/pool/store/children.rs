//! Which objects belong to which owner, as lists in the memory of the process.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// No slot: a type has fewer.
const NONE: u32 = u32::MAX;

/// The lists of children by owner. A child is a slot number, an owner the bits of a handle.
#[derive(Default)]
pub(crate) struct ChildLists {
    /// The first child of each owner that has one.
    first: HashMap<u64, u32, BuildHasherDefault<HandleHasher>>,
    /// The place of each slot in the list of its owner.
    links: Vec<Link>,
}

/// The place of a child in a list.
#[derive(Clone, Copy)]
struct Link {
    /// 0 if the slot is in no list.
    owner: u64,
    next: u32,
    previous: u32,
}

impl Link {
    const OUTSIDE: Link = Link { owner: 0, next: NONE, previous: NONE };
}

impl ChildLists {
    /// Puts a child into the list of an owner, and takes it out of the one that it was in. The owner
    /// 0 is none. Returns whether it was in another list.
    pub(crate) fn set(&mut self, child: u32, owner: u64) -> bool {
        let number = child as usize;
        if number >= self.links.len() {
            if owner == 0 {
                return false;
            }
            self.links.resize(number + 1, Link::OUTSIDE);
        }
        let Some(old) = self.links.get(number).copied().filter(|old| old.owner != owner) else {
            return false;
        };
        self.take_out(old);
        let mut new = Link::OUTSIDE;
        if owner != 0 {
            let next = self.first.insert(owner, child).unwrap_or(NONE);
            if let Some(second) = self.links.get_mut(next as usize) {
                second.previous = child;
            }
            new = Link { owner, next, previous: NONE };
        }
        if let Some(link) = self.links.get_mut(number) {
            *link = new;
        }
        true
    }

    fn take_out(&mut self, old: Link) {
        if old.owner == 0 {
            return;
        }
        if let Some(next) = self.links.get_mut(old.next as usize) {
            next.previous = old.previous;
        }
        match self.links.get_mut(old.previous as usize) {
            Some(previous) => previous.next = old.next,
            None if old.next == NONE => _ = self.first.remove(&old.owner),
            None => _ = self.first.insert(old.owner, old.next),
        }
    }

    /// Returns the first child of an owner.
    pub(crate) fn first(&self, owner: u64) -> Option<u32> {
        self.first.get(&owner).copied()
    }

    /// Returns the child after another one in the list of its owner.
    pub(crate) fn next(&self, child: u32) -> Option<u32> {
        self.links.get(child as usize).map(|link| link.next).filter(|next| *next != NONE)
    }

    /// Returns the owners that have children.
    pub(crate) fn owners(&self) -> impl Iterator<Item = u64> {
        self.first.keys().copied()
    }
}

/// A hasher for the bits of a handle, which no client chooses.
#[derive(Default)]
pub(crate) struct HandleHasher(u64);

impl Hasher for HandleHasher {
    fn write_u64(&mut self, bits: u64) {
        // The slot is in the top bits; the table needs the low ones.
        let mixed = (bits ^ bits >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 << 8 | u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn children(lists: &ChildLists, owner: u64) -> Vec<u32> {
        std::iter::successors(lists.first(owner), |child| lists.next(*child)).take(1000).collect()
    }

    proptest! {
        #[test]
        fn lists_are_those_of_a_map(steps in prop::collection::vec((0u32..40, 0u64..6), 0..300)) {
            let (mut lists, mut model) = (ChildLists::default(), BTreeMap::new());
            for (child, owner) in steps {
                lists.set(child, owner);
                model.insert(child, owner);
            }
            for owner in 1..6 {
                let found = children(&lists, owner);
                let expected: BTreeSet<u32> =
                    model.iter().filter(|(_, of)| **of == owner).map(|(child, _)| *child).collect();
                prop_assert_eq!(found.len(), expected.len());
                prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
            }
            let owners: BTreeSet<u64> = lists.owners().collect();
            prop_assert_eq!(owners, model.into_values().filter(|owner| *owner != 0).collect());
        }
    }
}
