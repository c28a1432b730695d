//! hotpool itself, on System V shared memory.

use crate::keyed::Keyed;
use crate::object::Object;
use crate::pages;
use crate::segments;
use crate::slots::Slots;
use hotpool::conf::{Place, ProcessConf, TypeConf};
use hotpool::units::Bytes;
use hotpool::{Id, MemoryPoolMgr};
use std::marker::PhantomData;

/// A pool with one type, removed when it is dropped. Loops of reads go through a view. A keyed type
/// has its capacity configured, as in a server.
pub struct Pool<O> {
    pool: Option<MemoryPoolMgr>,
    _type: PhantomData<O>,
}

/// Returns the configuration of a pool with room for `count` objects of `bytes` bytes in `blocks`
/// blocks.
pub fn conf(count: usize, bytes: usize, blocks: u32) -> ProcessConf {
    let room = (count * (bytes + 48)) as u64 * 5 / 4 / u64::from(blocks) + (2 << 20);
    let keys = segments::keys(blocks + 1);
    let room = Bytes(room.next_multiple_of(hotpool::limits::HUGE_PAGE));
    ProcessConf::new("bench", keys[0], room, &keys[1..]).memory(pages::memory())
}

impl<O: Object> Pool<O> {
    fn open(count: usize) -> anyhow::Result<Self> {
        let mut conf = conf(count, size_of::<O>(), 1);
        if O::KEYED {
            let capacity = (count + count / 8 + 256) as u32;
            let place = Place::default();
            conf.types = vec![TypeConf { name: O::NAME.into(), capacity, object_bytes: None, place }];
        }
        let mut pool = MemoryPoolMgr::open(&conf)?;
        pool.add_type::<O>()?;
        Ok(Pool { pool: Some(pool), _type: PhantomData })
    }

    #[inline(always)]
    fn pool(&self) -> &MemoryPoolMgr {
        self.pool.as_ref().expect("the pool exists until it is dropped")
    }

    #[inline(always)]
    fn pool_mut(&mut self) -> &mut MemoryPoolMgr {
        self.pool.as_mut().expect("the pool exists until it is dropped")
    }
}

impl<O> Drop for Pool<O> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.destroy().expect("the bench can remove its own pool");
        }
    }
}

impl<O: Object> Slots<O> for Pool<O> {
    type Handle = Id<O>;
    type Reader<'a> = hotpool::pool::View<'a, O>;

    fn empty(count: usize) -> anyhow::Result<Self> {
        Pool::open(count)
    }
    #[inline(always)]
    fn alloc(&mut self, object: O) -> Id<O> {
        self.pool_mut().alloc(object).expect("the pool has room")
    }
    #[inline(always)]
    fn free(&mut self, handle: Id<O>) -> bool {
        self.pool_mut().free(handle)
    }
    #[inline(always)]
    fn reader(&self) -> Self::Reader<'_> {
        self.pool().view()
    }
    #[inline(always)]
    fn read<R>(reader: Self::Reader<'_>, handle: Id<O>, f: impl FnOnce(&O) -> R) -> Option<R> {
        reader.get(handle).map(f)
    }
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(&O)) {
        self.pool().view::<O>().iter().for_each(|(_, object)| f(object));
    }
    #[inline(always)]
    fn write(&mut self, handle: Id<O>, f: impl FnOnce(&mut O)) -> bool {
        self.pool_mut().get_mut(handle).map(|mut object| f(&mut object)).is_some()
    }
    #[inline(always)]
    fn bits(handle: Id<O>) -> u64 {
        handle.to_bits()
    }
    #[inline(always)]
    fn handle(bits: u64) -> Option<Id<O>> {
        Id::from_bits(bits)
    }
}

impl<O: Object> Keyed<O> for Pool<O> {
    type Handle = Id<O>;
    type Reader<'a> = hotpool::pool::View<'a, O>;

    fn empty(count: usize) -> anyhow::Result<Self> {
        Pool::open(count)
    }
    #[inline(always)]
    fn reader(&self) -> Self::Reader<'_> {
        self.pool().view()
    }
    #[inline(always)]
    fn find<R>(reader: Self::Reader<'_>, key: u64, f: impl FnOnce(&O) -> R) -> Option<R> {
        reader.get_by_key(key).map(f)
    }
    #[inline(always)]
    fn insert(&mut self, key: u64, object: O) -> Id<O> {
        self.pool_mut().alloc_keyed(key, object).expect("the pool has room")
    }
    #[inline(always)]
    fn remove(&mut self, _key: u64, handle: Id<O>) -> bool {
        self.pool_mut().free(handle)
    }
    #[inline(always)]
    fn force(&mut self, key: u64, make: impl FnOnce() -> O) -> u64 {
        let pool = self.pool_mut();
        let forced = pool.force_get_with(key, make).expect("the pool has room");
        pool.get(forced.into_inner()).map_or(0, O::value)
    }
    #[inline(always)]
    fn remove_key(&mut self, key: u64) -> bool {
        self.pool_mut().free_by_key::<O>(key)
    }
    #[inline(always)]
    fn get<R>(&self, handle: Id<O>, f: impl FnOnce(&O) -> R) -> Option<R> {
        self.pool().get(handle).map(f)
    }
    #[inline(always)]
    fn update(&mut self, handle: Id<O>, f: impl FnOnce(&mut O)) -> bool {
        self.pool_mut().get_mut(handle).map(|mut object| f(&mut object)).is_some()
    }
}

/// A pool that is read through `pool.get` instead of a view.
pub struct PlainPool<O>(Pool<O>);

impl<O: Object> Slots<O> for PlainPool<O> {
    type Handle = Id<O>;
    type Reader<'a> = &'a MemoryPoolMgr;

    fn empty(count: usize) -> anyhow::Result<Self> {
        Pool::open(count).map(PlainPool)
    }
    #[inline(always)]
    fn alloc(&mut self, object: O) -> Id<O> {
        Slots::alloc(&mut self.0, object)
    }
    #[inline(always)]
    fn free(&mut self, handle: Id<O>) -> bool {
        Slots::free(&mut self.0, handle)
    }
    #[inline(always)]
    fn reader(&self) -> &MemoryPoolMgr {
        self.0.pool()
    }
    #[inline(always)]
    fn read<R>(reader: &MemoryPoolMgr, handle: Id<O>, f: impl FnOnce(&O) -> R) -> Option<R> {
        reader.get(handle).map(f)
    }
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(&O)) {
        self.0.pool().iter::<O>().for_each(|(_, object)| f(object));
    }
    #[inline(always)]
    fn write(&mut self, handle: Id<O>, f: impl FnOnce(&mut O)) -> bool {
        self.0.write(handle, f)
    }
    #[inline(always)]
    fn bits(handle: Id<O>) -> u64 {
        handle.to_bits()
    }
    #[inline(always)]
    fn handle(bits: u64) -> Option<Id<O>> {
        Id::from_bits(bits)
    }
}
