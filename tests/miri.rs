//! Small programs on the heap backend, for Miri: no operation has undefined behaviour by the rules
//! of Rust.
//!
//! `.ci/miri` runs them under Miri. As ordinary tests they show that they do what they claim.
//!
//! Everything that keeps pointers into a pool is used at least once: slots and their maps, the
//! index and its splits, guards, views, walks, the undo log, transactions, a second start.

mod values;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, StartMode, TxError};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
struct Hero {
    gold: u64,
    x: f32,
    y: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2, keyed)]
struct Item {
    owner: u64,
}

fn conf(number: u32) -> ProcessConf {
    let base = 0x7dc0_0000 + 16 * number;
    let mut conf = ProcessConf::new("miri", Key(base), Bytes(64 << 10), &[Key(base + 1), Key(base + 2)]);
    (conf.backend, conf.undo_size) = (BackendKind::Heap, Bytes(4096));
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Hero>().unwrap();
    pool.add_type::<Item>().unwrap();
    pool
}

fn hero(gold: u64) -> Hero {
    Hero { gold, x: 1.0, y: 2.0 }
}

fn sum(pool: &MemoryPoolMgr) -> u64 {
    pool.iter::<Hero>().map(|(_, hero)| hero.gold).sum()
}

#[test]
fn slots_are_allocated_freed_and_reused() {
    let mut pool = open(&conf(0));
    let ids: Vec<Id<Hero>> = (0..70).map(|gold| pool.alloc(hero(gold)).unwrap()).collect();
    for id in ids.iter().step_by(3) {
        assert!(pool.free(*id) && !pool.free(*id));
    }
    assert_eq!(pool.get(ids[0]), None);
    let again = pool.alloc(hero(100)).unwrap();
    pool.get_mut(again).unwrap().gold += 1;
    assert_eq!(pool.get(again).unwrap().gold, 101);
    assert_eq!(pool.len::<Hero>(), 70 - 24 + 1);
    pool.destroy().unwrap();
}

#[test]
fn keys_find_their_objects_through_splits() {
    let mut pool = open(&conf(1));
    for key in 0..40 {
        pool.alloc_keyed(key, Item { owner: key }).unwrap();
    }
    for key in (0..40).step_by(2) {
        assert!(pool.free_by_key::<Item>(key));
    }
    assert!(pool.force_get(1, Item { owner: 0 }).is_ok_and(|item| !item.is_made()));
    assert!(pool.force_get(2, Item { owner: 9 }).is_ok_and(|item| item.is_made()));
    pool.get_mut_by_key::<Item>(3).unwrap().owner = 33;
    assert_eq!(pool.get_by_key::<Item>(3).unwrap().owner, 33);
    assert_eq!((pool.find::<Item>(0), pool.len::<Item>()), (None, 21));
    pool.destroy().unwrap();
}

#[test]
fn guards_and_views_of_several_objects_coexist() {
    let mut pool = open(&conf(2));
    let [a, b, c] = [1, 2, 3].map(|gold| pool.alloc(hero(gold)).unwrap());
    let item = pool.alloc_keyed(5, Item { owner: 0 }).unwrap();
    {
        let [mut first, mut second] = pool.get_several_mut([a, b]).unwrap();
        std::mem::swap(&mut first.gold, &mut second.gold);
        first.x = second.y;
    }
    {
        let (mut heroes, mut items) = pool.views_mut::<(Hero, Item)>();
        let mut sword = items.get_mut(item).unwrap();
        let mut owner = heroes.get_mut(c).unwrap();
        sword.owner = owner.gold;
        owner.gold = 30;
        drop((sword, owner));
        heroes.for_each(|_, hero| hero.y += 1.0);
    }
    assert!(pool.get_several_mut([a, a]).is_none());
    let view = pool.view::<Hero>();
    assert_eq!([a, b, c].map(|id| view.get(id).unwrap().gold), [2, 1, 30]);
    assert_eq!(pool.get(item).unwrap().owner, 3);
    pool.destroy().unwrap();
}

