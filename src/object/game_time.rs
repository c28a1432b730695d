//! `GameTime`: a moment of the clock of a pool, which stands still while nothing runs.

use crate::object::Schema;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of a pool's own clock, as a field of an object: a `u64` of nanoseconds.
///
/// [`MemoryPoolMgr::game_time`](crate::MemoryPoolMgr::game_time) reads the clock. It begins at 0 when
/// the pool is created, and goes on from the last reading in every later process. So the time between
/// the last reading of one process and the first of the next one does not count, whether that was a
/// restart or a reboot: a buff of ten minutes lasts for ten minutes of play.
///
/// ```
/// use hotpool::object::GameTime;
/// use std::time::Duration;
///
/// let now = GameTime::from_nanos(5_000_000_000);
/// let until = now + Duration::from_secs(600);
/// assert!(until > now);
/// assert_eq!(until - now, Duration::from_secs(600));
/// assert_eq!(now - until, Duration::ZERO);
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Schema)]
pub struct GameTime {
    nanos: u64,
}

impl GameTime {
    /// The end of time, after all others: for what is never due.
    pub const NEVER: Self = GameTime { nanos: u64::MAX };

    /// Creates the moment so many nanoseconds after the creation of the pool.
    pub const fn from_nanos(nanos: u64) -> Self {
        GameTime { nanos }
    }

    /// Returns the nanoseconds since the creation of the pool.
    pub const fn nanos(self) -> u64 {
        self.nanos
    }
}

impl Add<Duration> for GameTime {
    type Output = GameTime;

    /// Returns a later moment, at most [`GameTime::NEVER`].
    fn add(self, span: Duration) -> GameTime {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        GameTime { nanos: self.nanos.saturating_add(nanos) }
    }
}

impl Sub for GameTime {
    type Output = Duration;

    /// Returns the span since an earlier moment; 0 if that is later.
    fn sub(self, earlier: GameTime) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl fmt::Debug for GameTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            GameTime::NEVER => f.write_str("never"),
            GameTime { nanos } => Duration::from_nanos(nanos).fmt(f),
        }
    }
}
