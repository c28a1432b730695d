//! Which bytes are a value, as the schema text in a segment tells it: for tools, which do not have
//! the Rust types.
//!
//! A text names the types of fields as the source writes them, which says nothing for certain. What
//! counts is their fingerprint: a type is taken for what it seems to be only if that has the
//! fingerprint that the text has. The bytes of all other types are not checked.

use crate::object::{BadValue, Fingerprint, Schema, StoredField};
use std::num::NonZero;

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

/// Largest number of elements of an array of structs that is recognised.
const MOST_ELEMENTS: u64 = 4096;

/// A field with the lines inside it, and where the struct that has it begins.
struct Part<'a> {
    field: &'a StoredField,
    inside: &'a [StoredField],
    /// Name without those of the enclosing fields.
    name: &'a str,
    offset: u64,
}

impl StoredRule {
    /// Returns the rule of an object with these fields.
    pub(crate) fn of_object(fields: &[StoredField], size: u64, fingerprint: u64) -> Self {
        let inside = Inside { lines: fields, prefix: "", start: 0 };
        inside
            .compound(size)
            .into_iter()
            .find(|(print, _)| *print == fingerprint)
            .map_or(Self::Any, |(_, rule)| rule)
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

/// The lines inside a field, whose names begin with `prefix`.
#[derive(Clone, Copy)]
struct Inside<'a> {
    lines: &'a [StoredField],
    prefix: &'a str,
    /// Offset of the field in the object.
    start: u64,
}

impl<'a> Inside<'a> {
    fn parts(self) -> Vec<Part<'a>> {
        let (mut lines, mut found) = (self.lines, Vec::new());
        while let Some((field, rest)) = lines.split_first() {
            let within = |line: &&StoredField| {
                line.name.strip_prefix(&field.name).is_some_and(|tail| tail.starts_with(['.', '[']))
            };
            let (inside, rest) = rest.split_at(rest.iter().take_while(within).count());
            let name = field.name.strip_prefix(self.prefix).unwrap_or(&field.name).trim_start_matches('.');
            found.push(Part { field, inside, name, offset: field.offset.wrapping_sub(self.start) });
            lines = rest;
        }
        found
    }

    /// Returns what a type of `size` bytes with these fields can be, each with its fingerprint.
    fn compound(self, size: u64) -> Vec<(u64, StoredRule)> {
        let parts = self.parts();
        let fields = |print: Fingerprint| {
            let add = |print: Fingerprint, part: &Part<'_>| {
                print.text(part.name).number(part.field.fingerprint).number(part.offset)
            };
            parts.iter().fold(print, add).finish()
        };
        let mut found = Vec::new();
        if let Some(first) = parts.first().filter(|part| part.field.type_name.starts_with("variant ")) {
            let tag = first.field.size;
            let variants = parts.iter().filter_map(Part::variant).collect();
            let print = fields(Fingerprint::new("enum").number(size).number(tag));
            found.push((print, StoredRule::Enum(tag as usize, variants)));
        }
        found.push((fields(Fingerprint::new("struct").number(size)), struct_of(&parts)));
        if let [len, items] = &parts[..]
            && (len.name, items.name) == ("len", "items")
        {
            let max = items.field.size;
            found.push((Fingerprint::new("text").number(max).finish(), StoredRule::Text(max as usize)));
            for (count, size, print, of) in items.elements(1) {
                let print = Fingerprint::new("list").number(print).number(count).finish();
                let rule =
                    StoredRule::List(count as usize, items.offset as usize, size as usize, Box::new(of));
                found.push((print, rule));
            }
        }
        found
    }
}

