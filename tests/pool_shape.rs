//! What a pool holds, and how it changes with its ini: objects from one byte to a block, a thousand
//! types, millions of slots, blocks added, given up and reused, structs that changed.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf, TypeConf};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, MemoryPoolMgr, PoolError, PoolObject, StartMode};
use std::sync::atomic::{AtomicU32, Ordering};

fn conf(block: u64, blocks: u32) -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7d90_0000);
    let base = NEXT.fetch_add(0x100, Ordering::Relaxed);
    let keys: Vec<Key> = (1..=blocks).map(|n| Key(base + n)).collect();
    let mut conf = ProcessConf::new("shape", Key(base), Bytes(block), &keys);
    conf.backend = BackendKind::Heap;
    conf
}

fn refusal<T: std::fmt::Debug>(result: Result<T, PoolError>, key: Key) -> String {
    result
        .unwrap_err()
        .to_string()
        .replace(&key.to_string(), "0xKEY")
        .replace(&Key(key.0 + 2).to_string(), "0xKEY2")
}

macro_rules! object {
    ($name:ident, $id:expr, $bytes:expr) => {
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
        #[pool(id = $id)]
        struct $name([u8; $bytes]);
    };
}

object!(One, 1, 1);
object!(Seven, 2, 7);
object!(Page, 3, 4096);
object!(AlmostBlock, 4, 61_368);
object!(TooLarge, 5, 61_369);

#[test]
fn objects_have_any_size_from_one_byte_to_a_block() {
    let conf = conf(64 << 10, 8);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<One>().unwrap();
    pool.add_type::<Seven>().unwrap();
    pool.add_type::<Page>().unwrap();
    pool.add_type::<AlmostBlock>().unwrap();
    let one = pool.alloc(One([1])).unwrap();
    let seven = pool.alloc(Seven([7; 7])).unwrap();
    let page = pool.alloc(Page([3; 4096])).unwrap();
    let large = pool.alloc(AlmostBlock([4; 61_368])).unwrap();
    assert_eq!(pool.get(one), Some(&One([1])));
    assert_eq!(pool.get(seven), Some(&Seven([7; 7])));
    assert_eq!(pool.get(page), Some(&Page([3; 4096])));
    assert_eq!(pool.get(large), Some(&AlmostBlock([4; 61_368])));
    insta::assert_snapshot!(
        refusal(pool.add_type::<TooLarge>(), conf.base_key),
        @"[shape] BlockSize: a slot of type `too_large` needs 61448 bytes, but a block of 64K has room for 61440; set BlockSize to at least 68K"
    );
    assert_eq!(pool.len::<One>(), 1);
    pool.destroy().unwrap();
}

#[test]
fn a_full_pool_names_the_type_and_the_remedy() {
    let conf = conf(64 << 10, 1);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Page>().unwrap();
    let error = loop {
        if let Err(error) = pool.alloc(Page([1; 4096])) {
            break error;
        }
    };
    insta::assert_snapshot!(error, @"no room for another `page`: 14 live and 0 retired of 14 slots, 3200 free in 1 block; add a key to ShmKeys and restart: the pool grows when it is resumed");
    pool.destroy().unwrap();
}

#[test]
fn a_type_that_was_not_added_is_an_error_without_objects() {
    let conf = conf(64 << 10, 1);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!((pool.iter::<One>().count(), pool.iter_mut::<One>().count()), (0, 0));
    assert_eq!(pool.alloc(One([1])), Err(AllocError::NotAdded("one")));
    assert_eq!(pool.iter::<One>().count(), 0);
    pool.add_type::<One>().unwrap();
    let one = pool.alloc(One([1])).unwrap();
    drop(pool);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.get(one), None);
    assert_eq!(pool.resume_report().objects(), 1);
    pool.destroy().unwrap();
}

