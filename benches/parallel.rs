//! How much faster two threads are than one, and what a scope costs.
//!
//! Run `cargo bench --bench parallel`. It needs two processors without other work. Each row has the
//! medians of one thread's time, of that of two, and of their ratio, measured in turn in the same run.
//! The rows `a slice` do the same to a plain slice: that is what the machine can do. Two processors
//! that are one core, as in many virtual machines, are not twice as fast as one.

use hotpool::conf::ProcessConf;
use hotpool::pool::SharedPool;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const OBJECTS: usize = 1_000_000;
const ROUNDS: usize = 15;

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1)]
struct Object {
    words: [u64; 8],
}

/// What a game does to an object in a tick: some arithmetic on all of it.
fn tick(object: &mut Object) {
    let mut sum = object.words[7];
    for word in &mut object.words {
        for _ in 0..4 {
            sum = (sum ^ *word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        *word = word.wrapping_add(sum);
    }
}

fn time(f: impl FnOnce()) -> Duration {
    let began = Instant::now();
    f();
    began.elapsed()
}

/// Returns the time of two jobs that begin together, the second on a thread of its own.
fn together(first: impl FnOnce(), second: impl FnOnce() + Send) -> Duration {
    let start = Barrier::new(2);
    std::thread::scope(|threads| {
        let other = threads.spawn(|| {
            start.wait();
            second();
        });
        start.wait();
        let began = Instant::now();
        first();
        other.join().unwrap();
        began.elapsed()
    })
}

/// Returns the medians of two ways, which run in turn, and of the ratio of the first to the second.
fn compare(mut one: impl FnMut() -> Duration, mut two: impl FnMut() -> Duration) -> [f64; 3] {
    let rounds: Vec<_> = (0..ROUNDS).map(|_| [one(), two()].map(|time| time.as_secs_f64() * 1e9)).collect();
    let median = |of: fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    [median(|[one, _]| *one), median(|[_, two]| *two), median(|[one, two]| one / two)]
}

fn row(name: &str, [one, two, ratio]: [f64; 3], objects: usize) {
    let [one, two] = [one, two].map(|nanos| nanos / objects as f64);
    println!("{name:34} {one:8.2} ns {two:8.2} ns  {ratio:5.2} times as fast");
}

/// Opens pool `number` of this process with so many objects, whose handles are in random order.
fn open(number: u32, objects: usize) -> (MemoryPoolMgr, Vec<Id<Object>>) {
    let base = 0x7a00_0000 | (std::process::id() & 0xffff) << 8 | number << 1;
    let bytes = Bytes((objects as u64 * 80 + (2 << 20)).next_multiple_of(1 << 20));
    let mut pool =
        MemoryPoolMgr::open(&ProcessConf::new("parallel", Key(base), bytes, &[Key(base + 1)])).unwrap();
    pool.add_type::<Object>().unwrap();
    let mut ids: Vec<_> =
        (0..objects as u64).map(|n| pool.alloc(Object { words: [n; 8] }).unwrap()).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut ids);
    pool.set_threads(2);
    (pool, ids)
}

fn mutation(pool: &mut MemoryPoolMgr) {
    let pool = std::cell::RefCell::new(pool);
    let one = || time(|| pool.borrow_mut().for_each::<Object>(|_, object| tick(object)));
    let two = || time(|| pool.borrow_mut().par_for_each::<Object>(|_, object| tick(object)));
    row("mutation, a tick of arithmetic", compare(one, two), OBJECTS);
    let add = |object: &mut Object| object.words[0] += 1;
    let one = || time(|| pool.borrow_mut().for_each::<Object>(|_, object| add(object)));
    let two = || time(|| pool.borrow_mut().par_for_each::<Object>(|_, object| add(object)));
    row("mutation, one word (memory)", compare(one, two), OBJECTS);
}

fn reads(pool: &MemoryPoolMgr, ids: &[Id<Object>]) {
    let view = pool.view::<Object>();
    let read = |ids: &[Id<Object>]| {
        black_box(
            ids.iter()
                .filter_map(|id| view.get(*id))
                .map(|object| object.words[0])
                .fold(0, u64::wrapping_add),
        )
    };
    let one = || time(|| _ = read(ids));
    let (low, high) = ids.split_at(ids.len() / 2);
    let two = || together(|| _ = read(low), || _ = read(high));
    row("reads by handle, at random", compare(one, two), OBJECTS);
}

/// Does to a slice what `mutation` and `reads` do to a pool.
fn slice() {
    let objects = std::cell::RefCell::new(vec![Object { words: [1; 8] }; OBJECTS]);
    let mut order: Vec<usize> = (0..OBJECTS).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut order);
    let write = |name: &str, f: fn(&mut Object)| {
        let one = || time(|| objects.borrow_mut().iter_mut().for_each(f));
        let two = || {
            let mut objects = objects.borrow_mut();
            let (low, high) = objects.split_at_mut(OBJECTS / 2);
            together(|| low.iter_mut().for_each(f), || high.iter_mut().for_each(f))
        };
        row(name, compare(one, two), OBJECTS);
    };
    write("a slice: a tick of arithmetic", tick);
    write("a slice: one word", |object| object.words[0] += 1);
    let objects = objects.into_inner();
    let read = |order: &[usize]| {
        black_box(order.iter().map(|at| objects[*at].words[0]).fold(0, u64::wrapping_add));
    };
    let (low, high) = order.split_at(OBJECTS / 2);
    row(
        "a slice: reads at random",
        compare(|| time(|| read(&order)), || together(|| read(low), || read(high))),
        OBJECTS,
    );
}

