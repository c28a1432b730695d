//! Quantities that must not be mixed up: segment keys and sizes in bytes.

use std::fmt;
use std::time::Duration;

/// A System V IPC key, which prints as an operator writes it: `0x48500100`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u32);

impl Key {
    /// Returns the key as `shmget` and `semget` expect it.
    pub fn raw(self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A size in bytes, which prints in the largest unit that divides it: `64M`, `1000`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] {
            if self.0 >> shift != 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Rounds up to a multiple of `unit`, a power of two; returns `None` on overflow.
pub(crate) const fn round_up(n: u64, unit: u64) -> Option<u64> {
    match n.checked_add(unit - 1) {
        Some(sum) => Some(sum & !(unit - 1)),
        None => None,
    }
}

/// A time span in seconds, which prints as an operator writes it: `5 s`, `3 min`, `2 h`, `9 d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub u64);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s @ 0..120 => write!(f, "{s} s"),
            s @ 120..7200 => write!(f, "{} min", s / 60),
            s @ 7200..172_800 => write!(f, "{} h", s / 3600),
            s => write!(f, "{} d", s / 86_400),
        }
    }
}

/// A span of time, which prints as an [`Age`], or as milliseconds if it is shorter than a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            seconds => Age(seconds).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_keys_print_as_written_in_the_ini() {
        assert_eq!(Bytes(64 << 20).to_string(), "64M");
        assert_eq!(Bytes(3 << 30).to_string(), "3G");
        assert_eq!(Bytes(1000).to_string(), "1000");
        assert_eq!(Bytes(0).to_string(), "0");
        assert_eq!(Key(0x4850_0100).to_string(), "0x48500100");
    }

    #[test]
    fn spans_of_time_have_one_unit() {
        let said: Vec<String> = [0, 119, 120, 7200, 172_800].map(|s| Age(s).to_string()).into();
        assert_eq!(said, ["0 s", "119 s", "2 min", "2 h", "2 d"]);
        assert_eq!(Span(Duration::from_millis(999)).to_string(), "999 ms");
        assert_eq!(Span(Duration::from_millis(4321)).to_string(), "4 s");
    }

    #[test]
    fn rounding_never_wraps() {
        assert_eq!(round_up(1, 4096), Some(4096));
        assert_eq!(round_up(4096, 4096), Some(4096));
        assert_eq!(round_up(u64::MAX, 4096), None);
    }
}
