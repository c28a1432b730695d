//! Lists of children by owner, and the order of objects by time: whatever a program does to the fields,
//! and whenever its process ends, the lists are those of the fields.

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::Severity;
use hotpool::object::FixedDuration;
use hotpool::pool::Tx;
use hotpool::units::{Bytes, Key};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolObject, Ref, TxError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Debug, PoolObject)]
#[pool(id = 1)]
struct Player {
    gold: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PoolObject)]
#[pool(id = 2)]
struct Item {
    number: u64,
    #[pool(owner)]
    owner: Ref<Player>,
    #[pool(time)]
    until: i64,
}

/// A child of a child.
#[repr(C)]
#[derive(Clone, Copy, Debug, PoolObject)]
#[pool(id = 3, keyed)]
struct Gem {
    #[pool(owner)]
    owner: Ref<Item>,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PoolObject)]
#[pool(id = 4)]
struct Node {
    #[pool(owner)]
    parent: Ref<Node>,
    friend: Ref<Player>,
}

fn conf() -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x0d09_0000);
    let base = NEXT.fetch_add(16, Ordering::Relaxed);
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.add_type::<Item>().unwrap();
    pool.add_type::<Gem>().unwrap();
    pool.add_type::<Node>().unwrap();
    pool
}

fn item(pool: &mut MemoryPoolMgr, owner: Id<Player>, until: i64) -> Id<Item> {
    pool.alloc(Item { number: 0, owner: owner.into(), until }).unwrap()
}

fn children(pool: &MemoryPoolMgr, owner: Id<Player>) -> BTreeSet<Id<Item>> {
    let found: Vec<_> = pool.children::<Item>(owner).map(|(id, _)| id).collect();
    let set: BTreeSet<_> = found.iter().copied().collect();
    assert_eq!(found.len(), set.len(), "no child is listed twice");
    set
}

/// Returns what a scan of all fields finds.
fn scanned(pool: &MemoryPoolMgr) -> BTreeMap<u64, BTreeSet<Id<Item>>> {
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for (id, item) in pool.iter::<Item>() {
        found.entry(item.owner.id().map_or(0, Id::to_bits)).or_default().insert(id);
    }
    found
}

/// Compares all lists with the fields.
fn check(pool: &MemoryPoolMgr, owners: &[Id<Player>]) {
    let expected = scanned(pool);
    for owner in owners {
        let of_owner = expected.get(&owner.to_bits()).cloned().unwrap_or_default();
        assert_eq!(children(pool, *owner), of_owner, "children of {owner}");
    }
    let orphans: BTreeSet<_> = pool.orphans::<Item>().map(|(id, _)| id).collect();
    let is_orphan =
        |(_, item): &(Id<Item>, &Item)| item.owner.id().is_some_and(|owner| !pool.contains(owner));
    assert_eq!(orphans, pool.iter::<Item>().filter(is_orphan).map(|(id, _)| id).collect());
    let mut due: Vec<_> = pool.iter::<Item>().map(|(id, item)| (item.until, id.index())).collect();
    due.sort_unstable();
    let found: Vec<_> = pool.due::<Item>(i64::MAX).map(|(id, item)| (item.until, id.index())).collect();
    assert_eq!(found, due);
}

#[test]
fn an_owner_has_the_children_that_name_it() {
    let conf = conf();
    let mut pool = open(&conf);
    let [ada, bob] = [1, 2].map(|gold| pool.alloc(Player { gold }).unwrap());
    assert_eq!(pool.children::<Item>(ada).count(), 0);
    let items: Vec<_> = (0..10).map(|time| item(&mut pool, ada, time)).collect();
    assert_eq!(children(&pool, ada), items.iter().copied().collect());
    assert!(pool.set_owner(items[3], bob));
    pool.get_mut(items[4]).unwrap().owner = bob.into();
    assert!(pool.set_owner(items[5], Ref::none()));
    assert!(pool.free(items[6]));
    assert_eq!(children(&pool, bob), BTreeSet::from([items[3], items[4]]));
    assert_eq!(pool.children::<Item>(ada).count(), 6);
    assert!(!pool.set_owner(items[6], bob), "it was freed");
    check(&pool, &[ada, bob]);
    // The slot of a freed owner has another one: its children are not those of the old one.
    assert!(pool.free(ada));
    let eve = pool.alloc(Player { gold: 3 }).unwrap();
    assert_eq!(eve.index(), ada.index());
    assert_eq!((pool.children::<Item>(eve).count(), pool.orphans::<Item>().count()), (0, 6));
    drop(pool);
    let pool = open(&conf);
    check(&pool, &[ada, bob, eve]);
    pool.destroy().unwrap();
}

