//! One measured row.

use serde::{Deserialize, Serialize};

/// The times of hotpool and a peer for one operation, in interleaved rounds of the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Name of the operation.
    pub op: String,
    /// Bytes of an object or message.
    pub size: usize,
    /// Number of objects in the population, or of messages that a queue has room for.
    pub n: usize,
    /// Nanoseconds of hotpool, median of the rounds.
    pub hotpool_ns: f64,
    /// Name of the peer.
    pub peer: String,
    /// Nanoseconds of the peer, median of the rounds.
    pub peer_ns: f64,
    /// Ratio of hotpool to the peer, median of the rounds. Lower is better.
    pub ratio: f64,
    /// Lower quartile of the ratio.
    pub ratio_low: f64,
    /// Upper quartile of the ratio.
    pub ratio_high: f64,
    /// The largest ratio allowed, if a goal is set.
    pub goal: Option<f64>,
}

impl Row {
    /// Returns whether the goal is met; `None` without a goal.
    pub fn meets_goal(&self) -> Option<bool> {
        self.goal.map(|goal| self.ratio <= goal)
    }
}
