//! Loops over objects by key.

use super::cycle::Cycle;
use crate::keyed::Keyed;
use crate::object::Object;
use crate::op::Op;
use crate::rng::{Rng, mix};
use crate::subject::{Lap, Subject};
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

/// One of this many force_gets finds no object.
const MISS_ONE_IN: usize = 50;

/// The steps of a tick, in thousandths: the rates of one MMO zone with 459,000 operations a second.
const MIX: [(Step, usize); 6] = [
    (Step::Get, 570),
    (Step::GetStale, 30),
    (Step::GetKey, 162),
    (Step::Update, 218),
    (Step::Force, 8),
    (Step::Pair, 12),
];

#[derive(Clone, Copy)]
enum Step {
    Get,
    GetStale,
    GetKey,
    Update,
    Force,
    Pair,
}

/// A store of objects by key, with `count` objects.
pub struct KeyedRunner<K: Keyed<O>, O: Object> {
    store: K,
    /// Keys and handles, each in its own random order.
    keys: Vec<u64>,
    handles: Vec<K::Handle>,
    stale: Vec<K::Handle>,
    steps: Vec<Step>,
    /// Mixed, it is a key that was never used.
    next_key: u64,
    keys_cycle: Cycle,
    handles_cycle: Cycle,
    _type: PhantomData<O>,
}

impl<K: Keyed<O>, O: Object> KeyedRunner<K, O> {
    /// Fills an empty store.
    pub fn new(count: usize) -> anyhow::Result<Self> {
        let mut store = K::empty(count)?;
        let stale_key = |number: usize| mix((2 * count + number) as u64);
        let stale: Vec<_> = (0..64).map(|n| store.insert(stale_key(n), O::new(0))).collect();
        for (number, &handle) in stale.iter().enumerate() {
            assert!(store.remove(stale_key(number), handle));
        }
        let mut keys: Vec<u64> = (0..count).map(|number| mix(number as u64)).collect();
        let mut handles: Vec<_> = keys.iter().map(|&key| store.insert(key, O::new(key))).collect();
        let mut rng = Rng::new(2);
        rng.shuffle(&mut keys);
        rng.shuffle(&mut handles);
        let mut steps: Vec<Step> = MIX.iter().flat_map(|&(step, n)| std::iter::repeat_n(step, n)).collect();
        rng.shuffle(&mut steps);
        Ok(KeyedRunner {
            store,
            keys,
            handles,
            stale,
            steps,
            next_key: 3 * count as u64 + 64,
            keys_cycle: Cycle::default(),
            handles_cycle: Cycle::default(),
            _type: PhantomData,
        })
    }

    fn get_key(&mut self, count: usize) -> Lap {
        let parts = self.keys_cycle.take(self.keys.len(), count);
        let start = Instant::now();
        let reader = self.store.reader();
        let mut sum = 0u64;
        for part in parts {
            for &key in &self.keys[part] {
                sum = sum.wrapping_add(K::find(reader, key, O::value).unwrap_or(0));
            }
        }
        black_box(sum);
        Lap { count, time: start.elapsed() }
    }

    /// Runs in stretches. After each, the new objects are removed, outside the measured time, so
    /// that the population stays the same.
    fn force_get(&mut self, count: usize) -> Lap {
        let stretch = (5 * self.keys.len()).max(MISS_ONE_IN);
        let mut all = Lap::default();
        while all.count < count {
            let lap = self.force_stretch(stretch.min(count - all.count));
            all.count += lap.count;
            all.time += lap.time;
        }
        all
    }

    fn force_stretch(&mut self, count: usize) -> Lap {
        let parts = self.keys_cycle.take(self.keys.len(), count);
        let fresh = self.next_key;
        let start = Instant::now();
        let (mut sum, mut left) = (0u64, MISS_ONE_IN);
        for part in parts {
            for &there in &self.keys[part] {
                left -= 1;
                let mut key = there;
                if left == 0 {
                    (left, key) = (MISS_ONE_IN, mix(self.next_key));
                    self.next_key += 1;
                }
                sum = sum.wrapping_add(self.store.force(key, || O::new(key)));
            }
        }
        black_box(sum);
        let lap = Lap { count, time: start.elapsed() };
        for number in fresh..self.next_key {
            assert!(self.store.remove_key(mix(number)));
        }
        lap
    }

    fn tick(&mut self, count: usize) -> Lap {
        let (len, ticks) = (self.handles.len(), count.div_ceil(self.steps.len()));
        let places = |cycle: &mut Cycle, count| cycle.take(len, count).next().map_or(0, |part| part.start);
        let mut key_at = places(&mut self.keys_cycle, ticks * 170);
        let mut handle_at = places(&mut self.handles_cycle, ticks * 788);
        let (mut sum, mut stale_at) = (0u64, 0);
        let start = Instant::now();
        for _ in 0..ticks {
            for number in 0..self.steps.len() {
                match self.steps[number] {
                    Step::Get => {
                        let handle = self.handles[handle_at];
                        handle_at = next(handle_at, len);
                        sum = sum.wrapping_add(self.store.get(handle, O::value).unwrap_or(0));
                    }
                    Step::GetStale => {
                        stale_at = next(stale_at, self.stale.len());
                        let found = self.store.get(self.stale[stale_at], O::value);
                        sum = sum.wrapping_add(found.unwrap_or(1));
                    }
                    Step::GetKey => {
                        let key = self.keys[key_at];
                        key_at = next(key_at, len);
                        sum = sum.wrapping_add(K::find(self.store.reader(), key, O::value).unwrap_or(0));
                    }
                    Step::Update => {
                        let handle = self.handles[handle_at];
                        handle_at = next(handle_at, len);
                        self.store
                            .update(handle, |object| object.set_value(object.value().wrapping_add(sum)));
                    }
                    Step::Force => {
                        let key = self.keys[key_at];
                        key_at = next(key_at, len);
                        sum = sum.wrapping_add(self.store.force(key, || O::new(key)));
                    }
                    Step::Pair => {
                        let key = mix(self.next_key);
                        self.next_key += 1;
                        let handle = black_box(self.store.insert(key, O::new(sum)));
                        sum += u64::from(self.store.remove(key, handle));
                    }
                }
            }
        }
        black_box(sum);
        Lap { count: ticks * self.steps.len(), time: start.elapsed() }
    }
}

#[inline(always)]
fn next(at: usize, len: usize) -> usize {
    if at + 1 == len { 0 } else { at + 1 }
}

impl<K: Keyed<O>, O: Object> Subject for KeyedRunner<K, O> {
    fn prepare(&mut self, _op: Op) -> anyhow::Result<bool> {
        Ok(true)
    }

    fn run(&mut self, op: Op, count: usize) -> anyhow::Result<Lap> {
        Ok(match op {
            Op::GetKey => self.get_key(count),
            Op::ForceGet => self.force_get(count),
            Op::Tick => self.tick(count),
            _ => anyhow::bail!("{} is not an operation on objects by key", op.name()),
        })
    }
}
