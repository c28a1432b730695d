//! Memory comes back: extents without objects are given to types that need memory, and a handle into
//! one never resolves again (G7).

use hotpool::conf::{BackendKind, Place, ProcessConf, TypeConf};
use hotpool::inspect::{TypeCompat, Verdict, compat_pool};
use hotpool::object::Schemas;
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, Id, MemoryPoolMgr, PoolError, PoolObject};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 1, name = "spark")]
struct Spark {
    heat: u64,
    rest: [u64; 6],
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 2, name = "ship", keyed)]
struct Ship {
    hull: [u64; 31],
}

/// Another struct of the same type as `Spark`.
mod changed {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "spark")]
    pub(crate) struct Spark {
        pub(crate) heat: u64,
        pub(crate) rest: [u64; 6],
        #[pool(default = 7)]
        pub(crate) more: u64,
    }
}

/// A third struct of that type.
mod third {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "spark")]
    pub(crate) struct Spark {
        heat: u64,
        rest: [u64; 6],
        #[pool(default = 7)]
        other: u64,
    }
}

fn spark(heat: u64) -> Spark {
    Spark { heat, rest: [heat; 6] }
}

fn ship(n: u64) -> Ship {
    Ship { hull: [n; 31] }
}

/// A pool that is removed at the end, also of a test that fails.
struct Ground(ProcessConf);

impl Ground {
    fn new(backend: BackendKind) -> Ground {
        static NEXT: AtomicU32 = AtomicU32::new(0x7dbc_0000);
        let base = NEXT.fetch_add(16, Ordering::Relaxed);
        let mut conf = ProcessConf::new("zone", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
        conf.backend = backend;
        Ground(conf)
    }

    fn open(&self) -> MemoryPoolMgr {
        let mut pool = MemoryPoolMgr::open(&self.0).unwrap();
        pool.add_type::<Spark>().unwrap();
        pool.add_type::<Ship>().unwrap();
        pool
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.0.backend != BackendKind::Heap {
            let _ = remove_pool(self.0.base_key, &Home::of(&self.0), false);
        }
    }
}

/// Allocates until the pool is full.
fn fill(pool: &mut MemoryPoolMgr) -> Vec<Id<Spark>> {
    let made: Vec<_> = std::iter::from_fn(|| pool.alloc(spark(3)).ok()).collect();
    assert!(matches!(pool.alloc(spark(3)), Err(AllocError::Full(_))));
    made
}

#[test]
fn freed_objects_of_one_type_leave_room_for_another() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = ground.open();
    let old = fill(&mut pool);
    assert!(matches!(pool.alloc_keyed(1, ship(1)), Err(AllocError::Full(_))));
    for id in &old {
        assert!(pool.free(*id));
    }
    let ships = (0..2000).map(|n| pool.alloc_keyed(n, ship(n)).unwrap()).collect::<Vec<_>>();
    assert!(old.iter().all(|id| pool.get(*id).is_none()));
    assert!((0..2000).all(|n| pool.get_by_key::<Ship>(n) == Some(&ship(n))));
    assert_eq!(ships.len(), 2000);
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

#[test]
fn memory_comes_back_after_a_restart_on_every_backend() {
    let files = tempfile::tempdir().unwrap();
    for backend in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap] {
        let mut ground = Ground::new(backend);
        if backend == BackendKind::File {
            ground.0.dir = files.path().into();
        }
        let mut pool = ground.open();
        let old = fill(&mut pool);
        let kept = old[700];
        old.iter().filter(|id| **id != kept).for_each(|id| assert!(pool.free(*id)));
        let free = pool.bytes_free();
        drop(pool);

        let mut pool = ground.open();
        let given_back = pool.reclaim().unwrap();
        assert!(given_back.0 > (1 << 20) * 8 / 10, "{given_back}");
        assert_eq!(pool.bytes_free().0, free.0 + given_back.0);
        assert_eq!(pool.reclaim().unwrap(), Bytes(0), "nothing is left to give back");
        drop(pool);

        let mut pool = ground.open();
        assert!(pool.verify().is_sound(), "{}", pool.verify());
        assert_eq!(pool.get(kept), Some(&spark(3)));
        assert_eq!(pool.iter::<Spark>().map(|(id, _)| id).collect::<Vec<_>>(), [kept]);
        assert!(pool.capacity::<Spark>() < old.len() / 4);
        for n in 0..2000 {
            pool.alloc_keyed(n, ship(n)).unwrap();
        }
        pool.close().unwrap();

        let mut pool = ground.open();
        assert!((0..2000).all(|n| pool.free_by_key::<Ship>(n)));
        let mut given: HashSet<_> = old.iter().copied().collect();
        let again = fill(&mut pool);
        assert!(again.len() > old.len() / 2, "{} of {}", again.len(), old.len());
        assert!(again.iter().all(|id| given.insert(*id)), "a handle was given out twice");
        assert!(old.iter().all(|id| *id == kept || pool.get(*id).is_none()));
        assert!(pool.verify().is_sound(), "{}", pool.verify());
        pool.destroy().unwrap();
    }
}

