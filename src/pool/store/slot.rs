//! One slot, and how to get from a handle to it.
//!
//! # What the unsafe code here relies on
//!
//! A [`Slot`] is created for an address at which `Slots` has found a slot: at least 16 mapped
//! bytes, aligned to 8, that begin with its header. The mapping outlives it.
#![allow(unsafe_code)]

use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, LIVE};
use crate::word::Word;
use std::ptr::NonNull;

/// Header of a retired slot: type 0, so that no handle equals it, and even.
pub(crate) const RETIRED: u64 = u64::MAX << INDEX_SHIFT | (GENERATION_MASK - 1);

/// Returns the header of a slot whose object is in quarantine.
///
/// It is even, no handle equals it, and its type tells it from the header of a retired slot.
pub(crate) fn parked(object: Handle) -> u64 {
    u64::MAX << INDEX_SHIFT | object.to_bits() & !(u64::MAX << INDEX_SHIFT) & !LIVE
}

/// Returns whether a header is that of a slot in quarantine.
pub(crate) fn is_parked(header: u64) -> bool {
    header >> INDEX_SHIFT == u64::MAX >> INDEX_SHIFT && header & LIVE == 0 && header != RETIRED
}

/// Returns the object in quarantine whose slot `index` has this header.
pub(crate) fn parked_object(header: u64, index: u32) -> Option<Handle> {
    let bits = header & !(u64::MAX << INDEX_SHIFT) | u64::from(index) << INDEX_SHIFT | LIVE;
    Handle::from_bits(bits).filter(|_| is_parked(header))
}

/// The address of a slot.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) start: NonNull<u8>,
}

impl Slot {
    /// Returns the header of the slot.
    #[inline(always)]
    pub(crate) fn header(&self) -> &Word {
        // SAFETY: a slot begins with its header, aligned to 8, and is mapped while the pool exists.
        unsafe { self.start.cast().as_ref() }
    }

    /// Reads the header for a lookup.
    ///
    /// It is a plain read, so the compiler may keep what it has read before in registers, which it
    /// does not across a read of an atomic. Call it only in the owner, for slots that are borrowed.
    #[inline(always)]
    pub(crate) fn bits(&self) -> u64 {
        // SAFETY: mapped and aligned, see `header`. Only the owner stores to a header, and to do so
        // it borrows the type exclusively.
        unsafe { self.start.cast().read() }
    }

    /// Reads the user key for a lookup, as `bits` reads the header.
    #[inline(always)]
    pub(crate) fn key_bits(&self) -> u64 {
        // SAFETY: every slot is at least 16 bytes long.
        let word = unsafe { self.start.add(8) };
        // SAFETY: as in `bits`; the word is stored before the header of a new object.
        unsafe { word.cast().read() }
    }

    /// Returns the user key of the object, which is valid for a keyed type.
    #[inline(always)]
    pub(crate) fn key(&self) -> &Word {
        // SAFETY: every slot is at least 16 bytes long.
        let word = unsafe { self.start.add(8) };
        // SAFETY: aligned to 8, and mapped while the pool exists. Only keyed types have an index
        // that leads here; in their slots this word is not part of the object.
        unsafe { word.cast().as_ref() }
    }

    /// Returns whether a header is that of a live object.
    #[inline(always)]
    pub(crate) fn is_live(header: u64) -> bool {
        header & LIVE != 0
    }
}

/// Prefetches a cache line, at any address.
#[inline(always)]
pub(crate) fn fetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which is valid for any address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
