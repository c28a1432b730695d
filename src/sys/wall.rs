//! The wall clock, in whole words.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the nanoseconds of the wall clock since 1970.
pub(crate) fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64)
}

/// Returns the seconds of the wall clock since 1970.
pub(crate) fn wall_seconds() -> u64 {
    wall_nanos() / 1_000_000_000
}
