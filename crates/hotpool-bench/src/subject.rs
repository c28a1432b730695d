//! Whoever is measured: hotpool, or a peer of it, with a population of objects.

use crate::op::Op;
use std::time::Duration;

/// A store with its population, and the loops over it.
pub trait Subject {
    /// Puts the population into the state that an operation starts from. False if the store
    /// does not have the operation.
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool>;

    /// Does an operation at least `count` times; returns how often it did, and in what time.
    fn run(&mut self, op: Op, count: usize) -> anyhow::Result<Lap>;
}

/// A stretch of an operation that was timed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lap {
    /// Elements done.
    pub count: usize,
    /// In this time.
    pub time: Duration,
}

impl Lap {
    /// Nanoseconds of one element.
    pub fn nanos(self) -> f64 {
        self.time.as_nanos() as f64 / self.count.max(1) as f64
    }
}
