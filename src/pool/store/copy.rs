//! Copies the slots of one form of a type to another form.
//!
//! # What the unsafe code here relies on
//!
//! The rules in `slots.rs` for the address of a slot. The object follows the head inside its slot, and
//! the slots of an extent follow each other at their stride. Nothing else refers to the slots of
//! either form meanwhile: the type is not bound to a Rust type yet, and the new form is not in force.
#![allow(unsafe_code)]

use crate::object::{Batch, Misfit, Misfits, Spot};
use crate::pool::store::slot::{RETIRED, Slot, is_parked};
use crate::pool::store::slots::Slots;
use std::ops::Range;

/// Converts the objects of a batch.
pub(crate) type Convert<'a> = &'a dyn Fn(&mut Batch<'_>) -> Result<(), Misfits>;

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
        let mut spots = Vec::new();
        let most = self.slots_of_word().min(to.slots_of_word());
        for first in (0..count).step_by(most as usize) {
            // Nothing there needs memory, but freed slots have headers.
            if to.is_hollow(first) {
                continue;
            }
            let slots = first..(first + most).min(count);
            let (Some(from_slot), Some(to_slot)) = (self.slot(first), to.slot(first)) else { break };
            spots.clear();
            self.copy_heads(to, slots.clone(), (from_slot, to_slot), &mut spots);
            if spots.is_empty() {
                continue;
            }
            let (old, new) = (self.bytes(from_slot, slots.len()), to.bytes_mut(to_slot, slots.len()));
            let strides = (spots.len() == slots.len()).then_some((self.stride, to.stride));
            if let Err(misfits) = convert(&mut Batch { old, new, spots: &spots, strides }) {
                let slot = first + (misfits.first.old / self.stride) as u32;
                let unfit = unfit.get_or_insert(Unfit { objects: 0, slot, why: misfits.why });
                unfit.objects += misfits.objects;
            }
        }
        unfit.map_or(Ok(()), Err)
    }

    /// Copies headers and user keys of slots that one word of the map covers in either form, sets
    /// their bits, and adds the places of their objects. `firsts` are the first of them.
    fn copy_heads(&self, to: &Slots, slots: Range<u32>, firsts: (Slot, Slot), spots: &mut Vec<Spot>) {
        let is_keyed = self.info.keyed() && to.info.keyed();
        let mut used = 0;
        for at in 0..slots.len() {
            let spot = Spot { old: at * self.stride, new: at * to.stride };
            // SAFETY: a word covers slots of one extent, which lie one after the other.
            let from_slot = Slot { start: unsafe { firsts.0.start.add(spot.old) } };
            let header = from_slot.header().load();
            if header == 0 {
                continue;
            }
            // SAFETY: as above, in the other form.
            let to_slot = Slot { start: unsafe { firsts.1.start.add(spot.new) } };
            to_slot.header().fill(header);
            let is_object = Slot::is_live(header) || is_parked(header);
            used |= u64::from(is_object || header == RETIRED) << at;
            if !is_object {
                continue;
            }
            if is_keyed {
                to_slot.key().fill(from_slot.key().load());
            }
            spots.push(spot);
        }
        if used != 0 {
            to.fill_bits(slots.start, used);
        }
    }

    /// Returns how many slots a word of the map covers.
    fn slots_of_word(&self) -> u32 {
        self.first_of_word(1)
    }

    /// Sets the bits of slots from `first` on in a word of a map that is not in use yet.
    fn fill_bits(&self, first: u32, bits: u64) {
        let number = self.word_of(first);
        if let Some(word) = self.word(number) {
            word.fill(word.load() | bits << (first - self.first_of_word(number)));
        }
    }

    /// Returns the bytes from the first object to the last one of slots that one word covers.
    fn bytes(&self, first: Slot, slots: usize) -> &[u8] {
        // SAFETY: the object follows the head inside the slot.
        let object = unsafe { first.start.add(self.shape.head) };
        // SAFETY: the slots lie one after the other, and are mapped while the pool exists. Nothing
        // writes to them, see the top of this file.
        unsafe { std::slice::from_raw_parts(object.as_ptr(), self.bytes_of(slots)) }
    }

    /// Returns such bytes of a form that is not in force yet.
    #[allow(clippy::mut_from_ref, reason = "the memory of a segment is not owned by the slots")]
    fn bytes_mut(&self, first: Slot, slots: usize) -> &mut [u8] {
        // SAFETY: the object follows the head inside the slot.
        let object = unsafe { first.start.add(self.shape.head) };
        // SAFETY: mapped and writable as in `bytes`, and only this batch refers to the objects and to
        // the heads between them, see the top of this file.
        unsafe { std::slice::from_raw_parts_mut(object.as_ptr(), self.bytes_of(slots)) }
    }

    /// Returns the bytes from the first object to the last one of so many slots.
    fn bytes_of(&self, slots: usize) -> usize {
        slots.saturating_sub(1) * self.stride + self.shape.size as usize
    }
}
