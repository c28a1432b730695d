//! An object larger than the stack is created, read and written in place, and is all or nothing.

#[cfg(target_arch = "x86_64")]
mod harness;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, MemoryPoolMgr, PoolObject};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

/// Words of an object of 3 MiB.
const TILES: usize = (3 << 20) / 8 - 1;
/// A stack size far below that of an object.
const STACK: usize = 256 << 10;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Map {
    width: u64,
    tiles: [u64; TILES],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
struct Region {
    width: u64,
    tiles: [u64; TILES],
}

fn conf(undo: u64) -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7ce0_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("maps", Key(base), Bytes(16 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf.undo_size = Bytes(undo);
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Map>().unwrap();
    pool.add_type::<Region>().unwrap();
    pool
}

/// Runs `f` on a thread with a small stack. A stack overflow ends the process.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(f).unwrap().join().unwrap();
}

#[test]
fn an_object_larger_than_the_stack_is_created_read_and_written() {
    on_a_small_stack(|| {
        let mut pool = open(&conf(4 << 20));
        let map = pool
            .alloc_zeroed_with(|map: &mut Map| {
                assert!(map.tiles.iter().all(|tile| *tile == 0));
                map.width = 5;
                map.tiles[TILES - 1] = 7;
            })
            .unwrap();
        let region = pool.alloc_keyed_zeroed_with(9, |region: &mut Region| region.tiles.fill(3)).unwrap();
        let seen = |pool: &MemoryPoolMgr| pool.get(map).map(|map| (map.width, map.tiles[TILES - 1]));
        assert_eq!(seen(&pool), Some((5, 7)));
        assert_eq!(pool.update(map, |map| std::mem::replace(&mut map.width, 6)), Ok(5));
        pool.update_by_key::<Region, _>(9, |region| region.width = 1).unwrap();
        pool.get_mut(map).unwrap().tiles[TILES - 1] += 1;
        assert_eq!(seen(&pool), Some((6, 8)));
        let rolled_back: Result<(), hotpool::TxError> = pool.tx(|tx| {
            tx.get_mut(map)?.tiles.fill(1);
            tx.free(map)?;
            tx.get_mut(map).map(drop)
        });
        assert!(rolled_back.is_err());
        assert_eq!(seen(&pool), Some((6, 8)));
        pool.for_each::<Map>(|_, map| map.width += 1);
        for (_, mut region) in pool.iter_mut::<Region>() {
            region.width += 1;
        }
        assert_eq!(pool.iter::<Map>().map(|(_, map)| map.width).collect::<Vec<_>>(), [7]);
        assert_eq!(pool.get_by_key::<Region>(9).map(|region| (region.width, region.tiles[8])), Some((2, 3)));
        assert_eq!(pool.find::<Region>(9), Some(region));
        assert!(pool.free(map) && pool.free(region));
        pool.destroy().unwrap();
    });
}

#[test]
fn a_panic_while_an_object_is_filled_leaves_the_slot_free() {
    on_a_small_stack(|| {
        let mut pool = open(&conf(64 << 10));
        let first = pool.alloc_zeroed_with(|map: &mut Map| map.width = 1).unwrap();
        for round in 0..3 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _ = pool.alloc_zeroed_with::<Map>(|map| {
                    map.tiles.fill(9);
                    resume_unwind(Box::new("boom"))
                });
            }));
            assert!(caught.is_err());
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _ = pool.alloc_keyed_zeroed_with::<Region>(4, |region| {
                    region.tiles.fill(9);
                    resume_unwind(Box::new("boom"))
                });
            }));
            assert!(caught.is_err());
            assert_eq!((pool.len::<Map>(), pool.len::<Region>()), (1, 0), "{round}");
            assert_eq!(pool.find::<Region>(4), None);
        }
        let second = pool.alloc_zeroed_with(|map: &mut Map| assert_eq!(map.tiles[5], 0)).unwrap();
        assert_eq!(second.index(), first.index() + 1, "the slot is used again");
        pool.alloc_keyed_zeroed_with(4, |region: &mut Region| assert_eq!(region.tiles[5], 0)).unwrap();
        assert!(pool.torn().is_empty());
        pool.destroy().unwrap();
    });
}

#[test]
fn a_refused_alloc_does_not_call_its_closure() {
    let mut pool = MemoryPoolMgr::open(&conf(64 << 10)).unwrap();
    let never = |_: &mut Map| panic!("the closure was called");
    let never_keyed = |_: &mut Region| panic!("the closure was called");
    assert_eq!(pool.alloc_zeroed_with(never), Err(AllocError::NotAdded("map")));
    assert_eq!(pool.alloc_keyed_zeroed_with(1, never_keyed), Err(AllocError::NotAdded("region")));
    pool.add_type::<Map>().unwrap();
    pool.add_type::<Region>().unwrap();
    let holder = pool.alloc_keyed_zeroed_with(1, |_: &mut Region| ()).unwrap().handle();
    assert_eq!(pool.alloc_keyed_zeroed_with(1, never_keyed), Err(AllocError::KeyExists { key: 1, holder }));
    let mut filled = 0;
    while pool.alloc_zeroed_with(|_: &mut Map| filled += 1).is_ok() {}
    assert_eq!((filled, pool.len::<Map>()), (4, 4), "the pool has room for 5 objects of 3 MiB");
    assert!(matches!(pool.alloc_zeroed_with(never), Err(AllocError::Full(_))));
    pool.destroy().unwrap();
}

