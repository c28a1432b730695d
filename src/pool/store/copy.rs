//! Copies the slots of one form of a type to another form.
//!
//! # What the unsafe code here relies on
//!
//! The rules in `slots.rs` for the address of a slot. The object follows the head inside its slot.
//! Nothing else refers to the objects of either form meanwhile: the type is not bound to a Rust type
//! yet, and the new form is not in force.
#![allow(unsafe_code)]

use crate::object::Misfit;
use crate::pool::store::slot::{RETIRED, Slot, is_parked};
use crate::pool::store::slots::Slots;

/// Converts the bytes of one object; the bytes of the new one are zero before.
pub(crate) type Convert<'a> = &'a dyn Fn(&[u8], &mut [u8]) -> Result<(), Misfit>;

/// Objects that could not be converted.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) objects: u64,
    /// Slot of the first, and why.
    pub(crate) slot: u32,
    pub(crate) why: Misfit,
}

impl Slots {
    /// Copies the first `count` slots to `to`, which is new: headers, user keys, objects and map.
    ///
    /// Objects in quarantine are converted, too. `Err` counts the objects that cannot be.
    pub(crate) fn copy_to(&self, to: &Slots, count: u32, convert: Convert<'_>) -> Result<(), Unfit> {
        let mut unfit: Option<Unfit> = None;
        for index in 0..count {
            let (Some(from_slot), Some(to_slot)) = (self.slot(index), to.slot(index)) else { break };
            let header = from_slot.header().load();
            if header == 0 {
                continue;
            }
            let is_object = Slot::is_live(header) || is_parked(header);
            if is_object || header == RETIRED {
                to.fill_bit(index);
            }
            to_slot.header().fill(header);
            if !is_object {
                continue;
            }
            if self.info.keyed() && to.info.keyed() {
                to_slot.key().fill(from_slot.key().load());
            }
            if let Err(why) = convert(self.bytes(from_slot), to.bytes_mut(to_slot)) {
                unfit.get_or_insert(Unfit { objects: 0, slot: index, why }).objects += 1;
            }
        }
        unfit.map_or(Ok(()), Err)
    }

    /// Sets the bit of a slot in a map that is not in use yet.
    fn fill_bit(&self, index: u32) {
        let number = self.word_of(index);
        if let Some(word) = self.word(number) {
            word.fill(word.load() | 1 << (index - self.first_of_word(number)));
        }
    }

    /// Returns the bytes of the object in a slot.
    fn bytes(&self, slot: Slot) -> &[u8] {
        // SAFETY: the object follows the head inside the slot.
        let object = unsafe { slot.start.add(self.shape.head) };
        // SAFETY: mapped while the pool exists, and nothing writes to it, see the top of this file.
        unsafe { std::slice::from_raw_parts(object.as_ptr(), self.shape.size as usize) }
    }

    /// Returns the bytes of the object in a slot of a form that is not in force yet.
    #[allow(clippy::mut_from_ref, reason = "the memory of a segment is not owned by the slots")]
    fn bytes_mut(&self, slot: Slot) -> &mut [u8] {
        // SAFETY: the object follows the head inside the slot.
        let object = unsafe { slot.start.add(self.shape.head) };
        // SAFETY: mapped and writable, and only this loop refers to it, see the top of this file.
        unsafe { std::slice::from_raw_parts_mut(object.as_ptr(), self.shape.size as usize) }
    }
}
