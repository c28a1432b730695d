//! The values in slots, as bytes.
//!
//! # What the unsafe code here relies on
//!
//! The rules in `slots.rs` for the address of a slot. The object follows the head inside its slot,
//! and has as many bytes as the rule: `add_type` has compared the sizes. Nothing writes to it
//! meanwhile: the pool is borrowed, and only the owner writes.
#![allow(unsafe_code)]

use crate::object::{BadValue, Rule, check_at};
use crate::pool::store::slot::Slot;
use crate::pool::store::slots::Slots;
use crate::word::{Half, Word};

impl Slots {
    /// Calls `found` with slot, header and problem for each live object that breaks `rule`.
    pub(crate) fn for_each_bad_value(&self, rule: &Rule, mut found: impl FnMut(u32, u64, BadValue)) {
        let slots = if rule.any_bits() { 0 } else { self.capacity() };
        for index in 0..slots {
            let Some(slot) = self.slot(index) else { return };
            let header = slot.header().load();
            if Slot::is_live(header)
                && let Err(bad) = self.check_value(slot, rule)
            {
                found(index, header, bad);
            }
        }
    }

    /// Returns the bits of a followed field, of 4 or 8 bytes.
    ///
    /// `add_type` does not compile for a type whose followed fields are outside its object, or not
    /// aligned (`Followed::fits`). Other fields read as 0.
    pub(crate) fn field(&self, index: u32, offset: usize, bytes: usize) -> u64 {
        let Some(field) = self.field_at(index, offset, bytes) else { return 0 };
        match bytes {
            4 => {
                // SAFETY: `field_at` found 4 aligned bytes of an object.
                let half = unsafe { &*field.cast::<Half>() };
                half.load().into()
            }
            _ => {
                // SAFETY: `field_at` found 8 aligned bytes of an object.
                let word = unsafe { &*field.cast::<Word>() };
                word.load()
            }
        }
    }

    /// Stores the bits of a followed field of 8 bytes, in one store.
    pub(crate) fn store_field(&mut self, index: u32, offset: usize, bits: u64) {
        let Some(field) = self.field_at(index, offset, size_of::<Word>()) else { return };
        // SAFETY: `field_at` found 8 aligned bytes of an object; the slots are borrowed exclusively.
        let word = unsafe { &*field.cast::<Word>() };
        word.store(bits);
    }

    /// Returns the address of a field of 4 or 8 bytes, if it is aligned and in the object.
    fn field_at(&self, index: u32, offset: usize, bytes: usize) -> Option<*mut u8> {
        let end = offset.checked_add(bytes).filter(|end| *end as u64 <= self.shape.size);
        let slot = self.slot(index).filter(|_| end.is_some() && (bytes == 4 || bytes == 8))?;
        let field = slot.start.as_ptr().wrapping_add(self.shape.head).wrapping_add(offset);
        field.addr().is_multiple_of(bytes).then_some(field)
    }

    /// Checks the bytes of an object that nothing refers to.
    pub(crate) fn check_value(&self, slot: Slot, rule: &Rule) -> Result<(), BadValue> {
        if rule.any_bits() || self.shape.size != rule.size as u64 {
            return Ok(());
        }
        let object = slot.start.as_ptr().wrapping_add(self.shape.head);
        // SAFETY: the object of the slot, see the top of this file.
        unsafe { check_at(rule, object) }
    }
}
