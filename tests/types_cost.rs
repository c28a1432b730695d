//! What the check of a start and the padding of an object cost.

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::{FixedStr, FixedVec, Maybe, Schema};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7dd4_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(32 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

#[repr(u8)]
#[derive(Clone, Copy, Schema)]
enum Side {
    North,
    South,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 40)]
struct Short {
    online: bool,
    side: Side,
    uid: u64,
    gold: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 41)]
struct Long {
    uid: u64,
    name: FixedStr<24>,
    bag: FixedVec<Maybe<u32>, 5>,
    side: Side,
    rest: [u64; 5],
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 42)]
struct AnyBits {
    numbers: [u64; 16],
}

/// Fills a pool, starts again, and returns how long adding the type took.
fn time_of_check<T: PoolObject>(sample: T) -> Duration {
    const OBJECTS: usize = 100_000;
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<T>().unwrap();
    for _ in 0..OBJECTS {
        pool.alloc(sample).unwrap();
    }
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let began = Instant::now();
    pool.add_type::<T>().unwrap();
    let time = began.elapsed();
    assert_eq!((pool.len::<T>(), pool.resume_report().bad_values.len()), (OBJECTS, 0));
    pool.destroy().unwrap();
    time
}

/// Returns how long an alloc and a free of an object with padding take together.
fn time_of_alloc_and_free(sample: Long) -> Duration {
    const ROUNDS: u32 = 100_000;
    let mut pool = MemoryPoolMgr::open(&conf()).unwrap();
    pool.add_type::<Long>().unwrap();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let id = pool.alloc(sample).unwrap();
        assert!(pool.free(id));
    }
    let time = began.elapsed() / ROUNDS;
    pool.destroy().unwrap();
    time
}

/// Prints the figures of docs/types.md: run it with `--release` and `--nocapture`.
#[test]
fn a_start_checks_100_000_objects() {
    let short = Short { online: true, side: Side::North, uid: 1, gold: 2 };
    let bag = FixedVec::try_from_iter([Maybe::Some(1), Maybe::None]).unwrap();
    let long = Long { uid: 1, name: "Ada".parse().unwrap(), bag, side: Side::South, rest: [3; 5] };
    println!(
        "of {}, {} and {} bytes: {:?}, {:?}, {:?} with any bits; alloc and free of the second: {:?}",
        size_of::<Short>(),
        size_of::<Long>(),
        size_of::<AnyBits>(),
        time_of_check(short),
        time_of_check(long),
        time_of_check(AnyBits { numbers: [4; 16] }),
        time_of_alloc_and_free(long),
    );
}
