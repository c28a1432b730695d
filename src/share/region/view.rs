//! Mapped regions, and access to their bytes.
//!
//! # What the unsafe code here relies on
//!
//! A [`Memory`] keeps its pages mapped until it is dropped, and a view owns its memory while it
//! lives. References that a view lends borrow the view. Other processes and threads may write to
//! the bytes at any time. So safe functions copy through atomics (`copy.rs`) or lend atomics, and
//! only unsafe functions lend slices. A [`Region`] is created only from mappings for writing, see
//! `Access` at each caller of `Region::new`. A [`RegionView`] never stores.
#![allow(unsafe_code)]

use super::copy;
use super::error::RegionError;
use super::head::{HEAD_BYTES, Head, Identity, REMOVED};
use super::keys::RegionKeys;
use crate::region::{At, Region as Span};
use crate::share::flush::Flush;
use crate::share::segment::Segment;
use crate::sys::guard::Guard;
use bytemuck::Pod;
use memmap2::MmapRaw;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The memory that a region keeps mapped.
pub(super) enum Memory {
    /// A named region, whose mapping forked children do not inherit.
    Segment(Segment),
    /// Anonymous memory or a file, which forked children inherit.
    Map(MmapRaw),
}

impl Memory {
    /// Writes a range to the file of the memory, if it has one.
    fn flush(&self, at: u64, bytes: u64, how: Flush) -> io::Result<()> {
        match self {
            Memory::Segment(segment) => segment.flush(HEAD_BYTES + at, bytes, how),
            Memory::Map(map) => how.write(map, at, bytes),
        }
    }
}

/// The properties that the head of a named region records.
#[derive(Clone, Copy)]
pub(super) struct Named {
    pub(super) keys: RegionKeys,
    pub(super) identity: Identity,
    pub(super) head: At<Head>,
}

/// The fate of a region that was opened earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// The region was grown: this generation replaced it. Open the region again.
    Generation(u64),
    /// The region was removed.
    Removed,
}

/// A region mapped for reading: named memory or a file.
///
/// The mapping is read-only too: a stray store into it ends the process with SIGSEGV.
pub struct RegionView {
    data: Span,
    named: Option<Named>,
    _guard: Option<Guard>,
    memory: Memory,
}

// SAFETY: a mapping belongs to the process and not to a thread, and the memory itself is only dropped.
unsafe impl Send for RegionView {}
// SAFETY: all access through a shared reference goes through atomics, or is unsafe. A flush changes
// no byte, and threads may flush at once.
unsafe impl Sync for RegionView {}

impl RegionView {
    /// Returns the view of a named region: a segment with a head.
    pub(super) fn named(segment: Segment, guard: Option<Guard>, named: Named) -> Result<Self, RegionError> {
        let all = segment.region();
        let bytes = named.identity.bytes;
        let outside = |_| RegionError::OutOfRange { at: HEAD_BYTES, bytes, len: all.len() };
        let start = all.span(HEAD_BYTES, bytes).map_err(outside)?;
        // SAFETY: the segment keeps it mapped, is owned by the view, and the head is a whole page.
        let data = unsafe { Span::new(start, bytes) };
        Ok(RegionView { data, named: Some(named), _guard: guard, memory: Memory::Segment(segment) })
    }

    /// Returns the view of anonymous memory or a file, of which `bytes` bytes are reachable.
    pub(super) fn map(map: MmapRaw, guard: Guard, bytes: u64) -> Result<Self, RegionError> {
        let len = map.len() as u64;
        let start = NonNull::new(map.as_mut_ptr()).filter(|_| bytes <= len);
        let start = start.ok_or(RegionError::OutOfRange { at: 0, bytes, len })?;
        // SAFETY: the map is at least that long, begins at a page, and is owned by the view.
        let data = unsafe { Span::new(start, bytes) };
        Ok(RegionView { data, named: None, _guard: Some(guard), memory: Memory::Map(map) })
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> u64 {
        self.data.len()
    }

    /// Returns whether the region has no bytes, which is never true.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of this generation, from 1; 0 for anonymous memory and files.
    pub fn generation(&self) -> u64 {
        self.named.map_or(0, |named| named.identity.generation)
    }

    /// Returns the replacement of this generation, if it was grown or removed since it was opened.
    pub fn successor(&self) -> Option<Successor> {
        match self.named?.head.successor.load() {
            0 => None,
            REMOVED => Some(Successor::Removed),
            generation => Some(Successor::Generation(generation)),
        }
    }

    /// Returns the address of the first byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.data.span(0, 0).map_or(std::ptr::null(), |start| start.as_ptr().cast_const())
    }

    pub(super) fn data(&self) -> Span {
        self.data
    }

    pub(super) fn named_as(&self) -> Option<&Named> {
        self.named.as_ref()
    }

    fn span(&self, at: u64, bytes: u64) -> Result<NonNull<u8>, RegionError> {
        self.data.span(at, bytes).map_err(|_| RegionError::OutOfRange { at, bytes, len: self.len() })
    }

    fn aligned<T>(&self, at: u64) -> Result<NonNull<T>, RegionError> {
        let start = self.span(at, size_of::<T>() as u64)?.cast::<T>();
        match start.is_aligned() {
            true => Ok(start),
            false => Err(RegionError::Misaligned { at, align: align_of::<T>() as u64 }),
        }
    }

