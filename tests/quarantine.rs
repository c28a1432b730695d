//! A quarantined object is kept out of reach, and leaves the quarantine whole or freed, even if the
//! operation is interrupted.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, OnTorn, ProcessConf};
use hotpool::pool::QuarantineError;
use hotpool::units::{Bytes, Key};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolObject, StartMode};
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
struct Plain {
    value: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2, keyed)]
struct Keyed {
    value: u64,
}

fn conf(on_torn: OnTorn) -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7c10_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(256 << 10), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf.resume.on_torn = on_torn;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Plain>().unwrap();
    pool.add_type::<Keyed>().unwrap();
    pool
}

/// Leaves a pool as a death during a change of `id` does.
fn die_writing<T: PoolObject>(mut pool: MemoryPoolMgr, id: Id<T>) {
    std::mem::forget(pool.get_mut(id).unwrap());
    drop(pool);
}

/// Creates three objects of each type, the middle ones torn.
fn torn(conf: &ProcessConf) -> (Id<Plain>, Id<Keyed>) {
    let mut pool = open(conf);
    let plain = [1, 2, 3].map(|value| pool.alloc(Plain { value }).unwrap());
    let keyed = [1, 2, 3].map(|value| pool.alloc_keyed(value, Keyed { value }).unwrap());
    pool.ready().unwrap();
    die_writing(pool, plain[1]);
    die_writing(open(conf), keyed[1]);
    (plain[1], keyed[1])
}

fn values(pool: &MemoryPoolMgr) -> (Vec<u64>, Vec<u64>) {
    let plain = pool.iter::<Plain>().map(|(_, object)| object.value).collect();
    let keyed = pool.iter::<Keyed>().map(|(_, object)| object.value).collect();
    (plain, keyed)
}

#[test]
fn a_torn_object_is_named_and_stays_reachable_by_default() {
    let conf = conf(OnTorn::Report);
    let (plain, keyed) = torn(&conf);
    let pool = open(&conf);
    assert_eq!(pool.resume_report().being_written, [plain.handle(), keyed.handle()]);
    assert_eq!(pool.resume_report().quarantined, []);
    assert_eq!((pool.get(plain).unwrap().value, pool.get(keyed).unwrap().value), (2, 2));
}

#[test]
fn nothing_reaches_an_object_in_quarantine_and_no_slot_is_lost() {
    let conf = conf(OnTorn::Quarantine);
    let (plain, keyed) = torn(&conf);
    let mut pool = open(&conf);
    assert_eq!(pool.start_mode(), StartMode::Resume);
    let both = [plain.handle(), keyed.handle()];
    assert_eq!(pool.resume_report().quarantined, both);
    assert_eq!(pool.quarantined(), both);

    assert_eq!(pool.get(plain), None);
    assert!(pool.get_mut(keyed).is_none());
    assert!(!pool.free(plain));
    assert_eq!((pool.find::<Keyed>(2), pool.get_by_key::<Keyed>(2)), (None, None));
    assert_eq!(values(&pool), (vec![1, 3], vec![1, 3]));
    assert_eq!((pool.len::<Plain>(), pool.len::<Keyed>()), (2, 2));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    assert_eq!(pool.quarantined_object(plain), Some(Plain { value: 2 }), "it can still be read");

    let more: Vec<u32> = (0..200).map(|value| pool.alloc(Plain { value }).unwrap().index()).collect();
    assert!(!more.contains(&plain.index()), "its slot must not be used again");
}

#[test]
fn quarantine_outlives_ready_close_and_death() {
    let conf = conf(OnTorn::Quarantine);
    let (plain, keyed) = torn(&conf);
    let mut pool = open(&conf);
    pool.ready().unwrap();
    pool.close().unwrap();
    drop(open(&conf));
    let pool = open(&conf);
    assert_eq!(pool.quarantined(), [plain.handle(), keyed.handle()]);
    assert_eq!(values(&pool), (vec![1, 3], vec![1, 3]));
}

