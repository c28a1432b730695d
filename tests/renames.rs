//! A field is renamed by a line of the ini, `Hero.health = was hp`, without another build (G12).

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{ConfMgr, MemoryPoolMgr, PoolError, PoolObject};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

mod v1 {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "magic_hero")]
    pub(crate) struct Hero {
        pub(crate) hp: u32,
        pub(crate) x: f32,
        pub(crate) y: f32,
    }
}

/// `hp` is `health`, and `x` and `y` are in a struct. No attribute says so.
mod v2 {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, Debug, PartialEq)]
    #[pool(id = 1, name = "magic_hero")]
    pub(crate) struct Hero {
        pub(crate) at: Point,
        pub(crate) health: u64,
    }

    #[repr(C)]
    #[derive(Clone, Copy, hotpool::object::Schema, Debug, PartialEq)]
    pub(crate) struct Point {
        pub(crate) x: f32,
        pub(crate) y: f32,
    }
}

/// Has the old and the new name.
mod both {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "magic_hero", removed = "x", removed = "y")]
    pub(crate) struct Hero {
        pub(crate) hp: u32,
        #[pool(default = 7)]
        pub(crate) health: u32,
    }
}

const RENAMES: &str = "\
MagicHero.health = was life, hp
magic_hero.at.x  = was x
MagicHero.at.y   = was y
";

fn keys() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0x7dd6_0000);
    NEXT.fetch_add(16, Ordering::Relaxed)
}

fn conf(base: u32, types: &str) -> ProcessConf {
    let text = format!(
        "[common]\nProcessList = zone\n[zone]\nBaseKey = {base}\nBlockSize = 1M\nShmKeys = {}\nBackend = heap\n\
         [zone.types]\n{types}",
        base + 1
    );
    ConfMgr::parse(&text, "zone.ini").unwrap().process("zone").unwrap().clone()
}

/// Fills a pool as the first build does.
fn filled(base: u32) {
    let mut pool = MemoryPoolMgr::open(&conf(base, "")).unwrap();
    pool.add_type::<v1::Hero>().unwrap();
    pool.alloc(v1::Hero { hp: 90, x: 0.5, y: 2.0 }).unwrap();
    pool.ready().unwrap();
    pool.close().unwrap();
}

struct Warnings(Mutex<Vec<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }
    fn flush(&self) {}
}

#[test]
fn a_line_of_the_ini_renames_a_field_and_the_report_and_the_log_say_so() {
    let _ = log::set_logger(&WARNINGS).map(|()| log::set_max_level(log::LevelFilter::Warn));
    let base = keys();
    filled(base);
    let mut pool = MemoryPoolMgr::open(&conf(base, "")).unwrap();
    let error = pool.add_type::<v2::Hero>().unwrap_err().to_string();
    assert!(error.contains("field `hp` is gone"), "{error}");
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&conf(base, RENAMES)).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    let found: Vec<v2::Hero> = pool.iter::<v2::Hero>().map(|(_, hero)| *hero).collect();
    assert_eq!(found, [v2::Hero { at: v2::Point { x: 0.5, y: 2.0 }, health: 90 }]);
    let fields = &pool.resume_report().migrated[0].fields;
    for said in ["`health`: renamed from `hp`, by zone.ini:9", "`at.x`: renamed from `x`, by zone.ini:10"] {
        assert!(fields.iter().any(|line| line == said), "{fields:?}");
    }
    let log = WARNINGS.0.lock().unwrap();
    let said = "zone: type `magic_hero`: field `at.y`: renamed from `y`, by zone.ini:11";
    assert!(log.iter().any(|line| line == said), "{log:?}");
    drop(log);
    pool.ready().unwrap();
    pool.close().unwrap();

    // The line may stay.
    let mut pool = MemoryPoolMgr::open(&conf(base, RENAMES)).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    assert!(pool.resume_report().migrated.is_empty());
    pool.destroy().unwrap();
}

#[test]
fn the_build_before_a_rename_starts_with_the_same_ini() {
    let base = keys();
    filled(base);
    let mut pool = MemoryPoolMgr::open(&conf(base, RENAMES)).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf(base, RENAMES)).unwrap();
    pool.add_type::<v1::Hero>().unwrap();
    let found: Vec<u32> = pool.iter::<v1::Hero>().map(|(_, hero)| hero.hp).collect();
    assert_eq!(found, [90]);
    pool.destroy().unwrap();
}

#[test]
fn a_rename_that_the_struct_contradicts_is_refused_by_file_line_and_column() {
    let told = |types: &str, add: fn(&mut MemoryPoolMgr) -> Result<(), PoolError>| {
        let base = keys();
        filled(base);
        let mut pool = MemoryPoolMgr::open(&conf(base, types)).unwrap();
        let error = add(&mut pool).unwrap_err().to_string();
        assert_eq!(pool.resume_report().migrated.len(), 0);
        pool.destroy().unwrap();
        error
    };
    insta::assert_snapshot!(
        told("  MagicHero.helth = was life\n", MemoryPoolMgr::add_type::<v2::Hero>),
        @"zone.ini:9:3: [zone.types] MagicHero.helth: `magic_hero` of this build has no field `helth` (did you mean health?); correct or remove the line; nothing was changed"
    );
    insta::assert_snapshot!(
        told("\nMagicHero.health = was hp\n", MemoryPoolMgr::add_type::<both::Hero>),
        @"zone.ini:10:1: [zone.types] MagicHero.health: `magic_hero` of this build has both `health` and `hp`; correct or remove the line; nothing was changed"
    );
}

#[test]
fn a_rename_of_a_type_that_no_program_adds_is_told() {
    let base = keys();
    filled(base);
    let mut pool = MemoryPoolMgr::open(&conf(base, "Heros.health = was hp\n")).unwrap();
    pool.add_type::<v1::Hero>().unwrap();
    pool.ready().unwrap();
    let told: Vec<String> = pool.resume_report().told.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"zone.ini:9: [zone.types] Heros.health: the program has not added a type Heros, so this line has no effect; correct the name of the type, or remove the line");
    pool.destroy().unwrap();
}

#[test]
fn a_program_without_an_ini_renames_in_code() {
    let base = keys();
    filled(base);
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(1 << 20), &[Key(base + 1)])
        .rename("magic_hero", "health", "hp")
        .rename("magic_hero", "at.x", "x")
        .rename("magic_hero", "at.y", "y");
    conf.backend = BackendKind::Heap;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<v2::Hero>().unwrap();
    assert_eq!(pool.iter::<v2::Hero>().next().unwrap().1.health, 90);
    pool.destroy().unwrap();
    let error = conf.clone().rename("magic_hero", "mana", "hp").validate().unwrap_err();
    insta::assert_snapshot!(error, @r#"[zone.types] magic_hero.mana: "hp" is already the former name of another field at [zone.types] magic_hero.health; remove one of the two"#);
    assert!(conf.rename("magic_hero", "mana", "ma-na").validate().is_err());
}
