//! The interface to an in-process store of objects by handle.

use crate::object::Object;

/// A store of objects by handle. Its loops are compiled for each store, without calls through
/// pointers.
pub trait Slots<O: Object>: Sized {
    /// Identifies an object.
    type Handle: Copy;
    /// The state that a loop of reads looks up once.
    type Reader<'a>: Copy
    where
        Self: 'a;

    /// Returns an empty store, with room for `count` objects if room is a setting.
    fn empty(count: usize) -> anyhow::Result<Self>;
    /// Allocates an object.
    fn alloc(&mut self, object: O) -> Self::Handle;
    /// Frees an object. Returns whether it was live.
    fn free(&mut self, handle: Self::Handle) -> bool;
    /// Returns a reader for a loop of reads.
    fn reader(&self) -> Self::Reader<'_>;
    /// Reads an object.
    fn read<R>(reader: Self::Reader<'_>, handle: Self::Handle, f: impl FnOnce(&O) -> R) -> Option<R>;
    /// Visits all objects.
    fn each(&self, f: impl FnMut(&O));
    /// Writes to an object. Returns false if the store cannot do that.
    fn write(&mut self, handle: Self::Handle, f: impl FnOnce(&mut O)) -> bool;
    /// Converts a handle to a number that an object can hold.
    fn bits(handle: Self::Handle) -> u64;
    /// Converts such a number back to a handle.
    fn handle(bits: u64) -> Option<Self::Handle>;
}
