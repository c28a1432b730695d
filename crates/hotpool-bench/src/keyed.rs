//! The interface to an in-process store of objects by key.

use crate::object::Object;

/// A store of objects by user key and by handle.
pub trait Keyed<O: Object>: Sized {
    /// Identifies an object.
    type Handle: Copy;
    /// The state that a loop of reads looks up once.
    type Reader<'a>: Copy
    where
        Self: 'a;

    /// Returns an empty store, with room for `count` objects if room is a setting.
    fn empty(count: usize) -> anyhow::Result<Self>;
    /// Returns a reader for a loop of reads.
    fn reader(&self) -> Self::Reader<'_>;
    /// Reads the object with a key.
    fn find<R>(reader: Self::Reader<'_>, key: u64, f: impl FnOnce(&O) -> R) -> Option<R>;
    /// Inserts an object with an unused key.
    fn insert(&mut self, key: u64, object: O) -> Self::Handle;
    /// Frees the object with a key, whose handle is known.
    fn remove(&mut self, key: u64, handle: Self::Handle) -> bool;
    /// Returns the value of the object with a key, which is created if it is missing.
    fn force(&mut self, key: u64, make: impl FnOnce() -> O) -> u64;
    /// Frees the object with a key.
    fn remove_key(&mut self, key: u64) -> bool;
    /// Reads an object.
    fn get<R>(&self, handle: Self::Handle, f: impl FnOnce(&O) -> R) -> Option<R>;
    /// Writes to an object.
    fn update(&mut self, handle: Self::Handle, f: impl FnOnce(&mut O)) -> bool;
}
