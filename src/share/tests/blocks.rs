//! Blocks carry the identity of their pool: a start adopts what an interrupted growth left, and
//! refuses any other segment.

use crate::conf::BackendKind;
use crate::layout::{Frozen, MAGIC_MAKING};
use crate::share::observer::Observer;
use crate::share::testing::{BASE, Bench, word};
use crate::share::{PoolSegments, ShareError, Verdict};

const BLOCK: u64 = 128 << 10;

fn verdict(error: ShareError) -> Verdict {
    match error {
        ShareError::Refused { verdict, .. } => verdict,
        other => panic!("{other}"),
    }
}

#[test]
fn a_block_is_made_attached_again_and_adopted() {
    for backend in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap] {
        let mut bench = Bench::of(backend);
        let key = bench.key();
        let mut pool = bench.open().unwrap();
        assert_eq!(verdict(pool.attach_block(key, 3, BLOCK).unwrap_err()), Verdict::Absent);
        let block = pool.add_block(key, 3, BLOCK).unwrap();
        assert_eq!(block.len(), BLOCK);
        drop(pool);
        let mut pool = bench.open().unwrap();
        let block = pool.add_block(key, 3, BLOCK).unwrap();
        assert!((64..BLOCK).step_by(8).all(|at| word(&block, at).load() == 0), "an orphan is adopted");
        word(&block, 8192).store(5);
        drop(pool);
        let mut pool = bench.open().unwrap();
        assert_eq!(word(&pool.attach_block(key, 3, BLOCK).unwrap(), 8192).load(), 5, "{backend:?}");
    }
}

/// The growth that created the block was interrupted, and the ini now names its keys in another
/// order.
#[test]
fn an_orphan_of_another_number_is_made_again() {
    let mut bench = Bench::new();
    let key = bench.key();
    let mut pool = bench.open().unwrap();
    pool.add_block(key, 3, BLOCK).unwrap();
    drop(pool);
    let mut pool = bench.open().unwrap();
    let block = pool.add_block(key, 1, BLOCK).unwrap();
    assert_eq!(block.at::<Frozen>(0).unwrap().index.load(), 1);
    drop(pool);
    assert!(bench.open().unwrap().attach_block(key, 1, BLOCK).is_ok());
}

/// The state after the base was restored to an earlier state.
#[test]
fn an_orphan_that_holds_something_is_refused_and_stays() {
    let mut bench = Bench::new();
    let key = bench.key();
    let mut pool = bench.open().unwrap();
    word(&pool.add_block(key, 3, BLOCK).unwrap(), 8192).store(5);
    drop(pool);
    let mut pool = bench.open().unwrap();
    let why = verdict(pool.add_block(key, 3, BLOCK).unwrap_err());
    assert!(matches!(&why, Verdict::Foreign { why } if why.contains("0x2000")), "{why:?}");
    assert_eq!(word(&pool.attach_block(key, 3, BLOCK).unwrap(), 8192).load(), 5);
}

#[test]
fn the_beginning_of_a_block_is_made_again() {
    let mut bench = Bench::new();
    let key = bench.key();
    let mut pool = bench.open().unwrap();
    let raw = bench.home.open().create(key, BLOCK, 0o600).unwrap();
    raw.region().at::<Frozen>(0).unwrap().magic.store(MAGIC_MAKING);
    let refused = |pool: &mut PoolSegments, why| {
        let found = verdict(pool.add_block(key, 1, BLOCK).expect_err(why));
        assert!(matches!(&found, Verdict::Foreign { why } if why.contains("attached once")), "{found:?}");
    };
    refused(&mut pool, "it is attached");
    // A tool that is registered at the base and reads another segment is not the process that has
    // the block attached.
    let observer = Observer::register(bench.base()).unwrap();
    refused(&mut pool, "a process that no tool accounts for has it attached");
    drop((raw, observer));
    assert_eq!(verdict(pool.attach_block(key, 1, BLOCK).unwrap_err()), Verdict::Unfinished);
    let block = pool.add_block(key, 1, BLOCK).unwrap();
    assert!((64..BLOCK).step_by(8).all(|at| word(&block, at).load() == 0));
}

/// One bit anywhere past what a creation writes, on a page that was otherwise never touched,
/// swapped out or not.
#[test]
fn what_only_looks_like_a_beginning_is_refused_and_stays() {
    for backend in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap] {
        for (magic, at) in
            [(0, 64), (0, BLOCK - 8), (MAGIC_MAKING, 64), (MAGIC_MAKING, 65_536), (0, 8), (0, 56)]
        {
            let mut bench = Bench::of(backend);
            let key = bench.key();
            let mut pool = bench.open().unwrap();
            let raw = bench.home.open().create(key, BLOCK, 0o600).unwrap();
            raw.region().at::<Frozen>(0).unwrap().magic.store(magic);
            word(&raw.region(), at).store(1 << 63);
            drop(raw);
            let found = verdict(pool.add_block(key, 1, BLOCK).unwrap_err());
            let wanted = matches!(found, Verdict::Foreign { .. } | Verdict::Corrupt { .. });
            assert!(wanted, "{backend:?} {magic:x} {at}: {found:?}");
            let raw = bench.attach(key);
            let word_at = |at| word(&raw.region(), at).load();
            assert_eq!((word_at(0), word_at(at)), (magic, 1 << 63));
            assert!((8..BLOCK).step_by(8).all(|other| other == at || word_at(other) == 0));
        }
    }
}

#[test]
fn a_block_of_another_pool_number_or_size_is_refused_and_stays() {
    let (mut ours, theirs) = (Bench::new(), Bench::new());
    let key = ours.key();
    let mut other = theirs.open().unwrap();
    word(&other.add_block(key, 1, BLOCK).unwrap(), 8192).store(5);
    let mut pool = ours.open().unwrap();
    for refused in [pool.add_block(key, 1, BLOCK), pool.attach_block(key, 1, BLOCK)] {
        assert!(
            matches!(verdict(refused.unwrap_err()), Verdict::Foreign { why } if why.contains("belongs to pool"))
        );
    }
    assert!(matches!(verdict(other.attach_block(key, 2, BLOCK).unwrap_err()), Verdict::Foreign { .. }));
    assert!(matches!(verdict(other.attach_block(key, 1, BASE).unwrap_err()), Verdict::WrongSize { .. }));
    assert!(matches!(verdict(pool.attach_block(ours.base(), 0, BASE).unwrap_err()), Verdict::Foreign { .. }));
    assert_eq!(word(&other.attach_block(key, 1, BLOCK).unwrap(), 8192).load(), 5);
}
