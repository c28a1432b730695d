//! Quantities that must not be mixed up: segment keys and sizes in bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Returns a number with its noun, which gets an `s` unless the number is 1.
#[doc(hidden)]
pub fn plural(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

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

/// Why a text is no key, size or handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?} as {what}: expected {expected}")]
#[non_exhaustive]
pub struct ParseError {
    pub(crate) what: &'static str,
    pub(crate) text: String,
    pub(crate) expected: &'static str,
}

impl FromStr for Key {
    type Err = ParseError;

    /// Reads a key as it prints, `0x48500100`, or in decimal.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let key = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) if digits.starts_with('+') => None,
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None if text.starts_with('+') => None,
            None => text.parse().ok(),
        };
        let expected = "a decimal number, or 0x and hexadecimal digits, above 0";
        key.filter(|key| *key != 0).map(Key).ok_or_else(|| ParseError {
            what: "a segment key",
            text: text.into(),
            expected,
        })
    }
}

impl FromStr for Bytes {
    type Err = ParseError;

    /// Reads a size as it prints: a number, and `K`, `M` or `G` after it for units of 1,024.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (digits, shift) = match text.as_bytes() {
            [digits @ .., b'K'] => (digits.len(), 10),
            [digits @ .., b'M'] => (digits.len(), 20),
            [digits @ .., b'G'] => (digits.len(), 30),
            digits => (digits.len(), 0),
        };
        let number = text.get(..digits).filter(|digits| !digits.starts_with('+'));
        let number: Option<u64> = number.and_then(|digits| digits.parse().ok());
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        let expected = "a number of bytes, or one of units with K, M or G after it";
        bytes.map(Bytes).ok_or_else(|| ParseError { what: "a size", text: text.into(), expected })
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
    fn what_is_printed_can_be_read() {
        for key in [1, 0x4850_0100, u32::MAX].map(Key) {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(key.0.to_string().parse(), Ok(key));
        }
        for bytes in [0, 1, 1000, 1 << 10, 64 << 20, 3 << 30, u64::MAX].map(Bytes) {
            assert_eq!(bytes.to_string().parse(), Ok(bytes));
        }
        for text in ["", "0", "0x", "0x0", "-1", "+1", "0x+1", "0x148500100", "1 "] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
        for text in
            ["", "K", "-1", "+1K", "1.5M", "64 M", "64MB", "18446744073709551616", "18014398509481984K"]
        {
            assert!(text.parse::<Bytes>().is_err(), "{text:?}");
        }
        let said = "12Q".parse::<Bytes>().unwrap_err().to_string();
        assert!(said.starts_with("cannot read \"12Q\" as a size: expected a number of bytes"), "{said}");
    }

    #[test]
    fn rounding_never_wraps() {
        assert_eq!(round_up(1, 4096), Some(4096));
        assert_eq!(round_up(4096, 4096), Some(4096));
        assert_eq!(round_up(u64::MAX, 4096), None);
    }
}
