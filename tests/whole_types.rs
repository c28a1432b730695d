//! Operations on all objects of a type, objects that know their own handle, and the types that print and parse.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::Ref;
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, Handle, Id, MemoryPoolMgr, PoolObject, TxError};
use keys::Keys;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[allow(dead_code, unreachable_pub, reason = "each test uses only a part")]
#[path = "harness/keys.rs"]
mod keys;
#[path = "harness/own_keys.rs"]
mod own_keys;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Node {
    own: Ref<Node>,
    number: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Other {
    number: u64,
}

fn pool(key: u32) -> MemoryPoolMgr {
    let mut conf = ProcessConf::new("zone", Key(key), Bytes(1 << 20), &[Key(key + 1)]);
    conf.backend = BackendKind::Heap;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Node>().unwrap();
    pool
}

fn node(pool: &mut MemoryPoolMgr, number: u64) -> Id<Node> {
    pool.alloc_with(|own| Node { own: own.into(), number }).unwrap()
}

#[test]
fn an_object_knows_its_own_handle_also_in_a_slot_that_is_used_again() {
    let mut pool = pool(0x0d01_0001);
    for number in 0..200 {
        let id = node(&mut pool, number);
        assert_eq!(pool.get(id).unwrap(), &Node { own: id.into(), number });
        if number % 3 == 0 {
            assert!(pool.free(id));
        }
    }
    assert!(pool.iter::<Node>().all(|(id, node)| node.own.id() == Some(id)));
    assert!(pool.verify().is_sound(), "{:?}", pool.verify());
}

#[test]
fn a_panic_while_an_object_is_made_changes_nothing() {
    let mut pool = pool(0x0d01_0011);
    let first = node(&mut pool, 1);
    let mut told = None;
    let made = catch_unwind(AssertUnwindSafe(|| {
        let _ = pool.alloc_with(|own: Id<Node>| {
            told = Some(own);
            std::panic::resume_unwind(Box::new(()))
        });
    }));
    assert!(made.is_err());
    let told = told.unwrap();
    assert!(!pool.contains(told) && pool.contains(first));
    assert_eq!(pool.len::<Node>(), 1);
    assert_eq!(node(&mut pool, 2), told, "the slot is still at hand");
    assert!(pool.verify().is_sound(), "{:?}", pool.verify());
}

#[test]
fn retain_and_clear_free_what_they_say() {
    let mut pool = pool(0x0d01_0021);
    let all: Vec<_> = (0..1000).map(|number| node(&mut pool, number)).collect();
    assert_eq!(pool.retain::<Node>(|_, node| node.number % 4 == 0), 750);
    assert!(all.iter().enumerate().all(|(number, id)| pool.contains(*id) == (number % 4 == 0)));
    assert_eq!((pool.clear::<Node>(), pool.clear::<Node>(), pool.len::<Node>()), (250, 0, 0));
    assert!(pool.verify().is_sound(), "{:?}", pool.verify());
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PoolObject)]
#[pool(id = 3, keyed)]
struct Keyed {
    number: u64,
}

#[test]
fn a_view_beside_others_retains_objects_with_keys() {
    let mut pool = pool(0x0d01_0061);
    pool.add_type::<Keyed>().unwrap();
    for number in 0..300 {
        node(&mut pool, number);
        pool.alloc_keyed(number, Keyed { number }).unwrap();
    }
    let (nodes, mut keyed) = pool.views_mut::<(Node, Keyed)>();
    assert_eq!(keyed.retain(|_, object| object.number % 3 == 0), 200);
    assert_eq!((nodes.len(), keyed.len()), (300, 100));
    for number in 0..300 {
        assert_eq!(pool.find::<Keyed>(number).is_some(), number % 3 == 0, "{number}");
        let made = pool.alloc_keyed(number, Keyed { number });
        assert_eq!(made.is_err(), number % 3 == 0, "{number}");
    }
    assert_eq!(pool.verify().types[1].stale_entries, 0);
    assert!(pool.verify().is_sound(), "{:?}", pool.verify());
}

#[test]
fn a_panic_in_retain_frees_nothing() {
    let mut pool = pool(0x0d01_0071);
    (0..100).for_each(|number| _ = node(&mut pool, number));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.retain::<Node>(|_, node| node.number != 90 || std::panic::resume_unwind(Box::new(())))
    }));
    assert!(caught.is_err());
    assert_eq!(pool.len::<Node>(), 100);
    assert!(pool.verify().is_sound(), "{:?}", pool.verify());
}

