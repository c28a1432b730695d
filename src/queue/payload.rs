//! The bytes of a message: copied into a chunk, copied out of it, or lent in place.
//!
//! # What the unsafe code here relies on
//!
//! A span of a chunk lies inside the mapping, which stays while a sender or receiver borrows it.
//!
//! Some queues never overwrite a message that a reader may still read (`Shape` and policy decide
//! that). There, one writer alone writes to a chunk while it is private, and no process writes to
//! it until all readers have passed it. Then plain copies and references are sound.
//!
//! In any other queue a reader may meet a writer. There the bytes are copied word by word through
//! atomics. Afterwards the reader checks whether they are still the bytes of its message.
#![allow(unsafe_code)]

use crate::limits::LINE;
use crate::object::{Field, Fingerprint, Schema, SchemaText};
use crate::region::{OutOfBounds, Region};
use crate::word::{Word, padded};
use bytemuck::Pod;

/// A type that a queue can carry: a plain struct with a [`Schema`], or a run of bytes.
pub trait Payload {
    /// The type that a reader receives.
    type Owned;
    /// Differs if the layout of two types differs.
    const FINGERPRINT: u64;
    /// The fields of the type.
    const FIELDS: &'static [Field];
    /// Returns the schema as text.
    fn schema() -> String;
    /// Returns the bytes of the largest value; `None` if only the configuration limits them.
    fn most_bytes() -> Option<u64>;
    /// Returns the bytes of the value.
    fn bytes(&self) -> &[u8];
    /// Returns the value of `length` bytes that `fill` writes; `None` if no value has that length.
    fn received(length: usize, fill: impl FnOnce(&mut [u8])) -> Option<Self::Owned>;
}

impl<T: Pod + Schema> Payload for T {
    type Owned = T;
    const FINGERPRINT: u64 = <T as Schema>::FINGERPRINT;
    const FIELDS: &'static [Field] = <T as Schema>::FIELDS;

    fn schema() -> String {
        SchemaText::of::<T>()
    }

    fn most_bytes() -> Option<u64> {
        Some(size_of::<T>() as u64)
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }

    fn received(length: usize, fill: impl FnOnce(&mut [u8])) -> Option<T> {
        if length != size_of::<T>() {
            return None;
        }
        let mut value = T::zeroed();
        fill(bytemuck::bytes_of_mut(&mut value));
        Some(value)
    }
}

impl Payload for [u8] {
    type Owned = Vec<u8>;
    const FINGERPRINT: u64 = Fingerprint::new("bytes").finish();
    const FIELDS: &'static [Field] = &[];

    fn schema() -> String {
        String::new()
    }

    fn most_bytes() -> Option<u64> {
        None
    }

    fn bytes(&self) -> &[u8] {
        self
    }

    fn received(length: usize, fill: impl FnOnce(&mut [u8])) -> Option<Vec<u8>> {
        let mut value = vec![0; length];
        fill(&mut value);
        Some(value)
    }
}

/// The most lines of a chunk that are fetched for writing at once: as many as a processor has misses
/// in flight.
const LINES_AHEAD: u64 = 17;

/// Fetches the first lines of a private chunk into the cache of its writer, so that its next message
/// does not wait until the caches of the readers have given them up.
#[inline(always)]
pub(super) fn fetch_to_write(region: &Region, at: u64, bytes: u64) {
    let bytes = bytes.min(LINES_AHEAD * LINE);
    let Ok(first) = region.span(at, bytes) else { return };
    for offset in (0..bytes).step_by(LINE as usize) {
        let line = first.as_ptr().wrapping_add(offset as usize);
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch changes no memory, and a processor that lacks it does nothing.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) line, options(readonly, nostack, preserves_flags))
        };
        #[cfg(any(not(target_arch = "x86_64"), miri))]
        let _ = line;
    }
}

/// Fetches the head of a chunk and the first line of its bytes into the cache of a reader that waits for
/// their message.
///
/// A reader that polls expects to find nothing, so the processor does this while the entry is still on
/// its way from the cache of the writer: the three lines then cross together.
#[inline(always)]
pub(super) fn fetch_to_read(region: &Region, at: u64) {
    let Ok(first) = region.span(at, 2 * LINE) else { return };
    let (head, bytes) = (first.as_ptr(), first.as_ptr().wrapping_add(LINE as usize));
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch changes no memory.
    unsafe {
        std::arch::asm!(
            "prefetcht0 [{}]", "prefetcht0 [{}]", in(reg) head, in(reg) bytes,
            options(readonly, nostack, preserves_flags)
        )
    };
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = (head, bytes);
}

/// The bytes of one chunk.
#[derive(Clone, Copy)]
pub(super) struct Span {
    region: Region,
    at: u64,
    /// No reader and writer ever meet in the chunk.
    alone: bool,
}

impl Span {
    pub(super) fn new(region: Region, at: u64, alone: bool) -> Self {
        Span { region, at, alone }
    }

    /// Copies a message into the chunk, which is private.
    #[inline]
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), OutOfBounds> {
        if self.alone {
            let to = self.region.span(self.at, bytes.len() as u64)?;
            // SAFETY: `to` has room for them, and no other process uses a private chunk, see the
            // top of this file.
            unsafe { to.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            return Ok(());
        }
        let words = self.region.table::<Word>(self.at, (bytes.len() as u64).div_ceil(8))?;
        for (n, part) in bytes.chunks(8).enumerate() {
            if let Some(word) = words.get(n) {
                word.fill(padded(part));
            }
        }
        Ok(())
    }

    /// Copies a message out of the chunk.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a part has at most 8 bytes")]
    pub(super) fn read(&self, bytes: &mut [u8]) -> Result<(), OutOfBounds> {
        if self.alone {
            let from = self.region.span(self.at, bytes.len() as u64)?;
            // SAFETY: they lie inside the mapping, and no process writes to a chunk that a reader
            // has not passed.
            unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(from.as_ptr(), bytes.len()) };
            return Ok(());
        }
        let words = self.region.table::<Word>(self.at, (bytes.len() as u64).div_ceil(8))?;
        for (n, part) in bytes.chunks_mut(8).enumerate() {
            if let Some(word) = words.get(n) {
                part.copy_from_slice(&word.load().to_le_bytes()[..part.len()]);
            }
        }
        Ok(())
    }

    /// Lends the message in place; returns `None` if a writer could meet the reader.
    pub(super) fn lend<'a, O: ?Sized>(&self, length: u64, _owner: &'a O) -> Option<&'a [u8]> {
        let start = self.region.span(self.at, length).ok().filter(|_| self.alone)?;
        // SAFETY: they lie inside the mapping, which `_owner` keeps. No process writes to them
        // until the reader has passed them, and it does so only by a method that borrows it
        // mutably.
        Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), length as usize) })
    }

    /// Lends the bytes of a private chunk to its writer; returns `None` if a reader could meet it.
    pub(super) fn lend_mut<'a, O: ?Sized>(&self, length: u64, _owner: &'a mut O) -> Option<&'a mut [u8]> {
        let start = self.region.span(self.at, length).ok().filter(|_| self.alone)?;
        // SAFETY: as in `write`; `_owner` is borrowed mutably while the slice lives.
        Some(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), length as usize) })
    }
}
