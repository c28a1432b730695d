//! A refused start leaves every byte of every segment unchanged, and neither removes nor creates a
//! segment.
//!
//! Pools in five states are overwritten at random, opened, and compared if the open is refused:
//! `HOTPOOL_REFUSED_STARTS=40000 cargo test --release --test refused_starts -- --nocapture`. The
//! other tests are the inputs with which a refused start once destroyed data.

mod damage;
#[path = "harness/own_keys.rs"]
mod own_keys;

use damage::{BLOCK, Bytes, Image, Images, LANES, damage, raw, seal};
use hotpool::__internal::layout::{BaseHeader, Geometry, MAGIC_MAKING};
use hotpool::conf::ProcessConf;
use hotpool::units::Key;
use hotpool::{MemoryPoolMgr, PoolError};
use own_keys::own_keys;
use std::mem::offset_of;

const MARKS: u64 = offset_of!(BaseHeader, marks) as u64;
const MOVED: u64 = offset_of!(BaseHeader, moved) as u64;
const NBLOCKS: u64 = offset_of!(BaseHeader, nblocks) as u64;
const LOG_AT: u64 = damage::GEOMETRY + offset_of!(Geometry, lanes_off) as u64;
const LOG_BYTES: u64 = damage::GEOMETRY + offset_of!(Geometry, lanes_bytes) as u64;
const SCHEMA_BYTES: u64 = damage::GEOMETRY + offset_of!(Geometry, schema_bytes) as u64;

/// Returns the words of every segment that the ini names; `None` if a segment does not exist.
fn bytes(conf: &ProcessConf) -> Vec<Option<Vec<u64>>> {
    std::iter::once(&conf.base_key).chain(&conf.shm_keys).map(|key| raw::read(*key)).collect()
}

fn named(conf: &ProcessConf, number: usize) -> Key {
    if number == 0 { conf.base_key } else { conf.shm_keys[number - 1] }
}

/// Opens the pool. If the open is refused, compares all bytes and returns the error.
fn open(conf: &ProcessConf, what: &dyn Fn() -> String) -> Option<PoolError> {
    let before = bytes(conf);
    let error = match MemoryPoolMgr::open(conf) {
        Ok(pool) => {
            drop(pool);
            return None;
        }
        Err(error) => error,
    };
    for (number, (before, after)) in before.iter().zip(&bytes(conf)).enumerate() {
        let key = named(conf, number);
        assert_eq!(before.is_some(), after.is_some(), "{}: {key} was created or removed: {error}", what());
        let words = before.iter().flatten().zip(after.iter().flatten()).enumerate();
        let changed: Vec<usize> = words.filter(|(_, (old, new))| old != new).map(|(at, _)| at * 8).collect();
        assert!(changed.is_empty(), "{}: {key} was changed at {changed:x?}: {error}", what());
    }
    Some(error)
}

/// Plants an image in one of the five states.
fn plant(images: &Images, state: usize) -> &Image {
    let image = if state == 0 || state == 1 { &images.cut } else { &images.closed };
    image.plant();
    let base = image.conf.base_key;
    match state {
        // A transaction that is open, and one that is committed but still has objects to free.
        0 => {}
        1 => assert!(raw::poke(base, LANES, |tail| tail | 1 << 63)),
        // Closed.
        2 => {}
        // An object was being written.
        3 => assert!(raw::poke(base, MARKS, |_| 2 << 28 | 1)),
        // Moved aside, and not created again.
        _ => assert!(raw::poke(base, MOVED, |_| 1)),
    }
    image
}

/// Overwrites words that the library reads, words of a segment's first 64 bytes, or all of these.
fn overwrite(image: &Image, random: &mut fastrand::Rng) {
    let key = image.key(random.usize(..4));
    match random.u8(..8) {
        0 => (0..64).step_by(8).for_each(|at| _ = raw::poke(key, at, |_| 0)),
        1 => _ = raw::poke(key, 0, |_| MAGIC_MAKING),
        2 => _ = raw::poke(key, random.u64(..8) * 8, |_| 0),
        _ => {
            let input: Vec<u8> = (0..24).map(|_| random.u8(..)).collect();
            damage(image, &mut Bytes(&input));
        }
    }
}

#[test]
fn a_refused_start_leaves_every_byte_as_it_was() {
    let rounds = std::env::var("HOTPOOL_REFUSED_STARTS").ok().and_then(|text| text.parse().ok());
    let rounds: u64 = rounds.unwrap_or(if cfg!(debug_assertions) { 100 } else { 2000 });
    let images = Images::make(0x7df0_0000);
    let extra = Key(0x7df0_0010);
    let mut refused = [0; 5];
    for round in 0..rounds {
        let mut random = fastrand::Rng::with_seed(round);
        let state = (round % 5) as usize;
        let image = plant(&images, state);
        (0..random.u32(1..4)).for_each(|_| overwrite(image, &mut random));
        if random.u8(..4) == 0 {
            seal(image);
        }
        // Sometimes the ini names one more block, and sometimes that key has a foreign segment.
        let mut conf = image.conf.clone();
        raw::remove(extra);
        if random.bool() {
            conf.shm_keys.push(extra);
            match random.u8(..3) {
                0 => raw::plant(extra, BLOCK, &[0; 100]).unwrap(),
                1 => raw::plant(extra, BLOCK, &vec![random.u8(..); BLOCK as usize]).unwrap(),
                _ => {}
            }
        }
        refused[state] += u64::from(open(&conf, &|| format!("round {round}")).is_some());
    }
    println!("{rounds} overwritten pools; refused starts by state: {refused:?}; no byte was changed");
    assert!(refused.iter().all(|count| *count > 5), "{refused:?}");
    raw::remove(extra);
}

