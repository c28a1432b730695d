//! `FixedMap`: a map of a fixed capacity.

use super::no_room::NoRoom;
use super::vec::FixedVec;
use crate::object::Schema;
use std::borrow::Borrow;
use std::fmt;

/// A map of at most `N` keys, as a field of an object.
///
/// The entries lie in the order of their keys, as in a `BTreeMap`. A lookup compares the keys in turn
/// if there are at most 16, and is a binary search otherwise. What does not fit is given back in an
/// error.
///
/// ```
/// use hotpool::object::{FixedMap, FixedStr};
///
/// let mut skills = FixedMap::<FixedStr<12>, u32, 8>::new();
/// skills.insert("smithing".try_into()?, 3)?;
/// skills.insert("fishing".try_into()?, 1)?;
/// assert_eq!(skills.get("smithing"), Some(&3));
/// *skills.get_mut("fishing").unwrap() += 1;
/// let all: Vec<_> = skills.iter().map(|(name, level)| format!("{name} {level}")).collect();
/// assert_eq!(all, ["fishing 2", "smithing 3"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(transparent)]
#[derive(Schema)]
pub struct FixedMap<K, V, const N: usize> {
    #[pool(sorted)]
    entries: FixedVec<MapEntry<K, V>, N>,
}

/// A key of a [`FixedMap`] with its value, as they lie in the map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Schema)]
pub struct MapEntry<K, V> {
    key: K,
    value: V,
}

/// Most entries for which a lookup compares the keys in turn.
pub(super) const IN_TURN: usize = 16;

impl<K: Copy + Ord, V: Copy, const N: usize> FixedMap<K, V, N> {
    /// Creates an empty map.
    pub const fn new() -> Self {
        FixedMap { entries: FixedVec::new() }
    }

    /// Creates a map of the pairs of an iterator; of pairs with the same key the last one counts.
    ///
    /// # Errors
    ///
    /// Returns the first pair that does not fit.
    pub fn try_from_iter(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, NoRoom<(K, V)>> {
        let mut map = Self::new();
        pairs.into_iter().try_for_each(|(key, value)| map.insert(key, value).map(drop)).map(|()| map)
    }

    /// Returns the number of keys that there is room for.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Returns the number of keys.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no key.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether there is no room for another key.
    pub const fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    #[inline]
    fn search<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries.binary_search_by(|entry| entry.key.borrow().cmp(key))
    }

    /// Returns the position of a key.
    ///
    /// In a few entries, equal keys are found faster in turn than by a search, whose branches the
    /// processor cannot foresee.
    #[inline]
    fn position<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        match self.len() <= IN_TURN {
            true => self.entries.iter().position(|entry| entry.key.borrow() == key),
            false => self.search(key).ok(),
        }
    }

    /// Returns the value of a key.
    #[inline]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(self.position(key)?).map(|entry| &entry.value)
    }

    /// Returns the value of a key, to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.position(key)?;
        self.entries.get_mut(at).map(|entry| &mut entry.value)
    }

    /// Returns whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.position(key).is_some()
    }

    /// Sets the value of a key, and returns the old one.
    ///
    /// # Errors
    ///
    /// Returns key and value if the key is new and the map is full.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, NoRoom<(K, V)>> {
        match self.search(&key) {
            Ok(at) => Ok(self.entries.get_mut(at).map(|entry| std::mem::replace(&mut entry.value, value))),
            Err(at) => match self.entries.insert(at, MapEntry { key, value }) {
                Ok(()) => Ok(None),
                Err(error) => Err(NoRoom { value: (error.value.key, error.value.value), capacity: N }),
            },
        }
    }

    /// Returns the value of a key, which is that of `make` if the key is new.
    ///
    /// # Errors
    ///
    /// Returns the key if it is new and the map is full. `make` is not called then.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> Result<&mut V, NoRoom<K>> {
        let at = match self.search(&key) {
            Ok(at) => at,
            Err(_) if self.is_full() => return Err(NoRoom { value: key, capacity: N }),
            Err(at) => {
                let entry = MapEntry { key, value: make() };
                self.entries
                    .insert(at, entry)
                    .map_err(|error| NoRoom { value: error.value.key, capacity: N })?;
                at
            }
        };
        match self.entries.get_mut(at) {
            Some(entry) => Ok(&mut entry.value),
            None => Err(NoRoom { value: key, capacity: N }),
        }
    }

    /// Removes a key and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.search(key).ok()?;
        self.entries.remove(at).map(|entry| entry.value)
    }

    /// Removes the keys for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|entry| keep(&entry.key, &entry.value));
    }

    /// Removes all keys.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Returns the smallest key with its value.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.entries.first().map(|entry| (&entry.key, &entry.value))
    }

    /// Returns the largest key with its value.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.entries.last().map(|entry| (&entry.key, &entry.value))
    }

    /// Iterates over keys and values in the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// Iterates over keys and values, which can be changed, in the order of the keys.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.entries.iter_mut().map(|entry| (&entry.key, &mut entry.value))
    }

    /// Iterates over the keys in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// Iterates over the values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// Iterates over the values, which can be changed, in the order of their keys.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }
}

impl<K: Copy, V: Copy, const N: usize> Clone for FixedMap<K, V, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Copy, V: Copy, const N: usize> Copy for FixedMap<K, V, N> {}

impl<K: Copy + Ord, V: Copy, const N: usize> Default for FixedMap<K, V, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy + PartialEq, V: Copy + PartialEq, const N: usize> PartialEq for FixedMap<K, V, N> {
    fn eq(&self, other: &Self) -> bool {
        self.entries.as_slice() == other.entries.as_slice()
    }
}

impl<K: Copy + Eq, V: Copy + Eq, const N: usize> Eq for FixedMap<K, V, N> {}

impl<K: Copy + Ord + fmt::Debug, V: Copy + fmt::Debug, const N: usize> fmt::Debug for FixedMap<K, V, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
