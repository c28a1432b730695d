//! The keys of a named region, and the facts about one.

use crate::units::{Bytes, Key};

/// The keys of a named region.
///
/// One key is enough, unless the region has to grow: its generations alternate between two keys.
/// The pool keys of an ini and the keys of locks and queues are not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionKeys {
    /// Key of the first generation, and of the turn to change the region.
    pub first: Key,
    /// Key of the second generation.
    pub second: Option<Key>,
}

impl From<Key> for RegionKeys {
    fn from(first: Key) -> Self {
        RegionKeys { first, second: None }
    }
}

impl From<(Key, Key)> for RegionKeys {
    fn from((first, second): (Key, Key)) -> Self {
        RegionKeys { first, second: Some(second).filter(|second| *second != first) }
    }
}

impl RegionKeys {
    pub(super) fn all(self) -> impl Iterator<Item = Key> {
        std::iter::once(self.first).chain(self.second)
    }

    /// Returns the key of the generation after the one under `key`.
    pub(super) fn after(self, key: Key) -> Option<Key> {
        if key == self.first { self.second } else { Some(self.first) }
    }
}

/// Facts about a named region that is not mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionFacts {
    /// Key of the current generation.
    pub key: Key,
    /// Number of the current generation, from 1.
    pub generation: u64,
    /// Random number of the region, the same in all its generations.
    pub id: [u64; 2],
    /// Size of its data.
    pub bytes: Bytes,
    /// User who owns it.
    pub uid: u32,
    /// Group that owns it.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// How often it is mapped; `None` if the backend does not count it.
    pub attached: Option<u64>,
    /// When this generation was created, in nanoseconds of the wall clock.
    pub created: u64,
}
