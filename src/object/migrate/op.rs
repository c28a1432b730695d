//! Operations: the steps that convert the bytes of one object.

use super::misfit::Misfit;
use super::scalar::{Int, Scalar};
use std::fmt;

/// One step. Offsets are those in the object, or in the element that the step belongs to.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Op {
    /// Copies bytes.
    Copy { from: usize, to: usize, len: usize },
    /// Copies a signed integer into one of `wide` bytes.
    Sign { from: usize, bytes: usize, to: usize, wide: usize },
    /// Converts a number to a float of `wide` bytes.
    Float { from: usize, scalar: Scalar, to: usize, wide: usize },
    /// Writes bytes, such as the default of a field.
    Fill { to: usize, bytes: Box<[u8]> },
    /// Zeroes bytes that a default has written.
    Zero { to: usize, len: usize },
    /// Converts the elements of an array.
    Repeat { from: usize, to: usize, count: usize, each: Each },
    /// Converts the variant of an enum.
    Enum { from: usize, tag: usize, to: usize, wide: usize, cases: Vec<Case>, field: String },
    /// Converts the elements in use of a list, or the bytes of a text.
    List { from: Room, to: Room, each: Each, field: String },
    /// Requires that all of these bytes of a bit set are zero, because the new one has no room for them.
    NoBits { from: usize, len: usize, kept: usize, field: String },
}

/// How one element is converted.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Each {
    pub(super) old_size: usize,
    pub(super) new_size: usize,
    ops: Vec<Op>,
    /// All bytes of an element stay as they are.
    is_copy: bool,
}

/// A stored variant.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Case {
    /// Its number.
    pub(super) old: u64,
    pub(super) to: Becomes,
}

/// What becomes of a variant.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Becomes {
    /// The variant with this number, which is written if it has bytes, and whose fields these steps
    /// convert.
    Variant(u64, Vec<Op>),
    /// Nothing, for this reason.
    Gone(String),
}

/// Where a list is, and where its items are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Room {
    pub(super) at: usize,
    pub(super) items: usize,
    pub(super) max: usize,
}

/// Why a conversion stops; small, because every step returns it.
#[derive(Debug)]
pub(super) enum Stop {
    /// The object has fewer bytes than its type.
    Short,
    Misfit(Box<Misfit>),
}

impl Stop {
    #[cold]
    fn at(field: &str, what: impl fmt::Display) -> Self {
        Stop::Misfit(Box::new(Misfit::new(field, what)))
    }
}

impl From<Stop> for Misfit {
    #[cold]
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Short => Misfit::short(),
            Stop::Misfit(misfit) => *misfit,
        }
    }
}

/// Bytes of the length of a list.
const LENGTH: usize = size_of::<u32>();

/// Converts one object, or one element.
pub(super) fn run(ops: &[Op], old: &[u8], new: &mut [u8]) -> Result<(), Stop> {
    ops.iter().try_for_each(|op| step(op, old, new))
}

/// Does one step for one object, or one element.
pub(super) fn step(op: &Op, old: &[u8], new: &mut [u8]) -> Result<(), Stop> {
    match op {
        Op::Copy { from, to, len } => copy(old, *from, new, *to, *len),
        Op::Sign { from, bytes, to, wide } => {
            let negative = at(old, *from, *bytes)?.last().is_some_and(|byte| byte & 0x80 != 0);
            let fill = if negative { 0xff } else { 0 };
            at_mut(new, *to, *wide)?.fill(fill);
            copy(old, *from, new, *to, *bytes)
        }
        Op::Float { from, scalar, to, wide } => float(old, *from, *scalar, at_mut(new, *to, *wide)?),
        Op::Fill { to, bytes } => copy(bytes, 0, new, *to, bytes.len()),
        Op::Zero { to, len } => at_mut(new, *to, *len).map(|bytes| bytes.fill(0)),
        Op::Repeat { from, to, count, each } => each.run(old, *from, new, *to, *count),
        Op::Enum { from, tag, to, wide, cases, field } => {
            let found = little_endian(at(old, *from, *tag)?);
            let case = cases.iter().find(|case| case.old == found);
            match case.map(|case| &case.to) {
                Some(Becomes::Variant(number, ops)) => {
                    let bytes = number.to_le_bytes();
                    copy(&bytes, 0, new, *to, (*wide).min(bytes.len()))?;
                    run(ops, old, new)
                }
                Some(Becomes::Gone(why)) => Err(Stop::at(field, why)),
                None => Err(Stop::at(field, format_args!("{found} is no variant"))),
            }
        }
        Op::List { from, to, each, field } => list(old, *from, new, *to, each, field),
        Op::NoBits { from, len, kept, field } => no_bits(at(old, *from, *len)?, *kept, field),
    }
}

