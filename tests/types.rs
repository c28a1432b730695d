//! Every kind of field survives a kill, and bytes that are no value of it are named and hidden.
//! Without unsafe code in the program: the derives need none of it.

mod filled;
#[path = "harness/own_keys.rs"]
mod own_keys;
mod values;

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::verify_pool;
use hotpool::object::{FixedStr, FixedVec, Maybe, Schema, SchemaText, Stored, check_bytes};
use hotpool::pool::QuarantineError;
use hotpool::share::Home;
use hotpool::units::{Bytes, Key};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolError, PoolObject, StartMode};
use own_keys::own_keys;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, Ordering};
use values::{Everything, Grid, Move, Shape, Side, everything};

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7dd8_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(256 << 10), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

const OBJECTS: u64 = 300;

fn shared(base: u32) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.owner_wait_ms = 60_000;
    conf
}

/// Runs in the process that is killed: fills a pool and waits.
#[test]
fn serve() {
    let Some(base) = filled::role() else { return };
    let mut pool = MemoryPoolMgr::open(&shared(base)).unwrap();
    pool.add_type::<Everything>().unwrap();
    for number in 0..OBJECTS {
        pool.alloc_keyed(number, everything(number)).unwrap();
    }
    for number in (0..OBJECTS).step_by(3) {
        pool.update_by_key::<Everything, _>(number, |object| *object = everything(number + 1)).unwrap();
    }
    pool.ready().unwrap();
    filled::wait_for_the_kill();
}

#[test]
fn every_kind_of_field_survives_a_kill() {
    let base = own_keys(2);
    let _removed = filled::fill_and_kill(base);
    let mut pool = MemoryPoolMgr::open(&shared(base)).unwrap();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    pool.add_type::<Everything>().unwrap();
    assert_eq!((pool.resume_report().bad_values.len(), pool.len::<Everything>()), (0, OBJECTS as usize));
    for number in 0..OBJECTS {
        let expected = everything(number + u64::from(number.is_multiple_of(3)));
        assert_eq!(pool.get_by_key::<Everything>(number), Some(&expected), "{number}");
    }
    let report = pool.verify();
    assert!(report.is_sound(), "{report}");
}

/// Returns where the object of a handle is in the block of a pool.
fn place(conf: &ProcessConf, object: Handle, head: u64) -> u64 {
    let words = hotpool::share::raw::read(conf.shm_keys[0]).unwrap();
    words.iter().position(|word| *word == object.to_bits()).unwrap() as u64 * 8 + head
}

/// Returns `bytes` bytes at an offset of the block.
fn read(conf: &ProcessConf, offset: u64, bytes: usize) -> Vec<u8> {
    let words = hotpool::share::raw::read(conf.shm_keys[0]).unwrap();
    let all: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    all[offset as usize..][..bytes].to_vec()
}

/// Bytes of a slot before an `Everything`, which has a user key and contains a `u128`.
const HEAD: u64 = 16;

/// Creates five objects and overwrites bytes of the middle one after the owner has gone.
fn damaged(conf: &ProcessConf, offset: usize, bytes: &[u8]) -> [Id<Everything>; 5] {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    let ids = [0, 1, 2, 3, 4].map(|number| pool.alloc_keyed(number, everything(1)).unwrap());
    pool.ready().unwrap();
    drop(pool);
    values::poke(conf.shm_keys[0], place(conf, ids[2].handle(), HEAD) + offset as u64, bytes);
    ids
}

