//! Pools that earlier builds have written are opened and migrated by this one.
//!
//! `tests/fixtures/README.md` lists them, and says how to write a new one. None is ever deleted.

#[path = "fixtures/sparse.rs"]
mod sparse;

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::{Verdict, compat_pool, verify_pool};
use hotpool::object::{FixedStr, FixedVec, Maybe, Schema, Schemas};
use hotpool::share::Home;
use hotpool::units::{Bytes, Key};
use hotpool::{Handle, MemoryPoolMgr, PoolObject};
use std::path::Path;

/// The fixtures: file, checksum, and what its objects have.
const FIXTURES: &[(&str, u32, Structs)] = &[
    ("layout-1-before-queues", 0x8036_37a5, Structs::First),
    ("layout-1-before-forms", 0x79fe_1eea, Structs::First),
    ("layout-1-second-structs", 0x194a_eb1e, Structs::Second),
    ("layout-1-undecided", 0x2e2d_68ce, Structs::Second),
];

/// The structs of the build that wrote a fixture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Structs {
    First,
    Second,
}

const BASE: Key = Key(0x0f1c_0000);

/// The structs of the first builds, of which any bytes are a value.
mod first {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "hero", keyed)]
    pub(crate) struct Hero {
        pub(crate) uid: u64,
        pub(crate) hp: i32,
        pub(crate) level: u32,
        pub(crate) x: f32,
        pub(crate) y: f32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 2, name = "item")]
    pub(crate) struct Item {
        pub(crate) owner: u64,
        pub(crate) count: u32,
        pub(crate) kind: u32,
    }

    pub(crate) fn hero(uid: u64) -> Hero {
        Hero { uid, hp: 10 * uid as i32, level: uid as u32 % 7, x: uid as f32 / 2.0, y: -(uid as f32) }
    }
}

/// The structs of a second build.
mod second {
    use super::*;

    #[repr(u8)]
    #[derive(Clone, Copy, PartialEq, Debug, Schema)]
    pub(crate) enum Class {
        Mage,
        Knight(u16),
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "hero", keyed)]
    pub(crate) struct Hero {
        #[pool(default)]
        pub(crate) name: FixedStr<8>,
        pub(crate) uid: u64,
        pub(crate) hp: i64,
        pub(crate) level: u32,
        #[pool(default = Class::Mage)]
        pub(crate) class: Class,
        pub(crate) x: f32,
        pub(crate) y: f32,
        #[pool(default)]
        pub(crate) bag: FixedVec<u16, 4>,
    }

    pub(crate) fn hero(uid: u64) -> Hero {
        let first::Hero { hp, level, x, y, .. } = first::hero(uid);
        let class = if uid.is_multiple_of(2) { Class::Mage } else { Class::Knight(uid as u16) };
        let name = FixedStr::try_from(&*format!("hero {uid}")).unwrap();
        let bag = FixedVec::try_from_iter((0..uid as u16 % 5).map(|item| item + 7)).unwrap();
        Hero { name, uid, hp: hp.into(), level, class, x, y, bag }
    }
}

/// The struct of a third build, which began a migration.
mod third {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "hero", keyed)]
    pub(crate) struct Hero {
        level: u64,
        name: FixedStr<12>,
        uid: u64,
        #[pool(was = "hp")]
        life: i64,
        class: second::Class,
        x: f64,
        y: f64,
        bag: FixedVec<u32, 8>,
    }
}

