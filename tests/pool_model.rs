//! Every operation does what a plain map would. Random histories run against a model, on types of
//! several shapes. Some have so few generations that slots are retired all the time, and the pool
//! is closed and reopened in between.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, Id, MemoryPoolMgr, PoolObject};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
struct Small {
    value: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2, keyed)]
struct Keyed {
    value: u64,
    more: [u64; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1023, name = "large")]
struct Large {
    value: u64,
    rest: [u64; 1023],
}

fn conf(blocks: u32) -> ProcessConf {
    static NEXT: AtomicU32 = AtomicU32::new(0x7d00_0000);
    let base = NEXT.fetch_add(64, Ordering::Relaxed);
    let keys: Vec<Key> = (1..=blocks).map(|n| Key(base + n)).collect();
    let mut conf = ProcessConf::new("model", Key(base), Bytes(256 << 10), &keys);
    conf.backend = BackendKind::Heap;
    conf
}

fn open(conf: &ProcessConf, last_generation: u32) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.set_last_generation(last_generation);
    pool.add_type::<Small>().unwrap();
    pool.add_type::<Keyed>().unwrap();
    pool.add_type::<Large>().unwrap();
    pool
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u64),
    Free(usize),
    Write(usize, u64),
    AllocKeyed(u64, u64),
    ForceGet(u64, u64),
    FreeKeyed(usize),
    FreeByKey(u64),
    AllocLarge(u64),
    FreeLarge(usize),
    /// Frees all small objects, or all but the first.
    Clear(bool),
    Reclaim,
    /// A batch: each object for itself, or all in a transaction.
    Many(Many, bool),
    Reopen,
    Drop,
}

/// A batch of small objects, chosen by numbers.
#[derive(Clone, Debug)]
enum Many {
    Alloc(Vec<u64>),
    /// Objects may occur twice, and handles of freed objects occur.
    Free(Vec<usize>),
    Write(Vec<usize>, u64),
}

fn many() -> impl Strategy<Value = Many> {
    let numbers = || prop::collection::vec(any::<usize>(), 0..40);
    prop_oneof![
        prop::collection::vec(any::<u64>(), 0..40).prop_map(Many::Alloc),
        numbers().prop_map(Many::Free),
        (numbers(), any::<u64>()).prop_map(|(numbers, value)| Many::Write(numbers, value)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u64..300;
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Alloc),
        7 => any::<usize>().prop_map(Step::Free),
        3 => (any::<usize>(), any::<u64>()).prop_map(|(n, v)| Step::Write(n, v)),
        8 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Step::AllocKeyed(k, v)),
        4 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Step::ForceGet(k, v)),
        5 => any::<usize>().prop_map(Step::FreeKeyed),
        4 => key.prop_map(Step::FreeByKey),
        2 => any::<u64>().prop_map(Step::AllocLarge),
        2 => any::<usize>().prop_map(Step::FreeLarge),
        1 => any::<bool>().prop_map(Step::Clear),
        2 => Just(Step::Reclaim),
        4 => (many(), any::<bool>()).prop_map(|(many, at_once)| Step::Many(many, at_once)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Drop),
    ]
}

#[derive(Default)]
struct Model {
    small: BTreeMap<Id<Small>, u64>,
    keyed: BTreeMap<u64, (Id<Keyed>, u64)>,
    large: BTreeMap<Id<Large>, u64>,
    /// Every handle that was freed, and every handle that was returned.
    dead: Vec<Id<Small>>,
    dead_keyed: Vec<Id<Keyed>>,
    given: HashSet<u64>,
}

fn pick<K: Copy, V>(map: &BTreeMap<K, V>, number: usize) -> Option<K> {
    map.keys().nth(number.checked_rem(map.len())?).copied()
}

fn keyed(value: u64) -> Keyed {
    Keyed { value, more: [value; 3] }
}

fn large(value: u64) -> Large {
    Large { value, rest: [value; 1023] }
}

