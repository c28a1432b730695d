//! The value that a lock guards, and what threads of one process share of a segment.
//!
//! # What the unsafe code here relies on
//!
//! A [`Site`](super::site::Site) keeps its segment mapped until it is dropped, and is the last
//! field of each lock and queue to be dropped; guards borrow the lock. So what lies in the segment
//! is mapped as long as it is used.
//!
//! A value is only reached through a guard. The lock word lets one guard write at a time, among all
//! threads of all processes, or several read. A dead holder's guard is gone with its memory before
//! the next one is made (`seats.rs`). A value is `Pod`: any bytes are a value of it, so a torn one
//! is wrong and not undefined.
//!
//! [`ForAll`] lets several threads use records, whose words are atomics, and regions, which lend
//! only checked addresses. A [`Kept`] segment is not reached by anyone; it waits for its drop.
#![allow(unsafe_code)]

use crate::layout::Record;
use crate::region::{At, OutOfBounds, Region, Table};
use crate::share::Segment;
use bytemuck::Pod;
use std::ops::Deref;
use std::ptr::NonNull;

/// Something of a segment that several threads may use at once.
#[derive(Clone, Copy)]
pub(crate) struct ForAll<T>(T);

// SAFETY: records are made of atomics.
unsafe impl<T: Record> Sync for ForAll<At<T>> {}
// SAFETY: as above.
unsafe impl<T: Record> Sync for ForAll<Table<T>> {}
// SAFETY: a region is an address and a length; it lends addresses, and no references.
unsafe impl Sync for ForAll<Region> {}

impl<T> ForAll<T> {
    pub(crate) fn new(inner: T) -> Self {
        ForAll(inner)
    }
}

impl<T> Deref for ForAll<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A segment that stays attached until this is dropped.
pub(crate) struct Kept {
    _segment: Segment,
}

// SAFETY: nothing reaches the segment through a shared reference to this.
unsafe impl Sync for Kept {}

impl Kept {
    pub(crate) fn new(segment: Segment) -> Self {
        Kept { _segment: segment }
    }
}

/// A value in a segment.
pub(crate) struct ValueAt<T> {
    value: NonNull<T>,
}

// SAFETY: the value is reached through guards, and those follow the lock.
unsafe impl<T: Pod + Send> Send for ValueAt<T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Send> Sync for ValueAt<T> {}

impl<T: Pod> ValueAt<T> {
    /// The value at `offset`.
    pub(crate) fn new(region: &Region, offset: u64) -> Result<Self, OutOfBounds> {
        let start = region.span(offset, size_of::<T>() as u64)?;
        let value = start.cast::<T>();
        if value.is_aligned() { Ok(ValueAt { value }) } else { Err(OutOfBounds) }
    }

    /// Reads the value.
    ///
    /// # Safety
    ///
    /// The lock is held, for reading at least, as long as the reference lives.
    pub(crate) unsafe fn get<'a>(&self) -> &'a T {
        // SAFETY: inside the mapping and aligned, see `new`; any bytes are a `T`; nobody writes, by
        // the caller's word.
        unsafe { self.value.as_ref() }
    }

    /// Writes the value.
    ///
    /// # Safety
    ///
    /// The lock is held for writing as long as the reference lives, and it is the only one of this
    /// guard.
    pub(crate) unsafe fn get_mut<'a>(&self) -> &'a mut T {
        let mut value = self.value;
        // SAFETY: as in `get`, and the caller is the only one who has the lock.
        unsafe { value.as_mut() }
    }
}

/// A guard's way to the value, for as long as the lock is borrowed. Only guards make one.
pub(crate) struct Held<'a, T> {
    value: &'a ValueAt<T>,
}

impl<'a, T: Pod> Held<'a, T> {
    /// For a guard that has just been given the lock, and keeps this until it gives the lock back.
    pub(super) fn by_guard(value: &'a ValueAt<T>) -> Self {
        Held { value }
    }

    pub(super) fn get(&self) -> &T {
        // SAFETY: the guard that owns this has the lock, and the reference does not outlive the
        // guard's borrow.
        unsafe { self.value.get() }
    }

    /// For guards that have the lock for writing.
    pub(super) fn get_mut(&mut self) -> &mut T {
        // SAFETY: as above; the guard has it for writing, and is borrowed mutably.
        unsafe { self.value.get_mut() }
    }
}