#[test]
fn a_field_may_be_written_in_every_way() {
    let mut pool = open(&conf());
    let owners = [1, 2, 3].map(|gold| pool.alloc(Player { gold }).unwrap());
    let items: Vec<_> = (0..100).map(|time| item(&mut pool, owners[time as usize % 3], time)).collect();
    check(&pool, &owners);
    let [ada, bob, eve] = owners.map(Ref::from);
    pool.for_each::<Item>(|_, item| item.until = -item.until);
    check(&pool, &owners);
    pool.iter_mut::<Item>().take(20).for_each(|(_, mut item)| item.owner = eve);
    check(&pool, &owners);
    let mut sweep = Default::default();
    pool.sweep::<Item>(&mut sweep, 7, |_, item| item.owner = bob);
    check(&pool, &owners);
    let [mut first, mut second] = pool.get_several_mut([items[50], items[60]]).unwrap();
    (first.owner, second.owner) = (Ref::none(), ada);
    drop((first, second));
    check(&pool, &owners);
    pool.view_mut::<Item>().get_mut(items[70]).unwrap().owner = ada;
    check(&pool, &owners);
    let (_, mut view) = pool.views_mut::<(Player, Item)>();
    view.for_each(|_, item| item.until += 5);
    view.get_mut(items[71]).unwrap().owner = bob;
    check(&pool, &owners);
    pool.update(items[72], |item| item.owner = bob).unwrap();
    check(&pool, &owners);
    // A guard that is leaked.
    let mut leaked = pool.get_mut(items[73]).unwrap();
    leaked.owner = ada;
    std::mem::forget(leaked);
    check(&pool, &owners);
    // A guard that a panic drops.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.get_mut(items[74]).unwrap().owner = eve;
        pool.for_each::<Item>(|id, item| {
            item.owner = bob;
            if id.index() == 30 {
                std::panic::resume_unwind(Box::new(()));
            }
        });
    }));
    assert!(caught.is_err());
    check(&pool, &owners);
    let made = pool.alloc_zeroed_with(|item: &mut Item| (item.owner, item.until) = (bob, -1)).unwrap();
    check(&pool, &owners);
    assert!(children(&pool, owners[1]).contains(&made));
    pool.destroy().unwrap();
}

#[test]
fn a_transaction_that_is_rolled_back_leaves_the_lists_as_they_were() {
    let mut pool = open(&conf());
    let [ada, bob] = [1, 2].map(|gold| pool.alloc(Player { gold }).unwrap());
    let items: Vec<_> = (0..6).map(|time| item(&mut pool, ada, time)).collect();
    check(&pool, &[ada, bob]);
    let undone = pool.tx(|tx| {
        tx.get_mut(items[0])?.owner = bob.into();
        tx.get_mut(items[0])?.until = 99;
        tx.free(items[1])?;
        let made = tx.alloc(Item { number: 0, owner: bob.into(), until: 50 })?;
        // The lists are read in between, so the changes above are known.
        let bobs: BTreeSet<_> = tx.children::<Item>(bob).map(|(id, _)| id).collect();
        assert_eq!(bobs, BTreeSet::from([items[0], made]));
        assert_eq!(tx.children::<Item>(ada).count(), 4, "without the one that it freed");
        Err::<(), _>(TxError::Stale(made.handle()))
    });
    assert!(undone.is_err());
    check(&pool, &[ada, bob]);
    assert_eq!(pool.children::<Item>(ada).count(), 6);
    assert!(
        pool.try_update(items[2], |item| {
            item.owner = bob.into();
            Err::<(), _>(TxError::Stale(ada.handle()))
        })
        .is_err()
    );
    check(&pool, &[ada, bob]);
    pool.destroy().unwrap();
}