#[test]
fn added_blocks_are_used_and_dropped_blocks_with_content_are_refused() {
    let two = conf(64 << 10, 2);
    let mut one = two.clone();
    one.shm_keys.truncate(1);
    let mut pool = MemoryPoolMgr::open(&one).unwrap();
    pool.add_type::<Page>().unwrap();
    let mut pages = Vec::new();
    while let Ok(id) = pool.alloc(Page([pages.len() as u8; 4096])) {
        pages.push(id);
    }
    let few = pages.len();
    pool.close().unwrap();

    // A block that the ini names but the pool does not use yet can be dropped, and named again.
    MemoryPoolMgr::open(&two).unwrap().close().unwrap();
    MemoryPoolMgr::open(&one).unwrap().close().unwrap();
    let mut pool = MemoryPoolMgr::open(&two).unwrap();
    assert!(pool.is_resume());
    pool.add_type::<Page>().unwrap();
    while let Ok(id) = pool.alloc(Page([pages.len() as u8; 4096])) {
        pages.push(id);
    }
    assert!(pages.len() > few);
    drop(pool);

    insta::assert_snapshot!(
        refusal(MemoryPoolMgr::open(&one), one.base_key),
        @"[shape] ShmKeys: the ini no longer names block 0xKEY2, of which the pool under 0xKEY uses 58240 bytes; put it back"
    );
    // The order of the keys does not matter.
    let mut turned = two.clone();
    turned.shm_keys.reverse();
    let mut pool = MemoryPoolMgr::open(&turned).unwrap();
    pool.add_type::<Page>().unwrap();
    for (number, id) in pages.iter().enumerate() {
        assert_eq!(pool.get(*id), Some(&Page([number as u8; 4096])));
    }
    pool.destroy().unwrap();
}

#[test]
fn another_block_size_is_refused_with_the_way_back() {
    let conf = conf(64 << 10, 1);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<One>().unwrap();
    let one = pool.alloc(One([9])).unwrap();
    drop(pool);
    let mut other = conf.clone();
    other.block_size = Bytes(128 << 10);
    insta::assert_snapshot!(
        refusal(MemoryPoolMgr::open(&other), conf.base_key),
        @"[shape] BlockSize: the blocks of the pool under 0xKEY have 64K, but the ini requires 128K; set it back to 64K, or empty the pool with `hotpool rm --key 0xKEY` and start cold"
    );
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<One>().unwrap();
    assert_eq!(pool.get(one), Some(&One([9])));
    pool.destroy().unwrap();
}

mod before {
    use super::*;
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 7)]
    pub(crate) struct Hero {
        pub uid: u64,
        pub hp: i32,
        pub level: u32,
    }
}

mod after {
    use super::*;
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 7)]
    pub(crate) struct Hero {
        pub uid: u64,
        pub hp: i64,
        pub rank: u32,
        pub mana: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 7)]
    pub(crate) struct Villain {
        pub uid: u64,
    }

    /// Has the fields of `before::Hero` under another name.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 7)]
    pub(crate) struct Champion {
        pub uid: u64,
        pub hp: i32,
        pub level: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 7, name = "hero")]
    pub(crate) struct NamedAsBefore {
        pub uid: u64,
        pub hp: i32,
        pub level: u32,
    }
}

#[test]
fn a_renamed_struct_is_refused_with_the_name_to_keep() {
    let conf = conf(64 << 10, 1);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<before::Hero>().unwrap();
    let hero = pool.alloc(before::Hero { uid: 1, hp: -2, level: 3 }).unwrap();
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    insta::assert_snapshot!(
        refusal(pool.add_type::<after::Champion>(), conf.base_key),
        @r#"type 7 of the pool under 0xKEY is called `hero`, but has the fields of `champion`; if the struct was renamed, keep the old name: #[pool(id = 7, name = "hero")]; if it is another type, it needs another number"#
    );
    pool.add_type::<after::NamedAsBefore>().unwrap();
    let hero = hero.handle().typed::<after::NamedAsBefore>().unwrap();
    assert_eq!(pool.get(hero).map(|hero| (hero.uid, hero.hp, hero.level)), Some((1, -2, 3)));
    pool.destroy().unwrap();
}

/// A type with a number outside the valid range, written by hand.
#[derive(Clone, Copy, Pod, Zeroable, hotpool::object::Schema)]
#[repr(transparent)]
struct Beyond<const ID: u16>(u64);

