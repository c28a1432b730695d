//! Objects follow their struct: a changed build finds them in its own form, an old build as they were
//! until the new one was ready (G14).

#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::{Severity, describe_pool, verify_pool};
use hotpool::object::{FixedStr, FixedVec, Schema, SchemaText};
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolError, PoolObject};
use own_keys::own_keys;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

/// The structs of the first build.
mod v1 {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed)]
    pub(crate) struct Hero {
        pub(crate) hp: u32,
        pub(crate) level: u8,
        pub(crate) class: Class,
        pub(crate) old: u16,
        pub(crate) name: FixedStr<12>,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) enum Class {
        Mage,
        Knight,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 2, name = "item")]
    pub(crate) struct Item {
        pub(crate) count: u32,
    }
}

/// The structs of the second build.
mod v2 {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed, removed = "old")]
    pub(crate) struct Hero {
        pub(crate) class: Class,
        #[pool(was = "hp")]
        pub(crate) health: u64,
        pub(crate) level: u16,
        #[pool(default = 50)]
        pub(crate) mana: u32,
        pub(crate) name: FixedStr<40>,
        #[pool(default)]
        pub(crate) bag: FixedVec<u32, 8>,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) enum Class {
        Mage,
        Knight,
        #[allow(dead_code, reason = "no stored object has it")]
        Thief,
    }
}

/// A third build, whose level has less room than the second's.
mod v3 {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed, removed = "old")]
    pub(crate) struct Hero {
        pub(crate) hp: u64,
        pub(crate) level: u8,
        pub(crate) class: v2::Class,
        pub(crate) name: FixedStr<5>,
    }
}

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7dd4_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

fn hero(number: u32) -> v1::Hero {
    let class = if number.is_multiple_of(2) { v1::Class::Mage } else { v1::Class::Knight };
    let name = FixedStr::try_from(&*format!("hero {number}")).unwrap();
    v1::Hero { hp: number * 3, level: number as u8, class, old: 7, name }
}

fn new_hero(number: u32) -> v2::Hero {
    let old = hero(number);
    let class = if old.class == v1::Class::Mage { v2::Class::Mage } else { v2::Class::Knight };
    let name = FixedStr::try_from(old.name.as_str()).unwrap();
    let (health, level) = (old.hp.into(), old.level.into());
    v2::Hero { class, health, level, mana: 50, name, bag: FixedVec::new() }
}

/// Makes a pool of the first build: heroes, of which every seventh is free and one in quarantine.
fn made(conf: &ProcessConf, heroes: u32) -> Vec<(u32, Id<v1::Hero>)> {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<v1::Hero>().unwrap();
    pool.add_type::<v1::Item>().unwrap();
    let all: Vec<_> = (0..heroes).map(|n| (n, pool.alloc_keyed(n.into(), hero(n)).unwrap())).collect();
    let (freed, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|(n, _)| n % 7 == 3);
    freed.iter().for_each(|(_, id)| assert!(pool.free(*id)));
    pool.quarantine(kept[0].1.handle()).unwrap();
    pool.alloc(v1::Item { count: 9 }).unwrap();
    pool.ready().unwrap();
    sound(&pool);
    kept
}

fn sound(pool: &MemoryPoolMgr) {
    let report = pool.verify();
    assert!(report.is_sound(), "{report}");
}

fn assert_old(conf: &ProcessConf, kept: &[(u32, Id<v1::Hero>)]) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<v1::Hero>().unwrap();
    assert_eq!(pool.len::<v1::Hero>(), kept.len() - 1);
    for (number, id) in &kept[1..] {
        assert_eq!(pool.get(*id), Some(&hero(*number)));
        assert_eq!(pool.get_by_key::<v1::Hero>(u64::from(*number)), Some(&hero(*number)));
    }
    assert_eq!(pool.quarantined_object(kept[0].1), Some(hero(kept[0].0)));
    assert_eq!(pool.quarantined(), [kept[0].1.handle()]);
    sound(&pool);
}

fn new_id(id: Id<v1::Hero>) -> Id<v2::Hero> {
    id.handle().typed().unwrap()
}

