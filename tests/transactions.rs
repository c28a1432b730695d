//! A transaction is all or nothing: after an error, after a panic, and if it is too large for the
//! undo log.
//!
//! `kill_every_instruction.rs` shows the same for a kill at any instruction.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, Id, MemoryPoolMgr, PoolObject, TxError};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
struct Purse {
    gold: u64,
    rest: [u64; 5],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2, keyed)]
struct Item {
    owner: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 3)]
struct Huge {
    bytes: [u64; 10_000],
}

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7d80_0000);
    let base = NEXT.fetch_add(64, Ordering::Relaxed);
    let mut conf = ProcessConf::new("tx", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Purse>().unwrap();
    pool.add_type::<Item>().unwrap();
    pool.add_type::<Huge>().unwrap();
    pool
}

fn purse(gold: u64) -> Purse {
    Purse { gold, rest: [gold; 5] }
}

#[test]
fn an_error_rolls_everything_back() {
    let mut pool = open(&conf());
    let kept = pool.alloc(purse(5)).unwrap();
    let sword = pool.alloc_keyed(9, Item { owner: 1 }).unwrap();
    let mut inside = None;
    let result: Result<(), TxError> = pool.tx(|tx| {
        tx.get_mut(kept)?.gold = 1;
        tx.get_mut(kept)?.gold = 2;
        tx.free(sword)?;
        let again = tx.alloc_keyed(9, Item { owner: 2 })?;
        assert_eq!(tx.find::<Item>(9), Some(again));
        assert_eq!(tx.get(sword), None);
        inside = Some((tx.alloc(purse(7))?, again));
        tx.commit_with(77)?;
        tx.get_mut(kept)?;
        tx.free(sword)
    });
    assert_eq!(result, Err(TxError::Stale(sword.handle())));
    assert_eq!(pool.get(kept), Some(&purse(5)));
    assert_eq!(pool.get(sword), Some(&Item { owner: 1 }));
    assert_eq!(pool.find::<Item>(9), Some(sword));
    assert_eq!((pool.len::<Purse>(), pool.len::<Item>(), pool.last_committed()), (1, 1, 0));
    let (made, again) = inside.unwrap();
    for _ in 0..100 {
        let next = pool.alloc(purse(8)).unwrap();
        assert!(next != made && pool.get(made).is_none(), "a rolled-back handle resolves");
        pool.free(next);
    }
    assert_eq!(pool.get(again), None);
    pool.destroy().unwrap();
}

#[test]
fn a_commit_keeps_everything() {
    let conf = conf();
    let mut pool = open(&conf);
    let (a, b) = (pool.alloc(purse(5)).unwrap(), pool.alloc(purse(6)).unwrap());
    let sword = pool.alloc_keyed(9, Item { owner: 1 }).unwrap();
    let made = pool
        .tx(|tx| {
            tx.get_mut(a)?.gold -= 1;
            tx.get_mut(b)?.gold += 1;
            tx.free(sword)?;
            tx.commit_with(77)?;
            Ok::<_, TxError>((tx.alloc(purse(1))?, tx.alloc_keyed(9, Item { owner: 2 })?))
        })
        .unwrap();
    drop(pool);
    let mut pool = open(&conf);
    assert_eq!(pool.resume_report().ended_transaction, None);
    assert_eq!((pool.get(a).unwrap().gold, pool.get(b).unwrap().gold), (4, 7));
    assert_eq!(pool.get(sword), None);
    assert_eq!(pool.get(made.0), Some(&purse(1)));
    assert_eq!(pool.find::<Item>(9), Some(made.1));
    assert_eq!((pool.len::<Purse>(), pool.len::<Item>(), pool.last_committed()), (3, 1, 77));
    assert_eq!(
        pool.alloc_keyed(9, Item { owner: 3 }),
        Err(AllocError::KeyExists { key: 9, holder: made.1.handle() })
    );
    pool.destroy().unwrap();
}

