//! `FixedSet`: a set of a fixed capacity.

use super::map::IN_TURN;
use super::no_room::NoRoom;
use super::vec::FixedVec;
use crate::object::Schema;
use std::borrow::Borrow;
use std::fmt;

/// A set of at most `N` items, as a field of an object.
///
/// The items lie in their order, as in a `BTreeSet`. What does not fit is given back in an error.
///
/// ```
/// use hotpool::object::FixedSet;
///
/// let mut friends = FixedSet::<u64, 3>::new();
/// assert_eq!(friends.insert(20), Ok(true));
/// assert_eq!(friends.insert(10), Ok(true));
/// assert_eq!(friends.insert(20), Ok(false));
/// assert!(friends.contains(&10));
/// assert_eq!(friends.as_slice(), [10, 20]);
/// ```
#[repr(transparent)]
#[derive(Schema)]
pub struct FixedSet<T, const N: usize> {
    #[pool(sorted)]
    items: FixedVec<T, N>,
}

impl<T: Copy + Ord, const N: usize> FixedSet<T, N> {
    /// Creates an empty set.
    pub const fn new() -> Self {
        FixedSet { items: FixedVec::new() }
    }

    /// Creates a set of the items of an iterator.
    ///
    /// # Errors
    ///
    /// Returns the first item that does not fit.
    pub fn try_from_iter(items: impl IntoIterator<Item = T>) -> Result<Self, NoRoom<T>> {
        let mut set = Self::new();
        items.into_iter().try_for_each(|item| set.insert(item).map(drop)).map(|()| set)
    }

    /// Returns the number of items that there is room for.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Returns the number of items.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there is no item.
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns whether there is no room for another item.
    pub const fn is_full(&self) -> bool {
        self.items.is_full()
    }

    /// Returns the items in their order.
    pub const fn as_slice(&self) -> &[T] {
        self.items.as_slice()
    }

    /// Returns whether the set has an item.
    pub fn contains<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        match self.len() <= IN_TURN {
            true => self.items.iter().any(|other| other.borrow() == item),
            false => self.search(item).is_ok(),
        }
    }

    fn search<Q: Ord + ?Sized>(&self, item: &Q) -> Result<usize, usize>
    where
        T: Borrow<Q>,
    {
        self.items.binary_search_by(|other| other.borrow().cmp(item))
    }

    /// Adds an item; returns whether it is new.
    ///
    /// # Errors
    ///
    /// Returns the item if it is new and the set is full.
    pub fn insert(&mut self, item: T) -> Result<bool, NoRoom<T>> {
        match self.search(&item) {
            Ok(_) => Ok(false),
            Err(at) => self.items.insert(at, item).map(|()| true),
        }
    }

    /// Removes an item; returns whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.search(item).is_ok_and(|at| self.items.remove(at).is_some())
    }

    /// Removes the items for which `keep` returns false.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.items.retain(keep);
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Iterates over the items in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }
}

impl<T: Copy, const N: usize> Clone for FixedSet<T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Copy, const N: usize> Copy for FixedSet<T, N> {}

impl<T: Copy + Ord, const N: usize> Default for FixedSet<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy + PartialEq, const N: usize> PartialEq for FixedSet<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.items.as_slice() == other.items.as_slice()
    }
}

impl<T: Copy + Eq, const N: usize> Eq for FixedSet<T, N> {}

impl<T: Copy + Ord + fmt::Debug, const N: usize> fmt::Debug for FixedSet<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<'a, T: Copy + Ord, const N: usize> IntoIterator for &'a FixedSet<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
