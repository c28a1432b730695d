//! How much faster two threads are than one, and what a scope costs.
//!
//! Run `cargo bench --bench parallel`. It needs two processors without other work. Each row is the
//! ratio of one thread's time to that of two, measured in turn in the same run; the best of several
//! rounds counts for each, because other work can only make a round slower.

use hotpool::conf::ProcessConf;
use hotpool::pool::SharedPool;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use std::hint::black_box;
use std::sync::{Barrier, Mutex};
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

/// Returns the shortest time of each of two ways, which run in turn.
fn best(mut one: impl FnMut() -> Duration, mut two: impl FnMut() -> Duration) -> [Duration; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        best = [best[0].min(one()), best[1].min(two())];
    }
    best
}

fn row(name: &str, [one, two]: [Duration; 2], objects: usize) {
    let each = |time: Duration| time.as_nanos() as f64 / objects as f64;
    let ratio = one.as_secs_f64() / two.as_secs_f64();
    println!("{name:34} {:8.2} ns {:8.2} ns  {ratio:5.2} times as fast", each(one), each(two));
}

fn open() -> (MemoryPoolMgr, Vec<Id<Object>>) {
    let base = 0x7a00_0000 | (std::process::id() & 0xffff) << 8;
    let bytes = Bytes((OBJECTS as u64 * 80 + (2 << 20)).next_multiple_of(1 << 20));
    let mut pool =
        MemoryPoolMgr::open(&ProcessConf::new("parallel", Key(base), bytes, &[Key(base + 1)])).unwrap();
    pool.add_type::<Object>().unwrap();
    let mut ids: Vec<_> =
        (0..OBJECTS as u64).map(|n| pool.alloc(Object { words: [n; 8] }).unwrap()).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut ids);
    pool.set_threads(2);
    (pool, ids)
}

fn mutation(pool: &mut MemoryPoolMgr) {
    let pool = std::cell::RefCell::new(pool);
    let one = || time(|| pool.borrow_mut().for_each::<Object>(|_, object| tick(object)));
    let two = || time(|| pool.borrow_mut().par_for_each::<Object>(|_, object| tick(object)));
    row("mutation, a tick of arithmetic", best(one, two), OBJECTS);
    let add = |object: &mut Object| object.words[0] += 1;
    let one = || time(|| pool.borrow_mut().for_each::<Object>(|_, object| add(object)));
    let two = || time(|| pool.borrow_mut().par_for_each::<Object>(|_, object| add(object)));
    row("mutation, one word (memory)", best(one, two), OBJECTS);
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
    let two = || {
        let (low, high) = ids.split_at(ids.len() / 2);
        let start = Barrier::new(2);
        std::thread::scope(|threads| {
            let other = threads.spawn(|| {
                start.wait();
                read(high);
            });
            start.wait();
            let began = Instant::now();
            read(low);
            other.join().unwrap();
            began.elapsed()
        })
    };
    row("reads by handle, at random", best(one, two), OBJECTS);
}

/// What the lock of a shared pool costs, and what two threads do to each other with one lock, as for a
/// pool, and with two, as for two types.
fn locks(pool: MemoryPoolMgr, ids: &[Id<Object>]) -> MemoryPoolMgr {
    const CALLS: usize = 500_000;
    let ids = &ids[..1000];
    let pool = std::cell::RefCell::new(Some(pool));
    let plain = || {
        let mut pool = pool.borrow_mut();
        let pool = pool.as_mut().unwrap();
        time(|| ids.iter().cycle().take(CALLS).for_each(|id| pool.update(*id, tick).unwrap()))
    };
    let shared = || {
        let shared = SharedPool::new(pool.borrow_mut().take().unwrap());
        let took = time(|| {
            ids.iter().cycle().take(CALLS).for_each(|id| shared.with(|pool| pool.update(*id, tick).unwrap()))
        });
        *pool.borrow_mut() = shared.into_inner().ok();
        took
    };
    let [plain, shared] = best(plain, shared);
    row("update: plain, then SharedPool", [plain, shared], CALLS);
    let with = |locks: [&Mutex<Object>; 2]| {
        time(|| {
            std::thread::scope(|threads| {
                for lock in locks {
                    threads.spawn(move || (0..CALLS).for_each(|_| tick(&mut lock.lock().unwrap())));
                }
            });
        })
    };
    let locks = [Mutex::new(Object { words: [1; 8] }), Mutex::new(Object { words: [2; 8] })];
    let (one, two) = (|| with([&locks[0], &locks[0]]), || with([&locks[0], &locks[1]]));
    row("2 threads: one lock, then two", best(one, two), 2 * CALLS);
    pool.into_inner().unwrap()
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
    let (mut pool, ids) = open();
    println!("{:34} {:>11} {:>11}", "1,000,000 objects of 64 B", "1 thread", "2 threads");
    mutation(&mut pool);
    reads(&pool, &ids);
    scopes(&mut pool);
    let pool = locks(pool, &ids);
    pool.destroy().unwrap();
}
