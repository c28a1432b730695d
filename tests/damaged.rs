//! Any bytes in a segment lead to an error or a result: never to a panic, a hang or an endless
//! walk.
//!
//! The tests damage a small pool word by word, open it, work with it and inspect it. Each fault
//! that fuzzing found has a test with the least damage that shows it. The tests are built without
//! optimisation, so that an overflow panics.

mod damage;

use damage::{
    BASE, BLOCK, BLOCKS, Bulky, Bytes, EXTENTS, Image, Images, Item, LANES, NEXTENTS, TYPE_IDS, TYPES, Tiny,
    look, open, operate, own_time, raw, seal,
};
use hotpool::__internal::layout::{BaseHeader, TypeInfo};
use hotpool::inspect::verify_pool;
use hotpool::share::{Home, observe_pool};
use hotpool::{MemoryPoolMgr, PoolError, PoolObject};
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Every operation, at least once. A damaged pool is then opened a second time.
const STEPS: [u8; 46] = [
    0, 1, 2, 9, 2, 250, 3, 9, 4, 11, 5, 0, 1, 6, 0, 2, 7, 101, 12, 0, 0, 3, 0, 5, 0, 1, 77, 13, 1, 0, 1, 0,
    1, 0, 2, 78, 16, 0, 0, 0, 1, 8, 9, 10, 11, 14,
];

fn work(image: &Image) {
    look(&image.conf);
    if let Some(mut pool) = open(&image.conf) {
        operate(&mut pool, image, &mut Bytes(&STEPS));
        drop(pool);
        if let Some(mut pool) = open(&image.conf) {
            operate(&mut pool, image, &mut Bytes(&[17, 18, 19, 8, 9, 10, 11, 14]));
            pool.close().unwrap();
        }
    }
}

/// Damages each of `words` of segment `number` in several ways. If `seals` is true, the checksums
/// are then corrected.
fn sweep(image: &Image, number: usize, words: impl Iterator<Item = u64>, seals: bool) {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let key = image.key(number);
    for offset in words {
        let random = random.u64(..);
        let changes: [&dyn Fn(u64) -> u64; 5] =
            [&|_| 0, &|_| u64::MAX, &|old| old.wrapping_add(1), &|old| old.wrapping_add(1 << 32), &|_| {
                random
            }];
        for change in changes {
            image.plant();
            raw::poke(key, offset, change);
            if seals {
                seal(image);
            }
            work(image);
        }
    }
}

fn range(from: u64, words: u64) -> impl Iterator<Item = u64> {
    (0..words).map(move |word| from + word * 8)
}

/// The inputs of a fuzz target that the repository keeps, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let mut inputs: Vec<_> =
        files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    inputs.sort();
    assert!(inputs.len() > 100, "{folder} is nearly empty");
    inputs
}