#[test]
fn a_transaction_gets_memory_of_another_type() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = ground.open();
    let old = fill(&mut pool);
    let kept = old[old.len() - 1];
    old.iter().filter(|id| **id != kept).for_each(|id| assert!(pool.free(*id)));
    pool.tx(|tx| {
        tx.get_mut(kept)?.heat = 9;
        for n in 0..50 {
            tx.alloc_keyed(n, ship(n))?;
        }
        tx.free(kept)
    })
    .unwrap();
    assert_eq!((pool.len::<Spark>(), pool.len::<Ship>()), (0, 50));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

#[test]
fn a_reserved_capacity_keeps_its_memory() {
    let mut ground = Ground::new(BackendKind::Heap);
    ground.0.types =
        vec![TypeConf { name: "spark".into(), capacity: 1000, object_bytes: None, place: Place::default() }];
    let mut pool = ground.open();
    let before = pool.bytes_free();
    assert_eq!(pool.reclaim().unwrap(), Bytes(0));
    let many: Vec<_> = (0..4000).map(|n| pool.alloc(spark(n)).unwrap()).collect();
    many.iter().for_each(|id| assert!(pool.free(*id)));
    assert!(pool.reclaim().unwrap().0 > 0);
    assert_eq!(pool.bytes_free(), before);
    assert!(pool.capacity::<Spark>() >= 1000);
    pool.destroy().unwrap();
}

#[test]
fn quarantine_and_retired_slots_keep_their_extents() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.set_last_generation(1);
    pool.add_type::<Spark>().unwrap();
    let made: Vec<_> = (0..1000).map(|n| pool.alloc(spark(n)).unwrap()).collect();
    pool.quarantine(made[0].handle()).unwrap();
    made[1..].iter().for_each(|id| assert!(pool.free(*id)));
    assert_eq!(pool.reclaim().unwrap(), Bytes(0), "every slot is retired or in quarantine");
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.release(made[0].handle()).unwrap();
    assert_eq!(pool.get(made[0]), Some(&spark(0)));
    pool.destroy().unwrap();
}

#[test]
fn a_changed_struct_is_migrated_over_hollow_extents() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = ground.open();
    let old = fill(&mut pool);
    let kept = old[700];
    old.iter().filter(|id| **id != kept).for_each(|id| assert!(pool.free(*id)));
    drop(pool);

    let mut pool = ground.open();
    assert!(pool.reclaim().unwrap().0 > 0);
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<changed::Spark>().unwrap();
    pool.ready().unwrap();
    let found: Vec<_> = pool.iter::<changed::Spark>().map(|(id, spark)| (id.to_bits(), *spark)).collect();
    assert_eq!(found, [(kept.to_bits(), changed::Spark { heat: 3, rest: [3; 6], more: 7 })]);
    let given: HashSet<_> = old.iter().map(|id| id.to_bits()).collect();
    while let Ok(id) = pool.alloc(found[0].1) {
        assert!(!given.contains(&id.to_bits()), "{id} was given out twice");
    }
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

/// Allocates sparks until so many bytes are free.
fn fill_until(pool: &mut MemoryPoolMgr, free: u64) -> Vec<Id<Spark>> {
    std::iter::from_fn(|| (pool.bytes_free().0 > free).then(|| pool.alloc(spark(3)).unwrap())).collect()
}

#[test]
fn a_migration_needs_no_memory_for_extents_without_objects() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<Spark>().unwrap();
    let old = fill_until(&mut pool, 200 << 10);
    let kept = old[700];
    old.iter().filter(|id| **id != kept).for_each(|id| assert!(pool.free(*id)));
    pool.ready().unwrap();
    drop(pool);

    let told = told(&ground, &Schemas::new().with::<changed::Spark>());
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<changed::Spark>().unwrap();
    let migrated = pool.resume_report().migrated[0].clone();
    assert!(migrated.bytes < Bytes(64 << 10), "{migrated}");
    assert_eq!((told[0].verdict, told[0].needs), (Verdict::Migrated, migrated.bytes));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    drop(pool);

    // The old build finds its objects, and never a handle twice.
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<Spark>().unwrap();
    assert_eq!(pool.iter::<Spark>().collect::<Vec<_>>(), [(kept, &spark(3))]);
    let mut given: HashSet<_> = old.iter().map(|id| id.to_bits()).collect();
    given.extend((0..100).map(|_| pool.alloc(spark(3)).unwrap().to_bits()));
    assert_eq!(given.len(), old.len() + 100);
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<changed::Spark>().unwrap();
    pool.ready().unwrap();
    assert_eq!(pool.len::<changed::Spark>(), 101);
    let more = changed::Spark { heat: 3, rest: [3; 6], more: 7 };
    while let Ok(id) = pool.alloc(more) {
        assert!(given.insert(id.to_bits()), "{id} was given out twice");
    }
    assert!(pool.capacity::<changed::Spark>() > old.len(), "the old form gave its memory back");
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

