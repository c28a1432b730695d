//! Several threads of the owner in one pool at the same time.

#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{PostMortem, SharedPool, Torn};
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, Ref, TxError};
use own_keys::own_keys;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// Returns a pool with holes: every third player was freed.
fn with_holes(conf: &ProcessConf) -> MemoryPoolMgr {
    let (mut pool, ids) = world(conf);
    ids.iter().step_by(3).for_each(|id| assert!(pool.free(*id)));
    pool
}

#[test]
fn a_parallel_iterator_of_a_view_has_every_object_once() {
    let pool = with_holes(&conf());
    let view = pool.view::<Player>();
    let mut found: Vec<_> = view.par_iter().map(|(id, player)| (id, player.gold)).collect();
    found.sort();
    let expected: Vec<_> = view.iter().map(|(id, player)| (id, player.gold)).collect();
    assert_eq!(found, expected);
    assert_eq!(view.into_par_iter().count(), view.len());
    let any = view.par_iter().find_any(|(_, player)| player.gold == 500);
    assert_eq!(any.map(|(_, player)| player.check), Some(!500));
    assert_eq!(pool.view::<Item>().par_iter().count(), 2 * PLAYERS as usize);
}

#[test]
fn portions_on_rayon_write_every_object_once_and_come_in_order() {
    let mut pool = with_holes(&conf());
    for slots in [1, 64, 100, 1 << 20] {
        let expected: Vec<_> =
            pool.view_mut::<Player>().portion().par_chunks(slots).map(|part| part.slots()).collect();
        let mut view = pool.view_mut::<Player>();
        let chunks = view.portion().par_chunks(slots).into_par_iter();
        assert_eq!(chunks.len(), expected.len());
        let found: Vec<_> = chunks
            .map(|mut part| {
                part.for_each(|_, object| *object = player(object.gold + 1));
                part.slots()
            })
            .collect();
        assert_eq!(found, expected, "chunks of {slots} slots");
        let back: Vec<_> = view.portion().par_chunks(slots).rev().map(|part| part.slots()).collect();
        assert!(back.iter().rev().eq(&expected), "chunks of {slots} slots from the end");
    }
    let golds: Vec<_> = pool.iter::<Player>().map(|(_, player)| player.gold).collect();
    let expected: Vec<_> = (0..PLAYERS).filter(|number| number % 3 != 0).map(|gold| gold + 4).collect();
    assert_eq!(golds, expected);
    assert!(pool.torn().is_empty());
}