/// Each kind of bytes that are no value: where, what, and how it is named.
fn damages() -> Vec<(usize, Vec<u8>, &'static str)> {
    let shape = offset_of!(Everything, shape);
    let action = offset_of!(Everything, action);
    vec![
        (offset_of!(Everything, alive), vec![2], "alive: 2 is no bool"),
        (offset_of!(Everything, letter), 0xdfff_u32.to_le_bytes().to_vec(), "letter: 57343 is no char"),
        (offset_of!(Everything, letter), vec![0xff; 4], "letter: 4294967295 is no char"),
        (offset_of!(Everything, side), vec![4], "side: 4 is no variant"),
        (offset_of!(Everything, count), vec![0; 4], "count: 0 is no NonZero"),
        (offset_of!(Everything, flags) + 2, vec![255], "flags[2]: 255 is no bool"),
        (shape, vec![9], "shape: 9 is no variant"),
        (shape + 8, vec![3], "shape(Named).visible: 3 is no bool"),
        (action, 700_i16.to_le_bytes().to_vec(), "action: 700 is no variant"),
        (action + 4, vec![1, 0, 0, 0, 8], "action(To).0.1: 8 is no variant"),
        (offset_of!(Everything, maybe), vec![2], "maybe: 2 is no variant"),
        (offset_of!(Everything, maybe) + 1, vec![77], "maybe(Some).0: 77 is no variant"),
        (offset_of!(Everything, grid) + 6, vec![9], "grid.cells[1].side: 9 is no variant"),
        (offset_of!(Everything, name), vec![13], "name: a length of 13 exceeds the capacity of 12"),
        (
            offset_of!(Everything, name),
            vec![255; 4],
            "name: a length of 4294967295 exceeds the capacity of 12",
        ),
        (offset_of!(Everything, name) + 4, vec![b'a', 0xff], "name: it is not UTF-8 from byte 1 on"),
        (offset_of!(Everything, name), vec![3], "name: it is not UTF-8 from byte 2 on"),
        (offset_of!(Everything, bag), vec![4], "bag: a length of 4 exceeds the capacity of 3"),
        (offset_of!(Everything, bag) + 6, vec![9], "bag[0].side: 9 is no variant"),
        (offset_of!(Everything, skills), vec![5], "skills.entries: a length of 5 exceeds the capacity of 4"),
        (offset_of!(Everything, skills) + 10, vec![9], "skills.entries[1].value: 9 is no bool"),
        (
            offset_of!(Everything, friends) + 3,
            vec![1],
            "friends.items: a length of 16777219 exceeds the capacity of 5",
        ),
    ]
}

#[test]
fn bytes_that_are_no_value_are_named_and_hidden() {
    for (offset, bytes, expected) in damages() {
        let conf = conf();
        let ids = damaged(&conf, offset, &bytes);
        let report = verify_pool(conf.base_key, &Home::of(&conf)).unwrap().to_string();
        let damage = format!("its object is no value of its type: {expected}");
        assert!(report.contains("1 damaged") && report.contains(&damage), "{report}");

        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Everything>().unwrap();
        let bad = &pool.resume_report().bad_values;
        assert_eq!(bad.iter().map(|bad| bad.value.to_string()).collect::<Vec<_>>(), [expected]);
        assert_eq!(bad[0].object, ids[2].handle());
        let report = pool.resume_report().to_string();
        assert!(report.contains(&format!("not values: {} ({expected})", ids[2])), "{report}");

        assert_eq!((pool.get(ids[2]), pool.get_by_key::<Everything>(2)), (None, None), "{expected}");
        assert_eq!(pool.quarantined_object(ids[2]), None, "{expected}");
        let released = pool.release(ids[2].handle());
        assert!(matches!(released, Err(QuarantineError::NotAValue { .. })), "{released:?}");
        assert_eq!(pool.iter::<Everything>().filter(|(_, object)| **object == everything(1)).count(), 4);
        assert_eq!(pool.quarantined(), [ids[2].handle()]);
        let report = pool.verify();
        assert!(report.is_sound(), "{report}");

        // It stays there until it is dropped.
        drop(pool);
        let report = verify_pool(conf.base_key, &Home::of(&conf)).unwrap();
        let note = format!("its object is in quarantine and no value of its type: {expected}");
        assert!(report.is_sound() && report.to_string().contains(&note), "{report}");
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Everything>().unwrap();
        assert_eq!(pool.resume_report().quarantined, [ids[2].handle()]);
        assert!(pool.resume_report().bad_values.is_empty());
        pool.drop_quarantined(ids[2].handle()).unwrap();
        pool.alloc_keyed(2, everything(5)).unwrap();
        assert_eq!(pool.get_by_key::<Everything>(2), Some(&everything(5)));
        pool.destroy().unwrap();
    }
}

/// A stray write of the running program.
#[test]
fn verify_names_a_bad_value_of_a_running_owner() {
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    let id = pool.alloc_keyed(1, everything(1)).unwrap();
    assert!(pool.verify().is_sound());
    let side = place(&conf, id.handle(), HEAD) + offset_of!(Everything, side) as u64;
    values::poke(conf.shm_keys[0], side, &[99]);
    let report = pool.verify().to_string();
    assert!(
        report.contains("type 8 slot 0: its object is no value of its type: side: 99 is no variant"),
        "{report}"
    );
    pool.destroy().unwrap();
}