#[test]
fn an_object_in_quarantine_is_in_no_list() {
    let mut pool = open(&conf());
    let ada = pool.alloc(Player { gold: 1 }).unwrap();
    let items: Vec<_> = (0..4).map(|time| item(&mut pool, ada, time)).collect();
    check(&pool, &[ada]);
    for item in &items[..2] {
        pool.quarantine(item.handle()).unwrap();
        check(&pool, &[ada]);
    }
    assert_eq!(pool.children::<Item>(ada).count(), 2);
    pool.release(items[0].handle()).unwrap();
    check(&pool, &[ada]);
    pool.drop_quarantined(items[1].handle()).unwrap();
    check(&pool, &[ada]);
    assert_eq!(children(&pool, ada), BTreeSet::from([items[0], items[2], items[3]]));
    pool.quarantine(ada.handle()).unwrap();
    assert_eq!(pool.orphans::<Item>().count(), 3);
    pool.release(ada.handle()).unwrap();
    assert_eq!(pool.orphans::<Item>().count(), 0);
    pool.destroy().unwrap();
}

#[test]
fn an_owner_is_freed_with_everything_that_belongs_to_it() {
    let mut pool = open(&conf());
    let [ada, bob] = [1, 2].map(|gold| pool.alloc(Player { gold }).unwrap());
    for number in 0..300 {
        let owner = if number % 3 == 0 { bob } else { ada };
        let own = item(&mut pool, owner, number);
        pool.alloc_keyed(number as u64, Gem { owner: own.into() }).unwrap();
    }
    // Nodes belong to each other in a circle.
    let nodes = [0; 5].map(|_| pool.alloc(Node { parent: Ref::none(), friend: ada.into() }).unwrap());
    for (number, node) in nodes.iter().enumerate() {
        pool.set_owner(*node, nodes[(number + 1) % 5]);
    }
    assert_eq!(pool.free_with_children(nodes[2]).unwrap(), 5);
    assert_eq!(pool.free_with_children(ada).unwrap(), 1 + 200 + 200);
    assert_eq!(
        (pool.len::<Player>(), pool.len::<Item>(), pool.len::<Gem>(), pool.len::<Node>()),
        (1, 100, 100, 0)
    );
    assert!((0..300).all(|key| pool.find::<Gem>(key).is_some() == (key % 3 == 0)));
    check(&pool, &[ada, bob]);
    assert_eq!(pool.free_with_children(ada), Err(TxError::Stale(ada.handle())));
    assert!(pool.verify().findings.is_empty(), "{}", pool.verify());

    // In a transaction that goes on, and in one that fails.
    let undone = pool.tx(|tx| {
        let first = tx.children::<Item>(bob).next().map(|(id, _)| id).unwrap();
        tx.free(first)?;
        assert_eq!(tx.free_with_children(bob)?, 1 + 99 + 99, "the gem of the freed item is an orphan");
        assert!(tx.children::<Item>(bob).next().is_none() && tx.get(bob).is_none());
        Err::<(), _>(TxError::Stale(bob.handle()))
    });
    assert!(undone.is_err());
    assert_eq!((pool.len::<Player>(), pool.len::<Item>(), pool.len::<Gem>()), (1, 100, 100));
    check(&pool, &[ada, bob]);
    pool.destroy().unwrap();
}