fn assert_new(pool: &MemoryPoolMgr, kept: &[(u32, Id<v1::Hero>)]) {
    assert_eq!(pool.len::<v2::Hero>(), kept.len() - 1);
    for (number, id) in &kept[1..] {
        assert_eq!(pool.get(new_id(*id)), Some(&new_hero(*number)));
        assert_eq!(pool.get_by_key::<v2::Hero>(u64::from(*number)), Some(&new_hero(*number)));
    }
    assert_eq!(pool.quarantined_object(new_id(kept[0].1)), Some(new_hero(kept[0].0)));
    sound(pool);
}

#[test]
fn a_new_build_finds_the_objects_in_its_form() {
    let conf = conf();
    let kept = made(&conf, 300);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    pool.add_type::<v1::Item>().unwrap();
    assert_new(&pool, &kept);
    let migrated = &pool.resume_report().migrated;
    assert_eq!((migrated.len(), &*migrated[0].name, migrated[0].objects), (1, "hero", kept.len() as u64 - 1));
    pool.ready().unwrap();
    assert_new(&pool, &kept);
    // The freed slots are used again, and no handle of an earlier object resolves.
    for number in 1000..1100 {
        pool.alloc_keyed(number.into(), new_hero(number)).unwrap();
    }
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    assert!(pool.resume_report().migrated.is_empty());
    assert_eq!(pool.len::<v2::Hero>(), kept.len() - 1 + 100);
    assert_eq!(pool.get_by_key::<v2::Hero>(1042), Some(&new_hero(1042)));
    drop(pool);
    let report = verify_pool(conf.base_key, &Home::of(&conf)).unwrap();
    assert!(report.is_sound(), "{report}");
    pool_of_the_old_build_is_refused(&conf);
}

/// After `ready()` there is no way back.
fn pool_of_the_old_build_is_refused(conf: &ProcessConf) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    let error = pool.add_type::<v1::Hero>().unwrap_err();
    assert!(matches!(error, PoolError::TypeChanged { .. }), "{error}");
    println!("{error}");
}

#[test]
fn an_old_build_finds_the_objects_as_they_were_until_the_new_one_is_ready() {
    let conf = conf();
    let kept = made(&conf, 300);
    for round in 0..3 {
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<v2::Hero>().unwrap();
        assert_new(&pool, &kept);
        // What the new build does before it is ready is gone with its form.
        pool.free(new_id(kept[5].1));
        pool.update(new_id(kept[6].1), |hero| hero.health = 1_000_000).unwrap();
        pool.drop_quarantined(kept[0].1.handle()).unwrap();
        pool.quarantine(kept[7].1.handle()).unwrap();
        for number in 0..50 {
            pool.alloc_keyed(5000 + number, new_hero(1)).unwrap();
        }
        match round {
            0 => drop(pool),
            _ => pool.close().unwrap(),
        }
        let report = verify_pool(conf.base_key, &Home::of(&conf)).unwrap();
        assert!(report.is_sound(), "{report}");
        let waits = report.findings.iter().any(|found| {
            found.severity == Severity::Note && found.what.contains("it was migrated to a new form")
        });
        assert!(waits, "{report}");
        assert_old(&conf, &kept);
    }
}

#[test]
fn a_new_build_that_died_before_it_was_ready_goes_on() {
    let conf = conf();
    let kept = made(&conf, 100);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    pool.free(new_id(kept[5].1));
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    assert!(pool.resume_report().migrated.is_empty());
    assert_eq!(pool.len::<v2::Hero>(), kept.len() - 2);
    assert_eq!(pool.get(new_id(kept[5].1)), None);
    sound(&pool);
}

#[test]
fn a_third_build_migrates_from_the_form_of_the_last_ready_one() {
    let conf = conf();
    let kept = made(&conf, 6);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    pool.update(new_id(kept[2].1), |hero| hero.health = 1_000_000).unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let error = pool.add_type::<v3::Hero>().unwrap_err();
    let said = error.to_string();
    assert!(said.contains("5 objects of it do not fit into the new form; the first is "), "{said}");
    assert!(said.contains("name: "), "{said}");
    drop(pool);
    assert_old(&conf, &kept);
}