#[test]
fn an_object_that_was_repaired_in_quarantine_can_be_released() {
    let conf = conf();
    let ids = damaged(&conf, offset_of!(Everything, alive), &[2]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    drop(pool);
    let parked = read(&conf, 0, 256 << 10);
    let header = (u64::MAX << 38 | ids[2].to_bits() & ((1 << 38) - 1)) & !1;
    let at = parked.chunks_exact(8).position(|word| word == header.to_le_bytes()).unwrap() as u64 * 8;
    let alive = at + HEAD + offset_of!(Everything, alive) as u64;
    values::poke(conf.shm_keys[0], alive, &[u8::from(everything(1).alive)]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    assert_eq!(pool.quarantined_object(ids[2]), Some(everything(1)));
    pool.release(ids[2].handle()).unwrap();
    assert_eq!(pool.get_by_key::<Everything>(2), Some(&everything(1)));
    pool.destroy().unwrap();
}

#[test]
fn more_bad_objects_than_the_quarantine_holds_refuse_the_type_alone() {
    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 9)]
    struct Lamp {
        is_on: bool,
    }
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lamp>().unwrap();
    let lamps: Vec<_> = (0..70).map(|_| pool.alloc(Lamp { is_on: true }).unwrap()).collect();
    pool.ready().unwrap();
    drop(pool);
    for lamp in &lamps[1..66] {
        values::poke(conf.shm_keys[0], place(&conf, lamp.handle(), 8), &[99]);
    }
    let before = hotpool::share::raw::read(conf.shm_keys[0]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    for _ in 0..2 {
        let error = pool.add_type::<Lamp>().unwrap_err();
        assert!(matches!(error, PoolError::BadValues { objects: 65, .. }), "{error}");
        let first = format!(
            "65 objects hold bytes that are no value of it; the first is {} (is_on: 99 is no bool)",
            lamps[1]
        );
        assert!(error.to_string().contains(&first), "{error}");
        assert!(pool.get(lamps[0]).is_none(), "the type is not there");
    }
    assert!(before == hotpool::share::raw::read(conf.shm_keys[0]), "nothing was changed");
    pool.add_type::<Everything>().unwrap();
    pool.alloc_keyed(1, everything(1)).unwrap();
    drop(pool);

    values::poke(conf.shm_keys[0], place(&conf, lamps[1].handle(), 8), &[0]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lamp>().unwrap();
    assert_eq!((pool.len::<Lamp>(), pool.quarantined().len()), (6, 64));
    assert_eq!(pool.get(lamps[1]).map(|lamp| lamp.is_on), Some(false));
    pool.destroy().unwrap();
}

/// A live slot that the map marks as free is reached by its handle all the same.
#[test]
fn a_bad_value_that_the_map_hides_is_found() {
    let conf = conf();
    let ids = damaged(&conf, offset_of!(Everything, alive), &[7]);
    let map = read(&conf, 4096, 8);
    assert_eq!(map[0], 0b11111);
    values::poke(conf.shm_keys[0], 4096, &[0b11011]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    assert_eq!(pool.resume_report().bad_values.len(), 1);
    assert_eq!(pool.get(ids[2]), None);
    pool.destroy().unwrap();
}

#[test]
fn a_bad_value_in_a_slot_with_a_foreign_header_refuses_the_type() {
    let conf = conf();
    let ids = damaged(&conf, offset_of!(Everything, alive), &[7]);
    let header = place(&conf, ids[2].handle(), 0);
    values::poke(conf.shm_keys[0], header, &ids[3].to_bits().to_le_bytes());
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let error = pool.add_type::<Everything>().unwrap_err();
    assert!(matches!(error, PoolError::BadValues { objects: 1, .. }), "{error}");
    assert!(error.to_string().contains("in slot 2 (alive: 7 is no bool)"), "{error}");
    assert!(pool.try_view::<Everything>().is_none());
    pool.destroy().unwrap();
}

#[test]
fn the_rest_of_a_list_is_zero_in_the_segment() {
    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 10)]
    struct Lists {
        name: FixedStr<7>,
        shapes: FixedVec<Shape, 2>,
    }
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lists>().unwrap();
    let mut lists = Lists { name: "abcdefg".parse().unwrap(), shapes: FixedVec::new() };
    lists.name.truncate(2);
    lists.shapes.push(Shape::Named { id: 7, visible: true }).unwrap();
    lists.shapes.push(Shape::Circle { x: 1.0, radius: 2.0 }).unwrap();
    lists.shapes.pop();
    let id = pool.alloc(lists).unwrap();
    let found = read(&conf, place(&conf, id.handle(), 8), size_of::<Lists>());
    let mut expected = vec![0; size_of::<Lists>()];
    expected[0..6].copy_from_slice(&[2, 0, 0, 0, b'a', b'b']);
    let shapes = offset_of!(Lists, shapes);
    expected[shapes] = 1;
    expected[shapes + 8..shapes + 17].copy_from_slice(&[2, 0, 0, 0, 7, 0, 0, 0, 1]);
    assert_eq!(found, expected);
    pool.destroy().unwrap();
}

/// The connection of a player ends with the process, and its number means nothing to the next.
#[test]
fn transient_fields_are_reset_by_each_hot_start_alone() {
    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 11, keyed)]
    struct Session {
        #[pool(transient)]
        socket: i32,
        uid: u64,
        #[pool(transient)]
        typing: Maybe<bool>,
    }
    let conf = conf();
    let session = |uid, socket| Session { socket, uid, typing: Maybe::Some(true) };
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Session>().unwrap();
    let ids = [1, 2, 3].map(|uid| pool.alloc_keyed(uid, session(uid, 7)).unwrap());
    pool.add_type::<Session>().unwrap();
    assert_eq!(pool.get(ids[0]), Some(&session(1, 7)), "the type is there already");
    pool.quarantine(ids[1].handle()).unwrap();
    drop(pool);
    for _ in 0..2 {
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Session>().unwrap();
        assert!(pool.resume_report().being_written.is_empty() && pool.torn().is_empty());
        let reset = |uid| Session { socket: 0, uid, typing: Maybe::None };
        assert_eq!(
            pool.iter::<Session>().map(|(_, session)| *session).collect::<Vec<_>>(),
            [reset(1), reset(3)]
        );
        pool.get_mut(ids[2]).unwrap().socket = 9;
        assert_eq!(
            pool.quarantined_object(ids[1]),
            Some(session(2, 7)),
            "an object in quarantine is kept as it is"
        );
        pool.add_type::<Session>().unwrap();
        assert_eq!(pool.get(ids[2]).map(|session| session.socket), Some(9));
    }
    MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
}