impl Model {
    fn apply(&mut self, pool: &mut MemoryPoolMgr, step: &Step) {
        match *step {
            Step::Alloc(value) => match pool.alloc(Small { value }) {
                Ok(id) => {
                    assert!(self.given.insert(id.to_bits()), "{id} was returned twice");
                    self.small.insert(id, value);
                }
                Err(error) => assert!(matches!(error, AllocError::Full(_)), "{error}"),
            },
            Step::Free(number) => {
                let Some(id) = pick(&self.small, number) else { return };
                assert!(pool.free(id));
                assert!(!pool.free(id), "a second free succeeded");
                self.small.remove(&id);
                self.dead.push(id);
            }
            Step::Write(number, value) => {
                let Some(id) = pick(&self.small, number) else { return };
                pool.get_mut(id).unwrap().value = value;
                self.small.insert(id, value);
            }
            Step::AllocKeyed(key, value) => self.alloc_keyed(pool, key, value),
            Step::ForceGet(key, value) => {
                let Ok(forced) = pool.force_get(key, keyed(value)) else { return };
                assert_eq!(forced.is_made(), !self.keyed.contains_key(&key));
                let id = forced.into_inner();
                if forced.is_made() {
                    assert!(self.given.insert(id.to_bits()));
                    self.keyed.insert(key, (id, value));
                }
                assert_eq!(self.keyed[&key].0, id);
            }
            Step::FreeKeyed(number) => {
                let Some(key) = pick(&self.keyed, number) else { return };
                let (id, _) = self.keyed.remove(&key).unwrap();
                assert!(pool.free(id));
                self.dead_keyed.push(id);
            }
            Step::FreeByKey(key) => {
                let expected = self.keyed.remove(&key);
                assert_eq!(pool.free_by_key::<Keyed>(key), expected.is_some());
                self.dead_keyed.extend(expected.map(|(id, _)| id));
            }
            Step::AllocLarge(value) => {
                if let Ok(id) = pool.alloc(large(value)) {
                    assert!(self.given.insert(id.to_bits()));
                    self.large.insert(id, value);
                }
            }
            Step::FreeLarge(number) => {
                let Some(id) = pick(&self.large, number) else { return };
                assert!(pool.free(id));
                self.large.remove(&id);
            }
            Step::Clear(all) => {
                let keep = self.small.pop_first().filter(|_| !all);
                self.dead.extend(self.small.keys());
                if let Some((id, value)) = keep {
                    let freed: Vec<_> = std::mem::take(&mut self.small).into_keys().collect();
                    assert!(freed.into_iter().all(|id| pool.free(id)));
                    self.small.insert(id, value);
                } else {
                    self.dead.extend(pool.iter::<Small>().map(|(id, _)| id));
                    pool.clear::<Small>();
                    self.small.clear();
                }
            }
            Step::Reclaim => {
                let before = pool.bytes_free();
                let given_back = pool.reclaim().unwrap();
                assert_eq!(pool.bytes_free().0, before.0 + given_back.0);
            }
            Step::Many(ref many, at_once) => self.apply_many(pool, many, at_once),
            Step::Reopen | Step::Drop => unreachable!("the caller reopens the pool"),
        }
    }

    /// Returns handles: two of three of live objects, the others of freed ones.
    fn some_small(&self, numbers: &[usize]) -> Vec<Id<Small>> {
        let dead = |number: usize| self.dead.get(number.checked_rem(self.dead.len())?).copied();
        let any = |number: &usize| match number % 3 {
            0 => dead(*number),
            _ => pick(&self.small, *number),
        };
        numbers.iter().filter_map(any).collect()
    }

    fn apply_many(&mut self, pool: &mut MemoryPoolMgr, many: &Many, at_once: bool) {
        match many {
            Many::Alloc(values) => self.alloc_many(pool, values, at_once),
            Many::Free(numbers) => self.free_many(pool, &self.some_small(numbers), at_once),
            Many::Write(numbers, value) => self.update_many(pool, &self.some_small(numbers), *value, at_once),
        }
        let ids: Vec<_> = self.small.keys().chain(&self.dead).copied().collect();
        let expected = ids.iter().map(|id| self.small.get(id).copied());
        assert!(pool.get_many(&ids).map(|found| found.map(|object| object.value)).eq(expected));
        let keys: Vec<u64> = (0..300).rev().collect();
        let expected = keys.iter().map(|key| self.keyed.get(key).copied());
        let found = pool.find_many::<Keyed>(&keys);
        assert!(found.map(|found| found.map(|(id, object)| (id, object.value))).eq(expected));
    }

    fn alloc_many(&mut self, pool: &mut MemoryPoolMgr, values: &[u64], at_once: bool) {
        let values: Vec<_> = values.iter().map(|value| Small { value: *value }).collect();
        let made = match at_once {
            true => pool.tx(|tx| tx.alloc_many(&values)).map_err(|error| error.to_string()),
            false => pool.alloc_many(&values).map_err(|error| error.to_string()),
        };
        // Without room, none of them exists.
        for (id, object) in made.unwrap_or_default().into_iter().zip(values) {
            assert!(self.given.insert(id.to_bits()), "{id} was returned twice");
            self.small.insert(id, object.value);
        }
        assert_eq!(pool.len::<Small>(), self.small.len());
    }

