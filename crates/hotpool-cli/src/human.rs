//! Sizes, spans of time and names as the command prints them.

use hotpool::units::{Age, Key};

/// Formats bytes in the unit that fits, with at most one decimal: `64M`, `259.6M`.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let Some((shift, unit)) = units.into_iter().find(|(shift, _)| bytes >> shift != 0) else {
        return bytes.to_string();
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    match tenths % 10 {
        0 => format!("{}{unit}", tenths / 10),
        tenth => format!("{}.{tenth}{unit}", tenths / 10),
    }
}

/// Formats seconds in the unit that fits: `5 s`, `3 min`, `2 h`, `9 d`.
pub(crate) fn age(seconds: u64) -> String {
    Age(seconds).to_string()
}

/// Escapes control characters of a name from a segment, which may contain anything.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// Parses a segment key in decimal, or in hexadecimal as `hotpool` and `ipcs` print it.
pub(crate) fn key(text: &str) -> Result<Key, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match parsed {
        Ok(0) => Err("0 is IPC_PRIVATE, not the key of a segment".into()),
        Ok(key) => Ok(Key(key)),
        Err(_) => Err("expected a segment key: a decimal number, or 0x and hexadecimal digits".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_at_most_one_decimal() {
        let said = [0, 1023, 1024, 3_817_472, 64 << 20, (64 << 20) + (600 << 10), u64::MAX].map(size);
        assert_eq!(said, ["0", "1023", "1K", "3.6M", "64M", "64.5M", "17179869183.9G"]);
    }

    #[test]
    fn ages_have_one_unit() {
        let said = [0, 119, 120, 7199, 7200, 172_800].map(age);
        assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
    }

    #[test]
    fn names_do_not_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\nü"), "a\\u{1b}[2Jb\\nü");
    }

    #[test]
    fn keys_are_taken_as_they_are_printed() {
        assert_eq!(key("0x48500100"), Ok(Key(0x4850_0100)));
        assert_eq!(key("1213202688"), Ok(Key(0x4850_0100)));
        for text in ["", "0", "0x", "0x0", "48500100h", "-1", "0x148500100"] {
            assert!(key(text).is_err(), "{text}");
        }
    }
}