/// An object that is nothing but padding and leftovers of other variants.
#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 5)]
struct Gaps {
    a: u8,
    b: u64,
    c: u16,
    shapes: [Shape; 2],
    d: bool,
}

#[test]
fn padding_is_zero_in_the_segment() {
    let conf = conf();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Gaps>().unwrap();
    let bytes = size_of::<Gaps>();
    // All bytes of the slot are used before, and padding of the value has the bytes of others.
    let full = Shape::Circle { x: -1.5, radius: f64::MAX };
    let old = Gaps { a: 255, b: u64::MAX, c: u16::MAX, shapes: [full; 2], d: true };
    let id = pool.alloc(old).unwrap();
    let at = place(&conf, id.handle(), 8);
    drop(pool);
    values::poke(conf.shm_keys[0], at, &vec![0xaa; bytes]);
    // The next start must not find garbage in a live slot, so it is freed by hand.
    values::poke(conf.shm_keys[0], at - 8, &(id.to_bits() + 1).to_le_bytes());
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Gaps>().unwrap();
    let new = Gaps { shapes: [Shape::Point, Shape::Named { id: 7, visible: true }], ..old };
    let id = pool.alloc(new).unwrap();
    assert_eq!(place(&conf, id.handle(), 8), at, "the same slot");
    let found = read(&conf, at, bytes);
    let mut expected = vec![0; bytes];
    expected[0] = 255;
    expected[8..18].fill(255);
    expected[40..49].copy_from_slice(&[2, 0, 0, 0, 7, 0, 0, 0, 1]);
    expected[56] = 1;
    assert_eq!(found, expected);
    assert_eq!(pool.get(id).map(|gaps| gaps.shapes), Some(new.shapes));
    pool.destroy().unwrap();
}

/// Types whose values may have any bytes are neither checked nor scrubbed, at compile time.
#[test]
fn types_of_any_bits_pay_nothing() {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, PoolObject)]
    #[pool(id = 6)]
    struct Old {
        uid: u64,
        at: [f32; 2],
    }
    const { assert!(Old::ANY_BITS && Old::RULE.is_dense()) };
    const { assert!(<[[u8; 3]; 7]>::ANY_BITS && <[[u8; 3]; 7]>::RULE.is_dense()) };
    const { assert!(Option::<std::num::NonZeroU32>::ANY_BITS) };
    const { assert!(!Gaps::ANY_BITS && !Everything::ANY_BITS && !Maybe::<u64>::ANY_BITS) };
    // The same as before types had rules.
    assert_eq!(Old::FINGERPRINT, values::OLD_FINGERPRINT);
}