fn struct_of(parts: &[Part<'_>]) -> StoredRule {
    let fields = parts.iter().map(|part| (part.name.to_owned(), part.offset as usize, part.rule()));
    StoredRule::Fields(fields.filter(|(_, _, rule)| !rule.is_any()).collect())
}

impl Part<'_> {
    /// Returns the number, name and fields of a variant.
    fn variant(&self) -> Option<(u64, String, StoredRule)> {
        let value = self.field.type_name.strip_prefix("variant ")?.parse().ok()?;
        let inside = Inside { lines: self.inside, prefix: &self.field.name, start: self.field.offset };
        Some((value, self.name.to_owned(), struct_of(&inside.parts())))
    }

    fn rule(&self) -> StoredRule {
        let all = self.candidates(self.field.size, self.rank());
        all.into_iter()
            .find(|(print, _)| *print == self.field.fingerprint)
            .map_or(StoredRule::Any, |(_, rule)| rule)
    }

    /// Returns how many dimensions the field has as an array, as far as the lines inside tell.
    fn rank(&self) -> usize {
        let first = self.inside.first().and_then(|line| line.name.strip_prefix(&self.field.name));
        let brackets =
            first.map_or(0, |tail| tail.bytes().take_while(|byte| b"[]".contains(byte)).count() / 2);
        if self.inside.is_empty() { 1 } else { brackets }
    }

    /// Returns what `size` bytes with the lines inside can be, up to an array of `rank` dimensions.
    fn candidates(&self, size: u64, rank: usize) -> Vec<(u64, StoredRule)> {
        let mut found = match self.inside.is_empty() {
            true => scalars(size),
            false if rank > 0 => Vec::new(),
            false => {
                let prefix = format!("{}{}", self.field.name, "[]".repeat(self.rank()));
                let start = self.field.offset;
                Inside { lines: self.inside, prefix: &prefix, start }.compound(size)
            }
        };
        if rank > 0 {
            let arrays = self.elements_of(size, rank).into_iter().map(|(count, size, print, of)| {
                let print = Fingerprint::new("array").number(print).number(count).finish();
                (print, StoredRule::Array(count as usize, size as usize, Box::new(of)))
            });
            found.extend(arrays);
        }
        found
    }

    /// Returns what the elements of the field can be: their number, size, fingerprint and rule.
    fn elements(&self, least: usize) -> Vec<(u64, u64, u64, StoredRule)> {
        self.elements_of(self.field.size, self.rank().max(least))
    }

    fn elements_of(&self, size: u64, rank: usize) -> Vec<(u64, u64, u64, StoredRule)> {
        let most = if self.inside.is_empty() { size } else { MOST_ELEMENTS.min(size) };
        // Elements without lines inside have at most 16 bytes.
        let sizes: Vec<u64> = match self.inside.is_empty() {
            true => [1, 2, 4, 8, 16].into_iter().filter(|bytes| size.is_multiple_of(*bytes)).collect(),
            false => {
                (1..=most).filter(|count| size.is_multiple_of(*count)).map(|count| size / count).collect()
            }
        };
        let of_size = |bytes: u64| {
            let found = self.candidates(bytes, rank - 1).into_iter();
            found.map(move |(print, rule)| (size / bytes, bytes, print, rule))
        };
        sizes.into_iter().filter(|bytes| *bytes != 0).flat_map(of_size).collect()
    }
}

/// Returns the types of `size` bytes that have no fields.
fn scalars(size: u64) -> Vec<(u64, StoredRule)> {
    macro_rules! table {
        ($($integer:ident)*) => {[
            (1, bool::FINGERPRINT, StoredRule::Bool),
            (4, char::FINGERPRINT, StoredRule::Char),
            (4, f32::FINGERPRINT, StoredRule::Any),
            (8, f64::FINGERPRINT, StoredRule::Any),
            $(
                (size_of::<$integer>(), $integer::FINGERPRINT, StoredRule::Any),
                (
                    size_of::<$integer>(),
                    NonZero::<$integer>::FINGERPRINT,
                    StoredRule::NonZero(size_of::<$integer>()),
                ),
            )*
        ]};
    }
    let all = table!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);
    all.into_iter()
        .filter(|(bytes, ..)| *bytes as u64 == size)
        .map(|(_, print, rule)| (print, rule))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{FixedMap, FixedStr, FixedVec, Maybe, SchemaText};

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