#[test]
fn a_type_that_the_new_build_does_not_add_keeps_its_form() {
    let conf = conf();
    let kept = made(&conf, 50);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v1::Item>().unwrap();
    pool.ready().unwrap();
    drop(pool);
    assert_old(&conf, &kept);
}

/// A build that stores something else under the number of heroes.
mod other {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero")]
    pub(crate) struct Hero {
        pub(crate) bytes: [u64; 20],
    }
}

#[test]
fn a_type_without_objects_takes_any_form_and_its_handles_stay_dead() {
    let conf = conf();
    let kept = made(&conf, 20);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v1::Hero>().unwrap();
    kept[1..].iter().for_each(|(_, id)| assert!(pool.free(*id)));
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let error = pool.add_type::<other::Hero>().unwrap_err();
    assert!(matches!(error, PoolError::TypeChanged { .. }), "one is in quarantine: {error}");
    pool.add_type::<v1::Hero>().unwrap();
    pool.drop_quarantined(kept[0].1.handle()).unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<other::Hero>().unwrap();
    let new: Vec<_> = (0..30).map(|_| pool.alloc(other::Hero { bytes: [1; 20] }).unwrap()).collect();
    pool.ready().unwrap();
    for (_, id) in &kept {
        assert!(new.iter().all(|new| new.handle() != id.handle()));
        assert_eq!(pool.get(id.handle().typed::<other::Hero>().unwrap()), None);
    }
    sound(&pool);
}

/// The bytes of old forms return to the pool, or repeated migrations would fill it.
#[test]
fn memory_of_old_forms_is_used_again() {
    let conf = conf();
    let kept = made(&conf, 1500);
    let mut free = Vec::new();
    for _ in 0..10 {
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<v2::Hero>().unwrap();
        drop(pool);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<v1::Hero>().unwrap();
        pool.ready().unwrap();
        free.push(pool.bytes_free());
        sound(&pool);
    }
    assert!(free.iter().all(|bytes| *bytes == free[0]), "{free:?}");
    assert_old(&conf, &kept);
}

/// Two builds that take turns, each of which lacks a field of the other.
mod turns {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 5, name = "ship", keyed, removed = "shield")]
    pub(crate) struct Plain {
        pub(crate) hull: u64,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 5, name = "ship", keyed)]
    pub(crate) struct Shielded {
        #[pool(default = 3)]
        pub(crate) shield: u64,
        pub(crate) hull: u64,
    }
}

#[test]
fn a_type_is_migrated_again_and_again_in_the_memory_of_its_old_forms() {
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<turns::Plain>().unwrap();
    for key in 0..3000 {
        pool.alloc_keyed(key, turns::Plain { hull: key * 7 }).unwrap();
    }
    pool.ready().unwrap();
    drop(pool);
    let mut free = Vec::new();
    for _ in 0..12 {
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<turns::Shielded>().unwrap();
        pool.ready().unwrap();
        for key in 0..3000 {
            let found = pool.get_by_key::<turns::Shielded>(key);
            assert_eq!(found, Some(&turns::Shielded { shield: 3, hull: key * 7 }));
        }
        // Another type grows into the memory that is free meanwhile, and its objects stay.
        pool.add_type::<v1::Item>().unwrap();
        (0..200).for_each(|count| _ = pool.alloc(v1::Item { count }).unwrap());
        sound(&pool);
        drop(pool);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<turns::Plain>().unwrap();
        pool.ready().unwrap();
        for key in 0..3000 {
            assert_eq!(pool.get_by_key::<turns::Plain>(key), Some(&turns::Plain { hull: key * 7 }));
        }
        free.push(pool.bytes_free().0);
        sound(&pool);
    }
    let lost = free[2] - free[11];
    assert!(lost < 200 << 10, "each round takes memory for 200 items and no more: {free:?}");
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v1::Item>().unwrap();
    let counts: u64 = pool.iter::<v1::Item>().map(|(_, item)| u64::from(item.count)).sum();
    assert_eq!(counts, 12 * 199 * 200 / 2);
}

