//! Several threads of the owner in one pool at the same time.

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, Ref};
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
struct Player {
    gold: u64,
    check: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 2)]
struct Item {
    #[pool(owner)]
    owner: Ref<Player>,
    number: u64,
}

const PLAYERS: u64 = 1000;

/// Returns the configuration of a pool that ends with the process.
fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7e10_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("threads", Key(base), Bytes(4 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.add_type::<Item>().unwrap();
    pool
}

fn player(gold: u64) -> Player {
    Player { gold, check: !gold }
}

/// Returns a pool with players, each with two items.
fn world(conf: &ProcessConf) -> (MemoryPoolMgr, Vec<Id<Player>>) {
    let mut pool = open(conf);
    let ids: Vec<_> = (0..PLAYERS).map(|key| pool.alloc_keyed(key, player(key)).unwrap()).collect();
    for number in 0..2 * PLAYERS {
        let owner = Ref::from(ids[(number % PLAYERS) as usize]);
        pool.alloc(Item { owner, number }).unwrap();
    }
    (pool, ids)
}

#[test]
fn any_number_of_threads_read_by_handle_by_key_in_walks_and_by_owner() {
    let (pool, ids) = world(&conf());
    let (players, items) = (pool.view::<Player>(), pool.view::<Item>());
    std::thread::scope(|threads| {
        for first in 0..4 {
            let ids = &ids;
            threads.spawn(move || {
                for (key, id) in ids.iter().enumerate().skip(first).chain(ids.iter().enumerate().take(first))
                {
                    let key = key as u64;
                    assert_eq!(players.get(*id), Some(&player(key)));
                    assert_eq!((players.find(key), players.get_by_key(key)), (Some(*id), Some(&player(key))));
                    let mut numbers: Vec<u64> = items.children(*id).map(|(_, item)| item.number).collect();
                    numbers.sort_unstable();
                    assert_eq!(numbers, [key, key + PLAYERS]);
                }
                assert_eq!(
                    players.iter().map(|(_, player)| player.gold).sum::<u64>(),
                    PLAYERS * (PLAYERS - 1) / 2
                );
                assert_eq!(players.get_by_key(PLAYERS), None);
            });
        }
    });
    pool.destroy().unwrap();
}