#[test]
fn a_panic_rolls_everything_back_and_the_pool_stays_usable() {
    let mut pool = open(&conf());
    let kept = pool.alloc(purse(5)).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.tx::<(), TxError>(|tx| {
            tx.get_mut(kept)?.gold = 1;
            tx.alloc(purse(2))?;
            panic!("poisoned message")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(pool.get(kept), Some(&purse(5)));
    assert_eq!(pool.len::<Purse>(), 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.update(kept, |purse| {
            purse.gold = 3;
            panic!("poisoned message")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(pool.get(kept), Some(&purse(5)));
    assert_eq!(pool.update(kept, |purse| std::mem::replace(&mut purse.gold, 6)), Ok(5));
    assert_eq!(pool.get(kept).unwrap().gold, 6);
    pool.destroy().unwrap();
}

#[test]
fn a_transaction_too_large_for_the_log_changes_nothing_even_if_the_error_is_swallowed() {
    let mut pool = open(&conf());
    let huge = pool.alloc(Huge { bytes: [1; 10_000] }).unwrap();
    let kept = pool.alloc(purse(5)).unwrap();
    let refused = pool.update(huge, |huge| huge.bytes[0] = 2);
    assert!(matches!(refused, Err(TxError::TooLarge { .. })), "{refused:?}");
    let refused = pool.tx(|tx| {
        tx.get_mut(kept)?.gold = 1;
        let _ = tx.get_mut(huge).map(|huge| huge.bytes[0] = 2);
        Ok::<_, TxError>(())
    });
    assert!(matches!(refused, Err(TxError::TooLarge { .. })), "{refused:?}");
    let refused = pool.tx(|tx| {
        for _ in 0..10_000 {
            tx.alloc(purse(1))?;
        }
        Ok::<_, TxError>(())
    });
    assert!(matches!(refused, Err(TxError::TooLarge { .. })), "{refused:?}");
    assert_eq!(pool.get(kept), Some(&purse(5)));
    assert_eq!(pool.get(huge).unwrap().bytes[0], 1);
    assert_eq!(pool.len::<Purse>(), 1);
    pool.destroy().unwrap();
}

#[test]
fn an_object_is_logged_once_however_often_it_is_written() {
    let mut pool = open(&conf());
    let ids: Vec<Id<Purse>> = (0..100).map(|gold| pool.alloc(purse(gold)).unwrap()).collect();
    let rounds = |tx: &mut hotpool::Tx<'_>| -> Result<(), TxError> {
        for _ in 0..10_000 {
            tx.get_mut(ids[0])?.gold += 1;
        }
        for _ in 0..100 {
            for id in &ids {
                tx.get_mut(*id)?.gold += 1;
            }
        }
        Ok(())
    };
    let taken_back: Result<(), TxError> = pool.tx(|tx| {
        rounds(tx)?;
        Err(TxError::Stale(ids[0].handle()))
    });
    assert_eq!(taken_back, Err(TxError::Stale(ids[0].handle())));
    assert!(pool.iter::<Purse>().enumerate().all(|(gold, (_, found))| *found == purse(gold as u64)));
    pool.tx(rounds).unwrap();
    assert_eq!(pool.get(ids[0]).unwrap().gold, 10_100);
    assert_eq!(pool.get(ids[99]).unwrap().gold, 199);
    // Each transaction logs the object again.
    let taken_back: Result<(), TxError> = pool.tx(|tx| {
        tx.get_mut(ids[0])?.gold = 0;
        Err(TxError::Stale(ids[0].handle()))
    });
    assert!(taken_back.is_err());
    assert_eq!(pool.get(ids[0]).unwrap().gold, 10_100);
    pool.destroy().unwrap();
}

#[test]
fn a_transaction_accesses_objects_by_key_in_groups_and_by_iteration() {
    let mut pool = open(&conf());
    let ids = [1, 2, 3].map(|key| pool.alloc_keyed(key, Item { owner: key }).unwrap());
    let inside: Result<(), TxError> = pool.tx(|tx| {
        let [first, second] = tx.get_several_mut([ids[0], ids[1]])?;
        std::mem::swap(first, second);
        tx.update_by_key::<Item, _>(3, |item| item.owner += 10)?;
        assert_eq!(tx.get_several_mut([ids[0], ids[0]]).map(|_| ()), Err(TxError::Stale(ids[0].handle())));
        tx.free(ids[0])?;
        assert_eq!(tx.get_by_key::<Item>(1), None);
        assert!(tx.get_several_mut([ids[0], ids[1]]).is_err());
        let missing = tx.update_by_key::<Item, _>(1, |_| ()).unwrap_err();
        assert_eq!(missing.to_string(), "no `item` has the user key 1");
        let seen: Vec<u64> = tx.iter::<Item>().map(|(_, item)| item.owner).collect();
        assert_eq!((seen, tx.len::<Item>()), (vec![1, 13], 2));
        Ok(())
    });
    inside.unwrap();
    assert_eq!(pool.get_by_key::<Item>(3), Some(&Item { owner: 13 }));
    pool.update_by_key::<Item, _>(3, |item| item.owner = 4).unwrap();
    assert_eq!(pool.get_by_key::<Item>(3), Some(&Item { owner: 4 }));
    assert!(matches!(pool.update_by_key::<Item, _>(1, |_| ()), Err(TxError::NoSuchKey { key: 1, .. })));
    pool.destroy().unwrap();
}

/// When each free searched the earlier ones, 64,000 frees took 0.8 s and 256,000 took 19 s.
#[test]
fn frees_in_one_transaction_take_linear_time() {
    let mut conf = conf();
    (conf.undo_size, conf.block_size) = (Bytes(8 << 20), Bytes(64 << 20));
    let mut pool = open(&conf);
    let mut took = [16_000u64, 256_000].map(|count| {
        let ids: Vec<Id<Purse>> = (0..count).map(|gold| pool.alloc(purse(gold)).unwrap()).collect();
        let began = std::time::Instant::now();
        let freed: Result<(), TxError> = pool.tx(|tx| {
            ids.iter().try_for_each(|id| tx.free(*id))?;
            assert_eq!(tx.get(ids[0]), None);
            Ok(())
        });
        freed.unwrap();
        let took = began.elapsed();
        println!("{count} frees in one transaction: {took:?}");
        assert_eq!(pool.len::<Purse>(), 0);
        took.as_secs_f64() / count as f64
    });
    // Sixteen times as many frees: in a quadratic loop each would take sixteen times as long.
    took[0] = took[0].max(1e-8);
    assert!(took[1] < took[0] * 8.0, "{took:?} s for each free");
    pool.destroy().unwrap();
}

#[test]
fn repeated_replacement_of_a_key_in_one_transaction_leaks_nothing() {
    let conf = conf();
    let mut pool = open(&conf);
    let kept = pool.alloc_keyed(7, Item { owner: 0 }).unwrap();
    (100..110).for_each(|key| _ = pool.alloc_keyed(key, Item { owner: key }).unwrap());
    let free = pool.bytes_free();
    for _ in 0..10 {
        let mut made = 0;
        let refused: Result<(), TxError> = pool.tx(|tx| {
            for owner in 1..1000 {
                let old = tx.find::<Item>(7).unwrap();
                tx.free(old)?;
                tx.alloc_keyed(7, Item { owner })?;
                made += 1;
            }
            Ok(())
        });
        let Err(TxError::Alloc(error @ AllocError::Crowded { key: 7, .. })) = refused else {
            panic!("{refused:?}")
        };
        assert!((6..14).contains(&made), "{made}");
        assert!(error.to_string().starts_with("cannot add the user key 7 to `item`"), "{error}");
        assert_eq!(pool.find::<Item>(7), Some(kept));
        assert_eq!(pool.bytes_free(), free, "no memory was allocated");
    }
    // A few replacements in each transaction succeed, in any number of transactions.
    for owner in 0..1000 {
        let replaced: Result<(), TxError> = pool.tx(|tx| {
            for _ in 0..3 {
                let old = tx.find::<Item>(7).unwrap();
                tx.free(old)?;
                tx.alloc_keyed(7, Item { owner })?;
            }
            Ok(())
        });
        replaced.unwrap();
    }
    assert_eq!((pool.bytes_free(), pool.len::<Item>()), (free, 11));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u64),
    Free(usize),
    Write(usize, u64),
    AllocKeyed(u64),
    FreeKeyed(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u64>().prop_map(Step::Alloc),
        any::<usize>().prop_map(Step::Free),
        (any::<usize>(), any::<u64>()).prop_map(|(n, v)| Step::Write(n, v)),
        (0u64..20).prop_map(Step::AllocKeyed),
        (0u64..20).prop_map(Step::FreeKeyed),
    ]
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    purses: BTreeMap<Id<Purse>, u64>,
    items: BTreeMap<u64, Id<Item>>,
}

fn apply(tx: &mut hotpool::Tx<'_>, model: &mut Model, step: &Step) -> Result<(), TxError> {
    let pick = |model: &Model, n: usize| model.purses.keys().nth(n.checked_rem(model.purses.len())?).copied();
    match *step {
        Step::Alloc(gold) => {
            let id = tx.alloc(purse(gold))?;
            assert!(model.purses.insert(id, gold).is_none(), "{id} is in use");
        }
        Step::Free(n) => {
            if let Some(id) = pick(model, n) {
                tx.free(id)?;
                model.purses.remove(&id);
                assert!(tx.get(id).is_none());
            }
        }
        Step::Write(n, gold) => {
            if let Some(id) = pick(model, n) {
                *tx.get_mut(id)? = purse(gold);
                model.purses.insert(id, gold);
            }
        }
        Step::AllocKeyed(key) => match (tx.alloc_keyed(key, Item { owner: key }), model.items.get(&key)) {
            (Ok(id), None) => drop(model.items.insert(key, id)),
            (Err(TxError::Alloc(AllocError::KeyExists { holder, .. })), Some(id)) => {
                assert_eq!(holder, id.handle())
            }
            (result, held) => panic!("{result:?}, but the model has {held:?}"),
        },
        Step::FreeKeyed(key) => {
            assert_eq!(tx.find::<Item>(key), model.items.get(&key).copied());
            if let Some(id) = model.items.remove(&key) {
                tx.free(id)?;
            }
        }
    }
    Ok(())
}

fn compare(pool: &MemoryPoolMgr, model: &Model) {
    let purses: BTreeMap<_, _> = pool.iter::<Purse>().map(|(id, p)| (id, p.gold)).collect();
    assert_eq!(purses, model.purses);
    let items: BTreeMap<_, _> = (0..20).filter_map(|key| Some((key, pool.find::<Item>(key)?))).collect();
    assert_eq!(items, model.items);
    assert_eq!((pool.len::<Purse>(), pool.len::<Item>()), (model.purses.len(), model.items.len()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_transactions_match_the_model(
        transactions in prop::collection::vec((prop::collection::vec(step(), 0..12), any::<bool>()), 1..40),
    ) {
        let conf = conf();
        let mut pool = open(&conf);
        let mut model = Model::default();
        for (steps, commits) in &transactions {
            let mut inside = model.clone();
            let result: Result<(), TxError> = pool.tx(|tx| {
                for step in steps {
                    apply(tx, &mut inside, step)?;
                }
                if *commits { Ok(()) } else { Err(TxError::TooLarge { capacity: 0, undo_size: 0, needs: 0 }) }
            });
            assert_eq!(result.is_ok(), *commits);
            if *commits {
                model = inside;
            }
            compare(&pool, &model);
        }
        pool.close().unwrap();
        let pool = open(&conf);
        compare(&pool, &model);
        pool.destroy().unwrap();
    }
}

#[test]
fn the_ini_sets_the_undo_log_and_an_existing_pool_keeps_its_own() {
    let mut conf = conf();
    conf.undo_size = Bytes(128 << 10);
    let mut pool = open(&conf);
    let huge = pool.alloc(Huge { bytes: [1; 10_000] }).unwrap();
    pool.update(huge, |huge| huge.bytes[9_999] = 2).unwrap();
    drop(pool);
    conf.undo_size = Bytes(4 << 10);
    let mut pool = open(&conf);
    assert!(pool.is_resume());
    pool.update(huge, |huge| huge.bytes[0] += huge.bytes[9_999]).unwrap();
    assert_eq!(pool.get(huge).map(|huge| huge.bytes[0]), Some(3));
    pool.destroy().unwrap();
    let mut pool = open(&conf);
    let huge = pool.alloc(Huge { bytes: [1; 10_000] }).unwrap();
    assert!(matches!(pool.update(huge, |huge| huge.bytes[0] = 2), Err(TxError::TooLarge { .. })));
    pool.destroy().unwrap();
}

#[test]
fn an_undo_size_already_raised_in_the_ini_is_not_requested_again() {
    let mut conf = conf();
    conf.undo_size = Bytes(4 << 10);
    let mut pool = open(&conf);
    let huge = pool.alloc(Huge { bytes: [1; 10_000] }).unwrap();
    let refusal =
        |pool: &mut MemoryPoolMgr| pool.update(huge, |huge| huge.bytes[0] = 2).unwrap_err().to_string();
    let enough = "the transaction does not fit into the undo log of 4032 bytes; make it smaller, or create the pool anew with an \
                  UndoSize of at least 80K";
    assert_eq!(refusal(&mut pool), enough);
    drop(pool);
    conf.undo_size = Bytes(128 << 10);
    let mut pool = open(&conf);
    assert_eq!(
        refusal(&mut pool),
        "the transaction does not fit into the undo log of 4032 bytes; make it smaller, or create the pool anew: UndoSize = \
         128K is sufficient, but this pool keeps the log with which it was created"
    );
    pool.destroy().unwrap();
    // The size that the message names suffices, and a page less does not.
    for (undo, does) in [(80 << 10, true), (76 << 10, false)] {
        conf.undo_size = Bytes(undo);
        let mut pool = open(&conf);
        let huge = pool.alloc(Huge { bytes: [1; 10_000] }).unwrap();
        assert_eq!(pool.update(huge, |huge| huge.bytes[0] = 2).is_ok(), does);
        pool.destroy().unwrap();
    }
}

#[test]
fn the_suggested_undo_size_includes_earlier_records() {
    let mut conf = conf();
    conf.undo_size = Bytes(128 << 10);
    let mut pool = open(&conf);
    let [one, two] = [1, 2].map(|n| pool.alloc(Huge { bytes: [n; 10_000] }).unwrap());
    let write = |pool: &mut MemoryPoolMgr, swallows: bool| {
        pool.tx(|tx| {
            tx.get_mut(one)?.bytes[0] = 5;
            let second = tx.get_mut(two).map(|two| two.bytes[0] = 5);
            if swallows { Ok(()) } else { second }
        })
    };
    for swallows in [false, true] {
        let refused = write(&mut pool, swallows).unwrap_err().to_string();
        assert!(refused.ends_with("with an UndoSize of at least 160K"), "{refused}");
    }
    pool.destroy().unwrap();
    conf.undo_size = Bytes(160 << 10);
    let mut pool = open(&conf);
    let ids = [1, 2].map(|n| pool.alloc(Huge { bytes: [n; 10_000] }).unwrap());
    pool.tx(|tx| {
        ids.iter().try_for_each(|id| tx.get_mut(*id).map(|huge| huge.bytes[0] = 5))?;
        Ok::<_, TxError>(())
    })
    .unwrap();
    pool.destroy().unwrap();
    let never = TxError::TooLarge { capacity: 4032, undo_size: 4096, needs: 1 << 30 }.to_string();
    assert!(never.ends_with("make it smaller, no UndoSize is that large (the largest is 1G)"), "{never}");
}

/// The warnings of this process.
struct Warnings(Mutex<Vec<String>>);

impl log::Log for Warnings {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Warn {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }
    fn flush(&self) {}
}

#[test]
fn a_type_too_large_for_update_is_reported_once_with_a_sufficient_undo_size() {
    static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let mut conf = conf();
    let key = conf.base_key;
    let warnings = || {
        let all = WARNINGS.0.lock().unwrap();
        all.iter().filter(|line| line.contains(&key.to_string())).cloned().collect::<Vec<_>>()
    };
    let of_huge = |pool: &MemoryPoolMgr| {
        let told = pool.resume_report().told.iter().filter(|one| one.rule.code == "never-updated");
        told.map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = |undo: &str| {
        format!(
            "[tx] UndoSize: an object of huge has 80000 bytes, but the undo log of the pool under {key} has 64K: `update` and \
             `Tx::get_mut` always fail for this type; set UndoSize = {undo} and create the pool anew (empty it with \
             `hotpool rm --key {key}`), or write them through `get_mut` only"
        )
    };
    let mut pool = open(&conf);
    pool.add_type::<Huge>().unwrap();
    pool.ready().unwrap();
    assert_eq!(of_huge(&pool), [expected("80K")]);
    assert_eq!(warnings(), of_huge(&pool));
    drop(pool);
    // The pool keeps its undo log.
    conf.undo_size = Bytes(128 << 10);
    let pool = open(&conf);
    assert_eq!(of_huge(&pool), [expected("128K")]);
    assert_eq!(warnings().iter().filter(|line| line.contains("128K and create")).count(), 1);
    pool.destroy().unwrap();
    conf.undo_size = Bytes(80 << 10);
    let pool = open(&conf);
    assert!(pool.resume_report().told.is_empty(), "{:?}", pool.resume_report().told);
    pool.destroy().unwrap();
}
