//! Loops over stores outside the process.

use super::cycle::Cycle;
use crate::keeper::{Change, Keeper};
use crate::op::Op;
use crate::rng::{Rng, mix};
use crate::subject::{Lap, Subject};
use std::hint::black_box;
use std::time::Instant;

/// A keeper with `count` objects.
pub struct KeeperRunner<K> {
    keeper: K,
    keys: Vec<u64>,
    next_key: u64,
    cycle: Cycle,
    fill: Lap,
}

impl<K: Keeper> KeeperRunner<K> {
    /// Fills an empty keeper.
    pub fn new(mut keeper: K, count: usize) -> anyhow::Result<Self> {
        let mut keys: Vec<u64> = (0..count).map(|number| mix(number as u64)).collect();
        let puts: Vec<Change> = keys.iter().map(|&key| Change::Put(key, key)).collect();
        let start = Instant::now();
        for part in puts.chunks(keeper.batch().max(100)) {
            keeper.write(part)?;
        }
        let fill = Lap { count, time: start.elapsed() };
        Rng::new(2).shuffle(&mut keys);
        Ok(KeeperRunner { keeper, keys, next_key: count as u64, cycle: Cycle::default(), fill })
    }

    fn get_key(&mut self, count: usize) -> anyhow::Result<Lap> {
        let start = Instant::now();
        let mut sum = 0u64;
        for part in self.cycle.take(self.keys.len(), count) {
            for keys in self.keys[part].chunks(self.keeper.batch()) {
                sum = sum.wrapping_add(self.keeper.read(keys)?);
            }
        }
        black_box(sum);
        Ok(Lap { count, time: start.elapsed() })
    }

    /// Puts a new object and deletes it.
    fn pair(&mut self, count: usize) -> anyhow::Result<Lap> {
        let first = self.next_key;
        self.next_key += count as u64;
        self.changes(count, |number| {
            let key = mix(first + number as u64);
            [Change::Put(key, 1), Change::Delete(key)]
        })
    }

    /// Deletes a random object and puts another one.
    fn churn(&mut self, count: usize) -> anyhow::Result<Lap> {
        let places: Vec<usize> = self.cycle.take(self.keys.len(), count).flatten().collect();
        let mut keys = std::mem::take(&mut self.keys);
        let mut next = self.next_key;
        let lap = self.changes(count, |number| {
            next += 1;
            let old = std::mem::replace(&mut keys[places[number]], mix(next));
            [Change::Delete(old), Change::Put(mix(next), next)]
        });
        (self.keys, self.next_key) = (keys, next);
        lap
    }

    fn changes(&mut self, count: usize, mut pair: impl FnMut(usize) -> [Change; 2]) -> anyhow::Result<Lap> {
        let changes: Vec<Change> = (0..count).flat_map(&mut pair).collect();
        let start = Instant::now();
        for part in changes.chunks(self.keeper.batch()) {
            self.keeper.write(part)?;
        }
        Ok(Lap { count, time: start.elapsed() })
    }

    fn visit(&mut self) -> anyhow::Result<Option<Lap>> {
        let start = Instant::now();
        let found = self.keeper.scan()?;
        let time = start.elapsed();
        Ok(black_box(found).map(|(count, _)| Lap { count, time }))
    }
}

impl<K: Keeper> Subject for KeeperRunner<K> {
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool> {
        Ok(match op {
            Op::Fill | Op::GetKey | Op::PairHot | Op::ChurnRand => true,
            Op::Iter100 => self.visit()?.is_some(),
            _ => false,
        })
    }

    fn run(&mut self, op: Op, count: usize) -> anyhow::Result<Lap> {
        match op {
            Op::Fill => Ok(self.fill),
            Op::GetKey => self.get_key(count),
            Op::PairHot => self.pair(count),
            Op::ChurnRand => self.churn(count),
            Op::Iter100 => Ok(self.visit()?.unwrap_or_default()),
            _ => anyhow::bail!("{} is not an operation on a database", op.name()),
        }
    }
}
