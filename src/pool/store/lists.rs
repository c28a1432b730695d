//! The lists that a process makes of the followed fields of a type.
//!
//! The fields in the objects are the truth. The lists are memory of the process: nothing of them is
//! in a segment, so no kill can damage them. They are made in one pass when they are first used.
//! From then on, every slot whose object may have changed is noted, by what lends an object for
//! writing, allocates or frees. The next reader first compares the noted slots with their fields.
//!
//! So a program may write a followed field like any other: through a guard, in a transaction that is
//! rolled back, or in a walk. A type without followed fields pays nothing.

use crate::object::Followed;
use crate::pool::store::children::ChildLists;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lists of a type, and which slots have changed since they were read.
pub(crate) struct Lists {
    fields: Followed,
    /// Whether there is a list, so that changes are noted.
    in_use: AtomicBool,
    /// Several threads may read a type. No code of the program runs while it is locked.
    made: Mutex<Made>,
}

/// What was made of the followed fields.
#[derive(Default)]
pub(crate) struct Made {
    changed: Changed,
    pub(crate) children: Option<ChildLists>,
    pub(crate) times: Option<Times>,
}

impl Lists {
    /// Follows these fields.
    pub(crate) fn of(fields: Followed) -> Self {
        Lists { fields, in_use: AtomicBool::new(false), made: Mutex::default() }
    }

    pub(crate) fn fields(&self) -> Followed {
        self.fields
    }

    /// Notes that the object of a slot may have changed.
    #[inline(always)]
    pub(crate) fn note(&self, slot: u32) {
        if self.in_use.load(Ordering::Relaxed) {
            self.note_changed(slot);
        }
    }

    #[inline(never)]
    fn note_changed(&self, slot: u32) {
        self.made().changed.add(slot);
    }

    /// Calls `f` with the lists.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Made) -> R) -> R {
        f(&mut self.made())
    }

    /// Notes changes from here on.
    pub(crate) fn use_from_here_on(&self) {
        self.in_use.store(true, Ordering::Relaxed);
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    /// Takes the slots that have changed.
    pub(crate) fn take_changed(&mut self) -> Vec<u32> {
        self.changed.take()
    }

    /// Records the fields of a slot; an owner of 0 and no time if no object lives there. Returns
    /// whether they were others.
    pub(crate) fn set(&mut self, slot: u32, owner: u64, time: Option<u64>) -> bool {
        let has_moved = self.children.as_mut().is_some_and(|children| children.set(slot, owner));
        let has_other_time = self.times.as_mut().is_some_and(|times| times.set(slot, time));
        has_moved || has_other_time
    }

    /// Drops all lists. Their next reader makes them anew.
    pub(crate) fn forget(&mut self) {
        *self = Made::default();
    }
}

/// A set of slots, in the order in which they were added.
#[derive(Default)]
struct Changed {
    slots: Vec<u32>,
    /// One bit for each slot that is in the set.
    bits: Vec<u64>,
}

impl Changed {
    fn add(&mut self, slot: u32) {
        let number = (slot / 64) as usize;
        if number >= self.bits.len() {
            self.bits.resize(number + 1, 0);
        }
        let Some(word) = self.bits.get_mut(number) else { return };
        let bit = 1 << (slot % 64);
        if *word & bit == 0 {
            *word |= bit;
            self.slots.push(slot);
        }
    }

    fn take(&mut self) -> Vec<u32> {
        for slot in &self.slots {
            if let Some(word) = self.bits.get_mut((slot / 64) as usize) {
                *word &= !(1 << (slot % 64));
            }
        }
        std::mem::take(&mut self.slots)
    }
}

/// The live slots of a type in the order of their times.
#[derive(Default)]
pub(crate) struct Times {
    order: BTreeSet<(u64, u32)>,
    /// The time of each slot in `order`.
    of_slot: Vec<Option<u64>>,
}

impl Times {
    /// Makes the order of these times and slots.
    pub(crate) fn of(times: Vec<(u64, u32)>) -> Self {
        let slots = times.iter().map(|(_, slot)| *slot as usize + 1).max().unwrap_or(0);
        let mut of_slot = vec![None; slots];
        for (time, slot) in &times {
            if let Some(entry) = of_slot.get_mut(*slot as usize) {
                *entry = Some(*time);
            }
        }
        // It sorts them, and makes the tree at once.
        Times { order: times.into_iter().collect(), of_slot }
    }

    fn set(&mut self, slot: u32, time: Option<u64>) -> bool {
        let number = slot as usize;
        if number >= self.of_slot.len() {
            if time.is_none() {
                return false;
            }
            self.of_slot.resize(number + 1, None);
        }
        let Some(entry) = self.of_slot.get_mut(number).filter(|entry| **entry != time) else { return false };
        if let Some(old) = std::mem::replace(entry, time) {
            self.order.remove(&(old, slot));
        }
        self.order.extend(time.map(|time| (time, slot)));
        true
    }

    /// Returns the first time and slot after another one, up to a time.
    pub(crate) fn next(&self, after: Option<(u64, u32)>, last: u64) -> Option<(u64, u32)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((from, Bound::Unbounded)).next().copied().filter(|(time, _)| *time <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_changes_twice_is_noted_once_until_it_is_taken() {
        let lists = Lists::of(Followed::NOTHING);
        lists.note(1);
        assert!(lists.with(Made::take_changed).is_empty(), "nothing reads it");
        lists.use_from_here_on();
        for slot in [70, 3, 70, 3, 64] {
            lists.note(slot);
        }
        assert_eq!(lists.with(Made::take_changed), [70, 3, 64]);
        assert!(lists.with(Made::take_changed).is_empty());
        lists.note(3);
        assert_eq!(lists.with(Made::take_changed), [3]);
    }

    #[test]
    fn times_are_in_order_and_a_slot_has_one() {
        let mut times = Times::of(vec![(9, 0), (3, 2)]);
        times.set(1, Some(3));
        times.set(0, Some(1));
        times.set(5, None);
        let all = |times: &Times, last| {
            let next = |after: Option<(u64, u32)>| times.next(after, last);
            std::iter::successors(next(None), |found| next(Some(*found))).collect::<Vec<_>>()
        };
        assert_eq!(all(&times, u64::MAX), [(1, 0), (3, 1), (3, 2)]);
        assert_eq!(all(&times, 2), [(1, 0)]);
        times.set(1, None);
        times.set(2, Some(u64::MAX));
        assert_eq!(all(&times, u64::MAX), [(1, 0), (u64::MAX, 2)]);
    }
}