#[test]
fn variants_are_in_the_schema_text() {
    let text = SchemaText::of::<Gaps>();
    let fields = SchemaText::parse(&text).unwrap();
    let named: Vec<_> =
        fields.iter().map(|field| format!("{} {} {}", field.offset, field.type_name, field.name)).collect();
    let expected = [
        "0 u8 a",
        "8 u64 b",
        "16 u16 c",
        "24 [Shape; 2] shapes",
        "24 variant 0 shapes[].Point",
        "24 variant 1 shapes[].Circle",
        "28 f32 shapes[].Circle.x",
        "32 f64 shapes[].Circle.radius",
        "24 variant 2 shapes[].Named",
        "28 u32 shapes[].Named.id",
        "32 bool shapes[].Named.visible",
        "56 bool d",
    ];
    assert_eq!(named, expected);
    assert_eq!(SchemaText::len_of::<Gaps>(), text.len());
}

#[test]
fn enums_that_differ_have_different_fingerprints() {
    mod a {
        use super::*;
        #[repr(u8)]
        #[derive(Schema)]
        pub(super) enum Kind {
            _A,
            _B(u32),
        }
    }
    mod renumbered {
        use super::*;
        #[repr(u8)]
        #[derive(Schema)]
        pub(super) enum Kind {
            _A,
            _B(u32) = 2,
        }
    }
    mod renamed {
        use super::*;
        #[repr(u8)]
        #[derive(Schema)]
        pub(super) enum Kind {
            _A,
            _C(u32),
        }
    }
    mod retyped {
        use super::*;
        #[repr(u8)]
        #[derive(Schema)]
        pub(super) enum Kind {
            _A,
            _B(i32),
        }
    }
    mod grown {
        use super::*;
        #[repr(u8)]
        #[derive(Schema)]
        pub(super) enum Kind {
            _A,
            _B(u32),
            _C,
        }
    }
    let others = [
        renumbered::Kind::FINGERPRINT,
        renamed::Kind::FINGERPRINT,
        retyped::Kind::FINGERPRINT,
        grown::Kind::FINGERPRINT,
    ];
    assert!(!others.contains(&a::Kind::FINGERPRINT));
}

/// The offsets of the derive are those of the compiler.
#[test]
fn payloads_are_checked_where_they_are() {
    let bytes = |shape: &Shape| values::bytes(shape);
    let named = bytes(&Shape::Named { id: 7, visible: true });
    assert!(check_bytes::<Shape>(&named).is_ok());
    let circle = bytes(&Shape::Circle { x: 1.0, radius: 2.0 });
    assert!(check_bytes::<Shape>(&circle).is_ok());
    assert_eq!(size_of::<Move>(), values::bytes(&Move::Stay).len());
    for side in [Side::North, Side::South, Side::Hidden] {
        let to = values::bytes(&Move::To((3, side).into()));
        assert!(check_bytes::<Move>(&to).is_ok(), "{to:?}");
        assert_eq!((&to[..2], to[4], to[8]), (&[0; 2][..], 3, side as u8));
    }
}

/// Any bytes in an object lead to a value, or to an error.
#[test]
fn random_bytes_are_a_value_or_an_error() {
    let mut random = fastrand::Rng::with_seed(11);
    let good = values::bytes(&everything(3));
    let (mut values, mut errors) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..random.usize(1..3) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        match check_bytes::<Everything>(&bytes) {
            Ok(()) => {
                values += 1;
                // Formatting reads every field.
                assert!(!format!("{:?}", values::value::<Everything>(&bytes)).is_empty());
            }
            Err(bad) => {
                errors += 1;
                assert!(!bad.field.is_empty(), "{bad}");
            }
        }
    }
    assert!(values > 100 && errors > 100, "{values} values, {errors} errors");
}

#[test]
fn a_generic_part_has_one_schema_for_each_type() {
    assert_ne!(Grid::<u8, 2>::FINGERPRINT, Grid::<u16, 2>::FINGERPRINT);
    assert_ne!(Grid::<u8, 2>::FINGERPRINT, Grid::<u8, 3>::FINGERPRINT);
    assert_eq!(Grid::<Maybe<u8>, 3>::FIELDS[0].desc.fields[1].name, "Some");
}