#[test]
fn a_panic_on_rayon_leaves_its_object_torn() {
    let mut pool = with_holes(&conf());
    let chunks = pool.view_mut::<Player>().into_portion().par_chunks(64);
    let work = || {
        chunks.into_par_iter().for_each(|mut part| {
            part.for_each(|_, player| assert_ne!(player.gold, 500, "planned"));
        });
    };
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    let torn = pool.torn();
    assert_eq!(torn.len(), 1, "{torn:?}");
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

/// Opens a pool with `count` players on which four threads work.
fn players(conf: &ProcessConf, count: u64) -> (MemoryPoolMgr, Vec<Id<Player>>) {
    let mut pool = open(conf);
    pool.set_threads(4);
    let ids = (0..count).map(|key| pool.alloc_keyed(key, player(key)).unwrap()).collect();
    (pool, ids)
}

fn add(player: &mut Player, gold: u64) {
    player.gold += gold;
    player.check = !player.gold;
}

#[test]
fn several_threads_change_each_object_once() {
    for count in [0, 1, 63, 64, 65, 5000] {
        let (mut pool, _) = players(&conf(), count);
        for _ in 0..3 {
            pool.par_for_each::<Player>(|_, player| add(player, 1));
        }
        let (mut players, _items) = pool.views_mut::<(Player, Item)>();
        players.portion().par_for_each(|_, player| add(player, 1));
        assert!(pool.iter::<Player>().all(|(_, player)| player.check == !player.gold));
        let mut golds: Vec<u64> = pool.iter::<Player>().map(|(_, player)| player.gold).collect();
        golds.sort_unstable();
        assert_eq!(golds, (4..count + 4).collect::<Vec<_>>());
        pool.destroy().unwrap();
    }
}

#[test]
fn portions_are_disjoint_and_together_everything() {
    let (mut pool, ids) = players(&conf(), 3000);
    let mut view = pool.view_mut::<Player>();
    let (mut left, mut right) = view.portion().split_at(1000);
    assert_eq!((left.slots().1, left.slots().1 % 64), (right.slots().0, 0));
    std::thread::scope(|threads| {
        threads.spawn(|| left.for_each(|_, player| add(player, 1)));
        threads.spawn(|| right.for_each(|_, player| add(player, 1)));
    });
    for (key, id) in ids.iter().enumerate() {
        assert!(left.has_slot(*id) != right.has_slot(*id));
        let found = left.get(*id).or_else(|| right.get(*id));
        assert_eq!(found, Some(&player(key as u64 + 1)));
        assert!(left.get(*id).is_none() || right.get(*id).is_none());
        assert_eq!(left.find(key as u64).or_else(|| right.find(key as u64)), Some(*id));
        assert!(left.find(key as u64).is_none() || right.find(key as u64).is_none());
    }
    assert!(left.into_view().is_none());
    let mut visited = 0;
    std::thread::scope(|threads| {
        let chunks = view.portion().par_chunks(200).map(|mut chunk| {
            assert!(chunk.slots().1 - chunk.slots().0 <= 200);
            threads.spawn(move || {
                let mut visited = 0;
                chunk.for_each(|_, player| {
                    add(player, 1);
                    visited += 1;
                });
                visited
            })
        });
        visited = chunks.collect::<Vec<_>>().into_iter().map(|chunk| chunk.join().unwrap()).sum();
    });
    assert_eq!(visited, 3000);
    assert_eq!(view.portion().into_view().map(|view| view.len()), Some(3000));
    pool.destroy().unwrap();
}

#[test]
fn jobs_change_their_types_and_commands_follow_in_the_order_of_the_jobs() {
    let (mut pool, ids) = players(&conf(), 100);
    let first = ids[0];
    let done = pool.scope::<(Player, Item), _>(|s, (mut players, mut items)| {
        s.spawn(move |lane| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            players.update(lane, first, |player| add(player, 7)).unwrap();
            let undone = players.try_update(lane, ids[1], |player| {
                add(player, 1000);
                Err(hotpool::TxError::Stale(first.handle()))
            });
            assert_eq!(undone, Err::<(), _>(hotpool::TxError::Stale(first.handle())));
            add(&mut players.get_mut(lane, ids[2]).unwrap(), 7);
            lane.free(first);
            lane.alloc_keyed(500, player(1));
            lane.alloc_keyed(500, player(2));
        });
        s.spawn(move |lane| {
            items.for_each(|_, _| panic!("there is none"));
            lane.free(first);
            lane.free_by_key::<Player>(500);
            lane.alloc_keyed(500, player(3));
            lane.note(7, 1, 2);
            lane.tx(|tx| {
                tx.get_mut_by_key::<Player>(500)?.gold = 4;
                tx.free(tx.find::<Player>(1).unwrap())
            });
        });
        5
    });
    assert_eq!(done.result, 5);
    let refused: Vec<_> = done.refused.iter().map(|refused| (refused.job, refused.command)).collect();
    assert_eq!(refused, [(0, 2), (1, 0)], "the key exists; the object is gone: {:?}", done.refused);
    assert_eq!(pool.get_by_key::<Player>(500).unwrap().gold, 4);
    assert_eq!(pool.get_by_key::<Player>(0), None);
    assert_eq!(pool.get_by_key::<Player>(1), None, "rolled back, then freed by the last command");
    assert_eq!(pool.get_by_key::<Player>(2), Some(&player(9)));
    assert!(pool.torn().is_empty());
    pool.destroy().unwrap();
}