#[test]
fn a_released_object_is_back_by_handle_and_key() {
    let conf = conf(OnTorn::Quarantine);
    let (plain, keyed) = torn(&conf);
    let mut pool = open(&conf);
    pool.release(plain.handle()).unwrap();
    pool.release(keyed.handle()).unwrap();
    pool.ready().unwrap();
    drop(pool);
    let mut pool = open(&conf);
    assert_eq!(pool.quarantined(), []);
    assert_eq!(values(&pool), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!(pool.find::<Keyed>(2), Some(keyed));
    assert_eq!((pool.len::<Plain>(), pool.len::<Keyed>()), (3, 3));
    assert_eq!(pool.release(plain.handle()), Err(QuarantineError::NotThere(plain.handle())));
}

#[test]
fn a_key_given_to_another_object_is_not_taken_back() {
    let conf = conf(OnTorn::Quarantine);
    let (_, keyed) = torn(&conf);
    let mut pool = open(&conf);
    let heir = pool.force_get(2, Keyed { value: 22 }).unwrap();
    assert!(heir.is_made());
    let holder = heir.into_inner().handle();
    let taken = QuarantineError::KeyTaken { object: keyed.handle(), key: 2, holder };
    assert_eq!(pool.release(keyed.handle()), Err(taken));
    assert!(pool.free_by_key::<Keyed>(2));
    pool.release(keyed.handle()).unwrap();
    assert_eq!(pool.get_by_key::<Keyed>(2), Some(&Keyed { value: 2 }));
}

#[test]
fn a_dropped_object_is_gone_and_its_slot_free() {
    let conf = conf(OnTorn::Quarantine);
    let (plain, keyed) = torn(&conf);
    let mut pool = open(&conf);
    pool.drop_quarantined(plain.handle()).unwrap();
    pool.drop_quarantined(keyed.handle()).unwrap();
    assert_eq!(pool.quarantined(), []);
    assert_eq!((pool.len::<Plain>(), pool.len::<Keyed>()), (2, 2));
    let again = pool.alloc(Plain { value: 9 }).unwrap();
    assert_eq!(again.index(), plain.index());
    assert_ne!(again, plain);
    assert_eq!(pool.get(plain), None);
    let missing = Err(QuarantineError::NotThere(plain.handle()));
    assert_eq!(pool.drop_quarantined(plain.handle()), missing);
}

#[test]
fn a_type_that_was_not_added_is_an_error() {
    let conf = conf(OnTorn::Quarantine);
    let (plain, _) = torn(&conf);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.release(plain.handle()), Err(QuarantineError::NotAdded(plain.handle())));
    let named: Vec<Handle> = pool.quarantined();
    assert!(named.contains(&plain.handle()), "they are listed nevertheless");
}

#[test]
fn a_program_may_quarantine_objects_until_the_list_is_full() {
    let mut pool = open(&conf(OnTorn::Report));
    let all: Vec<Handle> = (0..70).map(|value| pool.alloc(Plain { value }).unwrap().handle()).collect();
    for object in &all[..64] {
        pool.quarantine(*object).unwrap();
    }
    assert_eq!(pool.quarantine(all[0]), Err(QuarantineError::NotLive(all[0])));
    assert_eq!(pool.quarantine(all[64]), Err(QuarantineError::Crowded(all[64])));
    assert_eq!(
        pool.get(all[64].typed::<Plain>().unwrap()).unwrap().value,
        64,
        "an object that is not quarantined still resolves"
    );
    assert_eq!(pool.quarantined(), all[..64]);
    assert!(pool.verify().is_sound(), "{}", pool.verify());
}

/// The slot header decides, not the map. If a stray write marks slots as free, neither a
/// quarantined object nor a retired slot is given away.
#[test]
fn a_damaged_map_gives_away_neither_quarantined_nor_retired_slots() {
    let conf = conf(OnTorn::Report);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.set_last_generation(3);
    pool.add_type::<Plain>().unwrap();
    let parked = pool.alloc(Plain { value: 1 }).unwrap();
    let retired = [(), ()].map(|()| {
        let id = pool.alloc(Plain { value: 2 }).unwrap();
        assert!(pool.free(id));
        id
    });
    assert_eq!(retired.map(|id| (id.index(), id.generation())), [(1, 1), (1, 3)]);
    pool.quarantine(parked.handle()).unwrap();
    let other = pool.alloc(Plain { value: 3 }).unwrap();
    // Clears bits in the map of the first extent, which begins after the first page of its block.
    // SAFETY: nothing borrows from the pool here.
    assert!(unsafe { hotpool::share::raw::poke(conf.shm_keys[0], 4096, |map| map & !3) });
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Plain>().unwrap();
    let made: Vec<u32> = (0..200).map(|value| pool.alloc(Plain { value }).unwrap().index()).collect();
    assert!(!made.contains(&0) && !made.contains(&1), "{made:?}");
    assert_eq!(pool.quarantined_object(parked), Some(Plain { value: 1 }));
    assert_eq!(pool.get(other), Some(&Plain { value: 3 }));
    pool.release(parked.handle()).unwrap();
    assert_eq!(pool.get(parked), Some(&Plain { value: 1 }));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}
