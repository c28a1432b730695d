//! Operations of a program on objects in quarantine.

use crate::mutants::{Mutant, planted};
use crate::object::{Handle, Id, PoolObject};
use crate::pool::forensics::black_box::Event;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::start::quarantine::{QuarantineError, forget, listed};
use crate::pool::start::suspects::{self, Torn};

impl MemoryPoolMgr {
    /// Returns the handles of the objects in quarantine, which no handle, user key or walk reaches.
    pub fn quarantined(&self) -> Vec<Handle> {
        listed(&self.base.header).collect()
    }

    /// Returns a copy of an object in quarantine, to be examined or repaired.
    ///
    /// Returns `None` also if its bytes are no value of the type: then
    /// [`ResumeReport::bad_values`](crate::ResumeReport::bad_values) has named it.
    pub fn quarantined_object<T: PoolObject>(&self, id: Id<T>) -> Option<T> {
        self.types.of::<T>()?.slots.typed::<T>()?.parked(id).copied()
    }

    /// Puts an object into quarantine: it is kept, but nothing reaches it, in this start and later
    /// ones.
    ///
    /// It is all or nothing under a kill.
    ///
    /// # Errors
    ///
    /// Fails if the type was not added, if the object does not exist, or if the list is full.
    pub fn quarantine(&mut self, object: Handle) -> Result<(), QuarantineError> {
        let state = self.types.get_mut(object.type_id());
        let state = state.ok_or(QuarantineError::NotAdded(object))?;
        state.park(object)?;
        suspects::settle(&self.base.header, Torn::Object(object));
        self.black_box().event(Event::Quarantined, object.to_bits(), 0);
        Ok(())
    }

    /// Releases an object from quarantine: its handle resolves again, and its user key leads to it
    /// again.
    ///
    /// It is all or nothing under a kill.
    ///
    /// # Errors
    ///
    /// Fails if the type was not added, if the object is not in quarantine, if its bytes are no
    /// value of the type, or if another object has its key.
    pub fn release(&mut self, object: Handle) -> Result<(), QuarantineError> {
        let state = self.types.get_mut(object.type_id());
        let state = state.ok_or(QuarantineError::NotAdded(object))?;
        if planted(Mutant::ReleaseForgetsFirst) && state.is_parked(object) {
            forget(&self.base.header, object);
        }
        state.unpark(object, &mut self.space)?;
        forget(&self.base.header, object);
        suspects::settle(&self.base.header, Torn::Object(object));
        self.black_box().event(Event::Released, object.to_bits(), 0);
        Ok(())
    }

    /// Frees an object in quarantine: its handle never resolves again, and its slot can be used
    /// again.
    ///
    /// It is all or nothing under a kill.
    ///
    /// # Errors
    ///
    /// Fails if the type was not added, or if the object is not in quarantine.
    pub fn drop_quarantined(&mut self, object: Handle) -> Result<(), QuarantineError> {
        let state = self.types.get_mut(object.type_id());
        let state = state.ok_or(QuarantineError::NotAdded(object))?;
        if planted(Mutant::DropForgetsFirst) && state.is_parked(object) {
            forget(&self.base.header, object);
        }
        state.drop_parked(object)?;
        forget(&self.base.header, object);
        suspects::settle(&self.base.header, Torn::Object(object));
        self.black_box().event(Event::Dropped, object.to_bits(), 0);
        Ok(())
    }
}
