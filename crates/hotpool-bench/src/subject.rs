//! The interface to a measured subject: hotpool or a peer, with a population of objects.

use crate::op::Op;
use std::time::Duration;

/// A store with its population, and the loops over it.
pub trait Subject {
    /// Puts the population into the state that an operation begins with. Returns false if the store
    /// does not support the operation.
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool>;

    /// Runs an operation at least `count` times. Returns how often it ran, and in what time.
    fn run(&mut self, op: Op, count: usize) -> anyhow::Result<Lap>;
}

/// A timed stretch of an operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lap {
    /// Number of elements.
    pub count: usize,
    /// Total time.
    pub time: Duration,
}

impl Lap {
    /// Returns the nanoseconds of one element.
    pub fn nanos(self) -> f64 {
        self.time.as_nanos() as f64 / self.count.max(1) as f64
    }
}
