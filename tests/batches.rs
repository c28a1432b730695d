//! Batches do what single operations do, and each of their elements is all or nothing under a kill.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, Id, MemoryPoolMgr, PoolObject, TxError};
use keys::Keys;
use std::io::{BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::Duration;

#[allow(dead_code, unreachable_pub, reason = "each test uses only a part")]
#[path = "harness/keys.rs"]
mod keys;
#[path = "harness/own_keys.rs"]
mod own_keys;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Node {
    number: u64,
    rounds: [u64; 7],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
struct Keyed {
    number: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, PoolObject)]
#[pool(id = 3, keyed)]
struct NotAdded {
    number: u64,
}

fn node(number: u64) -> Node {
    Node { number, rounds: [0; 7] }
}

fn nodes(count: u64) -> Vec<Node> {
    (0..count).map(node).collect()
}

fn pool(key: u32, bytes: u64) -> MemoryPoolMgr {
    let mut conf = ProcessConf::new("batches", Key(key), Bytes(bytes), &[Key(key + 1)]);
    conf.backend = BackendKind::Heap;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Node>().unwrap();
    pool.add_type::<Keyed>().unwrap();
    pool
}

#[test]
fn many_are_read_as_one_by_one() {
    let mut pool = pool(0x0d04_0001, 1 << 20);
    let mut random = fastrand::Rng::with_seed(3);
    let mut ids = pool.alloc_many(&nodes(3000)).unwrap();
    assert!(ids.iter().zip(0..).all(|(id, number)| pool.get(*id).unwrap().number == number));
    for number in 0..3000 {
        pool.alloc_keyed(number * number, Keyed { number }).unwrap();
    }
    random.shuffle(&mut ids);
    assert_eq!(pool.free_many(&ids[..1000]), 1000);
    pool.alloc_many(&nodes(500)).unwrap();
    random.shuffle(&mut ids);
    for count in (0..150).chain([ids.len()]) {
        let ids = &ids[ids.len() - count..];
        let many = pool.get_many(ids);
        assert_eq!(many.len(), count);
        assert!(many.eq(ids.iter().map(|id| pool.get(*id))));
        assert!(pool.view().get_many(ids).eq(ids.iter().map(|id| pool.get(*id))));
        let keys: Vec<u64> = (0..count).map(|_| random.u64(..3000) * random.u64(..3000)).collect();
        let single = |key: &u64| Some((pool.find::<Keyed>(*key)?, pool.get_by_key(*key)?));
        assert!(pool.find_many::<Keyed>(&keys).eq(keys.iter().map(single)));
        assert!(pool.view().find_many(&keys).eq(keys.iter().map(single)));
    }
    let squares: Vec<u64> = (0..3000).map(|number| number * number).collect();
    let found = pool.find_many::<Keyed>(&squares).map(|found| found.unwrap().1.number);
    assert!(found.eq(0..3000), "also those in their second group");
    assert!(pool.find_many::<NotAdded>(&squares).eq(squares.iter().map(|_| None)));
}

#[test]
fn many_are_changed_and_freed_and_stale_handles_are_left_out() {
    let mut pool = pool(0x0d04_0011, 1 << 20);
    let ids = pool.alloc_many(&nodes(100)).unwrap();
    for id in ids.iter().step_by(2) {
        pool.free(*id);
    }
    let mut called = Vec::new();
    let changed = pool.update_many(&ids, |id, node| {
        node.rounds[0] = 1;
        called.push(id);
    });
    let odd: Vec<Id<Node>> = ids.iter().skip(1).step_by(2).copied().collect();
    assert_eq!((changed, called), (Ok(50), odd.clone()));
    assert!(pool.get_many(&odd).all(|node| node.unwrap().rounds[0] == 1));
    assert_eq!(pool.free_many(&ids), 50);
    assert!(pool.is_empty::<Node>());

    let keyed: Vec<Id<Keyed>> =
        (0..100).map(|number| pool.alloc_keyed(number, Keyed { number }).unwrap()).collect();
    assert_eq!(pool.free_many(&keyed[..60]), 60);
    assert!((0..60).all(|key| pool.find::<Keyed>(key).is_none()));
    assert!((60..100).all(|key| pool.find::<Keyed>(key) == Some(keyed[key as usize])));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
}

#[test]
fn an_alloc_of_more_than_there_is_room_for_leaves_none() {
    let mut pool = pool(0x0d04_0021, 128 << 10);
    let before = pool.alloc_many(&nodes(10)).unwrap();
    assert!(matches!(pool.alloc_many(&nodes(10_000)), Err(AllocError::Full(_))));
    assert!(pool.iter::<Node>().map(|(id, _)| id).eq(before));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
}

#[test]
fn many_in_a_transaction_are_all_or_nothing() {
    let mut pool = pool(0x0d04_0031, 1 << 20);
    let ids = pool.alloc_many(&nodes(100)).unwrap();
    let content = |pool: &MemoryPoolMgr| pool.iter::<Node>().map(|(_, node)| *node).collect::<Vec<_>>();
    let before = content(&pool);
    let mut change = |fails: bool| {
        pool.tx(|tx| {
            let made = tx.alloc_many(&[node(500), node(501)])?;
            tx.update_many(&ids[..50], |_, node| node.rounds = [7; 7])?;
            tx.free_many(&ids[50..])?;
            match fails {
                true => tx.update_many(&ids, |_, _| ()).map(|()| made),
                false => Ok(made),
            }
        })
    };
    assert_eq!(change(true), Err(TxError::Stale(ids[50].handle())));
    let made = change(false).unwrap();
    assert_eq!(content(&pool).len(), before.len() - 50 + 2);
    assert!(pool.get_many(&ids[..50]).all(|node| node.unwrap().rounds == [7; 7]));
    assert!(pool.get_many(&ids[50..]).all(|node| node.is_none()));
    assert!(pool.get_many(&made).map(|node| node.unwrap().number).eq([500, 501]));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
}

const COUNT: u64 = 2000;

/// Tells the child the first key of the pool.
const CHILD: &str = "HOTPOOL_BATCHES";

fn open(key: u32) -> MemoryPoolMgr {
    let conf = ProcessConf::new("batches", Key(key), Bytes(1 << 20), &[Key(key + 1)]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Node>().unwrap();
    pool
}

/// Real kills, in the middle of batches.
#[test]
fn a_killed_batch_leaves_whole_objects_and_no_gap() {
    let keys = Keys::take(2);
    let key = keys.base().0;
    open(key).close().unwrap();
    let mut cut = [0; 3];
    for kill in 0..200 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_runs_batches_until_it_is_killed", "--nocapture"])
            .env(CHILD, key.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let begun = out.by_ref().lines().any(|line| line.unwrap().contains("begun"));
        std::thread::sleep(Duration::from_micros(kill * 37 % 3000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(begun, "the child begins");
        if let Some(place) = look(key) {
            cut[place] += 1;
        }
        if cut.iter().all(|cuts| *cuts > 1) {
            return;
        }
    }
    panic!("of 200 kills, so many came into an alloc, an update and a free: {cut:?}");
}

/// Checks what a kill has left; returns which batch it came into.
fn look(key: u32) -> Option<usize> {
    let pool = open(key);
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    assert!(pool.resume_report().being_written.is_empty());
    let mut found: Vec<Node> = pool.iter::<Node>().map(|(_, node)| *node).collect();
    assert!(found.iter().all(|node| node.rounds == [node.rounds[0]; 7]), "each object is whole");
    found.sort_by_key(|node| node.number);
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return None };
    assert_eq!(last.number - first.number + 1, found.len() as u64, "no gap");
    let changed = found.iter().take_while(|node| node.rounds[0] == 1).count();
    assert!(found.iter().skip(changed).all(|node| node.rounds[0] == 0), "changed in their order");
    let is_whole = found.len() as u64 == COUNT;
    match changed {
        0 if !is_whole => {
            assert_eq!(first.number, 0);
            Some(0)
        }
        _ if is_whole => (changed != 0 && changed != found.len()).then_some(1),
        _ => {
            assert_eq!((last.number, changed), (COUNT - 1, found.len()));
            Some(2)
        }
    }
}

#[test]
fn a_child_runs_batches_until_it_is_killed() {
    let Ok(key) = std::env::var(CHILD) else { return };
    let mut pool = open(key.parse().unwrap());
    pool.ready().unwrap();
    pool.clear::<Node>();
    println!("begun");
    loop {
        let ids = pool.alloc_many(&nodes(COUNT)).unwrap();
        assert_eq!(pool.update_many(&ids, |_, node| node.rounds = [1; 7]), Ok(ids.len()));
        assert_eq!(pool.free_many(&ids), ids.len());
    }
}

/// An object that is larger than the smallest undo log.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, PoolObject)]
#[pool(id = 4)]
struct Large {
    words: [u64; 1024],
}

#[test]
fn nothing_has_changed_after_an_error_of_many_updates() {
    let mut conf = ProcessConf::new("batches", Key(0x0d04_0051), Bytes(1 << 20), &[Key(0x0d04_0052)]);
    (conf.backend, conf.undo_size) = (BackendKind::Heap, Bytes(4096));
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Large>().unwrap();
    let ids = pool.alloc_many(&[Large { words: [7; 1024] }; 3]).unwrap();
    let error = pool.update_many(&ids, |_, large| large.words[0] = 8).unwrap_err();
    assert!(matches!(error, TxError::TooLarge { .. }), "{error}");
    assert!(pool.get_many(&ids).all(|large| large.unwrap().words == [7; 1024]));
    assert_eq!(pool.update_many::<NotAdded>(&[], |_, _| ()), Ok(0), "no object, no error");
    let unknown = Id::<NotAdded>::from_bits(3 << 28 | 1).unwrap();
    let error = pool.update_many(&[unknown], |_, _| panic!("there is no object")).unwrap_err();
    assert_eq!(error, TxError::from(AllocError::NotAdded("not_added")));
    pool.destroy().unwrap();
}

#[test]
fn a_panic_in_many_updates_undoes_the_object_at_which_it_happens() {
    let mut pool = pool(0x0d04_0061, 1 << 20);
    let ids = pool.alloc_many(&nodes(10)).unwrap();
    let update = || {
        let changed = pool.update_many(&ids, |_, node| {
            node.rounds = [1; 7];
            assert_ne!(node.number, 6, "planted");
        });
        changed.unwrap()
    };
    assert!(catch_unwind(AssertUnwindSafe(update)).is_err());
    let changed = pool.get_many(&ids).map(|node| node.unwrap().rounds == [1; 7]);
    assert!(changed.eq((0..10).map(|number| number < 6)), "those before it stay changed");
    assert!(pool.get(ids[6]).unwrap().rounds == [0; 7] && pool.torn().is_empty());
    assert!(pool.verify().is_sound(), "{}", pool.verify());
}
