//! Batches: objects that are converted step by step, each step for all of them.
//!
//! Most steps copy a few bytes. To find out which step is next, and how many bytes it copies, costs
//! more than the copy, so a batch does it once for all its objects.

use super::misfit::Misfit;
use super::op::{Op, Room, Stop, at, at_mut, copy, step};
use crate::object::Rule;
use crate::object::value::is_value;

/// Objects that lie near each other, and the room for their new form.
pub(crate) struct Batch<'a> {
    pub(crate) old: &'a [u8],
    /// The bytes of the new objects are zero before they are converted.
    pub(crate) new: &'a mut [u8],
    pub(crate) spots: &'a [Spot],
    /// The distances between old and between new objects, if each follows the one before it.
    pub(crate) strides: Option<(usize, usize)>,
}

/// Where an object begins in the old bytes, and where in the new ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    pub(crate) old: usize,
    pub(crate) new: usize,
}

/// Objects of a batch that cannot be converted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Misfits {
    pub(crate) objects: u64,
    /// The first of them, and why.
    pub(crate) first: Spot,
    pub(crate) why: Misfit,
}

/// A part of an object of which not any bytes are a value: where it begins, and its rule.
pub(super) type Part = (usize, &'static Rule);

impl Batch<'_> {
    /// Does each step for all objects, of the sizes `old` and `new`.
    ///
    /// `Err` if an object does not fit. All new bytes may have been written then.
    pub(super) fn run(&mut self, ops: &[Op], old: usize, new: usize) -> Result<(), Stop> {
        for op in ops {
            match op {
                Op::Copy { from, to, len } => self.copy(*from, *to, *len)?,
                Op::Fill { to, bytes } => {
                    for spot in self.spots {
                        at_mut(self.new, spot.new + to, bytes.len())?.copy_from_slice(bytes);
                    }
                }
                Op::List { from, to, each, .. } if each.is_copy() => {
                    self.copy_lists(*from, *to, each.new_size)?;
                }
                _ => self.for_each(old, new, |old, new| step(op, old, new))?,
            }
        }
        Ok(())
    }

    /// Returns whether these parts of all new objects are values.
    pub(super) fn are_values(&self, parts: &[Part]) -> bool {
        parts.iter().all(|(start, rule)| {
            let bytes = |spot: &Spot| at(self.new, spot.new + start, rule.size).ok();
            self.spots.iter().all(|spot| bytes(spot).is_some_and(|bytes| is_value(rule, bytes)))
        })
    }

    /// Zeroes the new objects, of `size` bytes each.
    pub(super) fn clear(&mut self, size: usize) {
        for spot in self.spots {
            at_mut(self.new, spot.new, size).unwrap_or_default().fill(0);
        }
    }

    /// Converts one object after the other. `Err` counts those that cannot be.
    pub(super) fn each(
        &mut self,
        old: usize,
        new: usize,
        convert: impl Fn(&[u8], &mut [u8]) -> Result<(), Misfit>,
    ) -> Result<(), Misfits> {
        let mut misfits: Option<Misfits> = None;
        for spot in self.spots {
            let bytes = (at(self.old, spot.old, old), at_mut(self.new, spot.new, new));
            let converted = match bytes {
                (Ok(old), Ok(new)) => convert(old, new),
                _ => Err(Misfit::short()),
            };
            if let Err(why) = converted {
                misfits.get_or_insert(Misfits { objects: 0, first: *spot, why }).objects += 1;
            }
        }
        misfits.map_or(Ok(()), Err)
    }

    fn for_each(
        &mut self,
        old: usize,
        new: usize,
        mut convert: impl FnMut(&[u8], &mut [u8]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        for spot in self.spots {
            convert(at(self.old, spot.old, old)?, at_mut(self.new, spot.new, new)?)?;
        }
        Ok(())
    }

    fn copy(&mut self, from: usize, to: usize, len: usize) -> Result<(), Stop> {
        macro_rules! by_length {
            ($($bytes:literal)*) => {
                match len {
                    $($bytes => self.copy_bytes::<$bytes>(from, to),)*
                    _ => {
                        for spot in self.spots {
                            copy(self.old, spot.old + from, self.new, spot.new + to, len)?;
                        }
                        Ok(())
                    }
                }
            };
        }
        by_length!(1 2 4 8 12 16 20 24 28 32 40 48 56 64)
    }

    /// Copies so many bytes of each object: the compiler knows how many.
    fn copy_bytes<const BYTES: usize>(&mut self, from: usize, to: usize) -> Result<(), Stop> {
        let old = self.old.get(from..).ok_or(Stop::Short)?;
        let new = self.new.get_mut(to..).ok_or(Stop::Short)?;
        let copy = |old: Option<&[u8; BYTES]>, new: Option<&mut [u8; BYTES]>| {
            *new.ok_or(Stop::Short)? = *old.ok_or(Stop::Short)?;
            Ok(())
        };
        if let Some((old_stride, new_stride)) = self.strides {
            let pairs = old.chunks(old_stride).zip(new.chunks_mut(new_stride)).take(self.spots.len());
            return { pairs }.try_for_each(|(old, new)| copy(old.first_chunk(), new.first_chunk_mut()));
        }
        for spot in self.spots {
            let new = new.get_mut(spot.new..).and_then(|rest| rest.first_chunk_mut());
            copy(old.get(spot.old..).and_then(|rest| rest.first_chunk()), new)?;
        }
        Ok(())
    }

    /// Copies texts, and lists of elements of so many bytes that stay as they are.
    ///
    /// `Err` stands for every reason: the caller finds it.
    fn copy_lists(&mut self, from: Room, to: Room, bytes: usize) -> Result<(), Stop> {
        for spot in self.spots {
            let length = self.old.get(spot.old + from.at..).and_then(|rest| rest.first_chunk());
            let length = length.ok_or(Stop::Short)?;
            let len = u32::from_le_bytes(*length) as usize;
            if len > from.max.min(to.max) {
                return Err(Stop::Short);
            }
            copy(length, 0, self.new, spot.new + to.at, length.len())?;
            copy(self.old, spot.old + from.items, self.new, spot.new + to.items, len * bytes)?;
        }
        Ok(())
    }
}
