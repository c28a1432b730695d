//! Quarantine: objects that are kept, but out of reach until the program decides about them.
//!
//! ```text
//!          put: list, tally, HEADER, index, tally
//!   live  ────────────────────────────────────────▶  parked
//!    ▲                                                │  │
//!    └────────────────────────────────────────────────┘  └─────────────▶  free
//!      release: tally, index, HEADER, list       drop: tally, HEADER, list
//! ```
//!
//! The header of the slot decides: the one of a parked slot equals no handle, walks and user keys
//! skip it, and the slot is not used again. The tally names the slot before its header changes, so
//! an interrupted step is completed like a free. The list in the base header names the parked
//! slots; the next start clears an entry whose slot is not parked.

use crate::commits::Commit;
use crate::layout::BaseHeader;
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::{BadValue, GENERATION_MASK, Handle};
use crate::pool::error::AllocError;
use crate::pool::store::extents::Space;
use crate::pool::store::slot::parked;
use crate::pool::store::type_state::TypeState;
use crate::word::Word;

/// Reasons why an object was not put into quarantine, released or dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// The object does not exist.
    #[error("cannot quarantine {0}: the object does not exist")]
    NotLive(Handle),
    /// The quarantine list is full.
    #[error("cannot quarantine {0}: the list is full ({max}); release or drop some objects", max = limits::MARKS)]
    Crowded(Handle),
    /// The object is not in quarantine.
    #[error("object {0} is not in quarantine; `quarantined()` returns those that are")]
    NotThere(Handle),
    /// The type was not added yet.
    #[error("the type of object {0} was not added to the pool; call add_type first")]
    NotAdded(Handle),
    /// Another object has the user key by now.
    #[error("cannot release {object}: object {holder} has its user key {key} by now; free one of the two")]
    KeyTaken {
        /// The object in quarantine.
        object: Handle,
        /// Its user key.
        key: u64,
        /// The object that has the user key.
        holder: Handle,
    },
    /// The index has no room for its entry.
    #[error(transparent)]
    Full(AllocError),
    /// The bytes of the object are no value of its type.
    #[error(
        "cannot release {object}: its bytes are no value of its type ({value}); drop it with `drop_quarantined`"
    )]
    NotAValue {
        /// The object in quarantine.
        object: Handle,
        /// The field, and what was found in it.
        value: BadValue,
    },
}

impl TypeState {
    /// Puts an object into quarantine.
    pub(crate) fn park(&mut self, object: Handle) -> Result<(), QuarantineError> {
        let slot = self.slots.slot(object.index()).filter(|slot| slot.header().load() == object.to_bits());
        let slot = slot.ok_or(QuarantineError::NotLive(object))?;
        let header = self.slots.header;
        let entry = entry(&header, object).ok_or(QuarantineError::Crowded(object))?;
        if !planted(Mutant::ParkListsLast) {
            entry.store(object.to_bits());
        }
        let len = self.slots.len();
        self.slots.before_slot(object.index(), Mutant::UnwatchedPark);
        if !planted(Mutant::ParkNamesNothing) {
            self.slots.name(object, len, Commit::ParkTally);
        }
        Commit::ParkHeader.store(slot.header(), parked(object));
        if planted(Mutant::ParkListsLast) {
            entry.store(object.to_bits());
        }
        if self.slots.info.keyed() {
            self.index.unlink(slot.key().load(), object.index());
        }
        self.slots.leave(len.saturating_sub(1));
        self.slots.lists.note(object.index());
        Ok(())
    }

    /// Returns whether an object is in quarantine.
    pub(crate) fn is_parked(&self, object: Handle) -> bool {
        let slot = self.slots.slot(object.index());
        slot.is_some_and(|slot| slot.header().load() == parked(object))
    }

