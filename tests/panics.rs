//! A panic tears an object as a death does: the object of its guard or walk is named until it is
//! settled, whether the panic ends the process or is caught.
//!
//! That the breaker acts on it is shown with processes by `crash_loop.rs`.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, OnTorn, ProcessConf};
use hotpool::pool::{Sweep, Torn};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, RefMut, TxError};
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
struct Player {
    gold: u64,
    checksum: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2)]
struct Shop {
    gold: u64,
}

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7cd0_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("panics", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.add_type::<Shop>().unwrap();
    pool
}

/// Panics without a message.
fn boom() -> ! {
    resume_unwind(Box::new("boom"))
}

/// Runs `f` and catches its panic.
fn caught(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// Returns a pool of ten players; the test writes the middle one.
fn players(conf: &ProcessConf) -> (MemoryPoolMgr, Vec<Id<Player>>) {
    let mut pool = open(conf);
    let make = |key| pool.alloc_keyed(key, Player { gold: key, checksum: key }).unwrap();
    let ids = (0..10).map(make).collect();
    (pool, ids)
}

const VICTIM: usize = 5;

fn half(player: &mut Player) {
    if player.gold == VICTIM as u64 {
        player.gold += 100;
        boom();
    }
}

type Write = fn(&mut MemoryPoolMgr, &[Id<Player>]);

/// All ways to write an object through a guard or walk.
const WAYS: [(&str, Write); 12] = [
    ("get_mut", |pool, ids| half(&mut pool.get_mut(ids[VICTIM]).unwrap())),
    ("get_mut_by_key", |pool, _| half(&mut pool.get_mut_by_key(VICTIM as u64).unwrap())),
    ("get_several_mut", |pool, ids| half(&mut pool.get_several_mut([ids[VICTIM]]).unwrap()[0])),
    ("for_each", |pool, _| pool.for_each::<Player>(|_, player| half(player))),
    ("iter_mut", |pool, _| {
        for (_, mut player) in pool.iter_mut::<Player>() {
            half(&mut player);
        }
    }),
    ("iter_mut, folded", |pool, _| pool.iter_mut::<Player>().for_each(|(_, mut player)| half(&mut player))),
    ("sweep", |pool, _| assert!(pool.sweep::<Player>(&mut Sweep::default(), 100, |_, player| half(player)))),
    ("a view", |pool, ids| half(&mut pool.view_mut::<Player>().get_mut(ids[VICTIM]).unwrap())),
    ("for_each of a view", |pool, _| pool.view_mut::<Player>().for_each(|_, player| half(player))),
    ("get_several_mut of a view", |pool, ids| {
        half(&mut pool.view_mut::<Player>().get_several_mut([ids[VICTIM]]).unwrap()[0]);
    }),
    ("a view beside another", |pool, ids| {
        let (_shops, mut players) = pool.views_mut::<(Shop, Player)>();
        half(&mut players.get_mut(ids[VICTIM]).unwrap());
    }),
    ("iter_mut of a view beside another", |pool, _| {
        let (_shops, mut players) = pool.views_mut::<(Shop, Player)>();
        for (_, mut player) in &mut players {
            half(&mut player);
        }
    }),
];

#[test]
fn a_panic_that_ends_the_owner_leaves_the_object_named() {
    for (way, write) in WAYS {
        let conf = conf();
        let (mut pool, ids) = players(&conf);
        let victim = ids[VICTIM].handle();
        caught(move || {
            write(&mut pool, &ids);
            drop(pool);
        });
        for _ in 0..2 {
            assert_eq!(open(&conf).resume_report().being_written, [victim], "{way}");
        }
        let pool = open(&conf);
        assert!(pool.resume_report().types_being_written.is_empty(), "{way}");
        assert_eq!(pool.torn(), [Torn::Object(victim)], "{way}");
        pool.destroy().unwrap();
    }
}

#[test]
fn a_panic_that_is_caught_leaves_evidence_that_later_guards_do_not_cover() {
    for (way, write) in WAYS {
        let conf = conf();
        let (mut pool, ids) = players(&conf);
        let victim = Torn::Object(ids[VICTIM].handle());
        caught(|| write(&mut pool, &ids));
        assert_eq!(pool.torn(), [victim], "{way}");
        assert_eq!(
            pool.get(ids[VICTIM]).unwrap().checksum,
            VICTIM as u64,
            "{way}: the object still resolves"
        );
        for (_, mut player) in pool.iter_mut::<Player>() {
            player.gold += 1;
        }
        pool.get_mut(ids[0]).unwrap().gold = 7;
        pool.update(ids[VICTIM], |player| player.gold += 1).unwrap();
        pool.ready().unwrap();
        assert_eq!(pool.torn(), [victim], "{way}: none of these calls settles it");
        // A clean close does not settle it either; the next start acts on it.
        pool.close().unwrap();
        let mut strict = conf.clone();
        strict.resume.on_torn = OnTorn::Quarantine;
        let pool = open(&strict);
        assert_eq!(pool.resume_report().being_written, [ids[VICTIM].handle()], "{way}");
        assert_eq!(pool.quarantined(), [ids[VICTIM].handle()], "{way}");
        pool.destroy().unwrap();
    }
}

#[test]
fn ready_settles_what_the_report_named_and_nothing_later() {
    let conf = conf();
    let (mut pool, ids) = players(&conf);
    forget(pool.get_mut(ids[1]));
    drop(pool);
    let mut pool = open(&conf);
    caught(|| half(&mut pool.get_mut(ids[VICTIM]).unwrap()));
    assert_eq!(pool.torn(), [ids[1], ids[VICTIM]].map(|id| Torn::Object(id.handle())));
    pool.ready().unwrap();
    assert_eq!(pool.torn(), [Torn::Object(ids[VICTIM].handle())]);
    drop(pool);
    let mut pool = open(&conf);
    assert_eq!(
        pool.resume_report().being_written,
        [ids[VICTIM].handle()],
        "the next report names the object"
    );
    pool.ready().unwrap();
    assert_eq!(pool.torn(), []);
    pool.destroy().unwrap();
}

#[test]
fn repair_free_and_quarantine_settle_an_object() {
    let conf = conf();
    let (mut pool, ids) = players(&conf);
    let tear = |pool: &mut MemoryPoolMgr, id: Id<Player>| {
        caught(|| {
            let _guard = pool.get_mut(id).unwrap();
            boom();
        });
    };
    (0..4).for_each(|n| tear(&mut pool, ids[n]));
    tear(&mut pool, ids[0]);
    assert_eq!(pool.torn().len(), 4, "each object is listed once");
    let repaired = Torn::Object(ids[0].handle());
    assert!(pool.settle_torn(repaired) && !pool.settle_torn(repaired));
    assert!(pool.free(ids[1]));
    pool.quarantine(ids[2].handle()).unwrap();
    assert_eq!(pool.torn(), [Torn::Object(ids[3].handle())]);
    pool.release(ids[2].handle()).unwrap();
    // The slot of the freed object now has another object.
    pool.alloc_keyed(77, Player { gold: 0, checksum: 0 }).unwrap();
    drop(pool);
    let pool = open(&conf);
    assert_eq!(pool.resume_report().being_written, [ids[3].handle()]);
    assert_eq!(pool.quarantined(), []);
    pool.destroy().unwrap();
}

#[test]
fn several_guards_of_a_type_report_the_type() {
    let (mut pool, ids) = players(&conf());
    caught(|| {
        let _two = pool.get_several_mut([ids[0], ids[1]]).unwrap();
        boom();
    });
    assert_eq!(pool.torn(), [Torn::AnyOf(1)]);
    assert!(pool.settle_torn(Torn::AnyOf(1)));
    caught(|| {
        let _all: Vec<(Id<Player>, RefMut<'_, Player>)> = pool.iter_mut().collect();
        boom();
    });
    assert_eq!(pool.torn(), [Torn::AnyOf(1)]);
    pool.destroy().unwrap();
}

#[test]
fn a_guard_that_was_dropped_before_the_panic_leaves_nothing() {
    let (mut pool, ids) = players(&conf());
    caught(|| {
        pool.get_mut(ids[0]).unwrap().gold = 1;
        for (_, mut player) in pool.iter_mut::<Player>() {
            player.gold = 2;
            drop(player);
            if ids.len() == 10 {
                boom();
            }
        }
    });
    assert_eq!(pool.torn(), []);
    pool.destroy().unwrap();
}

#[test]
fn a_sweep_continues_after_the_object_that_panicked() {
    let (mut pool, ids) = players(&conf());
    let (mut sweep, mut visited) = (Sweep::default(), Vec::new());
    for _ in 0..20 {
        let step = catch_unwind(AssertUnwindSafe(|| {
            pool.sweep::<Player>(&mut sweep, 3, |id, player| {
                visited.push(id);
                half(player);
            })
        }));
        if let Ok(true) = step {
            break;
        }
    }
    assert_eq!(visited, ids, "each object once");
    assert_eq!(pool.torn(), [Torn::Object(ids[VICTIM].handle())]);
    pool.destroy().unwrap();
}

#[test]
fn a_guard_moved_into_a_panicking_scope_names_its_object_and_the_walk_continues() {
    let (mut pool, ids) = players(&conf());
    let mut visited = 0;
    for (_, mut player) in pool.iter_mut::<Player>() {
        visited += 1;
        let _ = catch_unwind(AssertUnwindSafe(move || half(&mut player)));
    }
    assert_eq!((visited, pool.torn()), (10, vec![Torn::Object(ids[VICTIM].handle())]));
    pool.destroy().unwrap();
}

/// Writes objects while the thread unwinds.
struct Writes<'a>(&'a mut MemoryPoolMgr, &'a [Id<Player>]);

impl Drop for Writes<'_> {
    fn drop(&mut self) {
        self.0.get_mut(self.1[0]).unwrap().gold = 1;
        self.0.for_each::<Player>(|_, player| player.gold += 1);
        for (_, mut player) in self.0.iter_mut::<Player>() {
            player.gold += 1;
        }
        drop(self.0.get_several_mut([self.1[0], self.1[1]]));
        drop(self.0.iter_mut::<Player>().collect::<Vec<_>>());
        let (_shops, mut players) = self.0.views_mut::<(Shop, Player)>();
        players.get_mut(self.1[2]).unwrap().gold = 1;
    }
}

#[test]
fn a_guard_created_during_unwinding_leaves_nothing() {
    let (mut pool, ids) = players(&conf());
    caught(|| {
        let _writes = Writes(&mut pool, &ids);
        boom();
    });
    assert_eq!(pool.torn(), []);
    // The next panic still finds a usable mark.
    caught(|| {
        let _guard = pool.get_mut(ids[8]).unwrap();
        boom();
    });
    assert_eq!(pool.torn(), [Torn::Object(ids[8].handle())]);
    pool.destroy().unwrap();
}

#[test]
fn updates_and_transactions_that_panic_roll_back_and_leave_nothing() {
    let conf = conf();
    let (mut pool, ids) = players(&conf);
    caught(|| pool.update(ids[VICTIM], half).unwrap());
    caught(|| {
        let answer: Result<(), TxError> = pool.tx(|tx| {
            tx.get_mut(ids[0])?.gold = 9;
            half(tx.get_mut(ids[VICTIM])?);
            Ok(())
        });
        answer.unwrap();
    });
    assert_eq!(pool.torn(), []);
    assert!(pool.iter::<Player>().all(|(_, player)| player.gold == player.checksum));
    drop(pool);
    let pool = open(&conf);
    assert_eq!(pool.resume_report().being_written, []);
    pool.destroy().unwrap();
}

#[test]
fn more_torn_objects_than_the_list_holds_are_named_by_their_type() {
    let conf = conf();
    let mut pool = open(&conf);
    let shop = pool.alloc(Shop { gold: 1 }).unwrap();
    let ids: Vec<_> =
        (0..70).map(|key| pool.alloc_keyed(key, Player { gold: 0, checksum: 0 }).unwrap()).collect();
    for id in &ids {
        caught(|| {
            let _guard = pool.get_mut(*id).unwrap();
            boom();
        });
    }
    caught(|| {
        let _guard = pool.get_mut(shop).unwrap();
        boom();
    });
    let torn = pool.torn();
    assert!(torn.contains(&Torn::AnyOf(1)) && torn.contains(&Torn::Object(shop.handle())), "{torn:?}");
    drop(pool);
    let pool = open(&conf);
    assert_eq!(pool.resume_report().types_being_written, [1]);
    assert!(pool.resume_report().being_written.contains(&shop.handle()));
    pool.destroy().unwrap();
}
