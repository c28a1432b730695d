//! One measured line.

use serde::{Deserialize, Serialize};

/// What hotpool and a peer took for one operation, in interleaved rounds of the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Name of the operation.
    pub op: String,
    /// Bytes of an object.
    pub size: usize,
    /// Objects of the population.
    pub n: usize,
    /// Nanoseconds of hotpool, median of the rounds.
    pub hotpool_ns: f64,
    /// Who is compared with.
    pub peer: String,
    /// Its nanoseconds.
    pub peer_ns: f64,
    /// hotpool through peer, median over the rounds. Lower is better.
    pub ratio: f64,
    /// A quarter of the rounds had a ratio below.
    pub ratio_low: f64,
    /// A quarter of the rounds had a ratio above.
    pub ratio_high: f64,
    /// What the ratio is to be at most, where a goal is set.
    pub goal: Option<f64>,
}

impl Row {
    /// Whether the goal is met; `None` without one.
    pub fn meets_goal(&self) -> Option<bool> {
        self.goal.map(|goal| self.ratio <= goal)
    }
}