    fn free_many(&mut self, pool: &mut MemoryPoolMgr, ids: &[Id<Small>], at_once: bool) {
        let distinct: HashSet<_> = ids.iter().filter(|id| self.small.contains_key(id)).copied().collect();
        let freed = match at_once {
            true => pool.tx(|tx| tx.free_many(ids)).is_ok().then_some(ids.len()),
            false => Some(pool.free_many(ids)),
        };
        // A transaction fails at a handle that does not resolve, and frees none.
        assert_eq!(freed.is_some(), !at_once || distinct.len() == ids.len());
        if let Some(freed) = freed {
            assert_eq!(freed, distinct.len());
            self.small.retain(|id, _| !distinct.contains(id));
            self.dead.extend(distinct);
        }
    }

    fn update_many(&mut self, pool: &mut MemoryPoolMgr, ids: &[Id<Small>], value: u64, at_once: bool) {
        let live = ids.iter().filter(|id| self.small.contains_key(id)).count();
        let changed = match at_once {
            true => pool.tx(|tx| tx.update_many(ids, |_, object| object.value = value)).map(|()| ids.len()),
            false => pool.update_many(ids, |_, object| object.value = value),
        };
        assert_eq!(changed.is_ok(), !at_once || live == ids.len());
        if let Ok(changed) = changed {
            assert_eq!(changed, live);
            for id in ids {
                self.small.entry(*id).and_modify(|held| *held = value);
            }
        }
    }

    fn alloc_keyed(&mut self, pool: &mut MemoryPoolMgr, key: u64, value: u64) {
        match (pool.alloc_keyed(key, keyed(value)), self.keyed.get(&key)) {
            (Ok(id), None) => {
                assert!(self.given.insert(id.to_bits()));
                self.keyed.insert(key, (id, value));
            }
            (Err(AllocError::KeyExists { key: said, holder }), Some((id, _))) => {
                assert_eq!((said, holder), (key, id.handle()));
            }
            (Err(AllocError::Full(_)), None) => {}
            (result, held) => panic!("{result:?}, but the model has {held:?}"),
        }
    }

    fn compare(&self, pool: &mut MemoryPoolMgr) {
        let found = pool.verify();
        assert!(found.is_sound(), "{found}");
        assert_eq!(found.objects() as usize, self.small.len() + self.keyed.len() + self.large.len());
        assert_eq!(pool.len::<Small>(), self.small.len());
        assert_eq!(pool.len::<Keyed>(), self.keyed.len());
        assert_eq!(pool.len::<Large>(), self.large.len());
        let seen: BTreeMap<_, _> = pool.iter::<Small>().map(|(id, o)| (id, o.value)).collect();
        assert_eq!(seen, self.small);
        let seen: BTreeMap<_, _> = pool.iter::<Large>().map(|(id, o)| (id, o.value)).collect();
        assert_eq!(seen, self.large);
        for (id, value) in &self.large {
            assert_eq!(pool.get(*id), Some(&large(*value)));
        }
        let mut count = 0;
        pool.for_each::<Keyed>(|id, object| {
            count += 1;
            assert!(self.keyed.values().any(|held| *held == (id, object.value)));
        });
        assert_eq!(count, self.keyed.len());
        for key in 0..300 {
            assert_eq!(pool.find::<Keyed>(key), self.keyed.get(&key).map(|held| held.0), "key {key}");
            assert_eq!(
                pool.get_by_key::<Keyed>(key).copied(),
                self.keyed.get(&key).map(|held| keyed(held.1))
            );
        }
        assert!(self.dead.iter().all(|id| pool.get(*id).is_none()), "a freed handle resolves");
        assert!(self.dead_keyed.iter().all(|id| pool.get(*id).is_none()), "a freed handle resolves");
    }
}

fn run(steps: &[Step], last_generation: u32, blocks: u32) {
    let conf = conf(blocks);
    let mut pool = open(&conf, last_generation);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Reopen => {
                pool.close().unwrap();
                pool = open(&conf, last_generation);
                assert!(pool.is_resume());
                model.compare(&mut pool);
            }
            Step::Drop => {
                drop(pool);
                pool = open(&conf, last_generation);
            }
            step => model.apply(&mut pool, step),
        }
    }
    model.compare(&mut pool);
    pool.destroy().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_random_history_matches_the_model(steps in prop::collection::vec(step(), 1..1500)) {
        run(&steps, 0x0fff_ffff, 4);
    }

    #[test]
    fn slots_retire_and_no_handle_ever_resolves_again(steps in prop::collection::vec(step(), 1..1500)) {
        run(&steps, 3, 4);
    }

    #[test]
    fn a_full_pool_reports_it_and_stays_usable(steps in prop::collection::vec(step(), 1..1500)) {
        run(&steps, 0x0fff_ffff, 1);
    }
}
