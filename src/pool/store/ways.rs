//! Where the extents of a type begin: the list that leads from a handle to its slot.
//!
//! The list begins with the number of extents, and the address of each follows. So a lookup needs two values, the
//! list and a shift, and reads both before it decides anything: a compiler can then move these reads out of a
//! loop.
//!
//! # What the unsafe code here relies on
//!
//! A [`Ways`] is created from a list that it borrows, or for [`NONE`]. In both, as many addresses follow the first
//! word as it counts. An address is that of an extent of the type, biased as `slots.rs` describes, and the mapping
//! outlives the list.
#![allow(unsafe_code)]

use crate::object::INDEX_SHIFT;
use crate::pool::store::slot::Slot;
use std::marker::PhantomData;
use std::ptr::{NonNull, without_provenance_mut};

/// A list without extents.
static NONE: [usize; 1] = [0];

/// The biased addresses of the slots of each extent, after their number.
pub(crate) struct Addresses {
    words: Vec<*mut u8>,
}

impl Addresses {
    pub(crate) fn new() -> Self {
        Addresses { words: vec![without_provenance_mut(0)] }
    }

    /// Returns the number of extents.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.words.len() - 1
    }

    /// Returns the address of extent `at`.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> Option<*mut u8> {
        self.words.get(at + 1).copied()
    }

    /// Returns the addresses of the extents from `at` on.
    pub(crate) fn from(&self, at: usize) -> impl Iterator<Item = *mut u8> {
        self.words.iter().skip(at + 1).copied()
    }

    /// Gives extent `at` another address; returns `None` if there is no such extent.
    pub(crate) fn replace(&mut self, at: usize, start: *mut u8) -> Option<()> {
        *self.words.get_mut(at + 1)? = start;
        Some(())
    }

    /// Appends extents.
    pub(crate) fn extend(&mut self, addresses: impl Iterator<Item = *mut u8>) {
        self.words.extend(addresses);
        let len = self.len();
        self.words.iter_mut().take(1).for_each(|word| *word = without_provenance_mut(len));
    }

    /// Returns the list for lookups. It must not be used after the next `extend`.
    #[inline(always)]
    pub(crate) fn list(&self) -> *const *mut u8 {
        self.words.as_ptr()
    }

    /// Returns a list without extents, for lookups.
    pub(crate) fn none() -> *const *mut u8 {
        (&raw const NONE).cast()
    }
}

/// The data to get from a handle to its slot, by value, so that a loop keeps it in registers.
#[derive(Clone, Copy)]
pub(crate) struct Ways<'a> {
    list: *const *mut u8,
    /// Shift from a slot to its extent.
    shift: u32,
    _list: PhantomData<&'a Addresses>,
}

impl Ways<'_> {
    /// Creates the ways through a list of `Addresses` to the slots of extents with `1 << shift` slots.
    ///
    /// # Safety
    ///
    /// The list is that of an `Addresses`, or the one without extents, and is borrowed.
    #[inline(always)]
    pub(crate) unsafe fn new(list: *const *mut u8, shift: u32) -> Self {
        Ways { list, shift, _list: PhantomData }
    }

    /// Returns the slot `index`.
    ///
    /// # Safety
    ///
    /// `stride` is the stride of the slots.
    #[inline(always)]
    pub(crate) unsafe fn slot_at(&self, index: u32, stride: usize) -> Option<Slot> {
        let index = index as usize;
        let extent = index >> (self.shift & 63);
        // SAFETY: every list begins with its number of extents.
        if extent >= unsafe { self.list.read() }.addr() {
            return None;
        }
        // SAFETY: as many addresses follow.
        let biased = unsafe { *self.list.wrapping_add(extent + 1) };
        let start = biased.wrapping_add(index * stride);
        // SAFETY: with the bias undone, `start` lies inside the extent of the slot.
        Some(Slot { start: unsafe { NonNull::new_unchecked(start) } })
    }

    /// Returns the slot that the bits of a handle name.
    ///
    /// # Safety
    ///
    /// `stride` is the stride of the slots.
    #[inline(always)]
    pub(crate) unsafe fn slot_of(&self, bits: u64, stride: usize) -> Option<Slot> {
        // SAFETY: as the caller guarantees.
        unsafe { self.slot_at((bits >> INDEX_SHIFT) as u32, stride) }
    }
}