/// The structs of today. They change with the tests; those above never do.
mod today {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug, Schema)]
    pub(crate) struct Point {
        pub(crate) x: f64,
        pub(crate) y: f64,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, PartialEq, Debug, Schema)]
    #[allow(dead_code, reason = "no fixture has an archer")]
    pub(crate) enum Class {
        Archer { arrows: u32 },
        Knight(u32),
        Mage,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug, PoolObject)]
    #[pool(id = 1, name = "hero", keyed, removed = "level")]
    pub(crate) struct Hero {
        #[pool(was(x = "x", y = "y"))]
        pub(crate) at: Point,
        #[pool(was = "hp")]
        pub(crate) health: i64,
        pub(crate) uid: u64,
        #[pool(default)]
        pub(crate) target: Maybe<u32>,
        #[pool(default = Class::Mage)]
        pub(crate) class: Class,
        #[pool(default = "nobody".parse().unwrap())]
        pub(crate) name: FixedStr<24>,
        #[pool(default)]
        pub(crate) bag: FixedVec<u32, 6>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug, PoolObject)]
    #[pool(id = 2, name = "item")]
    pub(crate) struct Item {
        pub(crate) kind: u64,
        pub(crate) owner: u64,
        pub(crate) count: u32,
        #[pool(default = true)]
        pub(crate) bound: bool,
    }

    /// Returns what becomes of a hero that a build with these structs wrote.
    pub(crate) fn hero(uid: u64, structs: Structs) -> Hero {
        let second::Hero { hp, x, y, class, name, bag, .. } = second::hero(uid);
        let at = Point { x: x.into(), y: y.into() };
        let mut hero = Hero {
            at,
            health: hp,
            uid,
            target: Maybe::None,
            class: Class::Mage,
            name: "nobody".parse().unwrap(),
            bag: FixedVec::new(),
        };
        if structs == Structs::Second {
            hero.class = match class {
                second::Class::Mage => Class::Mage,
                second::Class::Knight(rank) => Class::Knight(rank.into()),
            };
            hero.name = FixedStr::try_from(name.as_str()).unwrap();
            hero.bag = FixedVec::try_from_iter(bag.iter().map(|item| u32::from(*item))).unwrap();
        }
        hero
    }
}

fn conf(dir: &Path) -> ProcessConf {
    let blocks = [Key(BASE.0 + 1), Key(BASE.0 + 2)];
    ProcessConf::new("zone", BASE, Bytes(64 << 10), &blocks).backend(BackendKind::File).dir(dir)
}

fn path(name: &str) -> String {
    format!("{}/tests/fixtures/{name}.pool", env!("CARGO_MANIFEST_DIR"))
}

/// Unpacks a fixture into a folder.
fn unpacked(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    sparse::unpack(&std::fs::read(path(name)).unwrap(), dir.path());
    dir
}

/// Compares the objects with those that every fixture has: the heroes 1 to 40 without each fifth, and
/// their items.
fn compare(pool: &mut MemoryPoolMgr, structs: Structs) {
    let mut heroes = 0;
    for uid in 1..=40 {
        let found = pool.find::<today::Hero>(uid);
        assert_eq!(found.is_some(), !uid.is_multiple_of(5), "hero {uid}");
        let Some(id) = found else { continue };
        assert_eq!(*pool.get(id).unwrap(), today::hero(uid, structs));
        heroes += 1;
    }
    assert_eq!((heroes, pool.len::<today::Hero>()), (32, 32));
    let items: Vec<today::Item> = pool.iter::<today::Item>().map(|(_, item)| *item).collect();
    assert_eq!(items.len(), 40);
    for item in items {
        let owner = Handle::from_bits(item.owner).unwrap();
        let kinds = pool.get(owner.typed::<today::Hero>().unwrap()).map(|hero| hero.uid % 3);
        // The heroes that were freed have left items behind.
        assert!(kinds.is_none_or(|kinds| item.kind < kinds), "{item:?}");
        assert_eq!((u64::from(item.count), item.bound), (item.kind + 1, true));
    }
}

#[test]
fn pools_of_earlier_builds_are_opened_and_migrated() {
    for &(name, _, structs) in FIXTURES {
        let dir = unpacked(name);
        let home = Home::of(&conf(dir.path()));
        let report = verify_pool(BASE, &home).unwrap();
        assert!(report.is_sound(), "{name}: {report}");
        let build = Schemas::new().with::<today::Hero>().with::<today::Item>();
        let told = compat_pool(BASE, &home, &build, Some(&conf(dir.path()))).unwrap();
        assert!(told.types.iter().all(|of| of.verdict == Verdict::Migrated), "{name}: {:?}", told.types);

        let mut pool = MemoryPoolMgr::open(&conf(dir.path())).unwrap();
        assert!(pool.is_resume(), "{name}");
        pool.add_type::<today::Hero>().unwrap();
        pool.add_type::<today::Item>().unwrap();
        assert_eq!(pool.resume_report().migrated.len(), 2, "{name}");
        compare(&mut pool, structs);
        pool.ready().unwrap();
        pool.close().unwrap();

        let mut pool = MemoryPoolMgr::open(&conf(dir.path())).unwrap();
        pool.add_type::<today::Hero>().unwrap();
        pool.add_type::<today::Item>().unwrap();
        assert!(pool.resume_report().migrated.is_empty(), "{name}");
        compare(&mut pool, structs);
        assert!(pool.verify().is_sound());
        pool.destroy().unwrap();
    }
}

