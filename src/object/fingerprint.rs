//! Fingerprints: 64 bits that differ if two layouts differ.

/// A hasher (FNV-1a) that computes the fingerprint of a layout in a `const`.
///
/// Fingerprints are stored in segments, so the result is part of the format. Each text is preceded
/// by its length, so that different sequences of calls never hash the same bytes.
///
/// ```
/// use hotpool::object::Fingerprint;
///
/// const METRES: u64 = Fingerprint::new("metres").number(32).finish();
/// assert_ne!(METRES, Fingerprint::new("feet").number(32).finish());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Begins a fingerprint with the kind of thing it describes, such as `u64`, `array` or
    /// `struct`.
    pub const fn new(kind: &str) -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325).text(kind)
    }

    /// Adds a text.
    pub const fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// Adds a number, such as a size or another fingerprint.
    pub const fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Returns the fingerprint of everything that was added.
    pub const fn finish(self) -> u64 {
        self.0
    }

    const fn bytes(mut self, mut bytes: &[u8]) -> Self {
        while let [byte, rest @ ..] = bytes {
            self.0 = (self.0 ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
            bytes = rest;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Field, Stored, TypeDesc};

    fn field(name: &'static str, of: u64, offset: usize) -> Field {
        let desc = TypeDesc {
            name: "T",
            size: 4,
            fingerprint: of,
            fields: &[],
            rank: 0,
            rule: u32::RULE,
            changes: &[],
        };
        Field { name, desc, offset }
    }

    #[test]
    fn a_fingerprint_never_changes_between_builds() {
        assert_eq!(Fingerprint::new("u64").finish(), 0x2b03_fdd2_8e27_f29b);
        assert_eq!(Fingerprint::of_struct(&[field("hp", 7, 8)], 16), 0x46f2_5149_cbae_006f);
    }

    #[test]
    fn each_part_of_a_field_counts() {
        let base = Fingerprint::of_struct(&[field("hp", 7, 8)], 16);
        for other in [field("mp", 7, 8), field("hp", 9, 8), field("hp", 7, 4)] {
            assert_ne!(Fingerprint::of_struct(&[other], 16), base, "{other:?}");
        }
        assert_ne!(Fingerprint::of_struct(&[field("hp", 7, 8)], 24), base);
        assert_ne!(Fingerprint::of_struct(&[], 16), base);
    }

    #[test]
    fn texts_do_not_run_together() {
        let split = |a, b| Fingerprint::new("struct").text(a).text(b).finish();
        assert_ne!(split("ab", "c"), split("a", "bc"));
    }
}