impl Each {
    pub(super) fn new(old_size: usize, new_size: usize, ops: Vec<Op>) -> Self {
        let is_copy = old_size == new_size && ops == [Op::Copy { from: 0, to: 0, len: old_size }];
        Each { old_size, new_size, ops, is_copy }
    }

    /// Returns whether all bytes of an element stay as they are.
    pub(super) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Returns whether no byte of an element has a source.
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    fn run(&self, old: &[u8], from: usize, new: &mut [u8], to: usize, count: usize) -> Result<(), Stop> {
        let bytes = |size: usize| count.checked_mul(size).ok_or(Stop::Short);
        let old = at(old, from, bytes(self.old_size)?)?;
        let new = at_mut(new, to, bytes(self.new_size)?)?;
        if self.is_copy {
            new.copy_from_slice(old);
            return Ok(());
        }
        for number in 0..count {
            let old = at(old, number * self.old_size, self.old_size)?;
            run(&self.ops, old, at_mut(new, number * self.new_size, self.new_size)?)?;
        }
        Ok(())
    }
}

fn list(old: &[u8], from: Room, new: &mut [u8], to: Room, each: &Each, field: &str) -> Result<(), Stop> {
    let len = usize::try_from(little_endian(at(old, from.at, LENGTH)?)).unwrap_or(usize::MAX);
    if len > from.max {
        let what = format_args!("a length of {len} exceeds the capacity of {}", from.max);
        return Err(Stop::at(field, what));
    }
    if len > to.max {
        let what = format_args!("a length of {len} exceeds the new capacity of {}", to.max);
        return Err(Stop::at(field, what));
    }
    copy(old, from.at, new, to.at, LENGTH)?;
    each.run(old, from.items, new, to.items, len)
}

#[inline]
pub(super) fn copy(old: &[u8], from: usize, new: &mut [u8], to: usize, len: usize) -> Result<(), Stop> {
    at_mut(new, to, len)?.copy_from_slice(at(old, from, len)?);
    Ok(())
}

#[inline]
pub(super) fn at(bytes: &[u8], from: usize, len: usize) -> Result<&[u8], Stop> {
    bytes.get(from..).and_then(|rest| rest.get(..len)).ok_or(Stop::Short)
}

#[inline]
pub(super) fn at_mut(bytes: &mut [u8], from: usize, len: usize) -> Result<&mut [u8], Stop> {
    bytes.get_mut(from..).and_then(|rest| rest.get_mut(..len)).ok_or(Stop::Short)
}

#[inline]
fn little_endian(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

fn float(old: &[u8], from: usize, scalar: Scalar, to: &mut [u8]) -> Result<(), Stop> {
    let (bytes, signed) = match scalar {
        Scalar::Int(Int { signed, bytes }) => (bytes, signed),
        _ => {
            let number: [u8; 4] = at(old, from, 4)?.try_into().map_err(|_| Stop::Short)?;
            to.copy_from_slice(&f64::from(f32::from_le_bytes(number)).to_le_bytes());
            return Ok(());
        }
    };
    // At most 4 bytes: the shift carries the sign to the top and back.
    let shift = 64 - 8 * bytes.min(8) as u32;
    let raw = little_endian(at(old, from, bytes)?);
    let number = if signed { ((raw << shift) as i64) >> shift } else { raw as i64 };
    match to.len() {
        4 => to.copy_from_slice(&(number as f32).to_le_bytes()),
        _ => to.copy_from_slice(&(number as f64).to_le_bytes()),
    }
    Ok(())
}

fn no_bits(bytes: &[u8], kept: usize, field: &str) -> Result<(), Stop> {
    let Some((byte, bits)) = bytes.iter().enumerate().rfind(|(_, bits)| **bits != 0) else { return Ok(()) };
    let number = (kept + byte) * 8 + bits.ilog2() as usize;
    let what = format_args!("the number {number} is not below the new capacity of {}", kept * 8);
    Err(Stop::at(field, what))
}
