//! Walks over more memory than the inner caches hold, where slots are read in sequence or
//! prefetched. They visit every live object once, in slot order, whatever is free in between.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};

/// Slots of one cache line and a bit, of several lines, and so long that walks prefetch whole words
/// of them.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Short {
    number: u64,
    rest: [u64; 7],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Middle {
    number: u64,
    rest: [u64; 31],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 3)]
struct Long {
    number: u64,
    rest: [u64; 127],
}

/// Returns the objects found by `next`, by `fold` and by `for_each`, as their numbers.
fn walks<T: PoolObject>(pool: &mut MemoryPoolMgr, number: fn(&T) -> u64) -> [Vec<u64>; 3] {
    let (mut by_next, mut by_fold, mut by_each) = (Vec::new(), Vec::new(), Vec::new());
    for (id, object) in pool.view::<T>().iter() {
        assert_eq!(pool.get(id).map(number), Some(number(object)));
        by_next.push(number(object));
    }
    pool.view::<T>().iter().for_each(|(_, object)| by_fold.push(number(object)));
    pool.for_each::<T>(|_, object| by_each.push(number(object)));
    [by_next, by_fold, by_each]
}

fn every_density<T: PoolObject>(base: u32, count: usize, make: fn(u64) -> T, number: fn(&T) -> u64) {
    let bytes = Bytes((count as u64 * 2 * (size_of::<T>() as u64 + 16)).next_multiple_of(1 << 20));
    let mut conf = ProcessConf::new("walks", Key(base), bytes, &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<T>().unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let ids: Vec<Id<T>> = (0..count as u64).map(|n| pool.alloc(make(n)).unwrap()).collect();
    let mut live: Vec<u64> = (0..count as u64).collect();
    // Some map words stay full, and some become empty.
    for percent in [100, 97, 60, 30, 8, 1, 0] {
        live.retain(|&n| {
            let stays = n % 1024 < 64 && percent > 1 || random.u64(..100) < percent;
            stays || !pool.free(ids[n as usize])
        });
        for walk in walks(&mut pool, number) {
            assert!(walk == live, "{percent} %: {} of {} objects of {}", walk.len(), live.len(), T::NAME);
        }
    }
    pool.destroy().unwrap();
}

#[test]
fn short_slots() {
    every_density(0x7c30_0000, 40_000, |number| Short { number, rest: [0; 7] }, |object| object.number);
}

#[test]
fn middle_slots() {
    every_density(0x7c30_0010, 20_000, |number| Middle { number, rest: [0; 31] }, |object| object.number);
}

#[test]
fn long_slots() {
    every_density(0x7c30_0020, 12_000, |number| Long { number, rest: [0; 127] }, |object| object.number);
}