#[test]
fn a_panic_of_a_thread_leaves_its_object_torn_and_nothing_else() {
    let (mut pool, ids) = players(&conf(), 2000);
    let torn = ids[777];
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.par_for_each::<Player>(|id, player| {
            player.gold += 1;
            assert!(id != torn, "planted");
            player.check = !player.gold;
        });
    }));
    assert!(caught.is_err());
    assert_eq!(pool.torn(), [Torn::Object(torn.handle())]);
    let half = pool.iter::<Player>().filter(|(_, player)| player.check != !player.gold);
    assert_eq!(half.map(|(id, _)| id).collect::<Vec<_>>(), [torn]);
    assert!(pool.settle_torn(Torn::Object(torn.handle())));

    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _ = pool.scope::<(Player, Item), _>(|s, (mut players, _)| {
            let (updated, written) = (ids[3], ids[4]);
            s.spawn(move |lane| lane.free(updated));
            s.spawn(move |lane| {
                players.update(lane, updated, |player| add(player, 50)).unwrap();
                let _written = players.get_mut(lane, written);
                panics();
            });
        });
    }));
    assert!(caught.is_err());
    assert_eq!(pool.torn(), [Torn::Object(ids[4].handle())]);
    assert_eq!(pool.get(ids[3]).unwrap().gold, 54, "no command takes effect, every update does");
    assert!(pool.settle_torn(Torn::Object(ids[4].handle())));

    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _ = pool.scope::<(Player,), _>(|s, (mut players,)| {
            let id = ids[5];
            s.spawn(move |lane| {
                players
                    .update(lane, id, |player| {
                        add(player, 50);
                        panics();
                    })
                    .unwrap();
            });
        });
    }));
    assert!(caught.is_err());
    assert!(pool.torn().is_empty());
    assert_eq!(pool.get(ids[5]), Some(&player(6)), "undone");
    pool.tx(|tx| tx.get_mut(ids[5]).map(|player| add(player, 1))).unwrap();
    pool.destroy().unwrap();
}

fn panics() {
    panic!("planted");
}

/// A pool under System V keys, which tools can read.
struct Site(ProcessConf);

impl Site {
    fn new() -> Self {
        let base = own_keys(16);
        Site(ProcessConf::new("threads", Key(base), Bytes(1 << 20), &[Key(base + 1)]))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(self.0.base_key, &Home::sysv(), false));
    }
}

#[test]
fn more_threads_than_lanes_mark_their_type() {
    let site = Site::new();
    let conf = site.0.clone();
    let (mut pool, ids) = players(&conf, 64 * 40);
    let written = std::sync::Barrier::new(41);
    let mut view = pool.view_mut::<Player>();
    std::thread::scope(|threads| {
        let seen: Vec<_> = view
            .portion()
            .par_chunks(64)
            .map(|mut chunk| {
                let written = &written;
                threads.spawn(move || {
                    let mut is_first = true;
                    chunk.for_each(|_, player| {
                        add(player, 1);
                        if std::mem::take(&mut is_first) {
                            written.wait();
                            written.wait();
                        }
                    });
                })
            })
            .collect();
        assert_eq!(seen.len(), 40);
        written.wait();
        let dead = PostMortem::read(conf.base_key, &Home::sysv());
        written.wait();
        let marks = dead.unwrap().being_written;
        assert_eq!(marks.iter().filter(|mark| mark.object.is_some()).count(), 32);
        assert_eq!(marks.iter().filter(|mark| mark.object.is_none() && mark.type_id == 1).count(), 1);
    });
    assert!(ids.iter().enumerate().all(|(key, id)| pool.get(*id) == Some(&player(key as u64 + 1))));
    pool.close().unwrap();
    let pool = open(&conf);
    assert!(pool.resume_report().being_written.is_empty());
    assert!(pool.resume_report().types_being_written.is_empty());
    pool.destroy().unwrap();
}

