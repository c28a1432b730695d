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