/// A block that only had old forms is empty: the ini may drop it, and take it back.
#[test]
fn a_block_whose_extents_are_all_free_can_be_given_up_and_taken_back() {
    given_up_and_taken_back(conf());
}

fn given_up_and_taken_back(mut conf: ProcessConf) {
    conf.block_size = Bytes(128 << 10);
    let first = conf.shm_keys[0];
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<turns::Plain>().unwrap();
    let full = (0..).take_while(|key| pool.alloc_keyed(*key, turns::Plain { hull: key * 7 }).is_ok());
    let ships = full.count() as u64;
    pool.ready().unwrap();
    drop(pool);
    let more = |at: u32| Key(conf.base_key.0 + 2 + at);
    conf.shm_keys = vec![first, more(0), more(1), more(2)];
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<turns::Shielded>().unwrap();
    pool.ready().unwrap();
    drop(pool);
    for round in 0..4 {
        // Without the first block, then with it, twice.
        let keys = [more(0), more(1), more(2), first];
        conf.shm_keys = keys[..3 + round % 2].to_vec();
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<turns::Shielded>().unwrap();
        for key in 0..ships {
            let found = pool.get_by_key::<turns::Shielded>(key);
            assert_eq!(found, Some(&turns::Shielded { shield: 3, hull: key * 7 }), "round {round}");
        }
        pool.add_type::<v1::Item>().unwrap();
        if round == 3 {
            while pool.alloc(v1::Item { count: 1 }).is_ok() {}
        }
        pool.ready().unwrap();
        sound(&pool);
    }
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v1::Item>().unwrap();
    assert!(pool.len::<v1::Item>() > 1000);
    sound(&pool);
}

/// A build whose migration function panics at one object.
mod panics {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 5, name = "ship", keyed)]
    pub(crate) struct Ship {
        pub(crate) mass: f64,
    }

    hotpool::migration! {
        Ship: from { hull: u64 } => |old| {
            assert!(old.hull != 7 * 40, "planted");
            Ship { mass: old.hull as f64 }
        }
    }
}

#[test]
fn a_function_that_panics_changes_nothing_and_the_pool_stays_usable() {
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<turns::Plain>().unwrap();
    let ships: Vec<_> =
        (0..100).map(|key| pool.alloc_keyed(key, turns::Plain { hull: key * 7 }).unwrap()).collect();
    pool.ready().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    for _ in 0..3 {
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.add_type::<panics::Ship>()));
        assert!(panicked.is_err());
    }
    pool.add_type::<v1::Item>().unwrap();
    pool.alloc(v1::Item { count: 3 }).unwrap();
    let free = pool.bytes_free().0;
    sound(&pool);
    pool.ready().unwrap();
    sound(&pool);
    assert!(pool.bytes_free().0 > free, "the memory of the unfinished form is back");
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<turns::Plain>().unwrap();
    assert_eq!(pool.get_by_key::<turns::Plain>(40), Some(&turns::Plain { hull: 280 }));
    pool.free(ships[40]);
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<panics::Ship>().unwrap();
    assert_eq!(pool.get_by_key::<panics::Ship>(41), Some(&panics::Ship { mass: 287.0 }));
    sound(&pool);
}

/// A pool in shared memory or in files, with its own keys. Removes it when it is dropped.
struct Site(ProcessConf, #[allow(dead_code, reason = "holds the files")] tempfile::TempDir);

impl Site {
    fn on(backend: BackendKind) -> Self {
        let base = own_keys(8);
        let (dir, keys) = (tempfile::tempdir().unwrap(), [Key(base + 1)]);
        let mut conf = ProcessConf::new("zone", Key(base), Bytes(1 << 20), &keys);
        conf.backend = backend;
        if backend == BackendKind::File {
            conf.dir = dir.path().into();
        }
        Site(conf, dir)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(self.0.base_key, &Home::of(&self.0), false));
        for key in &self.0.shm_keys {
            drop(remove_pool(*key, &Home::of(&self.0), false));
        }
    }
}