/// Calls of each thread that uses a shared pool, and the objects that they change in turn.
const CALLS: usize = 500_000;
const FEW: usize = 1000;

/// What the lock of a shared pool costs a single thread.
fn lock() {
    let (pool, ids) = open(1, FEW);
    let pool = std::cell::RefCell::new(Some(pool));
    let plain = || {
        let mut pool = pool.borrow_mut();
        let pool = pool.as_mut().unwrap();
        time(|| ids.iter().cycle().take(CALLS).for_each(|id| pool.update(*id, tick).unwrap()))
    };
    let shared = || {
        let shared = SharedPool::new(pool.borrow_mut().take().unwrap());
        let took = time(|| update(&shared, &ids));
        *pool.borrow_mut() = shared.into_inner().ok();
        took
    };
    row("update: plain, then SharedPool", compare(plain, shared), CALLS);
    pool.into_inner().unwrap().destroy().unwrap();
}

fn update(pool: &SharedPool, ids: &[Id<Object>]) {
    ids.iter().cycle().take(CALLS).for_each(|id| pool.with(|pool| pool.update(*id, tick).unwrap()));
}

/// What two threads lose that update all the time, each its own objects: with one lock for both, and
/// with a lock each. The second is two pools, which is the most that a lock for each type could reach.
fn locks() {
    let pools = [1, 2].map(|number| {
        let (pool, ids) = open(number, FEW);
        (SharedPool::new(pool), ids)
    });
    let both = |[first, second]: [usize; 2]| {
        let (low, high) = pools[first].1.split_at(FEW / 2);
        let high = if first == second { high } else { &pools[second].1[FEW / 2..] };
        time(|| {
            std::thread::scope(|threads| {
                threads.spawn(|| update(&pools[first].0, low));
                threads.spawn(|| update(&pools[second].0, high));
            });
        })
    };
    row("2 threads: one lock, then two", compare(|| both([0, 0]), || both([0, 1])), 2 * CALLS);
    for (pool, _) in pools {
        pool.into_inner().unwrap().destroy().unwrap();
    }
}

fn scopes(pool: &mut MemoryPoolMgr) {
    const SCOPES: u32 = 2000;
    let mut times: Vec<Duration> = Vec::new();
    for jobs in [0, 1, 2, 2] {
        times.clear();
        for _ in 0..SCOPES {
            times.push(time(|| {
                let _ = pool.scope::<(Object,), _>(|s, (object,)| {
                    let (low, high) = object.split_at(0);
                    for mut portion in [low, high].into_iter().take(jobs) {
                        s.spawn(move |_| _ = black_box(&mut portion));
                    }
                });
            }));
        }
        times.sort_unstable();
        println!("scope with {jobs} empty jobs: {:?} (median of {SCOPES})", times[times.len() / 2]);
    }
}

fn main() {
    let (mut pool, ids) = open(0, OBJECTS);
    println!("{:34} {:>11} {:>11}", "1,000,000 objects of 64 B", "1 thread", "2 threads");
    mutation(&mut pool);
    reads(&pool, &ids);
    slice();
    scopes(&mut pool);
    pool.destroy().unwrap();
    lock();
    locks();
}
