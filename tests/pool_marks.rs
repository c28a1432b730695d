//! An object that was being written when its owner died is named by the next start, and by each
//! further one until a start is ready.
//!
//! A leaked guard stands for one that a death interrupted: in both cases the mark stays.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::Sweep;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use std::mem::forget;
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
struct Player {
    gold: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 65)]
struct Shop {
    gold: u64,
}

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7da0_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("marks", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.add_type::<Shop>().unwrap();
    pool
}

/// Returns the objects and types that a start names after `write` was interrupted.
fn named_after(write: impl FnOnce(&mut MemoryPoolMgr, [Id<Player>; 3], Id<Shop>)) -> (Vec<u64>, Vec<u16>) {
    let conf = conf();
    let mut pool = open(&conf);
    let players = [0, 1, 2].map(|gold| pool.alloc(Player { gold }).unwrap());
    let shop = pool.alloc(Shop { gold: 9 }).unwrap();
    write(&mut pool, players, shop);
    drop(pool);
    let pool = open(&conf);
    let report = pool.resume_report();
    let found =
        (report.being_written.iter().map(|h| h.to_bits()).collect(), report.types_being_written.clone());
    pool.destroy().unwrap();
    found
}

#[test]
fn a_guard_that_was_dropped_names_nothing() {
    let named = named_after(|pool, players, shop| {
        pool.get_mut(players[0]).unwrap().gold = 1;
        for (_, mut player) in pool.iter_mut::<Player>() {
            player.gold += 1;
        }
        drop(pool.iter_mut::<Player>().collect::<Vec<_>>());
        drop(pool.get_several_mut(players).unwrap());
        let (mut players_view, mut shops) = pool.views_mut::<(Player, Shop)>();
        let _both = (players_view.get_mut(players[1]).unwrap(), shops.get_mut(shop).unwrap());
    });
    assert_eq!(named, (vec![], vec![]));
}

#[test]
fn one_guard_names_its_object() {
    let mut wanted = 0;
    let named = named_after(|pool, players, _| {
        wanted = players[1].to_bits();
        forget(pool.get_mut(players[1]));
    });
    assert_eq!(named, (vec![wanted], vec![]));
}

#[test]
fn the_objects_of_two_views_are_both_named() {
    let mut wanted = vec![];
    let (mut named, types) = named_after(|pool, players, shop| {
        wanted = vec![players[2].to_bits(), shop.to_bits()];
        let (mut players_view, mut shops) = pool.views_mut::<(Player, Shop)>();
        forget((players_view.get_mut(players[2]), shops.get_mut(shop)));
    });
    named.sort();
    wanted.sort();
    assert_eq!((named, types), (wanted, vec![]));
}

#[test]
fn an_iteration_names_its_current_object() {
    let mut wanted = 0;
    let named = named_after(|pool, players, _| {
        wanted = players[1].to_bits();
        let mut iter = pool.iter_mut::<Player>();
        drop(iter.next());
        forget(iter.next());
    });
    assert_eq!(named, (vec![wanted], vec![]));
}

#[test]
fn several_guards_of_a_type_name_the_type() {
    let named = named_after(|pool, players, _| forget(pool.get_several_mut([players[0], players[2]])));
    assert_eq!(named, (vec![], vec![1]));
    let named = named_after(|pool, _, _| forget(pool.iter_mut::<Player>().collect::<Vec<_>>()));
    assert_eq!(named, (vec![], vec![1]));
}

#[test]
fn the_last_one_of_several_guards_is_still_named() {
    for kept in 0..3 {
        let named = named_after(|pool, players, _| {
            let guards = pool.get_several_mut(players).unwrap();
            for (number, guard) in guards.into_iter().enumerate() {
                if number == kept { forget(guard) } else { drop(guard) }
            }
        });
        assert_eq!(named, (vec![], vec![1]), "guard {kept} of three");
        let named = named_after(|pool, _, _| {
            let guards: Vec<_> = pool.iter_mut::<Player>().collect();
            for (number, guard) in guards.into_iter().enumerate() {
                if number == kept { forget(guard) } else { drop(guard) }
            }
        });
        assert_eq!(named, (vec![], vec![1]), "guard {kept} of a walk");
    }
}

#[test]
fn a_guard_that_is_dropped_after_the_next_one_of_its_walk_clears_nothing() {
    let named = named_after(|pool, _, _| {
        let mut iter = pool.iter_mut::<Player>();
        let (first, second) = (iter.next(), iter.next());
        drop(first);
        forget(second);
    });
    assert_eq!(named, (vec![], vec![1]));
}

