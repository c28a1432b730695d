//! The value that a lock guards, and the parts of a segment that threads of one process share.
//!
//! # What the unsafe code here relies on
//!
//! A [`Site`](super::site::Site) keeps its segment mapped until it is dropped. Each lock and queue
//! drops its site after all other fields, and guards borrow the lock. So the segment stays mapped
//! while it is used.
//!
//! Only a guard reaches the value. Among all threads of all processes, the lock word lets one guard
//! write at a time, or several read. The memory of a dead holder is unmapped before another process
//! can create the next guard (`seats.rs`). A value is `Pod`: all byte patterns are valid, so a torn
//! value is wrong but not undefined behavior.
//!
//! [`ForAll`] lets several threads use records, whose words are atomics, and regions, which lend
//! only checked addresses. A [`Kept`] segment cannot be reached; it only waits for its drop.
#![allow(unsafe_code)]

use crate::layout::Record;
use crate::region::{At, OutOfBounds, Region, Table};
use crate::share::Segment;
use bytemuck::Pod;
use std::ops::Deref;
use std::ptr::NonNull;

/// A part of a segment that several threads may use at once.
#[derive(Clone, Copy)]
pub(crate) struct ForAll<T>(T);

// SAFETY: records consist of atomics.
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

// SAFETY: a shared reference to this gives no access to the segment.
unsafe impl Sync for Kept {}

impl Kept {
    pub(crate) fn new(segment: Segment) -> Self {
        Kept { _segment: segment }
    }
}

/// The address of a value in a segment.
pub(crate) struct ValueAt<T> {
    value: NonNull<T>,
}

// SAFETY: only guards reach the value, and they follow the lock.
unsafe impl<T: Pod + Send> Send for ValueAt<T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Send> Sync for ValueAt<T> {}

impl<T: Pod> ValueAt<T> {
    /// Returns the value at `offset`.
    pub(crate) fn new(region: &Region, offset: u64) -> Result<Self, OutOfBounds> {
        let start = region.span(offset, size_of::<T>() as u64)?;
        let value = start.cast::<T>();
        if value.is_aligned() { Ok(ValueAt { value }) } else { Err(OutOfBounds) }
    }

    /// Lends the value for reading.
    ///
    /// # Safety
    ///
    /// The caller holds the lock, at least for reading, while the reference lives.
    pub(crate) unsafe fn get<'a>(&self) -> &'a T {
        // SAFETY: inside the mapping and aligned, see `new`; any bytes are a `T`; no thread writes,
        // by the caller's promise.
        unsafe { self.value.as_ref() }
    }

    /// Lends the value for writing.
    ///
    /// # Safety
    ///
    /// The caller holds the lock for writing while the reference lives, and its guard has no other
    /// reference.
    pub(crate) unsafe fn get_mut<'a>(&self) -> &'a mut T {
        let mut value = self.value;
        // SAFETY: as in `get`, and no other thread has the lock.
        unsafe { value.as_mut() }
    }
}

/// Access of a guard to the value, for as long as it borrows the lock. Only guards create one.
pub(crate) struct Held<'a, T> {
    value: &'a ValueAt<T>,
}

impl<'a, T: Pod> Held<'a, T> {
    /// Gives access to a guard that has just got the lock, and keeps this until it gives the lock
    /// back.
    pub(super) fn by_guard(value: &'a ValueAt<T>) -> Self {
        Held { value }
    }

    pub(super) fn get(&self) -> &T {
        // SAFETY: the guard that owns this holds the lock, and the reference does not outlive the
        // guard's borrow.
        unsafe { self.value.get() }
    }

    /// Lends the value for writing. Only for guards that hold the lock for writing.
    pub(super) fn get_mut(&mut self) -> &mut T {
        // SAFETY: as above; the guard holds the lock for writing, and is borrowed mutably.
        unsafe { self.value.get_mut() }
    }
}
