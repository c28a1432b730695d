//! Values as bytes: whether bytes are a value, and zeros for its padding.
//!
//! # What the unsafe code here relies on
//!
//! A [`Rule`] describes its type truly (see `Stored`). So every offset that it leads to lies inside
//! `size` bytes, which the caller guarantees to be there, and the bytes that are read are no
//! padding. A tag, a length and an element are read only after what they depend on was checked.
#![allow(unsafe_code)]

use crate::object::desc::{Field, Kind, Rule};
use crate::object::stored::Stored;
use std::fmt;
use std::mem::MaybeUninit;

/// Bytes of a segment are no value of the type that they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadValue {
    /// The field, with those that it is in: `bags[3].kind`; empty for the object itself.
    pub field: String,
    /// What was found, and what was expected: `7 is no bool`.
    pub what: String,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.what),
            field => write!(f, "{field}: {}", self.what),
        }
    }
}

impl std::error::Error for BadValue {}

impl BadValue {
    #[cold]
    pub(crate) fn new(what: String) -> Self {
        BadValue { field: String::new(), what }
    }

    /// Puts the name of what the field is in before its own.
    #[cold]
    pub(crate) fn of(self, outer: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with(['[', '(']) { "" } else { "." };
        BadValue { field: format!("{outer}{dot}{}", self.field), ..self }
    }
}

/// Checks whether `bytes` are a value of `T`.
///
/// ```
/// use hotpool::object::check_bytes;
///
/// assert!(check_bytes::<char>(&0x1f600u32.to_le_bytes()).is_ok());
/// assert!(check_bytes::<char>(&0xd800u32.to_le_bytes()).is_err());
/// assert!(check_bytes::<[bool; 3]>(&[0, 1]).is_err());
/// ```
///
/// # Errors
///
/// Names the first field that has no value of its type.
pub fn check_bytes<T: Stored>(bytes: &[u8]) -> Result<(), BadValue> {
    check_rule(T::RULE, bytes)
}

/// Checks whether `bytes` are a value, as [`check_bytes`] does.
pub(crate) fn check_rule(rule: &Rule, bytes: &[u8]) -> Result<(), BadValue> {
    if bytes.len() != rule.size {
        let (found, expected) = (bytes.len(), rule.size);
        return Err(BadValue::new(format!("{found} bytes are no value of {expected} bytes")));
    }
    // SAFETY: there are as many bytes as the rule is for.
    unsafe { check_at(rule, bytes.as_ptr()) }
}

/// Returns whether `bytes` are a value, sooner than [`check_rule`] for the most frequent types.
#[inline]
pub(crate) fn is_value(rule: &Rule, bytes: &[u8]) -> bool {
    match (rule.kind, bytes) {
        (Kind::Bool, [byte]) => *byte <= 1,
        (Kind::Text { max }, [a, b, c, d, text @ ..]) => {
            let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            let text = text.get(..len).filter(|_| len <= max);
            text.is_some_and(|text| text.is_ascii() || std::str::from_utf8(text).is_ok())
        }
        _ => check_rule(rule, bytes).is_ok(),
    }
}

/// Writes a value with zeros for its padding. Does nothing if `bytes` has another size.
pub fn write_value<T: Stored>(value: T, bytes: &mut [u8]) {
    let mut value = MaybeUninit::new(value);
    let at = value.as_mut_ptr().cast::<u8>();
    if bytes.len() == size_of::<T>() {
        // SAFETY: the value that was just moved there.
        unsafe { scrub(T::RULE, at) };
        // SAFETY: as many bytes as the value has; all are initialised now, and `value` is ours.
        unsafe { std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), bytes.len()) };
    }
}

/// Writes a value of a type of another crate. Does nothing if `bytes` has another size.
pub fn write_foreign<F: bytemuck::Pod>(value: F, bytes: &mut [u8]) {
    if bytes.len() == size_of::<F>() {
        bytes.copy_from_slice(bytemuck::bytes_of(&value));
    }
}

