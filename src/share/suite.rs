//! Tests the numbered contract of [`Backend`] for every backend.

use super::backend::{Access, Backend, key_of_name, segment_name};
use super::testing::{Bench, Servant, word};
use crate::conf::BackendKind;
use crate::units::{Bytes, Key};
use std::io::ErrorKind;

const BYTES: u64 = 40 << 10;

macro_rules! suite {
    ($($module:ident: $kind:expr;)*) => {
        $(mod $module {
            use super::*;

            #[test]
            fn a_segment_is_found_until_it_is_removed() {
                super::found_until_removed(&Bench::of($kind));
            }
            #[test]
            fn a_new_segment_is_zero_and_as_it_was_asked_for() {
                super::new_is_as_asked(&mut Bench::of($kind));
            }
            #[test]
            fn of_two_creations_one_is_told_that_it_exists() {
                super::creation_is_exclusive(&mut Bench::of($kind));
            }
            #[test]
            fn a_removed_segment_is_reported_while_it_is_attached() {
                super::removed_is_reported(&Bench::of($kind));
            }
            #[test]
            fn what_was_replaced_is_neither_attached_nor_removed() {
                super::replaced_is_left_alone(&Bench::of($kind));
            }
            #[test]
            fn keys_are_listed() {
                super::keys_are_listed(&Bench::of($kind));
            }
        })*
    };
}

suite! {
    sysv: BackendKind::Sysv;
    posix: BackendKind::Posix;
    file: BackendKind::File;
    heap: BackendKind::Heap;
}

fn create(bench: &Bench) -> Box<dyn Backend> {
    let backend = bench.home.open();
    let segment = backend.create(bench.base(), BYTES, 0o600).unwrap();
    // As in every segment of hotpool, so that a removed one is recognised.
    let frozen = segment.region().at::<crate::layout::Frozen>(0).unwrap();
    frozen.key.store(bench.base().0);
    frozen.magic.store(crate::layout::MAGIC_READY);
    backend
}

fn found_until_removed(bench: &Bench) {
    let (key, backend) = (bench.base(), bench.home.open());
    assert_eq!(backend.kind(), bench.home.backend);
    assert_eq!(backend.stat(key).unwrap(), None);
    create(bench);
    let facts = backend.stat(key).unwrap().unwrap();
    assert_eq!(facts.bytes, Bytes(BYTES));
    let written = backend.attach(key, &facts, Access::Write).unwrap();
    word(&written.region(), 4096).store(42);
    drop(written);
    let read = backend.attach(key, &backend.stat(key).unwrap().unwrap(), Access::Read).unwrap();
    assert_eq!((word(&read.region(), 4096).load(), read.region().len()), (42, BYTES));
    drop(read);
    backend.remove(key, &facts).unwrap();
    assert_eq!(backend.stat(key).unwrap(), None);
}

fn new_is_as_asked(bench: &mut Bench) {
    let backend = bench.home.open();
    for mode in [0o600, 0o666] {
        let key = bench.key();
        let segment = backend.create(key, BYTES, mode).unwrap();
        assert!((0..BYTES).step_by(8).all(|at| word(&segment.region(), at).load() == 0));
        let facts = backend.stat(key).unwrap().unwrap();
        assert_eq!((facts.mode, facts.bytes, facts.removed), (mode, Bytes(BYTES), false));
        assert_eq!(facts.uid, crate::sys::sysv::effective_uid());
        assert!(facts.attached.is_none_or(|attached| attached == 1));
    }
}

fn creation_is_exclusive(bench: &mut Bench) {
    for _ in 0..100 {
        let (key, home) = (bench.key(), &bench.home);
        let answers = std::thread::scope(|scope| {
            let one = || home.open().create(key, BYTES, 0o600).map(drop).map_err(|error| error.kind());
            [scope.spawn(one), scope.spawn(one)].map(|thread| thread.join().unwrap())
        });
        assert!(answers.contains(&Ok(())) && answers.contains(&Err(ErrorKind::AlreadyExists)), "{answers:?}");
        assert_eq!(home.open().stat(key).unwrap().unwrap().bytes, Bytes(BYTES));
    }
}

fn removed_is_reported(bench: &Bench) {
    let (key, backend) = (bench.base(), create(bench));
    let facts = backend.stat(key).unwrap().unwrap();
    let segment = backend.attach(key, &facts, Access::Write).unwrap();
    backend.remove(key, &facts).unwrap();
    let removed = backend.stat(key).unwrap().unwrap();
    assert!(removed.removed);
    assert_ne!(removed.attached, Some(0));
    word(&segment.region(), 8192).store(1);
    drop(segment);
    assert_eq!(backend.stat(key).unwrap(), None);
}

fn replaced_is_left_alone(bench: &Bench) {
    let (key, backend) = (bench.base(), create(bench));
    let old = backend.stat(key).unwrap().unwrap();
    let keep = backend.attach(key, &old, Access::Write).unwrap();
    backend.remove(key, &old).unwrap();
    create(bench);
    for access in [Access::Read, Access::Write] {
        // System V finds the old segment by its shmid, which is the segment that was judged.
        if let Ok(segment) = backend.attach(key, &old, access) {
            assert_eq!(bench.home.backend, BackendKind::Sysv);
            word(&keep.region(), 4096).store(9);
            assert_eq!(word(&segment.region(), 4096).load(), 9);
        }
    }
    let _ = backend.remove(key, &old);
    let now = backend.stat(key).unwrap().unwrap();
    assert!(now.id != old.id && !now.removed);
    drop(keep);
    if bench.home.backend == BackendKind::Sysv {
        assert_eq!(backend.attach(key, &old, Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

fn keys_are_listed(bench: &Bench) {
    let backend = create(bench);
    assert!(backend.keys().unwrap().contains(&bench.base()));
}

#[test]
fn a_store_into_memory_attached_for_reading_has_no_right_to_be_there() {
    for kind in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File] {
        let bench = Bench::of(kind);
        let backend = create(&bench);
        let facts = backend.stat(bench.base()).unwrap().unwrap();
        let segment = backend.attach(bench.base(), &facts, Access::Read).unwrap();
        let start = format!("{:x}-", segment.region().span(0, 1).unwrap().as_ptr().addr());
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.starts_with(&start)).unwrap();
        assert!(line.contains(" r--s "), "{kind:?}: {line}");
        assert_eq!(backend.writers(bench.base(), &facts), [0; 0]);
    }
}

#[test]
fn writers_are_named() {
    for kind in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File] {
        let bench = Bench::of(kind);
        let mut owner = Servant::hire();
        assert_eq!(owner.open(&bench), "init");
        let backend = bench.home.open();
        let facts = backend.stat(bench.base()).unwrap().unwrap();
        assert_eq!(backend.writers(bench.base(), &facts), [owner.pid()], "{kind:?}");
    }
}

#[test]
fn names_and_keys_are_each_other_s() {
    assert_eq!(segment_name(Key(0x4850_0100)), "hotpool-48500100");
    assert_eq!(key_of_name("hotpool-48500100"), Some(Key(0x4850_0100)));
    assert_eq!(key_of_name("hotpool-0048500100"), None);
    assert_eq!(key_of_name("hotpool-4850010G"), None);
}
