//! sharded-slab: designed for many threads, measured with one. It returns only shared guards.

use crate::object::Object;
use crate::slots::Slots;

impl<O: Object + Sync + Send> Slots<O> for sharded_slab::Slab<O> {
    type Handle = usize;
    type Reader<'a> = &'a Self;

    fn empty(_count: usize) -> anyhow::Result<Self> {
        Ok(sharded_slab::Slab::new())
    }
    #[inline(always)]
    fn alloc(&mut self, object: O) -> usize {
        self.insert(object).unwrap_or(usize::MAX)
    }
    #[inline(always)]
    fn free(&mut self, handle: usize) -> bool {
        self.take(handle).is_some()
    }
    #[inline(always)]
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn read<R>(reader: &Self, handle: usize, f: impl FnOnce(&O) -> R) -> Option<R> {
        reader.get(handle).map(|object| f(&object))
    }
    #[inline(always)]
    fn each(&self, _f: impl FnMut(&O)) {}
    #[inline(always)]
    fn write(&mut self, _handle: usize, _f: impl FnOnce(&mut O)) -> bool {
        false
    }
    #[inline(always)]
    fn bits(handle: usize) -> u64 {
        handle as u64
    }
    #[inline(always)]
    fn handle(bits: u64) -> Option<usize> {
        Some(bits as usize)
    }
}