#[test]
fn walks_of_all_kinds_see_every_object_once() {
    let mut pool = open(&conf(3));
    let ids: Vec<_> = (0..100).map(|gold| pool.alloc(hero(gold)).unwrap()).collect();
    // Full words, words with holes, and sparse words.
    ids[64..]
        .iter()
        .filter(|id| !pool.get(**id).unwrap().gold.is_multiple_of(9))
        .copied()
        .collect::<Vec<_>>()
        .iter()
        .for_each(|id| {
            pool.free(*id);
        });
    let expected = (0..64).sum::<u64>() + (64..100).filter(|gold| gold % 9 == 0).sum::<u64>();
    assert_eq!(sum(&pool), expected);
    let mut walked = 0;
    for (_, hero) in pool.iter::<Hero>() {
        walked += hero.gold;
    }
    assert_eq!(walked, expected);
    for (_, mut hero) in pool.iter_mut::<Hero>() {
        hero.gold += 1;
    }
    pool.for_each::<Hero>(|_, hero| hero.gold -= 1);
    assert_eq!(sum(&pool), expected);
    pool.destroy().unwrap();
}

#[test]
fn updates_and_transactions_commit_or_roll_back() {
    let mut pool = open(&conf(4));
    let (a, b) = (pool.alloc(hero(10)).unwrap(), pool.alloc(hero(20)).unwrap());
    let item = pool.alloc_keyed(1, Item { owner: 1 }).unwrap();
    pool.update(a, |hero| hero.gold = 11).unwrap();
    pool.tx(|tx| {
        tx.get_mut(a)?.gold -= 1;
        tx.get_mut(b)?.gold += 1;
        tx.free(item)?;
        tx.alloc_keyed(1, Item { owner: 2 })?;
        tx.commit_with(7)
    })
    .unwrap();
    let failed: Result<(), TxError> = pool.tx(|tx| {
        tx.get_mut(a)?.gold = 0;
        tx.alloc(hero(5))?;
        tx.free(item)
    });
    assert_eq!(failed, Err(TxError::Stale(item.handle())));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _: Result<(), TxError> = pool.tx(|tx| {
            tx.get_mut(b)?.gold = 0;
            std::panic::resume_unwind(Box::new(()))
        });
    }));
    assert!(panicked.is_err());
    assert_eq!((pool.get(a).unwrap().gold, pool.get(b).unwrap().gold), (10, 21));
    assert_eq!((pool.get_by_key::<Item>(1).unwrap().owner, pool.last_committed()), (2, 7));
    pool.destroy().unwrap();
}

#[test]
fn threads_read_and_write_side_by_side() {
    let mut pool = open(&conf(9));
    pool.set_threads(2);
    let ids: Vec<Id<Hero>> = (0..200).map(|gold| pool.alloc(hero(gold)).unwrap()).collect();
    for key in 0..20 {
        pool.alloc_keyed(key, Item { owner: key }).unwrap();
    }
    let before = sum(&pool);
    let view = pool.view::<Hero>();
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                assert_eq!(view.iter().map(|(_, hero)| hero.gold).sum::<u64>(), before);
                assert!(ids.iter().all(|id| view.get(*id).is_some()));
            });
        }
    });
    pool.par_for_each::<Hero>(|_, hero| hero.gold += 1);
    let (mut heroes, items) = pool.views_mut::<(Hero, Item)>();
    let (mut first, mut last) = heroes.portion().split_at(128);
    let items = items.into_portion();
    std::thread::scope(|threads| {
        threads.spawn(|| first.for_each(|_, hero| hero.gold += 1));
        threads.spawn(|| last.for_each(|_, hero| hero.gold += 1));
        threads.spawn(|| assert!(items.find(7).and_then(|id| items.get(id)).is_some()));
    });
    let scoped = pool.scope::<(Hero, Item), _>(|scope, (mut heroes, mut items)| {
        let (fifth, last) = (ids[5], ids[199]);
        scope.spawn(move |lane| {
            heroes.update(lane, fifth, |hero| hero.gold += 1).unwrap();
            lane.free(last);
        });
        scope.spawn(move |lane| {
            let id = items.find(3).unwrap();
            items.get_mut(lane, id).unwrap().owner = 77;
        });
    });
    assert!(scoped.refused.is_empty());
    assert_eq!(sum(&pool), before + 2 * 200 + 1 - (199 + 2));
    assert_eq!(pool.get_by_key::<Item>(3), Some(&Item { owner: 77 }));
    pool.destroy().unwrap();
}