#[test]
fn an_owner_with_more_children_than_the_undo_log_has_room_for_is_freed_in_parts() {
    let mut pool = open(&conf());
    let ada = pool.alloc(Player { gold: 1 }).unwrap();
    for time in 0..5000 {
        item(&mut pool, ada, time);
    }
    let refused = pool.free_with_children(ada).unwrap_err();
    assert!(matches!(refused, TxError::TooLarge { .. }), "{refused}");
    assert!(refused.to_string().contains("UndoSize"), "{refused}");
    assert_eq!((pool.len::<Item>(), pool.len::<Player>()), (5000, 1));
    check(&pool, &[ada]);
    let some: Vec<_> = pool.children::<Item>(ada).take(2000).map(|(id, _)| id).collect();
    pool.tx(|tx| some.iter().try_for_each(|id| tx.free(*id))).unwrap();
    assert_eq!(pool.free_with_children(ada).unwrap(), 3001);
    assert_eq!((pool.len::<Item>(), pool.len::<Player>()), (0, 0));
    pool.destroy().unwrap();
}

#[test]
fn expired_objects_and_the_oldest_are_freed_in_the_order_of_their_times() {
    let mut pool = open(&conf());
    let ada = pool.alloc(Player { gold: 1 }).unwrap();
    for time in [5, -7, 3, 3, i64::MAX, i64::MIN, 0] {
        item(&mut pool, ada, time);
    }
    let times =
        |pool: &MemoryPoolMgr| pool.due::<Item>(i64::MAX).map(|(_, item)| item.until).collect::<Vec<_>>();
    assert_eq!(times(&pool), [i64::MIN, -7, 0, 3, 3, 5, i64::MAX]);
    assert_eq!(pool.due::<Item>(2).count(), 3);
    assert_eq!(pool.expire::<Item>(-1), 2);
    assert_eq!(pool.expire::<Item>(-1), 0);
    assert_eq!(pool.evict_oldest::<Item>(2), 2);
    assert_eq!(times(&pool), [3, 5, i64::MAX]);
    assert_eq!(pool.evict_oldest::<Item>(10), 3);
    assert_eq!(pool.evict_oldest::<Item>(10), 0);
    pool.destroy().unwrap();
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PoolObject)]
#[pool(id = 5)]
struct Short {
    name: u32,
    #[pool(time)]
    at: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PoolObject)]
#[pool(id = 6)]
struct Long {
    #[pool(time)]
    age: FixedDuration,
}

#[test]
fn a_transaction_finds_what_is_due_by_its_own_changes() {
    let conf = conf();
    let mut pool = open(&conf);
    let [a, b, c] =
        [10, 20, 30].map(|until| pool.alloc(Item { number: 0, owner: Ref::none(), until }).unwrap());
    for commits in [false, true] {
        let mut d = None;
        let done = pool.tx(|tx| {
            let due = |tx: &Tx<'_>| tx.due::<Item>(20).map(|(id, _)| id).collect::<Vec<_>>();
            assert_eq!(due(tx), [a, b]);
            tx.get_mut(c)?.until = 5;
            tx.free(a)?;
            let new = *d.insert(tx.alloc(Item { number: 0, owner: Ref::none(), until: 15 })?);
            assert_eq!(due(tx), [c, new, b]);
            if commits { Ok(()) } else { Err(TxError::Stale(a.handle())) }
        });
        assert_eq!(done.is_ok(), commits);
        let due: Vec<_> = pool.due::<Item>(20).map(|(id, _)| id).collect();
        assert_eq!(due, if commits { vec![c, d.unwrap(), b] } else { vec![a, b] });
    }
    pool.destroy().unwrap();
}

#[test]
fn a_time_may_be_of_four_bytes_and_a_duration() {
    let mut pool = MemoryPoolMgr::open(&conf()).unwrap();
    assert_eq!(pool.due::<Short>(7).count(), 0, "the type was not added");
    assert_eq!((pool.expire::<Short>(7), pool.evict_oldest::<Short>(7)), (0, 0));
    pool.add_type::<Short>().unwrap();
    pool.add_type::<Long>().unwrap();
    for number in (0..70).rev() {
        pool.alloc(Short { name: u32::MAX, at: number }).unwrap();
        pool.alloc(Long { age: FixedDuration::from_nanos(number.into()) }).unwrap();
    }
    let short: Vec<_> = pool.due::<Short>(40).map(|(_, object)| object.at).collect();
    assert_eq!(short, (0..=40).collect::<Vec<_>>());
    assert_eq!(pool.expire::<Long>(FixedDuration::from_nanos(9)), 10);
    pool.destroy().unwrap();
}

