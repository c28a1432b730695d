//! Mappings as base and length, and the checked way from an offset to a reference.
//!
//! # What the unsafe code here relies on
//!
//! A backend creates a [`Region`] for `len` bytes of memory from `base`, which is page-aligned. The
//! memory is mapped readable, and for an owner also writable. It stays mapped until the backend's
//! segment is dropped. Inside the crate the segments are dropped last: `PoolSegments` is the last field
//! of the pool, and nothing that holds an [`At`] or a raw pointer outlives the pool. The memory of
//! a segment is only accessed through atomics ([`Record`]), or through raw pointers whose use
//! `pool/store/slot.rs` proves.
//!
//! All of this relies on there being only one pool value. It lends objects as `&T` and `&mut T`,
//! and the borrow checker keeps them apart through that value. A second value of the same pool, in
//! this process or another, would lend the same bytes again. `share/claim.rs` excludes it inside
//! the process, and the owner lock (`share/owner.rs`) excludes it between processes.
#![allow(unsafe_code)]

use crate::layout::Record;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

/// A mapped range of memory, which it does not own. Copies are equivalent.
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

/// Consecutive records in a mapping.
pub(crate) struct Table<T> {
    first: NonNull<T>,
    count: usize,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Table<T> {}

// SAFETY: records are made of atomics, and the mapping belongs to the process, not to a thread.
unsafe impl<T: Record> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Record> Send for At<T> {}
// SAFETY: as above.
unsafe impl Send for Region {}
// SAFETY: a shared record is only reached as `&T`, whose words are atomics.
unsafe impl<T: Record> Sync for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Record> Sync for At<T> {}
// SAFETY: it is an address and a length; what is done with the memory is up to its user.
unsafe impl Sync for Region {}

/// An offset that lies outside the mapping or is not aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

impl Region {
    /// Creates a region of `len` mapped bytes.
    ///
    /// # Safety
    ///
    /// `base` is aligned to a page. The `len` bytes from `base` stay mapped while this value, a
    /// copy of it, or anything derived from one of them is in use.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: u64) -> Self {
        Region { base, len }
    }

    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the record at `offset`.
    pub(crate) fn at<T: Record>(&self, offset: u64) -> Result<At<T>, OutOfBounds> {
        let pointer = self.span(offset, size_of::<T>() as u64)?;
        if !offset.is_multiple_of(align_of::<T>() as u64) {
            return Err(OutOfBounds);
        }
        Ok(At { record: pointer.cast(), _marks: PhantomData })
    }

    /// Returns `count` consecutive records from `offset`.
    pub(crate) fn table<T: Record>(&self, offset: u64, count: u64) -> Result<Table<T>, OutOfBounds> {
        let bytes = count.checked_mul(size_of::<T>() as u64).ok_or(OutOfBounds)?;
        let pointer = self.span(offset, bytes)?;
        if !offset.is_multiple_of(align_of::<T>() as u64) {
            return Err(OutOfBounds);
        }
        Ok(Table { first: pointer.cast(), count: count as usize })
    }

    /// Returns the address of `bytes` bytes at `offset`, all of which lie inside the mapping.
    pub(crate) fn span(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>, OutOfBounds> {
        match offset.checked_add(bytes) {
            // SAFETY: the offset is inside the mapping, which is one allocation.
            Some(end) if end <= self.len => Ok(unsafe { self.base.add(offset as usize) }),
            _ => Err(OutOfBounds),
        }
    }
}

/// Tables of `1 << shift` records each, indexed as one.
pub(crate) struct Tables<T> {
    /// For each table, the address that record 0 of all tables would have if this table extended
    /// down to it.
    biased: Vec<*const T>,
    shift: u32,
    len: u64,
}

// SAFETY: as for `Table`.
unsafe impl<T: Record> Send for Tables<T> {}

impl<T: Record> Tables<T> {
    /// Creates an empty list of tables.
    pub(crate) fn new(shift: u32) -> Self {
        Tables { biased: Vec::new(), shift, len: 0 }
    }

    /// Appends a table.
    pub(crate) fn push(&mut self, table: &Table<T>) -> Result<(), OutOfBounds> {
        if table.len() as u64 != 1 << self.shift {
            return Err(OutOfBounds);
        }
        self.biased.push(table.first.as_ptr().cast_const().wrapping_sub(self.len as usize));
        self.len += 1 << self.shift;
        Ok(())
    }

    /// Returns whether the table number `at` of the list is this one.
    pub(crate) fn holds(&self, at: usize, table: &Table<T>) -> bool {
        let first = table.first.as_ptr().cast_const();
        self.biased.get(at).is_some_and(|biased| biased.wrapping_add(at << self.shift) == first)
    }

    /// Returns the binary logarithm of the records in each table.
    pub(crate) fn shift(&self) -> u32 {
        self.shift
    }

    /// Returns the number of records in all tables.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the record `index` of all tables.
    #[inline(always)]
    pub(crate) fn get(&self, index: u64) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        // SAFETY: `len` is the number of tables shifted, and `index` is below it.
        let biased = unsafe { *self.biased.get_unchecked((index >> self.shift) as usize) };
        // SAFETY: the bias undone, it is a record of that table, which lies inside the mapping.
        Some(unsafe { &*biased.wrapping_add(index as usize) })
    }
}

#[cfg(feature = "__internal_fuzzing")]
impl Region {
    /// Copies `content` into the memory, as far as it reaches, and zeros after it.
    ///
    /// Pages that hold these bytes already are not written. No other code may use the memory
    /// meanwhile.
    #[expect(clippy::indexing_slicing, reason = "no part is longer than a page")]
    pub(crate) fn restore(&self, content: &[u8]) {
        const PAGE: usize = crate::limits::PAGE as usize;
        for at in (0..self.len as usize).step_by(PAGE) {
            let len = PAGE.min(self.len as usize - at);
            let have = content.get(at..).map_or(0, |rest| rest.len().min(len));
            let mut page = [0; PAGE];
            let expected = match have == PAGE {
                true => &content[at..at + PAGE],
                false => {
                    page[..have].copy_from_slice(content.get(at..at + have).unwrap_or_default());
                    &page[..len]
                }
            };
            // SAFETY: `len` bytes from `at` are inside the mapping.
            let begin = unsafe { self.base.add(at) };
            // SAFETY: as above, and the caller guarantees that no other code uses the memory now.
            let found = unsafe { std::slice::from_raw_parts_mut(begin.as_ptr(), len) };
            if found != expected {
                found.copy_from_slice(expected);
            }
        }
    }
}

impl<T: Record> At<T> {
    /// Returns a part of this record as a value of its own.
    pub(crate) fn part<U: Record>(&self, pick: impl FnOnce(&T) -> &U) -> At<U> {
        At { record: NonNull::from(pick(self)), _marks: PhantomData }
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

impl<T: Record> Table<T> {
    /// Returns the number of records.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Returns the record `index`.
    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.count {
            return None;
        }
        // SAFETY: below `count`, and `Region::table` found all of them inside the mapping.
        let record = unsafe { self.first.add(index) };
        // SAFETY: as for `At::deref`.
        Some(unsafe { record.as_ref() })
    }

    /// Returns the record `index` as a value of its own.
    pub(crate) fn at(&self, index: usize) -> Option<At<T>> {
        self.get(index).map(|record| At { record: NonNull::from(record), _marks: PhantomData })
    }
}