#[test]
fn a_leaked_guard_does_not_blur_the_next_one() {
    let mut wanted = 0;
    let named = named_after(|pool, players, _| {
        forget(pool.get_several_mut([players[0], players[2]]));
        wanted = players[1].to_bits();
        forget(pool.iter_mut::<Player>().nth(1));
    });
    assert_eq!(named, (vec![wanted], vec![]));
}

#[test]
fn a_guard_leaked_from_any_view_is_forgotten_by_the_next_borrow_and_by_close() {
    let leak = |pool: &mut MemoryPoolMgr, player, shop| {
        let (mut shops, mut players) = pool.views_mut::<(Shop, Player)>();
        forget((shops.get_mut(shop), players.get_mut(player)));
    };
    let named = named_after(|pool, players, shop| {
        leak(pool, players[0], shop);
        drop(pool.get_mut(players[1]));
    });
    assert_eq!(named, (vec![], vec![]));
    let named = named_after(|pool, players, shop| {
        leak(pool, players[0], shop);
        pool.for_each::<Player>(|_, player| player.gold += 1);
    });
    assert_eq!(named, (vec![], vec![]));
    let named = named_after(|pool, players, shop| {
        leak(pool, players[0], shop);
        let _ = pool.views_mut::<(Player, Shop)>();
    });
    assert_eq!(named, (vec![], vec![]));

    let conf = conf();
    let mut pool = open(&conf);
    let (player, shop) = (pool.alloc(Player { gold: 1 }).unwrap(), pool.alloc(Shop { gold: 1 }).unwrap());
    leak(&mut pool, player, shop);
    pool.close().unwrap();
    let pool = open(&conf);
    assert_eq!(pool.resume_report().being_written, []);
    pool.destroy().unwrap();
}

#[test]
fn objects_stay_named_until_a_start_is_ready() {
    let conf = conf();
    let mut pool = open(&conf);
    let player = pool.alloc(Player { gold: 1 }).unwrap();
    forget(pool.get_mut(player));
    drop(pool);
    for _ in 0..3 {
        let pool = open(&conf);
        assert_eq!(pool.resume_report().being_written, [player.handle()]);
    }
    let mut pool = open(&conf);
    pool.ready().unwrap();
    drop(pool);
    let pool = open(&conf);
    assert_eq!(pool.resume_report().being_written, []);
    pool.destroy().unwrap();
}

#[test]
fn duplicate_and_stale_handles_are_refused() {
    let conf = conf();
    let mut pool = open(&conf);
    let (a, b) = (pool.alloc(Player { gold: 1 }).unwrap(), pool.alloc(Player { gold: 2 }).unwrap());
    assert!(pool.get_several_mut([a, b, a]).is_none());
    let [mut first, mut second] = pool.get_several_mut([b, a]).unwrap();
    std::mem::swap(&mut *first, &mut *second);
    drop((first, second));
    assert_eq!((pool.get(a).unwrap().gold, pool.get(b).unwrap().gold), (2, 1));
    pool.free(b);
    assert!(pool.get_several_mut([a, b]).is_none());
    pool.destroy().unwrap();
}

#[test]
#[should_panic(expected = "occurs twice")]
fn a_type_cannot_be_borrowed_twice() {
    let mut pool = open(&conf());
    let _ = pool.views_mut::<(Player, Player)>();
}

#[test]
fn a_sweep_visits_everything_in_slices_and_begins_again() {
    let mut pool = open(&conf());
    for gold in 0..1000 {
        let id = pool.alloc(Player { gold }).unwrap();
        if gold % 3 == 0 {
            pool.free(id);
            pool.alloc(Player { gold }).unwrap();
        }
    }
    let victims: Vec<_> = pool.iter::<Player>().map(|(id, _)| id).step_by(7).collect();
    assert!(victims.into_iter().all(|id| pool.free(id)));
    let expected: Vec<u64> = pool.iter::<Player>().map(|(_, player)| player.gold).collect();
    for budget in [1, 10, 64, 999, 5000] {
        let mut sweep = Sweep::default();
        for _ in 0..2 {
            let mut seen = Vec::new();
            let mut slices = 0;
            while !pool.sweep::<Player>(&mut sweep, budget, |_, player| seen.push(player.gold)) {
                slices += 1;
            }
            assert_eq!(seen, expected, "budget {budget}");
            assert_eq!(slices, expected.len() / budget);
            assert_eq!(sweep, Sweep::default());
        }
    }
    pool.destroy().unwrap();
}
