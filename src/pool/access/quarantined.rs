//! What a program does with objects in quarantine.

use crate::mutants::{Mutant, planted};
use crate::object::{Handle, Id, PoolObject};
use crate::pool::forensics::black_box::Event;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::start::quarantine::{QuarantineError, forget, listed};
use crate::pool::start::suspects::{self, Torn};

impl MemoryPoolMgr {
    /// Objects in quarantine: they are kept, and no handle, key or iteration reaches them.
    pub fn quarantined(&self) -> Vec<Handle> {
        listed(&self.base.header).collect()
    }

    /// A copy of an object in quarantine, to be looked at or repaired.
    pub fn quarantined_object<T: PoolObject>(&self, id: Id<T>) -> Option<T> {
        self.types.of::<T>()?.slots.typed::<T>()?.parked(id).copied()
    }

    /// Puts an object into quarantine: it is kept, and nothing reaches it, in this start and in those to come.
    ///
    /// All or nothing under a kill.
    pub fn quarantine(&mut self, object: Handle) -> Result<(), QuarantineError> {
        let state = self.types.get_mut(object.type_id());
        let state = state.ok_or(QuarantineError::NotAdded(object))?;
        state.park(object)?;
        suspects::settle(&self.base.header, Torn::Object(object));
        self.black_box().event(Event::Quarantined, object.to_bits(), 0);
        Ok(())
    }

    /// Lets an object out of quarantine: its handle resolves again, its key leads to it again.
    ///
    /// All or nothing under a kill.
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

    /// Frees an object in quarantine: its handle never resolves again, its slot can be used again.
    ///
    /// All or nothing under a kill.
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