/// Reads a value.
pub(crate) fn read_value<T: Stored>(bytes: &[u8]) -> Result<T, BadValue> {
    check_rule(T::RULE, bytes)?;
    // SAFETY: as many bytes as the type has, and they are a value. They need not be aligned.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Checks whether the bytes at an address are a value.
///
/// # Safety
///
/// `rule.size` bytes can be read there, those of fields are initialised, and nothing writes to them.
pub(crate) unsafe fn check_at(rule: &Rule, at: *const u8) -> Result<(), BadValue> {
    if rule.any_bits {
        return Ok(());
    }
    match rule.kind {
        Kind::Plain => Ok(()),
        Kind::Bool | Kind::Char | Kind::NonZero => {
            // SAFETY: the bytes of a scalar.
            let bits = unsafe { little_endian(at, rule.size) };
            check_scalar(rule.kind, bits)
        }
        // SAFETY: the fields of the value.
        Kind::Struct(fields) => unsafe { check_fields(fields, at) },
        // SAFETY: the elements of the value.
        Kind::Array { len, of } => unsafe { check_items(len, of, at) },
        Kind::Enum { tag, values, variants } => {
            // SAFETY: an enum begins with its tag.
            let found = unsafe { little_endian(at, tag) };
            let number = values.iter().position(|value| u128::from(*value) == found);
            match number.and_then(|number| variants.get(number)) {
                // SAFETY: the tag says that the value has these fields.
                Some(variant) => unsafe { check_fields(variant.desc.fields, at) }
                    .map_err(|bad| bad.of(&format!("({})", variant.name))),
                None => Err(BadValue::new(format!("{found} is no variant"))),
            }
        }
        Kind::List { max, items, of } => {
            // SAFETY: a list begins with its length.
            let len = unsafe { length(at, max) }?;
            // SAFETY: the first `len` elements are in use, and `len` is not above their number.
            unsafe { check_items(len, of, at.wrapping_add(items)) }
        }
        Kind::Text { max } => {
            // SAFETY: a text begins with its length.
            let len = unsafe { length(at, max) }?;
            // SAFETY: the bytes of the text follow its length, and `len` is not above their number.
            let bytes = unsafe { std::slice::from_raw_parts(at.wrapping_add(LENGTH), len) };
            if bytes.is_ascii() {
                return Ok(());
            }
            std::str::from_utf8(bytes).map(drop).map_err(|error| {
                BadValue::new(format!("it is not UTF-8 from byte {} on", error.valid_up_to()))
            })
        }
    }
}

/// Bytes of the length of a list or text.
const LENGTH: usize = size_of::<u32>();

fn check_scalar(kind: Kind, bits: u128) -> Result<(), BadValue> {
    let (is_value, what) = match kind {
        Kind::Bool => (bits <= 1, "bool"),
        Kind::Char => (u32::try_from(bits).is_ok_and(|bits| char::from_u32(bits).is_some()), "char"),
        Kind::NonZero => (bits != 0, "NonZero"),
        _ => (true, ""),
    };
    if is_value { Ok(()) } else { Err(BadValue::new(format!("{bits} is no {what}"))) }
}

/// # Safety
///
/// As for `check_at`; `at` is the struct that has the fields.
unsafe fn check_fields(fields: &[Field], at: *const u8) -> Result<(), BadValue> {
    for Field { name, desc, offset } in fields {
        // SAFETY: the field lies inside the struct.
        unsafe { check_at(desc.rule, at.wrapping_add(*offset)) }.map_err(|bad| bad.of(name))?;
    }
    Ok(())
}

/// # Safety
///
/// As for `check_at`; `len` elements begin at `at`.
unsafe fn check_items(len: usize, of: &Rule, at: *const u8) -> Result<(), BadValue> {
    if of.any_bits {
        return Ok(());
    }
    for number in 0..len {
        // SAFETY: one of the elements.
        unsafe { check_at(of, at.wrapping_add(number * of.size)) }
            .map_err(|bad| bad.of(&format!("[{number}]")))?;
    }
    Ok(())
}

/// Returns the integer in `bytes` bytes, at most 16.
///
/// # Safety
///
/// They can be read and are initialised.
unsafe fn little_endian(at: *const u8, bytes: usize) -> u128 {
    match bytes {
        // SAFETY: one byte at `at`.
        1 => unsafe { at.read() }.into(),
        // SAFETY: four bytes at `at`.
        4 => u32::from_le_bytes(unsafe { at.cast::<[u8; 4]>().read() }).into(),
        _ => {
            let mut all = [0; 16];
            // SAFETY: `bytes` bytes at `at`, and no more than `all` has.
            unsafe { std::ptr::copy_nonoverlapping(at, all.as_mut_ptr(), bytes.min(16)) };
            u128::from_le_bytes(all)
        }
    }
}

/// Returns the length of a list or text, which may have `max` elements.
///
/// # Safety
///
/// It is there, and is initialised.
unsafe fn length(at: *const u8, max: usize) -> Result<usize, BadValue> {
    // SAFETY: as the caller says.
    let len = unsafe { little_endian(at, LENGTH) } as usize;
    if len <= max {
        return Ok(len);
    }
    Err(BadValue::new(format!("a length of {len} exceeds the capacity of {max}")))
}

/// Zeroes the bytes of a value that belong to none of its fields: padding, the rest of a list, and
/// what the other variants of an enum have.
///
/// # Safety
///
/// A value lies at `at`, which can be written.
pub(crate) unsafe fn scrub(rule: &Rule, at: *mut u8) {
    if rule.dense {
        return;
    }
    match rule.kind {
        Kind::Plain | Kind::Bool | Kind::Char | Kind::NonZero => {}
        // SAFETY: the fields of the value.
        Kind::Struct(fields) => unsafe { scrub_between(fields, 0, rule.size, at) },
        // SAFETY: the elements of the value.
        Kind::Array { len, of } => unsafe { scrub_items(len, of, at) },
        Kind::Enum { tag, values, variants } => {
            // SAFETY: an enum begins with its tag.
            let found = unsafe { little_endian(at, tag) };
            let number = values.iter().position(|value| u128::from(*value) == found);
            let fields = number.and_then(|number| variants.get(number)).map_or(&[][..], |v| v.desc.fields);
            // SAFETY: the fields of this variant.
            unsafe { scrub_between(fields, tag, rule.size, at) };
        }
        Kind::List { max, items, of } => {
            // SAFETY: a list begins with its length.
            let len = unsafe { little_endian(at, LENGTH) } as usize;
            let len = len.min(max);
            // SAFETY: the bytes between the length and the elements.
            unsafe { zero(at, LENGTH, items) };
            // SAFETY: the elements of the list.
            unsafe { scrub_items(len, of, at.wrapping_add(items)) };
            // SAFETY: the bytes after the last element.
            unsafe { zero(at, items + len * of.size, rule.size) };
        }
        Kind::Text { max } => {
            // SAFETY: a text begins with its length.
            let len = unsafe { little_endian(at, LENGTH) } as usize;
            // SAFETY: the bytes after the text.
            unsafe { zero(at, LENGTH + len.min(max), rule.size) };
        }
    }
}

/// Zeroes the bytes from `start` to `end` that belong to none of `fields`.
///
/// # Safety
///
/// As for `scrub`.
unsafe fn scrub_between(fields: &[Field], start: usize, end: usize, at: *mut u8) {
    let mut reached = start;
    for Field { desc, offset, .. } in fields.iter().filter(|field| field.desc.size != 0) {
        // SAFETY: the padding before the field.
        unsafe { zero(at, reached, *offset) };
        // SAFETY: the field of the value.
        unsafe { scrub(desc.rule, at.wrapping_add(*offset)) };
        reached = offset + desc.size;
    }
    // SAFETY: the padding after the last field.
    unsafe { zero(at, reached, end) };
}

/// # Safety
///
/// As for `scrub`; `len` elements begin at `at`.
unsafe fn scrub_items(len: usize, of: &Rule, at: *mut u8) {
    if !of.dense {
        for number in 0..len {
            // SAFETY: one of the elements.
            unsafe { scrub(of, at.wrapping_add(number * of.size)) };
        }
    }
}

/// # Safety
///
/// The bytes from `start` to `end` after `at` can be written.
unsafe fn zero(at: *mut u8, start: usize, end: usize) {
    if start < end {
        // SAFETY: as the caller says.
        unsafe { at.wrapping_add(start).write_bytes(0, end - start) };
    }
}

/// Returns the bytes of a value, with zeros for its padding.
#[cfg(test)]
pub(crate) fn bytes_for_tests<T: Stored + Copy>(value: &T) -> Vec<u8> {
    let mut room = vec![0u128; size_of::<T>().div_ceil(16)];
    let at = room.as_mut_ptr().cast::<T>();
    // SAFETY: aligned to 16, and as many bytes as the value has.
    unsafe { at.write(*value) };
    // SAFETY: the value that was just written.
    unsafe { scrub(T::RULE, at.cast()) };
    // SAFETY: the bytes of the value, of which none is padding any more.
    unsafe { std::slice::from_raw_parts(at.cast(), size_of::<T>()) }.to_vec()
}
