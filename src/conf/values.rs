//! Parses the text of single values.

use super::nearest::nearest;
use super::problem::{Found, ProblemKind};
use super::rules;
use crate::units::{Bytes, Key};
use std::fmt::Display;
use std::ops::RangeInclusive;

type Parsed<T> = Result<T, ProblemKind>;

pub(super) const A_KEY: &str = "a key in decimal, or in hexadecimal after 0x";
pub(super) const A_SIZE: &str = "a whole number of bytes, optionally followed by K, M or G";
pub(super) const A_NUMBER: &str = "a whole number";
pub(super) const A_MODE: &str = "permission bits in octal, such as 0600";

/// Parses a number of decimal digits alone. More digits than fit yield a number out of every range.
fn digits(text: &str) -> Option<u128> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().unwrap_or(u128::MAX))
}

fn not(text: &str, expected: &'static str) -> ProblemKind {
    match text {
        "" => ProblemKind::NoValue { expected },
        text => ProblemKind::NotANumber { found: Found::new(text), expected },
    }
}

/// Parses a decimal number.
pub(super) fn number<T: TryFrom<u128> + Ord + Display>(text: &str, range: &RangeInclusive<T>) -> Parsed<T> {
    let number = digits(text).ok_or_else(|| not(text, A_NUMBER))?;
    rules::within(T::try_from(number).ok(), range, &text)
}

/// Parses a System V key. A decimal that begins with 0 is refused: C would read it as octal.
pub(super) fn key(text: &str) -> Parsed<Key> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match hex {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) && !hex.is_empty() => {
            Some(u128::from_str_radix(hex, 16).unwrap_or(u128::MAX))
        }
        Some(_) => None,
        None if text.len() > 1 && text.starts_with('0') => None,
        None => digits(text),
    };
    match u32::try_from(number.ok_or_else(|| not(text, A_KEY))?) {
        Ok(key) => rules::key(Key(key), &text),
        Err(_) => rules::within(None, &(Key(1)..=Key(u32::MAX)), &text),
    }
}

/// Parses a size: `65536`, `64K`, `64M`, `1G`, with powers of 1024; `None` if it exceeds 64 bits.
fn size(text: &str) -> Parsed<Option<Bytes>> {
    let (count, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let count = digits(count).ok_or_else(|| not(text, A_SIZE))?;
    Ok(u64::try_from(count.saturating_mul(unit)).ok().map(Bytes))
}

/// Parses a size in `range`.
pub(super) fn bytes(text: &str, range: &RangeInclusive<Bytes>) -> Parsed<Bytes> {
    rules::within(size(text)?, range, &text)
}

/// Parses the size of a block, a whole number of pages.
pub(super) fn block_size(text: &str) -> Parsed<Bytes> {
    rules::whole_pages(size(text)?, &rules::BLOCK_SIZE, &text)
}

/// Parses the size of an undo log, a whole number of pages.
pub(super) fn undo_size(text: &str) -> Parsed<Bytes> {
    rules::whole_pages(size(text)?, &rules::UNDO_SIZE, &text)
}

/// Parses permission bits in octal.
pub(super) fn mode(text: &str) -> Parsed<u32> {
    let octal = !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    if !octal {
        return Err(not(text, A_MODE));
    }
    // More digits than fit are bits outside 0666, too.
    rules::mode(u32::from_str_radix(text, 8).unwrap_or(u32::MAX), &text)
}

/// Parses one of a closed list of words.
pub(super) fn choice<T: Copy>(text: &str, all: &[T], word: impl Fn(T) -> &'static str) -> Parsed<T> {
    let choices = || all.iter().map(|meaning| word(*meaning));
    all.iter().copied().find(|meaning| word(*meaning) == text).ok_or_else(|| match text {
        "" => ProblemKind::NoValue { expected: "one of its allowed words" },
        _ => ProblemKind::NotAChoice {
            found: Found::new(text),
            choices: choices().collect(),
            nearest: nearest(text, choices()),
        },
    })
}

/// Parses `yes` or `no`. It suggests no correction: `on` is as near to `no` as to `on` itself.
pub(super) fn yes_or_no(text: &str) -> Parsed<bool> {
    let answer = choice(text, &[false, true], |yes| if yes { "yes" } else { "no" });
    answer.map_err(|kind| match kind {
        ProblemKind::NotAChoice { found, choices, .. } => {
            ProblemKind::NotAChoice { found, choices, nearest: None }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decimal_or_hexadecimal() {
        assert_eq!(key("0x48500100"), Ok(Key(0x4850_0100)));
        assert_eq!(key("0XfF"), Ok(Key(255)));
        assert_eq!(key("1213202688"), Ok(Key(0x4850_0100)));
        assert_eq!(key("4294967295"), Ok(Key(u32::MAX)));
        for text in ["", "0x", "0x-1", "+1", "-1", "010", "1_000", "0x1G", "12 34", "٣"] {
            assert!(
                matches!(key(text), Err(ProblemKind::NotANumber { .. } | ProblemKind::NoValue { .. })),
                "{text}"
            );
        }
        for text in ["0", "0x0", "0x00000000"] {
            assert!(matches!(key(text), Err(ProblemKind::PrivateKey { .. })), "{text}");
        }
        for text in ["4294967296", "0x100000000", &"9".repeat(60), &format!("0x{}", "f".repeat(60))] {
            assert!(matches!(key(text), Err(ProblemKind::OutOfRange { .. })), "{text}");
        }
    }

    #[test]
    fn sizes_take_a_unit_of_1024_and_never_wrap() {
        let any = |text| bytes(text, &(Bytes(0)..=Bytes(u64::MAX)));
        assert_eq!(any("65536"), Ok(Bytes(65536)));
        assert_eq!(any("64K"), Ok(Bytes(64 << 10)));
        assert_eq!(any("64m"), Ok(Bytes(64 << 20)));
        assert_eq!(any("1G"), Ok(Bytes(1 << 30)));
        assert!(matches!(any("17179869184G"), Err(ProblemKind::OutOfRange { .. })));
        // 2^118 K: a product that wraps is 0.
        assert!(matches!(any("332306998946228968225951765070086144K"), Err(ProblemKind::OutOfRange { .. })));
        for text in ["", "K", "64MB", "64 M", "6.4M", "0x10", "-1K", "é"] {
            assert!(
                matches!(any(text), Err(ProblemKind::NotANumber { .. } | ProblemKind::NoValue { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_mode_lets_the_owner_in_and_nothing_but_read_and_write() {
        assert_eq!(mode("0600"), Ok(0o600));
        assert_eq!(mode("600"), Ok(0o600));
        assert_eq!(mode("0666"), Ok(0o666));
        assert!(matches!(mode("384"), Err(ProblemKind::NotANumber { .. })));
        assert!(matches!(mode("0777"), Err(ProblemKind::ModeBits { .. })));
        assert!(matches!(mode("77777777777777"), Err(ProblemKind::ModeBits { .. })));
        assert!(matches!(mode("0060"), Err(ProblemKind::ModeLocksOwner { .. })));
        assert!(matches!(mode("0400"), Err(ProblemKind::ModeLocksOwner { .. })));
    }
}