#[test]
fn every_backend_of_the_kernel_migrates_goes_back_and_gives_blocks_up() {
    for backend in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File] {
        let site = Site::on(backend);
        let kept = made(&site.0, 300);
        for _ in 0..2 {
            let mut pool = MemoryPoolMgr::open(&site.0).unwrap();
            pool.add_type::<v2::Hero>().unwrap();
            assert_new(&pool, &kept);
            drop(pool);
            assert_old(&site.0, &kept);
        }
        let mut pool = MemoryPoolMgr::open(&site.0).unwrap();
        pool.add_type::<v2::Hero>().unwrap();
        pool.add_type::<v1::Item>().unwrap();
        pool.ready().unwrap();
        assert_new(&pool, &kept);
        let told = describe_pool(site.0.base_key, &Home::of(&site.0)).unwrap();
        let free: u64 = told.blocks.iter().map(|block| block.free.0).sum();
        assert_eq!(free, pool.bytes_free().0, "{backend:?}: `inspect` and the pool agree");
        drop(pool);
        let site = Site::on(backend);
        given_up_and_taken_back(site.0.clone());
    }
}

/// Two builds with a schema text of more than 10 KiB.
mod long {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Schema, Default, PartialEq, Debug)]
    pub(crate) struct Leaf {
        sunlight: u8,
        humidity: u8,
        nitrogen: u8,
        pub(crate) beetles: u8,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, Default, PartialEq, Debug)]
    pub(crate) struct Twig {
        first: Leaf,
        second: Leaf,
        third: Leaf,
        fourth: Leaf,
        fifth: Leaf,
        sixth: Leaf,
        seventh: Leaf,
        pub(crate) eighth: Leaf,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, Default, PartialEq, Debug)]
    pub(crate) struct Crown {
        north: Twig,
        east: Twig,
        south: Twig,
        west: Twig,
        pub(crate) top: Twig,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 3, name = "tree", removed = "age")]
    pub(crate) struct Young {
        pub(crate) crown: Crown,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 3, name = "tree")]
    pub(crate) struct Old {
        pub(crate) crown: Crown,
        #[pool(default)]
        pub(crate) age: u32,
    }
}

#[test]
fn the_room_of_schema_texts_does_not_run_out_however_many_builds_change_a_struct() {
    use long::{Old, Young};
    let conf = conf();
    let text = SchemaText::of::<Old>().len() as u64;
    assert!(text > 10 << 10, "{text}");
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    // A text that stays where it is.
    pool.add_type::<v1::Item>().unwrap();
    pool.add_type::<Young>().unwrap();
    let mut crown = long::Crown::default();
    crown.top.eighth.beetles = 7;
    let id = pool.alloc(Young { crown }).unwrap();
    pool.ready().unwrap();
    drop(pool);
    // 1 MiB has room for fewer.
    let most = (1 << 20) / text;
    for round in 0..2 * most {
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<v1::Item>().unwrap();
        match round % 2 {
            0 => pool
                .add_type::<Old>()
                .map(|()| assert_eq!(pool.get(id.handle().typed::<Old>().unwrap()).unwrap().crown, crown)),
            _ => pool.add_type::<Young>().map(|()| assert_eq!(pool.get(id).unwrap().crown, crown)),
        }
        .unwrap_or_else(|error| panic!("migration {round} of {most} that fit: {error}"));
        pool.ready().unwrap();
        let report = pool.verify();
        assert!(report.findings.is_empty(), "{round}: {report}");
        pool.close().unwrap();
        let types = describe_pool(conf.base_key, &Home::of(&conf)).unwrap().types;
        assert!(types.iter().all(|one| one.fields.is_some()), "{round}: {types:?}");
    }
}

#[test]
fn a_migration_without_room_says_how_much_it_needs_and_changes_nothing() {
    let mut conf = conf();
    conf.block_size = Bytes(128 << 10);
    let kept = made(&conf, 1000);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let free = pool.bytes_free();
    let error = pool.add_type::<v2::Hero>().unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, PoolError::NoRoomToMigrate { .. }), "{said}");
    assert!(said.contains("add a key to ShmKeys"), "{said}");
    assert_eq!(pool.bytes_free(), free);
    drop(pool);
    assert_old(&conf, &kept);

    conf.shm_keys.push(Key(conf.base_key.0 + 2));
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    assert_new(&pool, &kept);
}