/// The build that wrote a pool finds every object as it left it: with the structs of that time, which
/// stay here, and even if a later build has begun a migration.
#[test]
fn pools_of_earlier_builds_are_opened_with_their_own_structs() {
    for &(name, _, structs) in FIXTURES {
        let dir = unpacked(name);
        let mut pool = MemoryPoolMgr::open(&conf(dir.path())).unwrap();
        pool.add_type::<first::Item>().unwrap();
        let uids = (1..=40).filter(|uid: &u64| !uid.is_multiple_of(5));
        match structs {
            Structs::First => {
                pool.add_type::<first::Hero>().unwrap();
                for uid in uids {
                    let found = *pool.get(pool.find::<first::Hero>(uid).unwrap()).unwrap();
                    let hero = first::hero(uid);
                    assert_eq!(
                        (found.hp, found.level, found.x, found.y),
                        (hero.hp, hero.level, hero.x, hero.y)
                    );
                }
            }
            Structs::Second => {
                pool.add_type::<second::Hero>().unwrap();
                for uid in uids {
                    let id = pool.find::<second::Hero>(uid).unwrap();
                    let (found, hero) = (*pool.get(id).unwrap(), second::hero(uid));
                    assert_eq!((found.name, found.hp, found.class), (hero.name, hero.hp, hero.class));
                    assert_eq!(
                        (found.level, found.x, found.y, found.bag),
                        (hero.level, hero.x, hero.y, hero.bag)
                    );
                }
            }
        }
        assert!(pool.resume_report().migrated.is_empty(), "{name}");
        pool.destroy().unwrap();
    }
}

#[test]
fn no_fixture_is_ever_deleted_or_changed() {
    for (name, sum, _) in FIXTURES {
        let bytes = std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sparse::sum(&bytes), *sum, "{name}: {:#010x}", sparse::sum(&bytes));
        assert!(bytes.len() < 64 << 10, "{name} is larger than 64 KiB");
    }
    let text = include_str!("fixtures/README.md");
    let folder = std::fs::read_dir(format!("{}/tests/fixtures", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for file in folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        let Some(name) = file.strip_suffix(".pool") else { continue };
        assert!(FIXTURES.iter().any(|(known, ..)| *known == name), "{name} is in no test");
        assert!(text.contains(&format!("| `{name}` |")), "{name} has no row in README.md");
    }
}

/// Writes a fixture if the environment asks for one; `fixtures/README.md` says how.
#[test]
fn write() {
    let Some(name) = std::env::var_os("HOTPOOL_WRITE_FIXTURE") else { return };
    let name = name.into_string().unwrap();
    assert!(!Path::new(&path(&name)).exists(), "{name} exists, and no fixture is ever changed");
    let new = tempfile::tempdir().unwrap();
    let given = std::env::var_os("HOTPOOL_FIXTURE_FROM");
    let dir = given.as_ref().map_or(new.path(), Path::new);
    if given.is_none() {
        fill(dir, name.ends_with("undecided"));
    }
    std::fs::write(path(&name), sparse::pack(dir)).unwrap();
}

/// Fills a pool with the structs of the second build. If it is to be undecided, a third build then
/// migrates it, and ends before it is ready.
fn fill(dir: &Path, is_undecided: bool) {
    let mut pool = MemoryPoolMgr::open(&conf(dir)).unwrap();
    pool.add_type::<second::Hero>().unwrap();
    pool.add_type::<first::Item>().unwrap();
    for uid in 1..=40 {
        let id = pool.alloc_keyed(uid, second::hero(uid)).unwrap();
        for kind in 0..uid as u32 % 3 {
            pool.alloc(first::Item { owner: id.to_bits(), count: kind + 1, kind }).unwrap();
        }
    }
    pool.ready().unwrap();
    for uid in (5..=40).step_by(5) {
        let id = pool.find::<second::Hero>(uid).unwrap();
        assert!(pool.free(id));
    }
    drop(pool);
    if is_undecided {
        let mut pool = MemoryPoolMgr::open(&conf(dir)).unwrap();
        pool.add_type::<third::Hero>().unwrap();
        assert_eq!(pool.resume_report().migrated.len(), 1);
    }
}