impl<const ID: u16> PoolObject for Beyond<ID> {
    const TYPE_ID: u16 = ID;
    const NAME: &'static str = "beyond";
    const KEYED: bool = false;
}

/// Checks that every method treats this type as not added.
fn is_not_there<const ID: u16>(pool: &mut MemoryPoolMgr, one: hotpool::Handle) {
    assert_eq!((pool.len::<Beyond<ID>>(), pool.capacity::<Beyond<ID>>()), (0, 0));
    assert!(pool.is_empty::<Beyond<ID>>());
    assert_eq!(pool.alloc(Beyond::<ID>(1)), Err(AllocError::NotAdded("beyond")));
    assert!(one.typed::<Beyond<ID>>().is_none());
    assert!(pool.try_view::<Beyond<ID>>().is_none());
    let refused = pool.tx(|tx| tx.alloc(Beyond::<ID>(1)));
    assert_eq!(refused.map(drop), Err(hotpool::TxError::Alloc(AllocError::NotAdded("beyond"))));
}

#[test]
fn an_invalid_type_number_is_a_type_that_was_not_added() {
    let conf = conf(64 << 10, 1);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<One>().unwrap();
    let one = pool.alloc(One([9])).unwrap().handle();
    is_not_there::<0>(&mut pool, one);
    is_not_there::<1023>(&mut pool, one);
    is_not_there::<1024>(&mut pool, one);
    is_not_there::<{ u16::MAX }>(&mut pool, one);
    pool.destroy().unwrap();
}

/// A hero whose health needs a function.
mod narrower {
    use super::PoolObject;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 7)]
    pub(super) struct Hero {
        uid: u64,
        hp: i16,
        level: u32,
    }
}

#[test]
fn a_change_that_needs_a_function_is_refused_with_the_function() {
    let conf = conf(64 << 10, 1);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<before::Hero>().unwrap();
    let hero = pool.alloc(before::Hero { uid: 1, hp: -2, level: 3 }).unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    insta::assert_snapshot!(
        refusal(pool.add_type::<narrower::Hero>(), conf.base_key),
        @r##"
    type `hero` (7) of the pool under 0xKEY has changed: field `hp` was i32 at byte 8, is i16 at byte 8; its 1 object is kept unchanged; start the build that used them last, or write a function to keep the values:
      // `hp` was i32 and is i16, which is no wider number
      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldHero {
          uid: u64,
          hp: i32,
          level: u32,
      }

      hotpool::migration! {
          Hero: from OldHero => |old| Hero {
              uid: old.uid,
              hp: todo!("make it of old.hp"),
              level: old.level,
          }
      }
    "##
    );
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<before::Hero>().unwrap();
    assert_eq!(pool.get(hero).unwrap().hp, -2);
    pool.destroy().unwrap();
}

#[test]
fn a_changed_struct_is_refused_field_by_field_and_other_types_work() {
    let conf = conf(64 << 10, 4);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<before::Hero>().unwrap();
    pool.add_type::<Seven>().unwrap();
    let hero = pool.alloc(before::Hero { uid: 1, hp: -2, level: 3 }).unwrap();
    let seven = pool.alloc(Seven([7; 7])).unwrap();
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    insta::assert_snapshot!(
        refusal(pool.add_type::<after::Hero>(), conf.base_key),
        @r##"
    type `hero` (7) of the pool under 0xKEY has changed: field `hp` was i32 at byte 8, is i64 at byte 8; field `rank` is new: u32 at byte 16; field `mana` is new: u32 at byte 20; field `level` is gone: it was u32 at byte 12; the object was 16 bytes, is 24 bytes; its 1 object is kept unchanged; start the build that used them last, or say in the source what has become of each field:
      #[pool(was = "level")] rank: u32, // if `level` has got this name
      #[pool(default = 0)] rank: u32, // or this, if it is new
      #[pool(was = "level")] mana: u32, // if `level` has got this name
      #[pool(default = 0)] mana: u32, // or this, if it is new
      #[pool(removed = "level")] // at the struct, if `level` is gone with its values
    "##
    );
    insta::assert_snapshot!(
        refusal(pool.add_type::<after::Villain>(), conf.base_key),
        @"type number 7 belongs to `hero` in the pool under 0xKEY; `villain` needs another: #[pool(id = N)]"
    );
    pool.add_type::<Seven>().unwrap();
    assert_eq!(pool.get(seven), Some(&Seven([7; 7])));
    pool.alloc(Seven([8; 7])).unwrap();
    drop(pool);

    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<before::Hero>().unwrap();
    assert_eq!(pool.get(hero).map(|h| (h.uid, h.hp, h.level)), Some((1, -2, 3)));
    insta::assert_snapshot!(
        refusal(pool.add_type::<after::Hero>(), conf.base_key).split("; its 1").next().unwrap_or_default(),
        @"type `hero` (7) of the pool under 0xKEY has changed: field `hp` was i32 at byte 8, is i64 at byte 8; field `rank` is new: u32 at byte 16; field `mana` is new: u32 at byte 20; field `level` is gone: it was u32 at byte 12; the object was 16 bytes, is 24 bytes"
    );
    pool.destroy().unwrap();
}

