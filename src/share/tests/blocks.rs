//! Blocks carry the identity of their pool: what a cut growth left is adopted, anything else is
//! refused.

use crate::conf::BackendKind;
use crate::layout::{Frozen, MAGIC_MAKING};
use crate::share::testing::{BASE, Bench, word};
use crate::share::{ShareError, Verdict};

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
        word(&block, 8192).store(5);
        drop(pool);
        let mut pool = bench.open().unwrap();
        assert_eq!(word(&pool.attach_block(key, 3, BLOCK).unwrap(), 8192).load(), 5, "{backend:?}");
        drop(pool);
        let mut pool = bench.open().unwrap();
        assert_eq!(word(&pool.add_block(key, 3, BLOCK).unwrap(), 8192).load(), 5, "an orphan is adopted");
    }
}

#[test]
fn the_beginning_of_a_block_is_made_again_from_zeros() {
    let mut bench = Bench::new();
    let key = bench.key();
    let mut pool = bench.open().unwrap();
    let raw = bench.home.open().create(key, BLOCK, 0o600).unwrap();
    for at in (8..BLOCK).step_by(8) {
        word(&raw.region(), at).store(u64::MAX);
    }
    raw.region().at::<Frozen>(0).unwrap().magic.store(MAGIC_MAKING);
    assert!(pool.add_block(key, 1, BLOCK).is_err(), "somebody is at it");
    drop(raw);
    assert_eq!(verdict(pool.attach_block(key, 1, BLOCK).unwrap_err()), Verdict::Unfinished);
    let block = pool.add_block(key, 1, BLOCK).unwrap();
    assert!((64..BLOCK).step_by(8).all(|at| word(&block, at).load() == 0));
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
