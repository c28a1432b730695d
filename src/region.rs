//! A mapping as base and length, and the way from an offset to a reference.
//!
//! # What the unsafe code here relies on
//!
//! A [`Region`] is made by a backend for memory that is mapped readable (and
//! writable, where an owner uses it) for `len` bytes from `base`, page-aligned, and
//! that stays mapped until the backend's segment is dropped. Inside the crate the
//! segments are dropped last: `Shares` is the last field of the pool, and nothing
//! that holds a [`At`] or a raw pointer outlives the pool. Memory of a segment is
//! only ever seen through atomics ([`Record`]) or through raw pointers whose use is
//! proven in `pool/slot.rs`.
#![allow(unsafe_code)]

use crate::layout::Record;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

/// A mapped range of memory. Copies are equal; it owns nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    len: u64,
}

/// A record in a mapping.
pub(crate) struct At<T> {
    record: NonNull<T>,
    _marks: PhantomData<*const T>,
}

impl<T> Clone for At<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for At<T> {}

/// An offset that lies outside the mapping or is not aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

impl Region {
    /// A region of `len` mapped bytes.
    ///
    /// # Safety
    ///
    /// `base` is aligned to a page and the `len` bytes behind it stay mapped while
    /// this value, a copy of it, or anything made from one of them is in use.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: u64) -> Self {
        Region { base, len }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The record at `offset`.
    pub(crate) fn at<T: Record>(&self, offset: u64) -> Result<At<T>, OutOfBounds> {
        let pointer = self.span(offset, size_of::<T>() as u64)?;
        if offset % align_of::<T>() as u64 != 0 {
            return Err(OutOfBounds);
        }
        Ok(At { record: pointer.cast(), _marks: PhantomData })
    }

    /// The address of `bytes` bytes at `offset`, all of them inside the mapping.
    pub(crate) fn span(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>, OutOfBounds> {
        match offset.checked_add(bytes) {
            // SAFETY: the offset is inside the mapping, which is one allocation.
            Some(end) if end <= self.len => Ok(unsafe { self.base.add(offset as usize) }),
            _ => Err(OutOfBounds),
        }
    }
}

impl<T: Record> Deref for At<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: `Region::at` checked bounds and alignment, any bytes are a valid
        // record, its words are atomics, and the mapping outlives this value.
        unsafe { self.record.as_ref() }
    }
}
