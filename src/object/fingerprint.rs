//! Fingerprints: 64 bits that differ where two layouts differ.

use crate::object::Field;

/// A fingerprint in the making: FNV-1a over what it is given, in a `const`.
///
/// Fingerprints are stored in segments, so what it computes is part of the format.
/// Texts go in with their length, so that no two sequences of calls feed the same bytes.
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
    /// Starts with the kind of what is fingerprinted: `u64`, `array`, `struct`.
    pub const fn new(kind: &str) -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325).text(kind)
    }

    /// Goes on with a text.
    pub const fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// Goes on with a number, such as a size or another fingerprint.
    pub const fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// The fingerprint of all of it.
    pub const fn finish(self) -> u64 {
        self.0
    }

    /// The fingerprint of a struct: its size, and the name, fingerprint and offset of each field.
    ///
    /// The struct's own name is left out, so that renaming a Rust type keeps the objects
    /// of a running server: a type of a pool is known by its number and its name there.
    pub const fn of_struct(fields: &[Field], size: usize) -> u64 {
        let mut all = Fingerprint::new("struct").number(size as u64);
        let mut at = 0;
        while at < fields.len() {
            let field = &fields[at];
            all = all.text(field.name).number(field.desc.fingerprint).number(field.offset as u64);
            at += 1;
        }
        all.finish()
    }

    const fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut at = 0;
        while at < bytes.len() {
            self.0 = (self.0 ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::TypeDesc;

    fn field(name: &'static str, of: u64, offset: usize) -> Field {
        let desc = TypeDesc { name: "T", size: 4, fingerprint: of, fields: &[], rank: 0 };
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
