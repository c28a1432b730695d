//! What a process must hold according to its acknowledgements, and the comparison with what it does
//! hold.

use crate::journal::{Op, Said};
use crate::message::Row;
use hotpool::Handle;
use std::collections::{HashMap, HashSet};

/// The faults that a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Acknowledged, but missing, unreachable, or with an older content.
    pub(crate) lost: u64,
    /// Contains fields of two writes, and the resume report does not name it.
    pub(crate) torn: u64,
    /// Two objects with one user key, or one handle twice.
    pub(crate) duplicated: u64,
    /// Present, although it was freed or never created.
    pub(crate) resurrected: u64,
}

impl Faults {
    pub(crate) fn none(&self) -> bool {
        *self == Faults::default()
    }

    pub(crate) fn add(&mut self, other: Faults) {
        self.lost += other.lost;
        self.torn += other.torn;
        self.duplicated += other.duplicated;
        self.resurrected += other.resurrected;
    }
}

#[derive(Clone, Copy, Debug)]
struct Object {
    key: Option<u64>,
    /// The serial number of the last write. `None` if the object is half written, as the resume
    /// report stated.
    serial: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Model {
    objects: HashMap<u64, Object>,
    keys: HashMap<(u16, u64), u64>,
    in_flight: Option<Op>,
    /// Faults found in the acknowledgements themselves.
    faults: Faults,
    pub(crate) acknowledged: u64,
}

impl Model {
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Applies what a process acknowledged before it died.
    pub(crate) fn apply(&mut self, said: Said) {
        self.acknowledged += said.acknowledged.len() as u64;
        for (op, outcome) in said.acknowledged {
            self.acknowledge(op, outcome);
        }
        // A process that died before its traffic began leaves the previous operation undecided.
        self.in_flight = said.in_flight.or(self.in_flight);
    }

    fn acknowledge(&mut self, op: Op, outcome: u64) {
        self.in_flight = None;
        match op {
            Op::Make { type_id, key, serial } => {
                let known = key.and_then(|key| self.keys.get(&(type_id, key)).copied());
                match known {
                    Some(handle) if handle == outcome => {}
                    Some(_) => self.faults.duplicated += 1,
                    None => self.insert(outcome, Object { key, serial: Some(serial) }),
                }
            }
            Op::Write { handle, serial } => match self.objects.get_mut(&handle) {
                Some(object) => object.serial = Some(serial),
                None => self.faults.resurrected += 1,
            },
            Op::Free { handle } => {
                if self.remove(handle).is_none() {
                    self.faults.resurrected += 1;
                }
            }
            // The count of the letters has them.
            Op::Send { .. } | Op::Receive(_) => {}
        }
    }

    fn insert(&mut self, handle: u64, object: Object) {
        if let Some(key) = object.key {
            self.keys.insert((type_of(handle), key), handle);
        }
        if self.objects.insert(handle, object).is_some() {
            self.faults.duplicated += 1;
        }
    }

    fn remove(&mut self, handle: u64) -> Option<Object> {
        let object = self.objects.remove(&handle)?;
        if let Some(key) = object.key {
            self.keys.remove(&(type_of(handle), key));
        }
        Some(object)
    }

    /// Compares all objects of a process with the model, then adopts them as the new model.
    pub(crate) fn compare(&mut self, rows: &[Row], named: &HashSet<u64>) -> Faults {
        let mut faults = std::mem::take(&mut self.faults);
        let in_flight = self.in_flight.take();
        let mut handles = HashSet::with_capacity(rows.len());
        let mut keys = HashSet::new();
        for row in rows {
            let key_is_new = row.key.is_none_or(|key| keys.insert((type_of(row.handle), key)));
            if !handles.insert(row.handle) || !key_is_new {
                faults.duplicated += 1;
            } else if !row.reached {
                faults.lost += 1;
            }
            match self.objects.get(&row.handle) {
                Some(object) => compare_object(row, *object, in_flight, named, &mut faults),
                None if made_in_flight(row, in_flight) => {}
                None => faults.resurrected += 1,
            }
        }
        let freed = |handle: &u64| in_flight == Some(Op::Free { handle: *handle });
        let gone = self.objects.keys().filter(|handle| !handles.contains(*handle) && !freed(handle));
        faults.lost += gone.count() as u64;
        self.take_over(rows);
        faults
    }

    fn take_over(&mut self, rows: &[Row]) {
        self.objects.clear();
        self.keys.clear();
        for row in rows {
            self.insert(row.handle, Object { key: row.key, serial: row.whole.then_some(row.serial) });
        }
        self.faults = Faults::default();
    }
}

fn compare_object(
    row: &Row,
    object: Object,
    in_flight: Option<Op>,
    named: &HashSet<u64>,
    faults: &mut Faults,
) {
    let Some(acknowledged) = object.serial else { return };
    let being_written = match in_flight {
        Some(Op::Write { handle, serial }) if handle == row.handle => Some(serial),
        _ => None,
    };
    if !row.whole {
        faults.torn += u64::from(being_written.is_none() || !named.contains(&row.handle));
    } else if row.key != object.key || row.serial != acknowledged && Some(row.serial) != being_written {
        faults.lost += 1;
    }
}

/// Returns whether this object is the one that the unacknowledged operation was creating.
fn made_in_flight(row: &Row, in_flight: Option<Op>) -> bool {
    let made = Op::Make { type_id: type_of(row.handle), key: row.key, serial: row.serial };
    row.whole && in_flight == Some(made)
}

fn type_of(handle: u64) -> u16 {
    Handle::from_bits(handle).map_or(0, Handle::type_id)
}
