//! How long a start waits for an owner that is still dying.

use crate::limits;
use std::time::{Duration, Instant};

/// The time that a start waits for a dying owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    since: Instant,
    most: Duration,
}

impl Wait {
    /// Begins a wait of up to `ms` milliseconds.
    pub(crate) fn ms(ms: u64) -> Self {
        Wait { since: Instant::now(), most: Duration::from_millis(ms.min(limits::MAX_OWNER_WAIT_MS)) }
    }

    pub(crate) fn left(&self) -> Duration {
        self.most.saturating_sub(self.since.elapsed())
    }

    pub(crate) fn spent_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }
}
