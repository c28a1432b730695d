//! Which bytes are a value, as the schema text in a segment tells it: for tools, which do not have
//! the Rust types.
//!
//! The bytes of types whose [`Shape`] is unknown are not checked.

use super::scalar::Scalar;
use super::shape::{Kind, Member, Shape, Variant};
use super::tree::Tree;
use crate::object::{BadValue, StoredField};

/// Which bytes are a value of a stored type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredRule {
    /// Any, or it is not known.
    Any,
    /// 0 or 1.
    Bool,
    /// Four bytes, a `char`.
    Char,
    /// At least one bit of so many bytes is set.
    NonZero(usize),
    /// The fields are values: name and offset in the whole.
    Fields(Vec<(String, usize, StoredRule)>),
    /// The elements are values, each of so many bytes.
    Array(usize, usize, Box<StoredRule>),
    /// The first bytes are the number of a variant, whose fields are values.
    Enum(usize, Vec<(u64, String, StoredRule)>),
    /// A length up to so many, then at an offset elements of so many bytes.
    List(usize, usize, usize, Box<StoredRule>),
    /// A length up to so many, then UTF-8.
    Text(usize),
}

impl StoredRule {
    /// Returns the rule of an object with these fields.
    pub(crate) fn of_object(fields: &[StoredField], size: u64, fingerprint: u64) -> Self {
        let Ok(tree) = Tree::of_lines(fields, size) else { return Self::Any };
        match Shape::of_object(&tree) {
            Ok(shape) if shape.fingerprint == fingerprint => Self::of(&shape),
            _ => Self::Any,
        }
    }

    fn of(shape: &Shape<'_>) -> Self {
        match &shape.kind {
            Kind::Scalar(Scalar::Bool) => StoredRule::Bool,
            Kind::Scalar(Scalar::Char) => StoredRule::Char,
            Kind::Scalar(Scalar::NonZero(int)) => StoredRule::NonZero(int.bytes),
            Kind::Scalar(_) | Kind::Ref(_) | Kind::Unknown => StoredRule::Any,
            Kind::Struct(members) => Self::of_fields(members),
            Kind::Array { len, of } => StoredRule::Array(*len, of.size, Box::new(Self::of(of))),
            Kind::Enum { tag, variants } => {
                let variant = |of: &Variant<'_>| (of.value, of.name.clone(), Self::of_fields(&of.members));
                StoredRule::Enum(*tag, variants.iter().map(variant).collect())
            }
            Kind::List { max, items, of } => StoredRule::List(*max, *items, of.size, Box::new(Self::of(of))),
            Kind::Text { max, .. } => StoredRule::Text(*max),
        }
    }

    fn of_fields(members: &[Member<'_>]) -> Self {
        let fields = members.iter().map(|of| (of.name.clone(), of.offset, Self::of(&of.shape)));
        StoredRule::Fields(fields.filter(|(_, _, rule)| !rule.is_any()).collect())
    }

    /// Returns whether nothing need be checked.
    pub(crate) fn is_any(&self) -> bool {
        match self {
            StoredRule::Any => true,
            StoredRule::Fields(fields) => fields.iter().all(|(_, _, rule)| rule.is_any()),
            StoredRule::Array(_, _, of) => of.is_any(),
            _ => false,
        }
    }

    /// Checks whether bytes are a value. What lies beyond their end counts as a value.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), BadValue> {
        let number = |count: usize| {
            let mut all = [0; 16];
            all.iter_mut().zip(bytes.iter().take(count)).for_each(|(to, from)| *to = *from);
            u128::from_le_bytes(all)
        };
        let no = |bits: u128, what: &str| Err(BadValue::new(format!("{bits} is no {what}")));
        match self {
            StoredRule::Any => Ok(()),
            StoredRule::Bool => {
                if number(1) <= 1 {
                    Ok(())
                } else {
                    no(number(1), "bool")
                }
            }
            StoredRule::Char => match char::from_u32(number(4) as u32) {
                Some(_) => Ok(()),
                None => no(number(4), "char"),
            },
            StoredRule::NonZero(size) => {
                if number(*size) != 0 {
                    Ok(())
                } else {
                    no(0, "NonZero")
                }
            }
            StoredRule::Fields(fields) => fields.iter().try_for_each(|(name, offset, rule)| {
                rule.check(bytes.get(*offset..).unwrap_or_default()).map_err(|bad| bad.of(name))
            }),
            StoredRule::Array(len, size, of) => check_items(bytes, *len, *size, of),
            StoredRule::Enum(tag, variants) => {
                let found = variants.iter().find(|(value, _, _)| u128::from(*value) == number(*tag));
                let Some((_, name, fields)) = found else { return no(number(*tag), "variant") };
                fields.check(bytes).map_err(|bad| bad.of(&format!("({name})")))
            }
            StoredRule::List(max, items, size, of) => {
                let len = length(number(4), *max)?;
                check_items(bytes.get(*items..).unwrap_or_default(), len, *size, of)
            }
            StoredRule::Text(max) => {
                let len = length(number(4), *max)?;
                let text = bytes.get(4..4 + len).unwrap_or_default();
                let what = |error: std::str::Utf8Error| {
                    format!("it is not UTF-8 from byte {} on", error.valid_up_to())
                };
                std::str::from_utf8(text).map(drop).map_err(|error| BadValue::new(what(error)))
            }
        }
    }
}

