//! A process that moves, frees and expires objects with owners and times is killed again and again.
//! After each kill the lists are those of the fields, and no transaction was cut in two.

use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, Ref, TxError};
use keys::Keys;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[allow(dead_code, unreachable_pub, reason = "each test uses only a part")]
#[path = "harness/keys.rs"]
mod keys;
#[path = "harness/own_keys.rs"]
mod own_keys;

/// Its gold is the number of its children: both change in one transaction.
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
    #[pool(owner)]
    owner: Ref<Player>,
    #[pool(time)]
    until: u64,
}

/// The first key of the pool and the seed, for a child.
const CHILD: &str = "HOTPOOL_FOLLOWED_CHILD";
const KILLS: u64 = if cfg!(debug_assertions) { 20 } else { 60 };

fn open(key: u32) -> MemoryPoolMgr {
    let conf = ProcessConf::new("followed", Key(key), Bytes(1 << 20), &[Key(key + 1)]);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.add_type::<Item>().unwrap();
    pool
}

/// Compares the lists with the fields, and the children with what their owners say.
fn check(pool: &MemoryPoolMgr) {
    let mut expected = BTreeMap::<u64, Vec<Id<Item>>>::new();
    for (id, item) in pool.iter::<Item>() {
        expected.entry(item.owner.id().map_or(0, Id::to_bits)).or_default().push(id);
    }
    for (id, player) in pool.iter::<Player>() {
        let mut children: Vec<_> = pool.children::<Item>(id).map(|(id, _)| id).collect();
        children.sort_unstable();
        assert_eq!(children, expected.remove(&id.to_bits()).unwrap_or_default(), "children of {id}");
        assert_eq!(children.len() as u64, player.gold, "a transaction was cut in two");
    }
    expected.remove(&0);
    assert!(expected.is_empty(), "an owner was freed without its children: {expected:?}");
    assert_eq!(pool.orphans::<Item>().count(), 0);
    let mut due: Vec<_> = pool.iter::<Item>().map(|(id, item)| (item.until, id.index())).collect();
    due.sort_unstable();
    let found: Vec<_> = pool.due::<Item>(u64::MAX).map(|(id, item)| (item.until, id.index())).collect();
    assert_eq!(found, due);
}

/// One round of what a server does, which reads the lists that it changes.
fn round(pool: &mut MemoryPoolMgr, random: &mut fastrand::Rng) -> Result<(), TxError> {
    let players: Vec<_> = pool.iter::<Player>().map(|(id, _)| id).collect();
    let (first, second) = (random.choice(&players).copied(), random.choice(&players).copied());
    let now = random.u64(0..1000);
    match (random.u32(0..6), first, second) {
        (0, ..) if players.len() < 20 => pool.tx(|tx| {
            let count = random.u64(0..300);
            let owner = tx.alloc(Player { gold: count })?;
            (0..count).try_for_each(|at| tx.alloc(Item { owner: owner.into(), until: now + at }).map(drop))
        }),
        (1, ..) if players.len() > 5 => {
            let richest = pool.iter::<Player>().max_by_key(|(_, player)| player.gold).map(|(id, _)| id);
            richest.map_or(Ok(()), |owner| pool.free_with_children(owner).map(drop))
        }
        // All children of one go to the other, if the undo log has room for them.
        (2, Some(from), Some(to)) if from != to && pool.children::<Item>(from).count() < 100 => {
            pool.tx(|tx| {
                let moved: Vec<_> = tx.children::<Item>(from).map(|(id, _)| id).collect();
                for id in &moved {
                    tx.get_mut(*id)?.owner = to.into();
                }
                tx.get_mut(from)?.gold = 0;
                tx.get_mut(to)?.gold += moved.len() as u64;
                assert_eq!(tx.children::<Item>(from).count(), 0);
                Ok(())
            })
        }
        (3, ..) if pool.len::<Item>() < 3000 => {
            for at in 0..5 {
                pool.alloc(Item { owner: Ref::none(), until: now + at }).map_err(TxError::Alloc)?;
            }
            Ok(())
        }
        // Those without an owner have a time of their own, and may go one by one.
        (4, ..) if random.u32(0..20) == 0 => {
            pool.retain::<Item>(|_, item| item.owner.id().is_some() || item.until > now);
            Ok(())
        }
        (5, ..) if random.u32(0..20) == 0 => {
            pool.for_each::<Item>(|_, item| item.until = item.until * 7 % 1000);
            let next = pool.due::<Item>(now).filter(|(_, item)| item.owner.id().is_none()).map(|(id, _)| id);
            let next: Vec<_> = next.take(3).collect();
            next.into_iter().for_each(|id| _ = pool.free(id));
            Ok(())
        }
        _ => Ok(()),
    }
}

#[test]
fn after_every_kill_the_lists_are_those_of_the_fields() {
    let keys = Keys::take(2);
    let key = keys.base().0;
    open(key).close().unwrap();
    let mut random = fastrand::Rng::with_seed(0x0f01_10ed);
    for number in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_changes_owners_until_it_is_killed", "--nocapture"])
            .env(CHILD, format!("{key} {number}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let lines = out.by_ref().lines();
        let rounds = random.usize(1..3);
        let seen = lines.map_while(Result::ok).filter(|line| line.contains("round")).take(rounds).count();
        // At a random moment of what it does then.
        let (began, moment) = (Instant::now(), Duration::from_micros(random.u64(0..3000)));
        while began.elapsed() < moment {}
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!((seen, ended.code()), (rounds, None), "the child ran until it was killed");
        let pool = open(key);
        check(&pool);
        assert!(pool.verify().is_sound(), "{}", pool.verify());
    }
    assert!(!open(key).is_empty::<Item>());
}

#[test]
fn a_child_changes_owners_until_it_is_killed() {
    let Ok(words) = std::env::var(CHILD) else { return };
    let (key, seed) = words.split_once(' ').unwrap();
    let mut pool = open(key.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed.parse().unwrap());
    loop {
        round(&mut pool, &mut random).unwrap();
        // Seldom, so that most of the time is that of the changes.
        if random.u32(0..200) == 0 {
            check(&pool);
            println!("round");
        }
    }
}
