//! What threads agree on without a lock: which lanes are taken, and how many jobs are left.
//!
//! | word | a thread | ordering | so that |
//! |---|---|---|---|
//! | `LaneSet::taken` | takes a lane | acquire | its first store to the lane follows the last one of the thread before |
//! | | gives it back | release | |
//! | `Countdown::left` | adds a job, before another thread can see it | relaxed | |
//! | | ends a job | release, and acquire by the last one | |
//! | | waits for all jobs | acquire | it sees everything that they have done |
//!
//! `tests/parallel_protocol.rs` has this file in loom, with the orderings above and with weaker ones.

use super::atomic::{AtomicU64, AtomicUsize, GIVE, Ordering, TAKE};

/// Which lanes of up to 64 are taken.
#[derive(Debug)]
pub(crate) struct LaneSet {
    taken: AtomicU64,
}

impl LaneSet {
    pub(crate) fn new() -> Self {
        LaneSet { taken: AtomicU64::new(0) }
    }

    /// Takes the lowest free lane of the first `count`; `None` if all are taken.
    pub(crate) fn take(&self, count: u32) -> Option<u32> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones();
            if number >= count {
                return None;
            }
            match self.taken.compare_exchange(taken, taken | 1 << number, TAKE, Ordering::Relaxed) {
                Ok(_) => return Some(number),
                Err(now) => taken = now,
            }
        }
    }

    /// Returns whether a lane is taken.
    pub(crate) fn is_any_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) != 0
    }

    /// Gives all lanes back, after no thread has one.
    pub(crate) fn give_all(&self) {
        self.taken.store(0, GIVE);
    }

    /// Gives a lane back.
    pub(crate) fn give(&self, number: u32) {
        self.taken.fetch_and(!(1 << number), GIVE);
    }
}

/// The number of jobs that are not done.
#[derive(Debug)]
pub(crate) struct Countdown {
    left: AtomicUsize,
}

impl Countdown {
    pub(crate) fn new() -> Self {
        Countdown { left: AtomicUsize::new(0) }
    }

    /// Counts one job more.
    pub(crate) fn add(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one job less; returns whether it was the last.
    pub(crate) fn end_one(&self) -> bool {
        self.left.fetch_sub(1, GIVE) == 1
    }

    /// Returns whether no job is left.
    pub(crate) fn is_over(&self) -> bool {
        self.left.load(TAKE) == 0
    }
}