/// Tells the child the first key of the pool.
const CHILD: &str = "HOTPOOL_RETAIN";

fn shared(key: u32) -> MemoryPoolMgr {
    let conf = ProcessConf::new("retain", Key(key), Bytes(1 << 20), &[Key(key + 1)]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Node>().unwrap();
    pool
}

/// A real kill, in the middle of the frees.
#[test]
fn a_retain_that_is_killed_keeps_what_was_to_be_kept_and_the_next_one_frees_the_rest() {
    let keys = Keys::take(2);
    let key = keys.base().0;
    let mut pool = shared(key);
    (0..1000).for_each(|number| _ = node(&mut pool, number));
    pool.close().unwrap();

    let mut cut = false;
    for round in 0..50 {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_retains_until_it_is_killed", "--nocapture"])
            .env(CHILD, key.to_string())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = child;
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let begun = std::io::BufRead::lines(&mut out).any(|line| line.unwrap().contains("retaining"));
        // The child has judged its objects, and frees, only a while after it has said so.
        std::thread::sleep(std::time::Duration::from_micros(40 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(begun, "the child retains");
        let mut pool = shared(key);
        let left = pool.len::<Node>();
        let kept = pool.iter::<Node>().filter(|(_, node)| node.number % 4 == 0).count();
        assert_eq!(kept, 250, "those to be kept are there");
        assert!(pool.verify().is_sound(), "{}", pool.verify());
        cut |= left > 250 && left < 1000;
        assert_eq!(pool.retain::<Node>(|_, node| node.number % 4 == 0), left - 250);
        for number in (0..1000).filter(|number| number % 4 != 0) {
            node(&mut pool, number);
        }
        pool.close().unwrap();
        if cut {
            break;
        }
    }
    assert!(cut, "no kill of 50 came between two frees");
}

#[test]
fn a_child_retains_until_it_is_killed() {
    let Ok(key) = std::env::var(CHILD) else { return };
    let mut pool = shared(key.parse().unwrap());
    println!("retaining");
    loop {
        pool.retain::<Node>(|_, node| node.number % 4 == 0);
        for number in (0..1000).filter(|number| number % 4 != 0) {
            node(&mut pool, number);
        }
    }
}

#[test]
fn an_iterator_promises_no_more_than_it_gives_and_stays_at_its_end() {
    let mut pool = pool(0x0d01_0031);
    (0..100).for_each(|number| _ = node(&mut pool, number));
    let mut walk = pool.view::<Node>().into_iter();
    for left in (0..100).rev() {
        assert!(walk.next().is_some());
        let (least, most) = walk.size_hint();
        assert!(least <= left && most.unwrap() >= left, "{left}: {least} {most:?}");
    }
    assert!(walk.next().is_none() && walk.next().is_none());
    let mut walk = pool.iter_mut::<Node>();
    assert!(walk.size_hint().1.unwrap() >= 100 && walk.by_ref().count() == 100 && walk.next().is_none());
}

#[test]
fn a_transaction_tells_a_type_that_was_not_added_from_an_object_that_was_freed() {
    let mut pool = pool(0x0d01_0041);
    let id = Handle::from_bits(2 << 28 | 1).unwrap().typed::<Other>().unwrap();
    let not_added = Err(TxError::Alloc(AllocError::NotAdded("other")));
    assert_eq!(pool.update(id, |_| ()), not_added);
    assert_eq!(pool.tx(|tx| tx.get_mut(id).map(drop)), not_added);
    let freed = node(&mut pool, 1);
    pool.free(freed);
    assert_eq!(pool.update(freed, |_| ()), Err(TxError::Stale(freed.handle())));
    assert_eq!(pool.alloc_with(|_| Other { number: 1 }), Err(AllocError::NotAdded("other")));
}

#[test]
fn a_handle_is_read_as_it_prints() {
    let mut pool = pool(0x0d01_0051);
    for number in 0..3 {
        let handle = node(&mut pool, number).handle();
        assert_eq!(handle.to_string().parse(), Ok(handle));
    }
    for text in
        ["", "1", "1:2", "1:2v", "0:2v1", "1024:2v1", "1:67108863v1", "1:2v2", "1:2v268435457", "+1:2v1"]
    {
        assert!(text.parse::<Handle>().is_err(), "{text}");
    }
}
