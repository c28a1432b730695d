//! `FixedDuration`: a span of time whose bytes are the same in every build.

use super::no_room::NoRoom;
use crate::object::Schema;
use std::fmt;
use std::time::Duration;

/// A span of time of up to 584 years, as a field of an object: a `u64` of nanoseconds.
///
/// The compiler may choose another layout for [`Duration`] in each build, so it cannot lie in a
/// segment.
///
/// ```
/// use hotpool::object::FixedDuration;
/// use std::time::Duration;
///
/// let cooldown: FixedDuration = Duration::from_millis(1500).try_into()?;
/// assert_eq!(cooldown.get().as_secs_f32(), 1.5);
/// assert!(cooldown < FixedDuration::from_nanos(2_000_000_000));
/// assert!(FixedDuration::try_from(Duration::MAX).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Schema)]
pub struct FixedDuration {
    nanos: u64,
}

impl FixedDuration {
    /// Creates the span of so many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        FixedDuration { nanos }
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.nanos
    }

    /// Returns the span as a [`Duration`].
    pub const fn get(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

impl From<FixedDuration> for Duration {
    fn from(span: FixedDuration) -> Self {
        span.get()
    }
}

impl TryFrom<Duration> for FixedDuration {
    type Error = NoRoom<Duration>;

    /// Fails for a span of more than 584 years.
    fn try_from(span: Duration) -> Result<Self, Self::Error> {
        let error = NoRoom { value: span, capacity: u64::MAX as usize };
        u64::try_from(span.as_nanos()).map(Self::from_nanos).map_err(|_| error)
    }
}

impl fmt::Debug for FixedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