#[test]
fn when_almost_all_objects_have_changed_the_lists_are_made_anew() {
    let mut pool = open(&conf());
    let owners = [1, 2, 3].map(|gold| pool.alloc(Player { gold }).unwrap());
    let items: Vec<_> = (0..3000).map(|time| item(&mut pool, owners[time as usize % 3], time)).collect();
    check(&pool, &owners);
    for rounds in 0..3 {
        for (at, id) in items.iter().enumerate().skip(rounds * 500) {
            let mut item = pool.get_mut(*id).unwrap();
            (item.owner, item.until) = (owners[(at + rounds) % 3].into(), item.until * 7 % 1000);
        }
        check(&pool, &owners);
        pool.get_mut(items[rounds]).unwrap().owner = Ref::none();
        check(&pool, &owners);
    }
    pool.destroy().unwrap();
}

#[test]
fn orphans_and_dangling_references_are_notes_and_the_pool_is_sound() {
    let conf = conf();
    let mut pool = open(&conf);
    let [ada, bob] = [1, 2].map(|gold| pool.alloc(Player { gold }).unwrap());
    for time in 0..3 {
        item(&mut pool, ada, time);
    }
    item(&mut pool, bob, 7);
    pool.alloc(Node { parent: Ref::none(), friend: ada.into() }).unwrap();
    let found = |pool: &MemoryPoolMgr| -> Vec<String> {
        let report = pool.verify();
        assert!(report.is_sound(), "{report}");
        assert!(report.findings.iter().all(|finding| finding.severity == Severity::Note));
        report
            .findings
            .iter()
            .map(|finding| format!("{:?}: {}", finding.place.type_id, finding.what))
            .collect()
    };
    assert_eq!(found(&pool), Vec::<String>::new());
    pool.free(ada);
    let expected = [
        format!(
            "Some(2): 3 objects are orphans: the owner (`owner`) of the first one is {ada}, which does not live"
        ),
        format!("Some(4): its field `friend` refers to {ada}, which does not live"),
    ];
    assert_eq!(found(&pool), expected);
    drop(pool);
    assert_eq!(found(&open(&conf)), expected);
    open(&conf).destroy().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Player,
    Item(usize, i64),
    FreePlayer(usize),
    FreeItem(usize),
    SetOwner(usize, usize),
    Write(usize, usize, i64),
    Update(usize, usize, bool),
    Tx(Vec<(usize, usize)>, bool),
    Retain(u64),
    Expire(i64),
    Evict(usize),
    FreeWithChildren(usize),
    Quarantine(usize),
    Release(bool),
    ShiftAll(i64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (which, time) = (0usize..50, -20i64..20);
    prop_oneof![
        2 => Just(Step::Player),
        8 => (which.clone(), time.clone()).prop_map(|(owner, time)| Step::Item(owner, time)),
        1 => which.clone().prop_map(Step::FreePlayer),
        2 => which.clone().prop_map(Step::FreeItem),
        2 => (which.clone(), which.clone()).prop_map(|(item, owner)| Step::SetOwner(item, owner)),
        2 => (which.clone(), which.clone(), time.clone()).prop_map(|(item, owner, time)| Step::Write(item, owner, time)),
        2 => (which.clone(), which.clone(), any::<bool>()).prop_map(|(item, owner, ok)| Step::Update(item, owner, ok)),
        2 => (prop::collection::vec((which.clone(), which.clone()), 1..6), any::<bool>()).prop_map(|(all, ok)| Step::Tx(all, ok)),
        1 => (2u64..5).prop_map(Step::Retain),
        1 => time.clone().prop_map(Step::Expire),
        1 => (0usize..4).prop_map(Step::Evict),
        1 => which.clone().prop_map(Step::FreeWithChildren),
        1 => which.prop_map(Step::Quarantine),
        1 => any::<bool>().prop_map(Step::Release),
        1 => time.prop_map(Step::ShiftAll),
        1 => Just(Step::Reopen),
    ]
}

/// What the pool should have.
#[derive(Clone, Default)]
struct Model {
    /// All players that ever were, and whether they live.
    players: Vec<(Id<Player>, bool)>,
    items: BTreeMap<Id<Item>, (u64, i64)>,
    quarantine: BTreeMap<Handle, (Id<Item>, (u64, i64))>,
}

impl Model {
    fn owner(&self, number: usize) -> Ref<Player> {
        let player = self.players.get(number % (self.players.len() + 1));
        player.map_or(Ref::none(), |(id, _)| (*id).into())
    }

    fn item(&self, number: usize) -> Option<Id<Item>> {
        self.items.keys().nth(number % self.items.len().max(1)).copied()
    }

    fn oldest(&self, most: usize, limit: i64) -> Vec<Id<Item>> {
        let mut all: Vec<_> = self.items.iter().map(|(id, (_, time))| (*time, id.index(), *id)).collect();
        all.sort_unstable();
        all.into_iter().take(most).filter(|(time, ..)| *time <= limit).map(|(.., id)| id).collect()
    }

    fn compare(&self, pool: &MemoryPoolMgr) {
        let owners: Vec<_> = self.players.iter().map(|(id, _)| *id).collect();
        let found: BTreeMap<_, _> = pool
            .iter::<Item>()
            .map(|(id, item)| (id, (item.owner.id().map_or(0, Id::to_bits), item.until)))
            .collect();
        assert_eq!(found, self.items);
        for owner in &owners {
            let of_owner = self.items.iter().filter(|(_, (of, _))| *of == owner.to_bits());
            assert_eq!(children(pool, *owner), of_owner.map(|(id, _)| *id).collect());
        }
        let due: Vec<_> = pool.due::<Item>(3).map(|(id, _)| id).collect();
        assert_eq!(due, self.oldest(usize::MAX, 3));
        check(pool, &owners);
    }
}

/// Does a step to the pool and to the model.
fn take(step: &Step, pool: &mut MemoryPoolMgr, model: &mut Model) {
    let bits = |of: Ref<Player>| of.id().map_or(0, Id::to_bits);
    match step {
        Step::Player => model.players.push((pool.alloc(Player { gold: 0 }).unwrap(), true)),
        Step::Item(owner, until) => {
            let (owner, until) = (model.owner(*owner), *until);
            let id = pool.alloc(Item { number: 0, owner, until }).unwrap();
            model.items.insert(id, (bits(owner), until));
        }
        Step::FreePlayer(number) => {
            if let Some((id, lives)) = model.owner(*number).id().map(|id| (id, pool.contains(id))) {
                assert_eq!(pool.free(id), lives);
                model
                    .players
                    .iter_mut()
                    .filter(|(other, _)| *other == id)
                    .for_each(|player| player.1 = false);
            }
        }
        Step::FreeItem(number) => {
            if let Some(id) = model.item(*number) {
                assert!(pool.free(id));
                model.items.remove(&id);
            }
        }
        Step::SetOwner(item, owner) => {
            let owner = model.owner(*owner);
            if let Some(id) = model.item(*item) {
                assert!(pool.set_owner(id, owner));
                model.items.get_mut(&id).unwrap().0 = bits(owner);
            }
        }
        Step::Write(item, owner, until) => {
            let owner = model.owner(*owner);
            if let Some(id) = model.item(*item) {
                let mut guard = pool.get_mut(id).unwrap();
                (guard.owner, guard.until) = (owner, *until);
                drop(guard);
                model.items.insert(id, (bits(owner), *until));
            }
        }
        Step::Update(item, owner, ok) => {
            let owner = model.owner(*owner);
            if let Some(id) = model.item(*item) {
                let done = pool.try_update(id, |item| {
                    item.owner = owner;
                    if *ok { Ok(()) } else { Err(TxError::Stale(id.handle())) }
                });
                assert_eq!(done.is_ok(), *ok);
                if *ok {
                    model.items.get_mut(&id).unwrap().0 = bits(owner);
                }
            }
        }
        Step::Tx(all, ok) => transact(all, *ok, pool, model),
        Step::Retain(modulus) => {
            let keep = |id: Id<Item>| u64::from(id.index()) % modulus != 0;
            let before = model.items.len();
            model.items.retain(|id, _| keep(*id));
            assert_eq!(pool.retain::<Item>(|id, _| keep(id)), before - model.items.len());
        }
        Step::Expire(limit) => {
            let gone = model.oldest(usize::MAX, *limit);
            assert_eq!(pool.expire::<Item>(*limit), gone.len());
            gone.iter().for_each(|id| _ = model.items.remove(id));
        }
        Step::Evict(count) => {
            let gone = model.oldest(*count, i64::MAX);
            assert_eq!(pool.evict_oldest::<Item>(*count), gone.len());
            gone.iter().for_each(|id| _ = model.items.remove(id));
        }
        Step::FreeWithChildren(number) => {
            if let Some(id) = model.owner(*number).id() {
                let lives = pool.contains(id);
                let before = model.items.len();
                if lives {
                    model.items.retain(|_, (owner, _)| *owner != id.to_bits());
                    model
                        .players
                        .iter_mut()
                        .filter(|(other, _)| *other == id)
                        .for_each(|player| player.1 = false);
                }
                let freed = pool.free_with_children(id);
                assert_eq!(freed.ok(), lives.then_some(1 + before - model.items.len()));
            }
        }
        Step::Quarantine(number) => {
            if let Some(id) = model.item(*number).filter(|_| model.quarantine.len() < 60) {
                pool.quarantine(id.handle()).unwrap();
                let fields = model.items.remove(&id).unwrap();
                model.quarantine.insert(id.handle(), (id, fields));
            }
        }
        Step::Release(keep) => {
            if let Some((handle, (id, fields))) = model.quarantine.pop_first() {
                match keep {
                    true => {
                        pool.release(handle).unwrap();
                        model.items.insert(id, fields);
                    }
                    false => pool.drop_quarantined(handle).unwrap(),
                }
            }
        }
        Step::ShiftAll(by) => {
            pool.for_each::<Item>(|_, item| item.until += by);
            model.items.values_mut().for_each(|(_, time)| *time += by);
        }
        Step::Reopen => unreachable!("the caller opens the pool"),
    }
}

/// Changes owners in a transaction, which reads the lists in between.
fn transact(all: &[(usize, usize)], ok: bool, pool: &mut MemoryPoolMgr, model: &mut Model) {
    let mut after = model.clone();
    let done = pool.tx(|tx| {
        for (at, (item, owner)) in all.iter().enumerate() {
            let owner = after.owner(*owner);
            let Some(id) = after.item(*item) else { continue };
            if at % 3 == 2 {
                tx.free(id)?;
                after.items.remove(&id);
            } else {
                tx.get_mut(id)?.owner = owner;
                after.items.get_mut(&id).unwrap().0 = owner.id().map_or(0, Id::to_bits);
            }
            if let Some(owner) = owner.id() {
                let expected = after.items.values().filter(|(of, _)| *of == owner.to_bits()).count();
                assert_eq!(tx.children::<Item>(owner).count(), expected);
            }
        }
        if ok { Ok(()) } else { Err(TxError::Stale(Handle::from_bits(1 | 1 << 28).unwrap())) }
    });
    assert_eq!(done.is_ok(), ok);
    if ok {
        *model = after;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn histories_agree_with_a_model(steps in prop::collection::vec((step(), any::<bool>()), 1..120)) {
        let conf = conf();
        let mut model = Model::default();
        let mut pool = open(&conf);
        for (step, compares) in &steps {
            match step {
                Step::Reopen => {
                    drop(pool);
                    pool = open(&conf);
                }
                other => take(other, &mut pool, &mut model),
            }
            // Not always, so that several changes meet in one reading.
            if *compares {
                model.compare(&pool);
            }
        }
        model.compare(&pool);
        assert!(pool.verify().is_sound(), "{}", pool.verify());
        pool.destroy().unwrap();
    }
}