#[test]
fn the_ini_settings_of_a_type_are_honoured() {
    let mut conf = conf(1 << 20, 4);
    let place = conf.places.section.clone();
    let ini = |capacity, object_bytes| TypeConf {
        name: "page".into(),
        capacity,
        object_bytes,
        place: place.clone(),
    };
    conf.types = vec![ini(300, Some(4096))];
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Page>().unwrap();
    assert!(pool.capacity::<Page>() >= 300);
    pool.destroy().unwrap();

    conf.types = vec![ini(300, Some(4097))];
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    insta::assert_snapshot!(
        refusal(pool.add_type::<Page>(), conf.base_key),
        @"[shape]: states an object size of 4097 bytes, but in this build it is 4096 bytes"
    );
    pool.destroy().unwrap();

    conf.types = vec![ini(300_000, None)];
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let refused = refusal(pool.add_type::<Page>(), conf.base_key);
    assert!(
        refused.starts_with("[shape]: no room for 300000 objects of `page`: no room for another"),
        "{refused}"
    );
    pool.destroy().unwrap();
}

#[test]
fn a_start_interrupted_before_its_first_object_is_cold_again() {
    let conf = conf(64 << 10, 1);
    drop(MemoryPoolMgr::open(&conf).unwrap());
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!((pool.start_mode(), pool.epoch()), (StartMode::Init, 2));
    pool.add_type::<One>().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!((pool.start_mode(), pool.epoch()), (StartMode::Init, 3));
    pool.add_type::<One>().unwrap();
    pool.ready().unwrap();
    drop(pool);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.start_mode(), StartMode::Resume, "the start was ready, although without an object");
    pool.destroy().unwrap();
}

#[test]
fn a_type_has_millions_of_slots() {
    // 64 million in a release build; a debug build would take too long.
    let slots: u32 = if cfg!(debug_assertions) { 1_000_000 } else { 64_000_000 };
    let blocks = (u64::from(slots) * 17).div_ceil(256 << 20) as u32;
    let mut pool = MemoryPoolMgr::open(&conf(256 << 20, blocks + 1)).unwrap();
    pool.add_type::<One>().unwrap();
    let mut last = None;
    for n in 0..slots {
        last = Some(pool.alloc(One([n as u8])).unwrap());
    }
    assert_eq!(pool.len::<One>(), slots as usize);
    assert_eq!(last.map(|id| id.index()), Some(slots - 1));
    assert_eq!(pool.get(last.unwrap()), Some(&One([(slots - 1) as u8])));
    pool.destroy().unwrap();
}

#[repr(transparent)]
#[derive(Clone, Copy, Pod, Zeroable, hotpool::object::Schema)]
struct Numbered<const ID: u16>(u64);

impl<const ID: u16> Numbered<ID> {
    /// Each type has its own name, because a pool refuses two types with one name.
    const LETTERS: [u8; 5] = [
        b'n',
        b'0' + (ID / 1000) as u8,
        b'0' + (ID / 100 % 10) as u8,
        b'0' + (ID / 10 % 10) as u8,
        b'0' + (ID % 10) as u8,
    ];
}

