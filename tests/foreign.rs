//! Fields whose types are those of other crates, and the clock of a pool.

use bytemuck::{Pod, Zeroable};
use glam::{DVec3, IVec2, Mat4, Quat, Vec2, Vec3, Vec4};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::verify_pool;
use hotpool::object::{GameTime, Maybe, Schema, SchemaText};
use hotpool::share::Home;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject, Ref};
use std::time::Duration;
use uuid::Uuid;

/// A type of another crate, which knows nothing of hotpool.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
struct Colour {
    rgb: [f32; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, PoolObject)]
#[pool(id = 1)]
struct Lamp {
    uid: Uuid,
    at: Vec3,
    towards: Quat,
    lit: bool,
    #[pool(as = "[f32; 3]")]
    colour: Colour,
    tiles: [IVec2; 2],
    last: Maybe<DVec3>,
    state: State,
}

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Schema)]
enum State {
    Off,
    On {
        #[pool(as = "[f32; 3]")]
        colour: Colour,
        at: Vec2,
    },
}

fn conf(key: u32) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", Key(key), Bytes(1 << 20), &[Key(key + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

#[test]
fn types_of_other_crates_are_found_again() {
    let conf = conf(0x0d0b_0000);
    let colour = Colour { rgb: [0.25, 0.5, 1.0] };
    let lamp = Lamp {
        uid: Uuid::from_u128(0x1234_5678_9abc_def0),
        at: Vec3::new(1.0, -2.0, 3.5),
        towards: Quat::from_xyzw(0.0, 1.0, 0.0, 0.0),
        lit: true,
        colour,
        tiles: [IVec2::new(-1, 2), IVec2::MAX],
        last: Maybe::Some(DVec3::Z),
        state: State::On { colour, at: Vec2::Y },
    };
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lamp>().unwrap();
    let id = pool.alloc(lamp).unwrap();
    let off = Lamp { state: State::Off, last: Maybe::None, ..lamp };
    let dark = pool.alloc(off).unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lamp>().unwrap();
    assert_eq!((pool.get(id), pool.get(dark)), (Some(&lamp), Some(&off)));
    assert!(pool.resume_report().bad_values.is_empty());
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

#[test]
fn a_foreign_type_is_stored_as_numbers() {
    let fields = SchemaText::parse(&SchemaText::of::<Lamp>()).unwrap();
    let field = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
    assert_eq!(field("colour").type_name, "[f32; 3]");
    assert_eq!(field("colour").fingerprint, <[f32; 3]>::FINGERPRINT);
    assert_eq!(field("at").fingerprint, <[f32; 3]>::FINGERPRINT);
    assert_eq!(field("uid").fingerprint, <[u8; 16]>::FINGERPRINT);
    assert_eq!((Vec4::FINGERPRINT, Vec4::RANK), (<[f32; 4]>::FINGERPRINT, 1));
    assert_eq!((Mat4::FINGERPRINT, Mat4::RANK), (<[[f32; 4]; 4]>::FINGERPRINT, 2));
}

mod before {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 2)]
    pub(super) struct Monster {
        pub(super) at: [f32; 3],
        pub(super) hp: u32,
    }
}

mod after {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 2)]
    pub(super) struct Monster {
        pub(super) at: Vec3,
        pub(super) hp: u64,
        #[pool(as = "[f32; 3]", default = Colour { rgb: [1.0; 3] })]
        pub(super) colour: Colour,
        #[pool(as = "[f32; 3]", transient)]
        pub(super) shown: Colour,
    }
}

#[test]
fn a_foreign_field_has_a_default_and_numbers_become_foreign() {
    let conf = conf(0x0d0b_0010);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<before::Monster>().unwrap();
    let id = pool.alloc(before::Monster { at: [1.0, 2.0, 3.0], hp: 7 }).unwrap();
    pool.ready().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<after::Monster>().unwrap();
    let monster = pool.get(id.handle().typed::<after::Monster>().unwrap()).unwrap();
    assert_eq!((monster.at, monster.hp), (Vec3::new(1.0, 2.0, 3.0), 7));
    assert_eq!((monster.colour.rgb, monster.shown.rgb), ([1.0; 3], [0.0; 3]));
    pool.destroy().unwrap();
}

#[test]
fn the_game_clock_stands_still_between_two_processes_and_never_goes_back() {
    let conf = conf(0x0d0b_0020);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.game_time(), GameTime::default());
    let mut last = GameTime::default();
    while last - GameTime::default() < Duration::from_millis(2) {
        let now = pool.game_time();
        assert!(now >= last);
        last = now;
    }
    drop(pool);
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(5) {}
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.game_time(), last, "the time in between does not count");
    while pool.game_time() == last {}
    assert!(pool.game_time() > last);
    pool.destroy().unwrap();
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 3)]
struct Guild {
    gold: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 4)]
struct Member {
    #[pool(owner)]
    guild: Ref<Guild>,
}

struct Remove(ProcessConf);

impl Drop for Remove {
    fn drop(&mut self) {
        if let Ok(pool) = MemoryPoolMgr::open(&self.0) {
            let _ = pool.destroy();
        }
    }
}

/// As `hotpool verify` does it, which has no types of the program.
#[test]
fn orphans_are_found_from_outside() {
    let mut conf = conf(0x0d0b_0030);
    conf.backend = BackendKind::Sysv;
    let remove = Remove(conf);
    let mut pool = MemoryPoolMgr::open(&remove.0).unwrap();
    pool.add_type::<Guild>().unwrap();
    pool.add_type::<Member>().unwrap();
    let guild = pool.alloc(Guild { gold: 1 }).unwrap();
    pool.alloc(Member { guild: guild.into() }).unwrap();
    pool.free(guild);
    drop(pool);
    let report = verify_pool(remove.0.base_key, &Home::sysv()).unwrap();
    assert!(report.is_sound(), "{report}");
    let orphan = format!("it is an orphan: its owner (`guild`) is {guild}, which does not live");
    assert!(report.findings.iter().any(|finding| finding.what == orphan), "{report}");
}