#[test]
fn what_fuzzing_kept_is_survived() {
    let images = Images::make(0x7db9_0000);
    type Run = fn(&Images, &[u8]);
    let targets: [(&str, Run); 4] = [
        ("attach", damage::attach),
        ("verify", damage::verify),
        ("operations", damage::operations),
        ("schemas", damage::schemas::schemas),
    ];
    let mut failed = Vec::new();
    for (target, run) in targets {
        for (name, input) in corpus(target) {
            let began = Instant::now();
            let survived = catch_unwind(AssertUnwindSafe(|| run(&images, &input))).is_ok();
            if !survived || began.elapsed() > Duration::from_secs(10) {
                failed.push((name, began.elapsed()));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_a_build_prints_may_be_damaged() {
    let images = Images::make(0x7dcf_0000);
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for round in 0..4000 {
        let mut input: Vec<u8> = (0..24).map(|_| random.u8(..)).collect();
        input[0] |= 1;
        let survived = catch_unwind(AssertUnwindSafe(|| damage::schemas::schemas(&images, &input)));
        assert!(survived.is_ok(), "round {round}: {input:?}");
    }
}

#[test]
fn the_files_of_a_set_may_be_damaged() {
    let shelf = damage::sets::Shelf::make();
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for round in 0..700 {
        let input: Vec<u8> = (0..24).map(|_| random.u8(..)).collect();
        let survived = catch_unwind(AssertUnwindSafe(|| damage::sets::sets(&shelf, &input)));
        assert!(survived.is_ok(), "round {round}: {input:?}");
    }
}

#[test]
fn any_word_of_the_header_may_be_damaged() {
    let images = Images::make(0x7db0_0000);
    sweep(&images.closed, 0, range(0, 192), false);
    sweep(&images.cut, 0, range(0, 64), true);
    // Reserved words, and the order of the types.
    sweep(&images.closed, 0, range(0, 1024).skip(192).step_by(16), false);
    sweep(&images.closed, 0, range(4096, 4), false);
}

#[test]
fn any_word_of_a_type_may_be_damaged() {
    let images = Images::make(0x7db1_0000);
    for id in TYPE_IDS {
        sweep(&images.closed, 0, range(TYPES + id * 256, 32), true);
        sweep(&images.cut, 0, range(TYPES + id * 256 + 184, 9), false);
    }
    // The entry of a type number that is not in use.
    sweep(&images.closed, 0, range(TYPES + 3 * 256, 24), false);
}

#[test]
fn any_word_of_a_block_or_extent_may_be_damaged() {
    let images = Images::make(0x7db2_0000);
    let extents = images.closed.extents.len() as u64;
    sweep(&images.closed, 0, range(BLOCKS, 4 * 8), false);
    sweep(&images.closed, 0, range(EXTENTS, (extents + 1) * 4), false);
    for number in 1..4 {
        sweep(&images.closed, number, range(0, 8), true);
    }
    for (segment, offset) in &images.closed.extents {
        sweep(&images.closed, *segment, range(*offset, 24), false);
    }
}

#[test]
fn any_word_of_an_undo_log_may_be_damaged() {
    let images = Images::make(0x7db3_0000);
    sweep(&images.cut, 0, range(LANES, 32), false);
}

#[test]
fn segments_of_any_length_are_refused() {
    let images = Images::make(0x7db4_0000);
    for number in 0..4 {
        let bytes = if number == 0 { BASE } else { damage::BLOCK };
        for length in [1, 8, 63, 64, 100, 4096, 8192, bytes / 2, bytes - 1, bytes + 1, bytes + 4096] {
            images.closed.plant();
            images.closed.plant_as(number, length);
            work(&images.closed);
        }
    }
}

/// Plants an image with one word changed and correct checksums.
fn changed(image: &Image, number: usize, offset: u64, change: impl FnOnce(u64) -> u64) {
    image.plant();
    assert!(raw::poke(image.key(number), offset, change));
    seal(image);
}

/// Opens a damaged pool and returns the reason for its refusal.
fn refusal(image: &Image) -> String {
    match MemoryPoolMgr::open(&image.conf) {
        Err(PoolError::Corrupt { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

fn entry(id: u64, field: usize) -> u64 {
    TYPES + id * 256 + field as u64
}

#[test]
fn an_object_size_that_overflows_is_refused() {
    let image = Images::make(0x7dc0_0000).closed;
    changed(&image, 0, entry(700, offset_of!(TypeInfo, size)), |_| u64::MAX - 7);
    assert_eq!(refusal(&image), "type 700, added as number 2: its sizes do not fit together");
}

#[test]
fn a_start_counter_at_its_maximum_is_refused_or_saturates() {
    let image = Images::make(0x7dc1_0000).closed;
    changed(&image, 0, offset_of!(BaseHeader, epoch) as u64, |_| u64::MAX);
    assert_eq!(refusal(&image), "its epoch is the largest possible");
    changed(&image, 0, offset_of!(BaseHeader, starts_clean) as u64, |_| u64::MAX);
    open(&image.conf).unwrap().close().unwrap();
    assert_eq!(raw::peek(image.key(0), offset_of!(BaseHeader, starts_clean) as u64), Some(u64::MAX));
}

/// An extent of large objects has fewer slots than its map word has bits. The memory past its last
/// slot belongs to other extents.
#[test]
fn map_bits_past_the_last_slot_are_ignored() {
    let image = Images::make(0x7dc2_0000).closed;
    let mut found = 0;
    for (segment, offset) in &image.extents {
        if raw::peek(image.key(*segment), *offset) == Some(0b11111) {
            changed(&image, *segment, *offset, |_| u64::MAX);
            let mut pool = open(&image.conf).unwrap();
            assert_eq!(pool.iter::<Bulky>().count(), pool.len::<Bulky>());
            assert_eq!(pool.iter_mut::<Bulky>().count(), pool.len::<Bulky>());
            drop(pool);
            // Repeat it with bytes that look like objects past the last slot.
            let beyond = u64::from(Bulky::TYPE_ID) << 28 | 1;
            changed(&image, *segment, *offset, |_| u64::MAX);
            let slot = *offset + 64 + 648 * 16;
            let mut words = (slot..slot + 4096).step_by(648);
            assert!(words.all(|offset| raw::poke(image.key(*segment), offset, |_| beyond)));
            let pool = open(&image.conf);
            assert!(pool.is_none_or(|pool| pool.iter::<Bulky>().count() == pool.len::<Bulky>()));
            found += 1;
        }
    }
    assert!(found >= 1);
}

/// The shape of a type that is not in use is not checked. The program could add the type with
/// another shape, over memory in use.
#[test]
fn an_extent_of_a_type_that_is_not_in_use_is_refused() {
    let image = Images::make(0x7dc3_0000).closed;
    changed(&image, 0, offset_of!(BaseHeader, ntypes) as u64, |_| 3);
    let what = refusal(&image);
    assert!(what.ends_with("is invalid: its type is not in use"), "{what}");
}

#[test]
fn a_type_that_is_counted_twice_is_refused() {
    let image = Images::make(0x7dc4_0000).closed;
    changed(&image, 0, offset_of!(BaseHeader, ntypes) as u64, |_| 5);
    raw::poke(image.key(0), offset_of!(BaseHeader, order) as u64 + 16, |_| 4);
    assert_eq!(refusal(&image), "type 4, added as number 4: it occurs twice");
}

#[test]
fn counts_beyond_the_capacity_are_refused() {
    let image = Images::make(0x7dc5_0000).closed;
    changed(&image, 0, entry(1, offset_of!(TypeInfo, tally)), |_| u64::MAX);
    assert_eq!(refusal(&image), "type `item`: it counts more objects than it has slots");
    changed(&image, 0, entry(2, offset_of!(TypeInfo, high_water)), |_| 1 << 26);
    assert_eq!(refusal(&image), "type `tiny`: it counts more objects than it has slots");
    changed(&image, 0, entry(4, offset_of!(TypeInfo, groups)), |_| 1 << 40);
    assert_eq!(refusal(&image), "type `wide`: its index uses more groups than it has");
    changed(&image, 0, entry(4, offset_of!(TypeInfo, groups)), |_| 0);
    assert_eq!(refusal(&image), "type `wide`: it counts objects, but has no index for them");
}

#[test]
fn an_impossible_last_operation_is_reported_and_harmless() {
    let image = Images::make(0x7dc6_0000).closed;
    for word in [u64::MAX, 3 << 16 | 2, 1 << 16 | 0x7ff] {
        changed(&image, 0, offset_of!(BaseHeader, last) as u64, |_| word);
        let report = hotpool::inspect::verify_pool(image.key(0), &Home::of(&image.conf)).unwrap();
        assert!(report.to_string().contains("the word `last` encodes no operation"), "{report}");
        assert!(open(&image.conf).is_some());
    }
}

#[test]
fn parts_of_the_base_that_overlap_are_refused() {
    let image = Images::make(0x7dc7_0000).closed;
    for (field, to) in
        [(8, 0), (16, TYPES), (24, BLOCKS), (32, EXTENTS), (48, TYPES + 256), (64, 0), (80, TYPES)]
    {
        changed(&image, 0, damage::GEOMETRY + field, |_| to);
        assert_eq!(refusal(&image), "its parts overlap");
    }
}

/// A slot whose header named a lower slot once sent a sweep back, round after round.
#[test]
fn a_sweep_ends_whatever_a_slot_header_holds() {
    let image = Images::make(0x7dc8_0000).closed;
    image.plant();
    let pool = open(&image.conf).unwrap();
    let (id, _) = pool.iter::<Tiny>().nth(20).unwrap();
    drop(pool);
    let (segment, offset) = place_of(&image, id.to_bits());
    changed(&image, segment, offset, |word| word & ((1 << 38) - 1));
    damage::walk::<Tiny>(&mut open(&image.conf).unwrap());
}

/// Returns the segment and offset of the slot with this header.
fn place_of(image: &Image, header: u64) -> (usize, u64) {
    let words = |segment, from: u64| (from..BLOCK).step_by(8).map(move |offset| (segment, offset));
    let mut places = image.extents.iter().flat_map(|(segment, offset)| words(*segment, *offset));
    places.find(|(segment, offset)| raw::peek(image.key(*segment), *offset) == Some(header)).unwrap()
}

/// A key leads to the slot that holds it. The result is the handle of this slot, or none.
#[test]
fn a_key_never_leads_to_the_handle_of_another_slot() {
    let image = Images::make(0x7dc9_0000).closed;
    image.plant();
    let mut pool = open(&image.conf).unwrap();
    let id = pool.find::<Item>(11).unwrap();
    let (segment, offset) = place_of(&image, id.to_bits());
    raw::poke(image.key(segment), offset, |word| word ^ 1 << 40);
    assert_eq!(pool.find::<Item>(11), None);
    assert!(pool.get_mut_by_key::<Item>(11).is_none());
}

/// After a type's entry is overwritten, a growing pool allocates extents of the shape that it was
/// opened with.
#[test]
fn overwriting_a_type_in_an_open_pool_moves_no_object() {
    let images = Images::make(0x7dca_0000);
    let image = &images.closed;
    let fixed = range(TYPES + 700 * 256, 23).chain(range(TYPES + 256, 23)).chain([NEXTENTS, 400, 408]);
    for offset in fixed {
        for value in [0, 3, 64, u64::MAX] {
            image.plant();
            let mut pool = open(&image.conf).unwrap();
            raw::poke(image.key(0), offset, |_| value);
            operate(&mut pool, image, &mut Bytes(&[18, 17, 12, 0, 8, 10, 13, 1, 10, 19, 14]));
        }
    }
}

/// The whole undo log is checked before any part of it is applied.
#[test]
fn an_invalid_undo_log_is_refused_without_a_change() {
    let image = Images::make(0x7dcb_0000).cut;
    changed(&image, 0, LANES + 64 + 8, |_| 1 << 63 | 2 << 28 | 1);
    let before: Vec<_> = (0..4).map(|number| raw::read(image.key(number))).collect();
    assert_eq!(refusal(&image), "its undo log names a slot that does not exist");
    let after: Vec<_> = (0..4).map(|number| raw::read(image.key(number))).collect();
    assert!(before == after);
}

/// The tally's named slot is trusted only if it is valid, and never against the slot's header.
#[test]
fn an_impossible_named_slot_costs_no_object() {
    let image = Images::make(0x7dd0_0000).closed;
    let tally = entry(2, offset_of!(TypeInfo, tally));
    let named = |slot: u64, old: u64| slot << 38 | 1 << 27 | old & ((1 << 26) - 1);
    changed(&image, 0, tally, |old| named(1 << 25, old));
    assert_eq!(refusal(&image), "type `tiny`: it names a slot that it does not have");
    // Name a slot with a live object.
    changed(&image, 0, tally, |old| named(0, old));
    let mut pool = open(&image.conf).unwrap();
    let first = pool.iter::<Tiny>().map(|(id, _)| id).min_by_key(|id| id.index()).unwrap();
    assert_eq!(pool.iter::<Tiny>().count(), pool.len::<Tiny>());
    for _ in 0..pool.len::<Tiny>() {
        let made: hotpool::Id<Tiny> = pool.alloc(bytemuck::Zeroable::zeroed()).unwrap();
        assert_ne!(made.index(), first.index());
    }
    assert!(pool.get(first).is_some() && pool.verify().is_sound());
}

/// A block size overwritten while the pool was open once gave a new type extents with a negative
/// length.
#[test]
fn an_overwritten_block_size_changes_no_shape() {
    let image = Images::make(0x7dce_0000).closed;
    image.plant();
    let mut pool = MemoryPoolMgr::open(&image.conf).unwrap();
    for bytes in [0, 1, u64::MAX] {
        raw::poke(image.key(0), damage::GEOMETRY, |_| bytes);
        pool.add_type::<damage::Late>().unwrap();
        let ids: Vec<_> = (0..100).map(|n| pool.alloc(damage::Late { words: [n; 3] }).unwrap()).collect();
        assert!(ids.into_iter().all(|id| pool.free(id)));
    }
}

/// A header overwritten with that of another slot names no object, neither in a walk nor by its
/// handle.
#[test]
fn a_slot_with_the_header_of_another_is_not_an_object() {
    let image = Images::make(0x7dd1_0000).closed;
    image.plant();
    let pool = open(&image.conf).unwrap();
    let ids: Vec<_> = pool.iter::<Tiny>().map(|(id, _)| id.to_bits()).collect();
    drop(pool);
    let keys = [image.key(1), image.key(2), image.key(3)];
    let mut words = keys.into_iter().flat_map(|key| (0..1 << 16).step_by(8).map(move |offset| (key, offset)));
    let (key, offset) = words.find(|&(key, offset)| raw::peek(key, offset) == Some(ids[0])).unwrap();
    assert!(raw::poke(key, offset, |_| ids[1]));
    let mut pool = open(&image.conf).unwrap();
    let walked: Vec<_> = pool.iter::<Tiny>().map(|(id, _)| id.to_bits()).collect();
    assert_eq!(walked, ids[1..]);
    assert_eq!(pool.iter_mut::<Tiny>().count(), walked.len());
    let mut one_by_one = 0;
    for (id, _) in pool.iter::<Tiny>() {
        assert_ne!(id.to_bits(), ids[0]);
        one_by_one += 1;
    }
    assert_eq!(one_by_one, walked.len());
}

/// The pool trusts its own checked copy of the extent table. Overwritten before a type was added,
/// the table once led slots of one type into the index of another.
#[test]
fn an_open_pool_keeps_its_checked_extents() {
    let image = Images::make(0x7dd2_0000).closed;
    image.plant();
    let mut pool = MemoryPoolMgr::open(&image.conf).unwrap();
    for number in 0..8 {
        assert!(raw::poke(image.key(0), EXTENTS + number * 32 + 16, |offset| offset.wrapping_sub(64)));
    }
    pool.add_type::<Item>().unwrap();
    let before = pool.len::<Item>();
    assert_eq!(pool.iter::<Item>().count(), before);
    for key in 5000..5040 {
        let made = pool.alloc_keyed(key, bytemuck::Zeroable::zeroed()).unwrap();
        assert_eq!(pool.find::<Item>(key), Some(made));
    }
    assert_eq!(pool.iter::<Item>().count(), before + 40);
}

#[test]
fn memory_in_use_is_never_free_for_another_type() {
    let image = Images::make(0x7dba_0000).closed;
    image.plant();
    let mut pool = MemoryPoolMgr::open(&image.conf).unwrap();
    pool.add_type::<Item>().unwrap();
    let before: Vec<_> = pool.iter::<Item>().map(|(id, item)| (id, *item)).collect();
    let extents = raw::peek(image.key(0), NEXTENTS).unwrap();
    for number in 0..extents {
        assert!(raw::poke(image.key(0), EXTENTS + number * 32, |_| 1 << 17));
    }
    // An unfinished form of a type makes `ready` read the table again.
    assert!(raw::poke(image.key(0), entry(2, offset_of!(TypeInfo, filling)), |_| 9));
    let said = pool.ready().unwrap_err().to_string();
    assert!(said.contains("its extents are not those that it had at the start"), "{said}");
    for key in 5000..5040 {
        let made = pool.alloc_keyed(key, Item { owner: key, count: 0 }).unwrap();
        assert_eq!(pool.find::<Item>(key), Some(made));
    }
    for (id, item) in before {
        assert_eq!(pool.get(id), Some(&item));
    }
}

/// A base may count 4,096 blocks, all missing, and 65,536 extents.
#[test]
fn a_base_that_counts_too_much_is_read_at_once() {
    const NBLOCKS: u64 = 384;
    const MOST: Duration = Duration::from_millis(500);
    let image = Images::make(0x7dbb_0000).closed;
    image.plant();
    assert!(raw::poke(image.key(0), NBLOCKS, |_| u64::MAX));
    assert!(raw::poke(image.key(0), NEXTENTS, |_| u64::MAX));
    let (key, home) = (image.conf.base_key, Home::of(&image.conf));
    let began = own_time();
    assert!(observe_pool(key, &home).unwrap().missing().count() > 4000);
    let listed = own_time();
    assert!(!verify_pool(key, &home).unwrap().is_sound());
    let verified = own_time();
    assert!(listed - began < MOST, "listed in {:?}", listed - began);
    assert!(verified - listed < MOST, "verified in {:?}", verified - listed);
}
