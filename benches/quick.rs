//! Shows within seconds whether a change made the hot paths faster or slower. Compares get, alloc
//! and free, and iteration of 64-byte objects with slotmap and slab, in turn in the same run.
//!
//! Run `cargo bench --bench quick`. `crates/hotpool-bench` measures everything else.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use slab::Slab;
use slotmap::{DefaultKey, SlotMap};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(4);

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Object {
    words: [u64; 8],
}

impl Object {
    fn new(seed: u64) -> Self {
        Object { words: [seed; 8] }
    }
}

/// A store, and the handles of its objects in random order.
trait Store {
    fn get(&self) -> u64;
    fn pair(&mut self);
    fn iterate(&self) -> u64;
}

struct Pool {
    pool: Option<MemoryPoolMgr>,
    ids: Vec<Id<Object>>,
}

impl Pool {
    fn new(count: usize) -> Self {
        let base = 0x7b00_0000 | (std::process::id() & 0xffff) << 8;
        let bytes = Bytes(((count as u64 * 80) + (2 << 20)).next_multiple_of(1 << 20));
        let mut pool =
            MemoryPoolMgr::open(&ProcessConf::new("quick", Key(base), bytes, &[Key(base + 1)])).unwrap();
        pool.add_type::<Object>().unwrap();
        let mut ids: Vec<_> = (0..count as u64).map(|n| pool.alloc(Object::new(n)).unwrap()).collect();
        shuffle(&mut ids);
        Pool { pool: Some(pool), ids }
    }

    fn pool(&self) -> &MemoryPoolMgr {
        self.pool.as_ref().unwrap()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.pool.take().unwrap().destroy().unwrap();
    }
}

impl Store for Pool {
    fn get(&self) -> u64 {
        let view = self.pool().view::<Object>();
        self.ids.iter().map(|&id| view.get(id).map_or(0, |object| object.words[0])).sum()
    }
    fn pair(&mut self) {
        let pool = self.pool.as_mut().unwrap();
        let id = black_box(pool.alloc(Object::new(7)).unwrap());
        black_box(pool.free(id));
    }
    fn iterate(&self) -> u64 {
        self.pool().view::<Object>().iter().map(|(_, object)| object.words[0]).sum()
    }
}

struct Slots {
    slots: SlotMap<DefaultKey, Object>,
    keys: Vec<DefaultKey>,
}

impl Slots {
    fn new(count: usize) -> Self {
        let mut slots = SlotMap::new();
        let mut keys: Vec<_> = (0..count as u64).map(|n| slots.insert(Object::new(n))).collect();
        shuffle(&mut keys);
        Slots { slots, keys }
    }
}

impl Store for Slots {
    fn get(&self) -> u64 {
        self.keys.iter().map(|&key| self.slots.get(key).map_or(0, |object| object.words[0])).sum()
    }
    fn pair(&mut self) {
        let key = black_box(self.slots.insert(Object::new(7)));
        black_box(self.slots.remove(key).is_some());
    }
    fn iterate(&self) -> u64 {
        self.slots.iter().map(|(_, object)| object.words[0]).sum()
    }
}

struct Slabs {
    slab: Slab<Object>,
    keys: Vec<usize>,
}

impl Slabs {
    fn new(count: usize) -> Self {
        let mut slab = Slab::new();
        let mut keys: Vec<_> = (0..count as u64).map(|n| slab.insert(Object::new(n))).collect();
        shuffle(&mut keys);
        Slabs { slab, keys }
    }
}

impl Store for Slabs {
    fn get(&self) -> u64 {
        self.keys.iter().map(|&key| self.slab.get(key).map_or(0, |object| object.words[0])).sum()
    }
    fn pair(&mut self) {
        let key = black_box(self.slab.insert(Object::new(7)));
        black_box(self.slab.try_remove(key).is_some());
    }
    fn iterate(&self) -> u64 {
        self.slab.iter().map(|(_, object)| object.words[0]).sum()
    }
}

/// Shuffles in the same order for every store.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 1u64;
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, ((u128::from(state) * (last as u128 + 1)) >> 64) as usize);
    }
}

/// Returns the nanoseconds for one element, if a call of `f` processes `elements` of them.
fn round(elements: usize, mut f: impl FnMut()) -> f64 {
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        let calls = (1000 / elements).max(1);
        (0..calls).for_each(|_| f());
        done += calls * elements;
    }
    start.elapsed().as_nanos() as f64 / done as f64
}

/// Returns the medians of the three stores, measured in turn.
fn medians(elements: usize, mut calls: [&mut dyn FnMut(); 3]) -> [f64; 3] {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (call, times) in calls.iter_mut().zip(&mut times) {
            times.push(round(elements, call));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn print(what: &str, count: usize, [hotpool, slotmap, slab]: [f64; 3]) {
    println!(
        "{what:9} {count:8} {hotpool:8.2} {slotmap:8.2} {slab:8.2} {:9.2} {:9.2}",
        hotpool / slotmap,
        hotpool / slab
    );
}

fn main() {
    println!("64 B      objects  hotpool  slotmap     slab  /slotmap     /slab   (ns, ns, ns, ratios)");
    for count in [1_000, 100_000, 1_000_000] {
        let (mut pool, mut slots, mut slabs) = (Pool::new(count), Slots::new(count), Slabs::new(count));
        let get: [&mut dyn FnMut(); 3] =
            [&mut || _ = black_box(pool.get()), &mut || _ = black_box(slots.get()), &mut || {
                _ = black_box(slabs.get())
            }];
        print("get_rand", count, medians(count, get));
        let pair: [&mut dyn FnMut(); 3] = [&mut || pool.pair(), &mut || slots.pair(), &mut || slabs.pair()];
        print("pair_hot", count, medians(1, pair));
        let iterate: [&mut dyn FnMut(); 3] =
            [&mut || _ = black_box(pool.iterate()), &mut || _ = black_box(slots.iterate()), &mut || {
                _ = black_box(slabs.iterate())
            }];
        print("iter100", count, medians(count, iterate));
    }
}