#[test]
fn a_second_start_finds_everything() {
    let conf = conf(5);
    let mut pool = open(&conf);
    let id = pool.alloc(hero(1)).unwrap();
    pool.alloc_keyed(8, Item { owner: 8 }).unwrap();
    pool.ready().unwrap();
    drop(pool);
    let pool = open(&conf);
    assert_eq!(pool.start_mode(), StartMode::Resume);
    assert_eq!((pool.get(id), pool.get_by_key::<Item>(8)), (Some(&hero(1)), Some(&Item { owner: 8 })));
    pool.destroy().unwrap();
}

#[test]
fn lists_and_strings_are_changed_in_place() {
    use hotpool::object::{FixedMap, FixedStr, FixedVec, Maybe};
    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 30)]
    struct Lists {
        name: FixedStr<9>,
        bag: FixedVec<Maybe<u32>, 5>,
        skills: FixedMap<u8, u64, 3>,
    }
    let conf = conf(21);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lists>().unwrap();
    let id = pool.alloc_zeroed_with(|lists: &mut Lists| lists.name.push_str("Zoë").unwrap()).unwrap();
    {
        let lists = &mut *pool.get_mut(id).unwrap();
        lists.name.push('ß').unwrap();
        lists.name.pop();
        lists.bag.extend_from_slice(&[Maybe::Some(1), Maybe::None, Maybe::Some(3)]).unwrap();
        lists.bag.insert(0, Maybe::Some(0)).unwrap();
        lists.bag.insert(4, Maybe::Some(4)).unwrap();
        assert!(lists.bag.push(Maybe::None).is_err());
        assert_eq!(
            (lists.bag.remove(1), lists.bag.swap_remove(0)),
            (Some(Maybe::Some(1)), Some(Maybe::Some(0)))
        );
        lists.bag.retain(|item| item.is_some());
        for key in [3, 1, 2] {
            lists.skills.insert(key, u64::from(key)).unwrap();
        }
        lists.skills.remove(&1);
    }
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Lists>().unwrap();
    let copy = pool.get(id).copied().unwrap();
    let second = pool.alloc(copy).unwrap();
    let lists = pool.get(second).unwrap();
    assert_eq!((lists.name.as_str(), lists.bag.as_slice()), ("Zoë", &[Maybe::Some(4), Maybe::Some(3)][..]));
    assert_eq!(lists.skills.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 3]);
    pool.destroy().unwrap();
}

#[test]
fn objects_with_padding_enums_and_options_are_written_checked_and_read() {
    use values::{Everything, everything};
    let conf = conf(20);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    let ids = [0, 1, 2, 3].map(|number| pool.alloc_keyed(number, everything(number)).unwrap());
    // Plain assignments, which may leave padding without a value.
    *pool.get_mut(ids[0]).unwrap() = everything(7);
    pool.update(ids[1], |object| *object = everything(8)).unwrap();
    pool.update(ids[2], |object| object.shape = everything(1).shape).unwrap();
    let rolled_back: Result<(), TxError> = pool.tx(|tx| {
        *tx.get_mut(ids[3])? = everything(9);
        Err(TxError::Stale(ids[3].handle()))
    });
    assert!(rolled_back.is_err());
    pool.quarantine(ids[0].handle()).unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Everything>().unwrap();
    assert_eq!(pool.quarantined_object(ids[0]), Some(everything(7)));
    pool.release(ids[0].handle()).unwrap();
    assert_eq!(pool.get(ids[0]), Some(&everything(7)));
    assert_eq!((pool.get(ids[1]), pool.get(ids[3])), (Some(&everything(8)), Some(&everything(3))));
    pool.destroy().unwrap();
}
