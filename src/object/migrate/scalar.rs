//! Scalars: the types without fields, and which of them hold all values of another.

use crate::object::Schema;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZero;

/// A type without fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scalar {
    Int(Int),
    NonZero(Int),
    /// `Option<NonZero<..>>`.
    OptionNonZero(Int),
    /// A float of so many bytes.
    Float(usize),
    Bool,
    Char,
    Phantom,
}

/// An integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Int {
    pub(super) signed: bool,
    pub(super) bytes: usize,
}

/// How the bytes of one scalar become those of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Widening {
    /// They are the same.
    Copy,
    /// Zeros follow.
    Zeros,
    /// Bytes with the sign follow.
    Sign,
    /// The number becomes a float.
    Float,
}

impl Scalar {
    /// Returns how to convert every value without loss, if there is a way.
    ///
    /// A `bool` is no number, and a `char` neither.
    pub(super) fn widening(self, to: Scalar) -> Option<Widening> {
        use Scalar::{Float, Int, NonZero, OptionNonZero};
        match (self, to) {
            _ if self == to => Some(Widening::Copy),
            (Int(from) | NonZero(from), Int(to)) | (NonZero(from), NonZero(to) | OptionNonZero(to)) => {
                from.widening(to)
            }
            (OptionNonZero(from), OptionNonZero(to)) => from.widening(to),
            (Float(4), Float(8)) => Some(Widening::Float),
            // A float of 4 bytes holds integers of 24 bits, one of 8 bytes those of 53.
            (Int(from), Float(to)) => (from.bytes * 2 <= to).then_some(Widening::Float),
            _ => None,
        }
    }

    /// Returns whether values of both types have the same order, if one is converted to the other.
    pub(super) fn keeps_order(self, to: Scalar) -> bool {
        self.widening(to).is_some()
    }
}

impl Int {
    fn widening(self, to: Int) -> Option<Widening> {
        match (self.signed, to.signed) {
            _ if self == to => Some(Widening::Copy),
            (false, _) if self.bytes < to.bytes => Some(Widening::Zeros),
            (true, true) if self.bytes < to.bytes => Some(Widening::Sign),
            _ => None,
        }
    }
}

/// Prints the type as the source writes it.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Int(int) => int.fmt(f),
            Scalar::NonZero(int) => write!(f, "NonZero<{int}>"),
            Scalar::OptionNonZero(int) => write!(f, "Option<NonZero<{int}>>"),
            Scalar::Float(bytes) => write!(f, "f{}", bytes * 8),
            Scalar::Bool => f.write_str("bool"),
            Scalar::Char => f.write_str("char"),
            Scalar::Phantom => f.write_str("PhantomData<()>"),
        }
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.signed { 'i' } else { 'u' }, self.bytes * 8)
    }
}

macro_rules! scalars {
    ($($integer:ident)*) => {&[
        (bool::FINGERPRINT, 1, Scalar::Bool),
        (char::FINGERPRINT, 4, Scalar::Char),
        (f32::FINGERPRINT, 4, Scalar::Float(4)),
        (f64::FINGERPRINT, 8, Scalar::Float(8)),
        (<PhantomData<()>>::FINGERPRINT, 0, Scalar::Phantom),
        $(
            ($integer::FINGERPRINT, size_of::<$integer>(), Scalar::Int(int!($integer))),
            (NonZero::<$integer>::FINGERPRINT, size_of::<$integer>(), Scalar::NonZero(int!($integer))),
            (
                <Option<NonZero<$integer>>>::FINGERPRINT,
                size_of::<$integer>(),
                Scalar::OptionNonZero(int!($integer)),
            ),
        )*
    ]};
}

macro_rules! int {
    ($integer:ident) => {
        Int { signed: $integer::MIN != 0, bytes: size_of::<$integer>() }
    };
}

/// All scalars, each with its fingerprint and size.
pub(super) const SCALARS: &[(u64, usize, Scalar)] = scalars!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

#[cfg(test)]
mod tests {
    use super::*;

    fn int(name: &str) -> Scalar {
        let found = SCALARS.iter().find(|(_, _, scalar)| scalar.to_string() == name);
        found.map(|(_, _, scalar)| *scalar).unwrap()
    }

    #[test]
    fn a_number_widens_if_no_value_is_lost() {
        let ways: Vec<String> =
            ["u8", "i8", "u16", "i32", "u32", "u64", "f32", "bool", "char", "NonZero<u8>"]
                .iter()
                .map(|from| {
                    let to = SCALARS.iter().filter(|(_, _, to)| int(from) != *to);
                    let to = to.filter_map(|(_, _, to)| int(from).widening(*to).map(|_| to.to_string()));
                    format!("{from}: {}\n", to.collect::<Vec<_>>().join(" "))
                })
                .collect();
        insta::assert_snapshot!(ways.concat(), @r"
        u8: f32 f64 u16 u32 u64 u128 i16 i32 i64 i128
        i8: f32 f64 i16 i32 i64 i128
        u16: f32 f64 u32 u64 u128 i32 i64 i128
        i32: f64 i64 i128
        u32: f64 u64 u128 i64 i128
        u64: u128 i128
        f32: f64
        bool: 
        char: 
        NonZero<u8>: u8 Option<NonZero<u8>> u16 NonZero<u16> Option<NonZero<u16>> u32 NonZero<u32> Option<NonZero<u32>> u64 NonZero<u64> Option<NonZero<u64>> u128 NonZero<u128> Option<NonZero<u128>> i16 NonZero<i16> Option<NonZero<i16>> i32 NonZero<i32> Option<NonZero<i32>> i64 NonZero<i64> Option<NonZero<i64>> i128 NonZero<i128> Option<NonZero<i128>>
        ");
    }
}
