//! What an in-process store of objects by handle has to offer to be measured.

use crate::object::Object;

/// A store of objects by handle. Its loops are compiled for each store, nothing is called by pointer.
pub trait Slots<O: Object>: Sized {
    /// Names an object.
    type Handle: Copy;
    /// What a loop of reads looks up once.
    type Reader<'a>: Copy
    where
        Self: 'a;

    /// An empty store with room for `count` objects where room is a setting.
    fn empty(count: usize) -> anyhow::Result<Self>;
    /// Makes an object.
    fn alloc(&mut self, object: O) -> Self::Handle;
    /// Frees it; whether it was there.
    fn free(&mut self, handle: Self::Handle) -> bool;
    /// For a loop of reads.
    fn reader(&self) -> Self::Reader<'_>;
    /// Reads an object.
    fn read<R>(reader: Self::Reader<'_>, handle: Self::Handle, f: impl FnOnce(&O) -> R) -> Option<R>;
    /// Visits all objects.
    fn each(&self, f: impl FnMut(&O));
    /// Writes to an object; false where the store cannot.
    fn write(&mut self, handle: Self::Handle, f: impl FnOnce(&mut O)) -> bool;
    /// The handle as a number that an object can hold.
    fn bits(handle: Self::Handle) -> u64;
    /// And back.
    fn handle(bits: u64) -> Option<Self::Handle>;
}