    /// Copies the bytes from `at` into `to`.
    ///
    /// Another process may write meanwhile: the copy then mixes old and new words of eight bytes.
    ///
    /// # Errors
    ///
    /// The range is outside the region.
    pub fn read(&self, at: u64, to: &mut [u8]) -> Result<(), RegionError> {
        copy::read(self.span(at, to.len() as u64)?, to);
        Ok(())
    }

    /// Copies a value out of the region. `at` need not be aligned.
    ///
    /// A value of at most eight bytes that lies inside one aligned word is never torn.
    ///
    /// # Errors
    ///
    /// The range is outside the region.
    pub fn load<T: Pod>(&self, at: u64) -> Result<T, RegionError> {
        let mut value = T::zeroed();
        self.read(at, bytemuck::bytes_of_mut(&mut value))?;
        Ok(value)
    }

    /// Lends all bytes.
    ///
    /// # Safety
    ///
    /// No process and no thread writes to the region while the slice lives.
    pub unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: mapped while the view lives, and no thread writes to it, by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len() as usize) }
    }
}

impl fmt::Debug for RegionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionView")
            .field("keys", &self.named.map(|named| named.keys))
            .field("generation", &self.generation())
            .field("len", &self.len())
            .finish()
    }
}

/// A region mapped for reading and writing.
///
/// The functions that read are those of [`RegionView`]. Dropping it unmaps the memory and removes
/// nothing.
#[derive(Debug)]
pub struct Region {
    view: RegionView,
}

impl Deref for Region {
    type Target = RegionView;

    fn deref(&self) -> &RegionView {
        &self.view
    }
}

impl Region {
    /// Returns the region of `view`, which the caller has mapped for writing.
    pub(super) fn new(view: RegionView) -> Self {
        Region { view }
    }

    /// Copies `from` into the region at `at`, one word of eight bytes after another.
    ///
    /// # Errors
    ///
    /// The range is outside the region.
    pub fn write(&self, at: u64, from: &[u8]) -> Result<(), RegionError> {
        copy::write(self.span(at, from.len() as u64)?, from);
        Ok(())
    }

    /// Copies a value into the region. `at` need not be aligned.
    ///
    /// A value of eight bytes at a multiple of eight is stored in one piece.
    ///
    /// # Errors
    ///
    /// The range is outside the region.
    pub fn store<T: Pod>(&self, at: u64, value: &T) -> Result<(), RegionError> {
        self.write(at, bytemuck::bytes_of(value))
    }

    /// Lends the eight bytes at `at` as an atomic.
    ///
    /// # Errors
    ///
    /// The range is outside the region, or `at` is not a multiple of 8.
    pub fn atomic_u64(&self, at: u64) -> Result<&AtomicU64, RegionError> {
        let start = self.aligned::<AtomicU64>(at)?;
        // SAFETY: aligned and inside a mapping for writing that the borrow keeps; any bytes are a value.
        Ok(unsafe { start.as_ref() })
    }

    /// Lends the four bytes at `at` as an atomic.
    ///
    /// # Errors
    ///
    /// The range is outside the region, or `at` is not a multiple of 4.
    pub fn atomic_u32(&self, at: u64) -> Result<&AtomicU32, RegionError> {
        let start = self.aligned::<AtomicU32>(at)?;
        // SAFETY: as in `atomic_u64`.
        Ok(unsafe { start.as_ref() })
    }

    /// Lends all bytes for writing.
    ///
    /// # Safety
    ///
    /// No other process and no other thread reads or writes the region while the slice lives.
    pub unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.view.as_ptr().cast_mut();
        // SAFETY: mapped for writing while the region lives, and the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(start, self.view.len() as usize) }
    }

    /// Writes the pages of `bytes` bytes at `at` to their file, and returns when the file has them.
    ///
    /// Memory without a file has nothing to write.
    ///
    /// # Errors
    ///
    /// The range is outside the region, or the system refused.
    pub fn flush(&self, at: u64, bytes: u64) -> Result<(), RegionError> {
        self.flush_as(at, bytes, Flush::Sync)
    }

    /// Schedules the pages of `bytes` bytes at `at` for writing to their file.
    ///
    /// # Errors
    ///
    /// The range is outside the region, or the system refused.
    pub fn flush_async(&self, at: u64, bytes: u64) -> Result<(), RegionError> {
        self.flush_as(at, bytes, Flush::Async)
    }

    fn flush_as(&self, at: u64, bytes: u64, how: Flush) -> Result<(), RegionError> {
        self.span(at, bytes)?;
        let refused = |source| RegionError::Memory { call: "flush", bytes, source };
        self.view.memory.flush(at, bytes, how).map_err(refused)
    }

    /// Copies the first bytes of this region into another. Other processes see the copy word by
    /// word.
    pub(super) fn copy_to(&self, to: &Span, offset: u64) -> Result<(), RegionError> {
        const PIECE: usize = 64 << 10;
        let mut piece = vec![0; PIECE];
        for at in (0..self.len()).step_by(PIECE) {
            piece.truncate((self.len() - at) as usize);
            self.read(at, &mut piece)?;
            let (bytes, len) = (piece.len() as u64, to.len());
            let target = to.span(offset + at, bytes);
            copy::write(target.map_err(|_| RegionError::OutOfRange { at, bytes, len })?, &piece);
        }
        Ok(())
    }
}