#[cfg(target_arch = "x86_64")]
mod killed {
    use super::harness::image::{self, Image};
    use super::harness::keys::Keys;
    use super::harness::trap;
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const ROLE: &str = "HOTPOOL_TEST_IN_PLACE";

    fn under(base: Key) -> ProcessConf {
        let mut conf = conf(64 << 10);
        (conf.base_key, conf.shm_keys) = (base, vec![Key(base.0 + 1)]);
        conf.backend = BackendKind::Sysv;
        conf
    }

    fn die() -> ! {
        // SAFETY: integers only.
        unsafe { libc::raise(libc::SIGKILL) };
        unreachable!("killed")
    }

    /// Fills one object of each type, and dies while it fills another one.
    fn child(base: Key, is_keyed: bool) {
        let mut pool = open(&under(base));
        pool.alloc_zeroed_with(|map: &mut Map| map.tiles.fill(1)).unwrap();
        pool.alloc_keyed_zeroed_with(1, |region: &mut Region| region.tiles.fill(1)).unwrap();
        if is_keyed {
            let _ = pool.alloc_keyed_zeroed_with::<Region>(2, |region| {
                region.tiles[..9].fill(2);
                die()
            });
        }
        let _ = pool.alloc_zeroed_with::<Map>(|map| {
            map.tiles[..9].fill(2);
            die()
        });
    }

    #[test]
    fn a_kill_while_an_object_is_filled_leaves_none() {
        if let Ok(role) = std::env::var(ROLE) {
            let (base, is_keyed) = role.split_once(' ').unwrap();
            return child(Key(base.parse().unwrap()), is_keyed == "true");
        }
        for is_keyed in [false, true] {
            let keys = Keys::take(4);
            let name = "killed::a_kill_while_an_object_is_filled_leaves_none";
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
            let output = command.env(ROLE, format!("{} {is_keyed}", keys.base().0)).output().unwrap();
            assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
            let mut pool = open(&under(keys.base()));
            assert!(pool.is_resume());
            assert!(pool.resume_report().being_written.is_empty());
            assert_eq!((pool.len::<Map>(), pool.len::<Region>()), (1, 1));
            assert_eq!(pool.find::<Region>(2), None);
            let is_zero = |tiles: &[u64]| assert!(tiles.iter().all(|tile| *tile == 0));
            pool.alloc_zeroed_with(|map: &mut Map| is_zero(&map.tiles)).unwrap();
            pool.alloc_keyed_zeroed_with(2, |region: &mut Region| is_zero(&region.tiles)).unwrap();
            assert!(pool.iter::<Map>().next().unwrap().1.tiles.iter().all(|tile| *tile == 1));
            pool.destroy().unwrap();
            assert_eq!(keys.in_use(), []);
        }
    }

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    // Type numbers below 16 keep the entries in the bytes that the harness copies.
    #[pool(id = 3, keyed)]
    struct Small([u64; 16]);

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 2)]
    struct Plain([u64; 16]);

    fn small(conf: &ProcessConf) -> MemoryPoolMgr {
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        pool.add_type::<Small>().unwrap();
        pool.add_type::<Plain>().unwrap();
        pool
    }

    /// Uses the slots of freed objects, so that old bytes are in them.
    #[test]
    fn a_kill_after_any_store_leaves_it_whole_or_absent() {
        let keys = Keys::take(4);
        let conf = keys.conf(BackendKind::Heap, 128 << 10, 2);
        let mut pool = small(&conf);
        let old = (pool.alloc_keyed(1, Small([9; 16])).unwrap(), pool.alloc(Plain([9; 16])).unwrap());
        assert!(pool.free(old.0) && pool.free(old.1));
        drop(pool);
        let segments = image::find_heap(&conf);
        let start = Image::of(&segments);
        let fill = |words: &mut [u64; 16]| (1..).zip(&mut words[1..]).for_each(|(n, word)| *word = n);
        let (_, stores) = trap::stores(&segments, || {
            let mut pool = small(&conf);
            pool.alloc_keyed_zeroed_with(5, |small: &mut Small| fill(&mut small.0)).unwrap();
            pool.alloc_zeroed_with(|plain: &mut Plain| fill(&mut plain.0)).unwrap();
        });
        let full = std::array::from_fn(|n| n as u64);
        let mut seen = Vec::new();
        for (number, image) in trap::images(&start, &stores).enumerate() {
            image.restore(&segments);
            let mut pool = small(&conf);
            let there = (pool.len::<Small>(), pool.len::<Plain>());
            assert_eq!(pool.get_by_key::<Small>(5).map(|small| small.0), (there.0 == 1).then_some(full));
            assert!(pool.iter::<Plain>().all(|(_, plain)| plain.0 == full), "after store {number}");
            seen.push(there);
            let made = pool.alloc_keyed_zeroed_with(5, |small: &mut Small| assert_eq!(small.0, [0; 16]));
            assert_eq!(made.is_ok(), there.0 == 0, "after store {number}: {made:?}");
            pool.alloc_zeroed_with(|plain: &mut Plain| assert_eq!(plain.0, [0; 16])).unwrap();
        }
        assert!(seen.is_sorted() && stores.len() > 60, "{seen:?}");
        seen.dedup();
        assert_eq!(seen, [(0, 0), (1, 0), (1, 1)]);
        MemoryPoolMgr::open(&conf).and_then(MemoryPoolMgr::destroy).unwrap();
    }
}