    /// Releases an object from quarantine, except for its list entry.
    pub(crate) fn unpark(&mut self, object: Handle, space: &mut Space) -> Result<(), QuarantineError> {
        let slot = self.slots.slot(object.index()).filter(|slot| slot.header().load() == parked(object));
        let slot = slot.ok_or(QuarantineError::NotThere(object))?;
        let checked = self.slots.check_value(slot, self.slots.rule);
        checked.map_err(|value| QuarantineError::NotAValue { object, value })?;
        let place = match self.slots.info.keyed() {
            false => None,
            true => {
                let key = slot.key().load();
                if let Some(holder) = self.holder(key) {
                    return Err(QuarantineError::KeyTaken { object, key, holder });
                }
                let place = self.reserve_key(space, key);
                Some(place.map_err(|why| QuarantineError::Full(self.full(space, why)))?)
            }
        };
        let len = self.slots.len() + 1;
        self.slots.before_slot(object.index(), Mutant::UnwatchedRelease);
        if !planted(Mutant::ReleaseNamesNothing) {
            self.slots.name(object, len, Commit::ReleaseTally);
        }
        if planted(Mutant::ReleaseLinksLast) {
            Commit::ReleaseHeader.store(slot.header(), object.to_bits());
        }
        if let Some(place) = place {
            self.index.link(place, object.index());
        }
        Commit::ReleaseHeader.store(slot.header(), object.to_bits());
        self.slots.changed(slot, object.to_bits(), len);
        self.slots.lists.note(object.index());
        Ok(())
    }

    /// Frees an object in quarantine, except for its list entry.
    pub(crate) fn drop_parked(&mut self, object: Handle) -> Result<(), QuarantineError> {
        let slot = self.slots.slot(object.index()).filter(|slot| slot.header().load() == parked(object));
        let slot = slot.ok_or(QuarantineError::NotThere(object))?;
        let (len, bits) = (self.slots.len(), object.to_bits());
        self.slots.before_slot(object.index(), Mutant::UnwatchedDrop);
        if !planted(Mutant::DropNamesNothing) {
            self.slots.name(object, len + 1, Commit::DropTally);
        }
        if bits & GENERATION_MASK >= self.slots.info.last_generation.load().into() {
            self.slots.retire(slot, object.index());
            self.slots.leave(len);
        } else {
            Commit::DropHeader.store(slot.header(), bits + 1);
            self.slots.changed(slot, bits + 1, len);
        }
        Ok(())
    }

    /// Returns the live object with a user key, of any Rust type.
    fn holder(&self, key: u64) -> Option<Handle> {
        self.index.find(key, |index| {
            let slot = self.slots.slot(index).filter(|slot| slot.key().load() == key)?;
            Handle::from_bits(slot.header().load())
        })
    }
}

/// Returns the objects that the list names. During a start, some may not be parked yet or any more.
pub(crate) fn listed(header: &BaseHeader) -> impl Iterator<Item = Handle> + '_ {
    header.quarantine.iter().filter_map(|entry| Handle::from_bits(entry.load()))
}

/// Adds an object to the list; returns false if the list is full.
pub(crate) fn list(header: &BaseHeader, object: Handle) -> bool {
    let entry = entry(header, object);
    entry.map(|entry| entry.store(object.to_bits())).is_some()
}

/// Clears the entries for which `parked` returns false.
pub(crate) fn tidy(header: &BaseHeader, mut parked: impl FnMut(Handle) -> bool) {
    for entry in &header.quarantine {
        let word = entry.load();
        if word != 0 && !Handle::from_bits(word).is_some_and(&mut parked) {
            entry.store(0);
        }
    }
}

/// Returns the entry of an object, or a free one.
fn entry(header: &BaseHeader, object: Handle) -> Option<&Word> {
    let with = |bits: u64| header.quarantine.iter().find(|entry| entry.load() == bits);
    with(object.to_bits()).or_else(|| with(0))
}

/// Returns how many more objects the list has room for.
pub(crate) fn room(header: &BaseHeader) -> usize {
    header.quarantine.iter().filter(|entry| entry.load() == 0).count()
}

/// Removes an object from the list.
pub(crate) fn forget(header: &BaseHeader, object: Handle) {
    for entry in header.quarantine.iter().filter(|entry| entry.load() == object.to_bits()) {
        entry.store(0);
    }
}