fn zero_head(key: Key) {
    (0..64).step_by(8).for_each(|at| assert!(raw::poke(key, at, |_| 0)));
}

/// Restores the old bytes and checks that all objects are live.
fn is_hot_with(image: &Image, key: Key, head: &[u64]) {
    for (at, word) in head.iter().enumerate() {
        assert!(raw::poke(key, at as u64 * 8, |_| *word));
    }
    let mut pool = damage::open(&image.conf).unwrap();
    assert!(pool.is_resume() && pool.len::<damage::Tiny>() == 38);
    damage::walk::<damage::Tiny>(&mut pool);
}

#[test]
fn a_base_with_an_overwritten_header_is_refused_and_hot_again_once_restored() {
    let image = Images::make(0x7df1_0000).closed;
    for (kind, magic) in [("zeros", 0), ("MAKING", MAGIC_MAKING)] {
        image.plant();
        let base = image.conf.base_key;
        let head = raw::read(base).unwrap()[..8].to_vec();
        if magic == 0 {
            zero_head(base);
        }
        raw::poke(base, 0, |_| magic);
        let error = open(&image.conf, &|| kind.into()).expect("the start must be refused").to_string();
        assert!(error.contains("is not") || error.contains("no creation writes"), "{error}");
        is_hot_with(&image, base, &head);
    }
}

#[test]
fn a_block_with_a_zero_header_is_refused_with_the_remedy() {
    let image = Images::make(0x7df2_0000).closed;
    image.plant();
    let key = image.key(1);
    let head = raw::read(key).unwrap()[..8].to_vec();
    zero_head(key);
    let error = open(&image.conf, &|| "zeros".into()).unwrap().to_string();
    assert!(
        error.contains("its first 64 bytes are zero") && error.contains("restore the segment"),
        "{error}"
    );
    is_hot_with(&image, key, &head);
}

#[test]
fn an_empty_block_that_is_missing_or_blank_is_created_again() {
    let image = Images::make(0x7df3_0000).closed;
    let empty = image.conf.shm_keys[2];
    assert!(image.extents.iter().all(|(segment, _)| *segment != 3), "the third block is empty");
    for spoil in [raw::remove, zero_head] {
        image.plant();
        spoil(empty);
        let mut pool = damage::open(&image.conf).unwrap();
        assert!(pool.is_resume() && pool.verify().is_sound());
        damage::operate(&mut pool, &image, &mut Bytes(&[18, 17, 18, 17, 14]));
    }
}

#[test]
fn a_foreign_segment_under_the_last_key_leaves_no_pool() {
    let image = Images::make(0x7df4_0000).closed;
    for key in [image.conf.base_key].iter().chain(&image.conf.shm_keys) {
        raw::remove(*key);
    }
    let last = image.conf.shm_keys[2];
    raw::plant(last, BLOCK, &[7; 4096]).unwrap();
    assert!(open(&image.conf, &|| "a cold start".into()).is_some());
    assert!(raw::read(image.conf.base_key).is_none());
    raw::remove(last);
}

#[test]
fn a_foreign_segment_under_one_of_two_new_keys_adds_neither() {
    let image = Images::make(0x7df5_0000).closed;
    image.plant();
    let mut conf = image.conf.clone();
    conf.shm_keys.extend([Key(0x7df5_0010), Key(0x7df5_0011)]);
    raw::plant(Key(0x7df5_0011), BLOCK, &[0, 0, 0, 0, 0, 0, 0, 0, 9]).unwrap();
    assert!(open(&conf, &|| "two new keys".into()).is_some());
    assert!(raw::read(Key(0x7df5_0010)).is_none());
    raw::remove(Key(0x7df5_0011));
    assert!(open(&conf, &|| "both are free".into()).is_none());
    for key in [0x7df5_0010, 0x7df5_0011] {
        raw::remove(Key(key));
    }
}