/// Returns what `hotpool compat` tells of a build.
fn told(ground: &Ground, build: &Schemas) -> Vec<TypeCompat> {
    compat_pool(ground.0.base_key, &Home::of(&ground.0), build, Some(&ground.0)).unwrap().types
}

#[test]
fn compat_counts_the_memory_that_a_migration_reclaims_from_other_types() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = ground.open();
    for n in 0..2200 {
        pool.alloc_keyed(n, ship(n)).unwrap();
    }
    fill_until(&mut pool, 100 << 10);
    for n in 0..2200 {
        assert!(n == 500 || pool.free_by_key::<Ship>(n));
    }
    pool.ready().unwrap();
    drop(pool);

    // Types that were added before give memory, as the order of the build says.
    let before = told(&ground, &Schemas::new().with::<Ship>().with::<changed::Spark>());
    let after = told(&ground, &Schemas::new().with::<changed::Spark>().with::<Ship>());
    assert_eq!(after[0].verdict, Verdict::Refused, "{after:?}");
    assert!(after[0].notes[0].contains("add 1 key to ShmKeys"), "{after:?}");
    let note = &before[1].notes[0];
    assert!(note.ends_with("from extents of other types without objects"), "{note}");

    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    assert!(matches!(pool.add_type::<changed::Spark>(), Err(PoolError::NoRoomToMigrate { .. })));
    pool.add_type::<Ship>().unwrap();
    pool.add_type::<changed::Spark>().unwrap();
    let migrated = &pool.resume_report().migrated[0];
    assert_eq!((before[1].verdict, before[1].needs), (Verdict::Migrated, migrated.bytes));
    assert_eq!(pool.get_by_key::<Ship>(500), Some(&ship(500)));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

#[test]
fn compat_counts_the_memory_of_a_migration_that_is_undone() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<Spark>().unwrap();
    let old = fill_until(&mut pool, 640 << 10);
    pool.ready().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<changed::Spark>().unwrap();
    assert!(pool.bytes_free() < Bytes(320 << 10), "a second copy has no room");
    drop(pool);

    let third = told(&ground, &Schemas::new().with::<third::Spark>());
    let mut pool = MemoryPoolMgr::open(&ground.0).unwrap();
    pool.add_type::<third::Spark>().unwrap();
    let migrated = &pool.resume_report().migrated[0];
    assert_eq!((third[0].verdict, third[0].needs), (Verdict::Migrated, migrated.bytes), "{third:?}");
    assert_eq!(third[0].objects, old.len() as u64);
    pool.destroy().unwrap();
}

/// As many objects as at the last look, but elsewhere: an extent has become empty.
#[test]
fn an_extent_that_was_emptied_since_the_last_look_is_found() {
    let ground = Ground::new(BackendKind::Heap);
    let mut pool = ground.open();
    let old = fill(&mut pool);
    // One object in each 64 slots keeps every extent.
    let (kept, freed): (Vec<_>, Vec<_>) = old.into_iter().enumerate().partition(|(n, _)| n % 64 == 0);
    freed.iter().for_each(|(_, id)| assert!(pool.free(*id)));
    assert!(matches!(pool.alloc_keyed(1, ship(1)), Err(AllocError::Full(_))));
    let len = pool.len::<Spark>();
    let half = kept.len() / 2;
    kept[half..].iter().for_each(|(_, id)| assert!(pool.free(*id)));
    while pool.len::<Spark>() < len {
        pool.alloc(spark(4)).unwrap();
    }
    pool.alloc_keyed(1, ship(1)).unwrap();
    assert!(kept[..half].iter().all(|(_, id)| pool.get(*id) == Some(&spark(3))));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

#[test]
fn a_full_pool_does_not_look_again_while_nothing_was_freed() {
    let mut ground = Ground::new(BackendKind::Heap);
    ground.0.block_size = Bytes(16 << 20);
    let mut pool = ground.open();
    let old = fill(&mut pool);
    old.iter().enumerate().filter(|(n, _)| n % 64 != 0).for_each(|(_, id)| assert!(pool.free(*id)));
    let took = |f: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..100).for_each(|_| f());
        began.elapsed()
    };
    let looking = took(&mut || assert_eq!(pool.reclaim().unwrap(), Bytes(0)));
    let failing = took(&mut || assert!(pool.alloc_keyed(1, ship(1)).is_err()));
    assert!(failing < looking / 2, "{failing:?} for allocs that fail, {looking:?} for looking");
    pool.destroy().unwrap();
}
