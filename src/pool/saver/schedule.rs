//! When the next snapshot begins.

use std::time::{Duration, Instant};

/// When the next snapshot begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Schedule {
    /// The thread was not asked for the latest set yet.
    #[default]
    Unknown,
    /// The thread looks for the latest set.
    Asked,
    At(Instant),
}

impl Schedule {
    /// Plans the first snapshot: `every` after the latest set was taken, or now if there is none.
    ///
    /// A process that restarts again and again thus writes snapshots as well.
    pub(crate) fn first(every: Duration, latest_ns: Option<u64>, now_ns: u64) -> Self {
        // A set of the future is one of a clock that was set back.
        let age = latest_ns.map(|latest| Duration::from_nanos(now_ns.saturating_sub(latest)));
        let wait = age.map_or(Duration::ZERO, |age| every.saturating_sub(age));
        Schedule::At(Instant::now() + wait)
    }

    /// Plans the snapshot after one that begins now.
    pub(crate) fn next(every: Duration) -> Self {
        Schedule::At(Instant::now() + every)
    }

    /// Returns whether a snapshot begins now.
    pub(crate) fn is_due(self) -> bool {
        matches!(self, Schedule::At(at) if at <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_snapshot_counts_from_the_latest_set() {
        let (every, second) = (Duration::from_secs(60), 1_000_000_000);
        let due = |latest| Schedule::first(every, latest, 100 * second).is_due();
        assert!(due(None));
        assert!(due(Some(40 * second)));
        assert!(!due(Some(41 * second)), "it is 59 s old");
        assert!(!due(Some(200 * second)), "it is one of the future");
        assert!(!Schedule::Unknown.is_due() && !Schedule::Asked.is_due());
        assert!(!Schedule::next(every).is_due() && Schedule::next(Duration::ZERO).is_due());
    }
}
