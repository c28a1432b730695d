//! Objects whose bytes are no value of their type: found when a start first uses the type, and put
//! into quarantine.
//!
//! Only damage, or a kill within a write, leaves such bytes. A reference to them would be undefined
//! behaviour, so they are found before the type is bound to its Rust type. The pass reads every
//! slot, because a handle resolves by the header of its slot alone. It may be interrupted anywhere:
//! the next start finds the rest.

use crate::object::{BadValue, Handle, Rule};
use crate::pool::error::PoolError;
use crate::pool::start::quarantine;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::wanted::Wanted;
use crate::units::Key;
use std::fmt;

/// An object whose bytes are no value of its type. It is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadObject {
    /// The object.
    pub object: Handle,
    /// The field, and what was found in it.
    pub value: BadValue,
}

impl fmt::Display for BadObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.object, self.value)
    }
}

/// Reasons why the objects of a type could not be put into quarantine.
pub(crate) enum NotHidden {
    /// There are more than the list has room for.
    TooMany { objects: u64, room: usize, first: BadObject },
    /// The header of a slot is that of another slot.
    Misplaced { objects: u64, slot: u32, value: BadValue },
}

impl NotHidden {
    /// Returns the error for the type.
    #[cold]
    pub(crate) fn error(self, wanted: &Wanted, key: Key) -> PoolError {
        let (objects, first, why) = match self {
            NotHidden::TooMany { objects, room, first } => {
                (objects, first.to_string(), format!("the quarantine list has room for {room}"))
            }
            NotHidden::Misplaced { objects, slot, value } => {
                let why = "its slot has the header of another slot".into();
                (objects, format!("in slot {slot} ({value})"), why)
            }
        };
        PoolError::BadValues { name: wanted.name, id: wanted.id, key, objects, first, why }
    }
}

impl TypeState {
    /// Puts the objects whose bytes break `rule` into quarantine.
    ///
    /// # Errors
    ///
    /// Fails without a change if not all of them can be put there.
    pub(crate) fn hide_bad_values(&mut self, rule: &'static Rule) -> Result<Vec<BadObject>, NotHidden> {
        let room = quarantine::room(&self.slots.header);
        let (mut found, mut objects, mut misplaced) = (Vec::new(), 0, None);
        self.slots.for_each_bad_value(rule, |slot, header, value| {
            objects += 1;
            let own = |object: &Handle| object.index() == slot && object.type_id() == self.slots.type_id();
            match Handle::from_bits(header).filter(own) {
                None => misplaced = Some((slot, value)),
                Some(object) if found.len() <= room => found.push(BadObject { object, value }),
                Some(_) => {}
            }
        });
        if let Some((slot, value)) = misplaced {
            return Err(NotHidden::Misplaced { objects, slot, value });
        }
        if found.len() > room {
            return Err(NotHidden::TooMany { objects, room, first: found.swap_remove(0) });
        }
        found.retain(|bad| self.park(bad.object).is_ok());
        Ok(found)
    }
}