fn check_items(bytes: &[u8], len: usize, size: usize, of: &StoredRule) -> Result<(), BadValue> {
    let items = bytes.chunks(size.max(1)).take(len).enumerate();
    items
        .filter(|_| !of.is_any())
        .try_for_each(|(at, item)| of.check(item).map_err(|bad| bad.of(&format!("[{at}]"))))
}

fn length(found: u128, max: usize) -> Result<usize, BadValue> {
    match usize::try_from(found) {
        Ok(len) if len <= max => Ok(len),
        _ => Err(BadValue::new(format!("a length of {found} exceeds the capacity of {max}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{FixedMap, FixedStr, FixedVec, Maybe, Schema, SchemaText};
    use std::num::NonZero;

    #[repr(u8)]
    #[derive(Clone, Copy, Debug, Schema)]
    #[allow(dead_code, reason = "only its bytes are read")]
    enum Kind {
        A,
        B { flags: [bool; 3], at: u32 },
        C(Maybe<char>),
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, Schema)]
    struct Inner {
        kind: Kind,
        on: bool,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema)]
    struct Outer {
        id: u64,
        on: bool,
        inner: [[Inner; 2]; 3],
        name: FixedStr<6>,
        flags: FixedVec<bool, 5>,
        inners: FixedVec<Inner, 2>,
        map: FixedMap<u16, NonZero<u32>, 3>,
        plain: FixedVec<f64, 2>,
        last: char,
    }

    fn rule() -> StoredRule {
        let fields = SchemaText::parse(&SchemaText::of::<Outer>()).unwrap();
        StoredRule::of_object(&fields, size_of::<Outer>() as u64, Outer::FINGERPRINT)
    }

    #[test]
    fn types_without_invalid_values_are_not_checked() {
        assert!(StoredRule::of_object(&[], 8, 7).is_any());
        assert!(rule() != StoredRule::Any && !rule().is_any());
    }

    /// Both ways to check agree, on values and on any damage of one byte.
    #[test]
    fn the_text_tells_what_the_type_tells() {
        let rule = rule();
        let inner = Inner { kind: Kind::B { flags: [true, false, true], at: 9 }, on: true };
        let other = Inner { kind: Kind::C(Maybe::Some('x')), on: false };
        let mut map = FixedMap::new();
        map.insert(7, NonZero::<u32>::MIN).unwrap();
        let object = Outer {
            id: 1,
            on: true,
            inner: [[inner, other], [other, inner], [inner, Inner { kind: Kind::A, on: true }]],
            name: "Zoë".parse().unwrap(),
            flags: FixedVec::try_from_iter([true, false]).unwrap(),
            inners: FixedVec::try_from_iter([other, inner]).unwrap(),
            map,
            plain: FixedVec::try_from_iter([0.5]).unwrap(),
            last: 'y',
        };
        let good = crate::object::bytes_for_tests(&object);
        assert_eq!(rule.check(&good), Ok(()));
        let mut bad = 0;
        for at in 0..good.len() {
            for byte in [0, 1, 2, 3, 6, 0xc3, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let expected = crate::object::check_bytes::<Outer>(&bytes);
                assert_eq!(rule.check(&bytes), expected, "byte {at} = {byte}");
                bad += usize::from(expected.is_err());
            }
        }
        assert!(bad > 100, "{bad}");
    }
}
