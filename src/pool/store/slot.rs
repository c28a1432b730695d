//! One slot, and the way to it.
//!
//! # What the unsafe code here relies on
//!
//! A [`Slot`] is made for an address at which `Slots` has found a slot: 16 mapped bytes or more, aligned to 8, its
//! header in front. [`Ways`] are handed out by `Slots::ways` alone, so for every slot below `limit` the address of
//! its extent is there and biased as `slots.rs` says. The mapping outlives both.
#![allow(unsafe_code)]

use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, LIVE};
use crate::word::Word;
use std::ptr::NonNull;

/// Header of a slot whose generations are used up: type 0, so that no handle equals it, and even.
pub(crate) const RETIRED: u64 = u64::MAX << INDEX_SHIFT | (GENERATION_MASK - 1);

/// Header of the slot of an object in quarantine: no handle equals it, it is even, and its type tells it
/// from a retired one.
pub(crate) fn parked(object: Handle) -> u64 {
    u64::MAX << INDEX_SHIFT | object.to_bits() & !(u64::MAX << INDEX_SHIFT) & !LIVE
}

/// Whether a header is that of a slot in quarantine.
pub(crate) fn is_parked(header: u64) -> bool {
    header >> INDEX_SHIFT == u64::MAX >> INDEX_SHIFT && header & LIVE == 0 && header != RETIRED
}

/// A slot.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) start: NonNull<u8>,
}

impl Slot {
    /// The slot's header word.
    #[inline(always)]
    pub(crate) fn header(&self) -> &Word {
        // SAFETY: a slot starts with its header, aligned to 8, mapped as long as the pool is.
        unsafe { self.start.cast().as_ref() }
    }

    /// The user key of the object, meaningful for a keyed type.
    #[inline(always)]
    pub(crate) fn key(&self) -> &Word {
        // SAFETY: every slot is at least 16 bytes long.
        let word = unsafe { self.start.add(8) };
        // SAFETY: aligned to 8 and mapped as long as the pool is. Only keyed types have an index that
        // leads here; in their slots this word is no part of the object.
        unsafe { word.cast().as_ref() }
    }

    /// Whether a header word is that of a live object.
    #[inline(always)]
    pub(crate) fn is_live(header: u64) -> bool {
        header & LIVE != 0
    }
}

/// What leads from a handle to its slot, by value, so that a loop keeps it in registers.
#[derive(Clone, Copy)]
pub(crate) struct Ways<'a> {
    pub(crate) starts: &'a [*mut u8],
    pub(crate) limit: u64,
    pub(crate) extent_shift: u32,
}

impl Ways<'_> {
    /// The slot `index`.
    ///
    /// # Safety
    ///
    /// `stride` is that of the slots.
    #[inline(always)]
    pub(crate) unsafe fn slot_at(&self, index: u32, stride: usize) -> Option<Slot> {
        if index >= (self.limit >> INDEX_SHIFT) as u32 {
            return None;
        }
        let extent = index >> (self.extent_shift - INDEX_SHIFT);
        // SAFETY: `limit` is the number of extents shifted, and `index` is below it.
        let biased = unsafe { *self.starts.get_unchecked(extent as usize) };
        let start = biased.wrapping_add(index as usize * stride);
        // SAFETY: the bias undone, `start` lies inside the extent of the slot.
        Some(Slot { start: unsafe { NonNull::new_unchecked(start) } })
    }

    /// The slot that a handle's bits name.
    ///
    /// # Safety
    ///
    /// `stride` is that of the slots.
    #[inline(always)]
    pub(crate) unsafe fn slot_of(&self, bits: u64, stride: usize) -> Option<Slot> {
        if bits >= self.limit {
            return None;
        }
        // SAFETY: `limit` is the number of extents shifted, and `bits` is below it.
        let biased = unsafe { *self.starts.get_unchecked((bits >> self.extent_shift) as usize) };
        let start = biased.wrapping_add((bits >> INDEX_SHIFT) as usize * stride);
        // SAFETY: the bias undone, `start` lies inside the extent of the slot.
        Some(Slot { start: unsafe { NonNull::new_unchecked(start) } })
    }
}