#[test]
fn stray_blocks_are_refused_with_the_command_that_removes_them() {
    let image = Images::make(0x7df6_0000).closed;
    image.plant();
    // The images of all tests share one identity, so give this pool its own.
    (0..4).for_each(|number| _ = raw::poke(image.key(number), 16, |_| 0x7df6));
    seal(&image);
    raw::remove(image.conf.base_key);
    let error = open(&image.conf, &|| "no base".into()).unwrap();
    let PoolError::Orphans { blocks, next, .. } = &error else { panic!("{error}") };
    assert_eq!(*blocks, image.conf.shm_keys);
    assert_eq!(next, "hotpool rm --key 0x7df60001 --key 0x7df60002 --key 0x7df60003");
    let home = hotpool::share::Home::of(&image.conf);
    let removed = hotpool::share::remove_orphans(&image.conf.shm_keys, &home, false).unwrap();
    assert_eq!(removed.len(), 3);
    assert!(open(&image.conf, &|| "none is left".into()).is_none());
}

#[test]
fn blocks_counted_but_not_written_are_refused() {
    let image = Images::make(0x7df7_0000).closed;
    image.plant();
    raw::poke(image.conf.base_key, NBLOCKS, |count| count + 1);
    let error = open(&image.conf, &|| "nblocks".into()).unwrap().to_string();
    assert!(error.contains("block 3 has the block number 0"), "{error}");
    let report = hotpool::inspect::verify_pool(image.conf.base_key, &hotpool::share::Home::of(&image.conf));
    assert!(!report.unwrap().is_sound());
}

/// The new pool would get the undo log of the old one.
#[test]
fn a_base_that_was_moved_aside_and_cannot_hold_a_new_pool_is_refused() {
    let image = Images::make(0x7df8_0000).closed;
    let base = image.conf.base_key;
    let tables = damage::SCHEMA;
    let no_log: &[(u64, u64)] = &[(LOG_BYTES, 0)];
    // Texts without bytes leave their place to the log, where a new pool has its texts.
    let no_room: &[(u64, u64)] = &[(SCHEMA_BYTES, 0), (LOG_AT, tables), (LOG_BYTES, 1 << 20)];
    for (changes, what) in [(no_log, "has a size that no pool has"), (no_room, "has no room for")] {
        image.plant();
        raw::poke(base, MOVED, |_| 1);
        for (at, word) in changes {
            assert!(raw::poke(base, *at, |_| *word));
        }
        seal(&image);
        let error = open(&image.conf, &|| what.into()).unwrap().to_string();
        assert!(error.contains(what), "{error}");
    }
    image.plant();
    raw::poke(base, MOVED, |_| 1);
    assert!(open(&image.conf, &|| "a sound base".into()).is_none());
}

/// Returns the configuration of a pool in files, in its own folder.
fn in_files() -> (tempfile::TempDir, ProcessConf) {
    let dir = tempfile::tempdir().unwrap();
    let key = own_keys(16);
    let mut conf = ProcessConf::new("files", Key(key), hotpool::units::Bytes(1 << 20), &[Key(key + 1)]);
    conf.backend = hotpool::conf::BackendKind::File;
    conf.dir = dir.path().to_path_buf();
    (dir, conf)
}

fn path(conf: &ProcessConf, key: Key) -> std::path::PathBuf {
    conf.dir.join(format!("hotpool-{:08x}", key.0))
}

/// Removes pool and semaphores when a test ends, even if it fails.
struct Removed<'a>(&'a ProcessConf);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let home = hotpool::share::Home::of(self.0);
        let _ = hotpool::share::remove_pool(self.0.base_key, &home, false);
    }
}

#[test]
fn a_file_that_was_truncated_and_grown_again_is_refused_and_named() {
    let (_dir, conf) = in_files();
    let _removed = Removed(&conf);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<damage::Bulky>().unwrap();
    let ids: Vec<_> = (0..1000).map(|n| pool.alloc(damage::Bulky { words: [n; 80] }).unwrap()).collect();
    assert_eq!(ids.len(), 1000);
    pool.close().unwrap();
    assert!(MemoryPoolMgr::open(&conf).is_ok(), "allocated bytes have no hole");
    let file = path(&conf, conf.shm_keys[0]);
    let whole = std::fs::read(&file).unwrap();
    let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    open.set_len(300 << 10).unwrap();
    open.set_len(1 << 20).unwrap();
    let error = MemoryPoolMgr::open(&conf).unwrap_err();
    let PoolError::Hole { key, at, .. } = &error else { panic!("{error}") };
    assert_eq!((*key, *at), (conf.shm_keys[0], 300 << 10), "{error}");
    std::fs::write(&file, whole).unwrap();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<damage::Bulky>().unwrap();
    assert_eq!(pool.iter::<damage::Bulky>().count(), 1000);
}

/// Its blocks were removed with it, or never existed.
#[test]
fn an_empty_base_file_becomes_a_pool_and_rm_removes_one() {
    let (_dir, conf) = in_files();
    let _removed = Removed(&conf);
    let home = hotpool::share::Home::of(&conf);
    let file = path(&conf, conf.base_key);
    std::fs::File::create(&file).unwrap();
    let verdict = hotpool::share::observe(conf.base_key, &home).unwrap().verdict();
    assert_eq!(verdict, hotpool::share::Verdict::Unfinished);
    MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
    std::fs::File::create(&file).unwrap();
    hotpool::share::remove_pool(conf.base_key, &home, false).unwrap();
    assert!(!file.exists());
}