impl<const ID: u16> PoolObject for Numbered<ID> {
    const TYPE_ID: u16 = ID;
    const NAME: &'static str = match std::str::from_utf8(&Self::LETTERS) {
        Ok(name) => name,
        Err(_) => "the letters are not UTF-8",
    };
    const KEYED: bool = false;
}

macro_rules! each_of_a_thousand {
    ($pool:ident, $do:ident, [$($h:literal)*]) => { $(each_of_a_thousand!(@ten $pool, $do, $h);)* };
    (@ten $pool:ident, $do:ident, $h:literal) => {
        $do::<{ $h * 10 + 1 }>(&mut $pool); $do::<{ $h * 10 + 2 }>(&mut $pool); $do::<{ $h * 10 + 3 }>(&mut $pool);
        $do::<{ $h * 10 + 4 }>(&mut $pool); $do::<{ $h * 10 + 5 }>(&mut $pool); $do::<{ $h * 10 + 6 }>(&mut $pool);
        $do::<{ $h * 10 + 7 }>(&mut $pool); $do::<{ $h * 10 + 8 }>(&mut $pool); $do::<{ $h * 10 + 9 }>(&mut $pool);
        $do::<{ $h * 10 + 10 }>(&mut $pool);
    };
}

fn add<const ID: u16>(pool: &mut MemoryPoolMgr) {
    pool.add_type::<Numbered<ID>>().unwrap();
}

fn make<const ID: u16>(pool: &mut MemoryPoolMgr) {
    pool.alloc(Numbered::<ID>(ID.into())).unwrap();
}

fn look<const ID: u16>(pool: &mut MemoryPoolMgr) {
    add::<ID>(pool);
    let found: Vec<u64> = pool.iter::<Numbered<ID>>().map(|(_, object)| object.0).collect();
    assert_eq!(found, [u64::from(ID)]);
}

#[test]
fn a_pool_has_a_thousand_types() {
    let conf = conf(16 << 20, 4);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    each_of_a_thousand!(pool, add, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33
        34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73
        74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99]);
    each_of_a_thousand!(pool, make, [0 50 99]);
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!((pool.resume_report().types.len(), pool.resume_report().objects()), (1000, 30));
    each_of_a_thousand!(pool, look, [0 50 99]);
    pool.destroy().unwrap();
}

/// Shows what the documentation of `Handle` states about handles used in another pool.
#[test]
fn a_handle_does_not_name_its_pool() {
    let (of_a, of_b) = (conf(64 << 10, 1), conf(64 << 10, 1));
    let (mut a, mut b) = (MemoryPoolMgr::open(&of_a).unwrap(), MemoryPoolMgr::open(&of_b).unwrap());
    a.add_type::<One>().unwrap();
    b.add_type::<One>().unwrap();
    let in_a = a.alloc(One([1])).unwrap();
    assert_eq!(b.get(in_a), None, "that slot has no live object");
    let in_b = b.alloc(One([2])).unwrap();
    assert_eq!(in_a, in_b, "type, slot and generation agree");
    assert_eq!(b.get(in_a), Some(&One([2])));
    b.free(in_b);
    assert_eq!((a.get(in_a), b.get(in_a)), (Some(&One([1])), None));
    a.destroy().unwrap();
    b.destroy().unwrap();
}

/// Another struct with the name of [`Numbered<7>`].
#[repr(transparent)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1008, name = "n0007")]
struct Namesake(u64);

#[test]
fn two_types_with_one_name_are_refused() {
    let mut pool = MemoryPoolMgr::open(&conf(1 << 20, 1)).unwrap();
    add::<7>(&mut pool);
    let error = pool.add_type::<Namesake>().unwrap_err();
    assert!(matches!(error, PoolError::TypeNameTaken { name: "n0007", id: 1008, other: 7, .. }), "{error}");
    assert!(error.to_string().contains("keep that number: #[pool(id = 7)]"), "{error}");
    assert!(pool.alloc(Namesake(1)).is_err(), "the type was not added");
    add::<8>(&mut pool);
}