#[test]
fn a_leaked_lane_leaves_nothing() {
    let conf = conf();
    let (mut pool, ids) = players(&conf, 10);
    for _ in 0..40 {
        let _ = pool.scope::<(Player,), _>(|s, (mut players,)| {
            let mut lane = s.lane();
            std::mem::forget(players.get_mut(&mut lane, ids[1]));
            std::mem::forget(lane);
        });
    }
    pool.tx(|tx| tx.get_mut(ids[2]).map(|player| add(player, 1))).unwrap();
    drop(pool);
    let pool = open(&conf);
    assert_eq!(pool.resume_report().being_written, []);
    assert_eq!(pool.get(ids[2]), Some(&player(3)));
    pool.destroy().unwrap();
}

#[test]
fn an_update_that_does_not_fit_names_an_undo_size_that_is_enough() {
    let mut conf = conf();
    conf.undo_size = Bytes(4096);
    let needs = |conf: &ProcessConf| {
        let mut pool = open(conf);
        pool.add_type::<Large>().unwrap();
        pool.set_threads(4);
        let id = pool.alloc(Large { words: [1; 200] }).unwrap();
        let done = pool.scope::<(Large,), _>(|s, (mut large,)| {
            large.update(&mut s.lane(), id, |large| large.words[0] = 2)
        });
        pool.destroy().unwrap();
        done.result
    };
    let Err(TxError::TooLarge { needs: size, capacity, .. }) = needs(&conf) else { panic!("it fits") };
    assert!(capacity < 1600, "{capacity}");
    conf.undo_size = Bytes(size.next_multiple_of(4096));
    assert_eq!(needs(&conf), Ok(()));
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 3)]
struct Large {
    words: [u64; 200],
}

#[test]
fn followed_fields_are_read_anew_after_threads_have_written_them() {
    let (mut pool, ids) = world(&conf());
    assert_eq!(pool.children::<Item>(ids[0]).count(), 2);
    let all = Ref::from(ids[0]);
    pool.par_for_each::<Item>(|_, item| item.owner = all);
    assert_eq!(pool.children::<Item>(ids[0]).count() as u64, 2 * PLAYERS);
    assert_eq!(pool.children::<Item>(ids[1]).count(), 0);
    pool.destroy().unwrap();
}

#[test]
fn a_shared_pool_survives_the_panic_of_a_thread() {
    let (pool, ids) = players(&conf(), 10);
    let pool = SharedPool::new(pool);
    let panicked = std::thread::scope(|threads| {
        let in_tx = threads.spawn(|| {
            pool.tx(|tx| {
                add(tx.get_mut(ids[1])?, 100);
                tx.free(ids[2])?;
                panics();
                Ok::<_, TxError>(())
            })
        });
        let by_guard = threads.spawn(|| {
            pool.with(|pool| {
                let mut player = pool.get_mut(ids[3]).unwrap();
                player.gold += 1;
                panics();
            });
        });
        [in_tx.join().is_err(), by_guard.join().is_err()]
    });
    assert_eq!(panicked, [true, true]);
    let other = pool.clone();
    std::thread::scope(|threads| {
        _ = threads.spawn(|| other.with(|pool| add(&mut pool.get_mut(ids[1]).unwrap(), 1)))
    });
    let pool = pool.into_inner().unwrap_err().with(|pool| {
        assert_eq!((pool.get(ids[1]), pool.get(ids[2])), (Some(&player(2)), Some(&player(2))));
        assert_eq!(pool.torn(), [Torn::Object(ids[3].handle())]);
        other.clone()
    });
    drop(other);
    pool.into_inner().unwrap().destroy().unwrap();
}
