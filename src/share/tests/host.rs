//! A removal removes only what it identifies: the named pool, without an owner.

use crate::conf::BackendKind;
use crate::layout::{Frozen, MAGIC_GONE};
use crate::share::testing::{BASE, Bench, Servant, removed_key, word};
use crate::share::{OwnerError, ShareError, Verdict, list_host, remove_pool};
use crate::units::Key;

const ALL: [BackendKind; 4] = [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap];

/// A closed pool with two blocks.
fn pool_with_blocks(bench: &mut Bench) -> [Key; 2] {
    let keys = [bench.key(), bench.key()];
    let mut pool = bench.open().unwrap();
    for (index, key) in keys.into_iter().enumerate() {
        pool.add_block(key, index as u32, BASE).unwrap();
    }
    keys
}

#[test]
fn destroy_takes_the_pool_and_leaves_what_is_not_its_own() {
    for backend in ALL {
        let mut bench = Bench::of(backend);
        let keys = pool_with_blocks(&mut bench);
        let stranger = bench.key();
        drop(bench.home.open().create(stranger, BASE, 0o600).unwrap());
        bench.open().unwrap().destroy(&[keys[0], keys[1], stranger]).unwrap();
        let backend = bench.home.open();
        for key in [bench.base(), keys[0], keys[1]] {
            assert_eq!(backend.stat(key).unwrap(), None, "{backend:?}");
        }
        assert!(backend.stat(stranger).unwrap().is_some(), "{backend:?}");
        assert!(!bench.has_semaphores());
    }
}

#[test]
fn a_destroy_that_was_cut_is_refused_and_finished_by_rm() {
    let mut bench = Bench::new();
    let keys = pool_with_blocks(&mut bench);
    bench.raw().region().at::<Frozen>(0).unwrap().magic.store(MAGIC_GONE);
    let error = bench.open().unwrap_err().to_string();
    assert!(error.ends_with(&format!("run `hotpool rm --key {}`", bench.base())), "{error}");
    let removal = remove_pool(bench.base(), &bench.home, false).unwrap();
    let removed: Vec<Key> = removal.removed.iter().map(removed_key).collect();
    assert_eq!(removed, [keys[0], keys[1], bench.base(), bench.base()]);
    assert_eq!(bench.facts().verdict(), Verdict::Absent);
    assert!(!bench.has_semaphores());
}

#[test]
fn a_dry_run_says_what_the_run_does() {
    for backend in ALL {
        let mut bench = Bench::of(backend);
        pool_with_blocks(&mut bench);
        let before = bench.image();
        let plan = remove_pool(bench.base(), &bench.home, true).unwrap();
        assert_eq!(bench.image(), before);
        let done = remove_pool(bench.base(), &bench.home, false).unwrap();
        assert_eq!((plan.dry_run, done.dry_run), (true, false));
        assert_eq!(plan.removed, done.removed);
        for removed in &done.removed {
            assert_eq!(bench.home.open().stat(removed_key(removed)).unwrap(), None, "{backend:?}");
        }
        assert!(remove_pool(bench.base(), &bench.home, false).unwrap().removed.is_empty());
    }
}

#[test]
fn rm_refuses_a_live_owner_even_when_its_semaphores_are_gone() {
    let mut bench = Bench::new();
    pool_with_blocks(&mut bench);
    let mut owner = Servant::hire();
    assert_eq!(owner.open(&bench), "resume");
    for dry_run in [true, false] {
        let error = remove_pool(bench.base(), &bench.home, dry_run).unwrap_err();
        assert!(error.to_string().contains(&format!("pid {}", owner.pid())), "{error}");
    }
    bench.remove_semaphores();
    let error = remove_pool(bench.base(), &bench.home, false).unwrap_err();
    assert!(matches!(error, ShareError::Owner(OwnerError::Attached { .. })), "{error}");
    assert_eq!(owner.ask("close"), "closed");
    assert_eq!(bench.facts().verdict(), Verdict::Clean);
}

#[test]
fn rm_never_touches_what_does_not_begin_with_our_magic() {
    let bench = Bench::new();
    let segment = bench.home.open().create(bench.base(), BASE, 0o600).unwrap();
    for magic in [0, 1, u64::MAX] {
        word(&segment.region(), 0).store(magic);
        assert!(remove_pool(bench.base(), &bench.home, false).is_err());
    }
    drop(segment);
    assert!(remove_pool(bench.base(), &bench.home, false).is_err());
    assert_eq!(bench.image().0[0], u64::MAX);
}

#[test]
fn rm_of_a_block_asks_for_its_base() {
    let mut bench = Bench::new();
    let keys = pool_with_blocks(&mut bench);
    let error = remove_pool(keys[1], &bench.home, false).unwrap_err().to_string();
    let base = bench.base();
    let wanted = format!("{} is block 1 of the pool under {base}; use the base key {base}", keys[1]);
    assert_eq!(error, wanted);
}

#[test]
fn ls_shows_pools_and_blocks_and_no_strangers() {
    for backend in ALL {
        let mut bench = Bench::of(backend);
        let keys = pool_with_blocks(&mut bench);
        let stranger = bench.key();
        drop(bench.home.open().create(stranger, BASE, 0o600).unwrap());
        let listed = list_host(&bench.home).unwrap();
        let ours = |key: Key| listed.iter().find(|facts| facts.key == key);
        assert_eq!(ours(bench.base()).unwrap().verdict(), Verdict::Clean);
        assert_eq!(ours(keys[1]).unwrap().head().unwrap().index, 1);
        assert_eq!(ours(stranger), None, "{backend:?}");
    }
}
