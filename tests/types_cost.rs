//! What the check of a start and the padding of an object cost.

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::{FixedStr, FixedVec, Maybe, Schema};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject, Ref};
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

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 43)]
struct Owner {
    number: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 44)]
struct Owned {
    #[pool(owner)]
    owner: Ref<Owner>,
    #[pool(time)]
    until: u64,
    rest: [u64; 4],
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

/// Prints the figures of docs/types.md: run it with `--release` and `--nocapture`.
#[test]
fn lists_are_made_of_a_million_children() {
    let children: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
    let owners = children / 10;
    let mut conf = conf();
    conf.block_size = Bytes(256 << 20);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    pool.add_type::<Owner>().unwrap();
    pool.add_type::<Owned>().unwrap();
    let all: Vec<_> = (0..owners).map(|number| pool.alloc(Owner { number }).unwrap()).collect();
    let mut ids = Vec::new();
    for _ in 0..children {
        let (owner, until) = (all[random.usize(0..all.len())].into(), random.u64(..));
        ids.push(pool.alloc(Owned { owner, until, rest: [1; 4] }).unwrap());
    }
    let timed = |what: &str, count: u64, f: &mut dyn FnMut()| {
        let began = Instant::now();
        f();
        println!("{what}: {:?}, {:?} each", began.elapsed(), began.elapsed() / count as u32);
    };
    timed("a scan of all children", children, &mut || {
        assert!(pool.iter::<Owned>().map(|(_, child)| child.until).max().is_some());
    });
    timed("lists of children", children, &mut || assert!(pool.children::<Owned>(all[0]).count() < 100));
    timed("the order of times", children, &mut || assert!(pool.due::<Owned>(u64::MAX).next().is_some()));
    timed("all children by owner", children, &mut || {
        let found: usize = all.iter().map(|owner| pool.children::<Owned>(*owner).count()).sum();
        assert_eq!(found as u64, children);
    });
    timed("all children in the order of times", children, &mut || {
        assert_eq!(pool.due::<Owned>(u64::MAX).count() as u64, children);
    });
    timed("guards that change a number", children, &mut || {
        ids.iter().for_each(|id| pool.get_mut(*id).unwrap().rest[0] += 1);
    });
    timed("the reading after them", children, &mut || assert!(pool.children::<Owned>(all[0]).count() < 100));
    timed("guards that change owner and time", children, &mut || {
        for (at, id) in ids.iter().enumerate() {
            let mut guard = pool.get_mut(*id).unwrap();
            (guard.owner, guard.until) = (all[at % all.len()].into(), guard.until.rotate_left(9));
        }
    });
    timed("the reading after them", children, &mut || assert!(pool.children::<Owned>(all[0]).count() < 100));
    pool.destroy().unwrap();
}
