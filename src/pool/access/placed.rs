//! Creating an object in its slot from an object of the program.

use crate::object::{Id, Place, PoolObject};
use crate::pool::error::PlaceError;
use crate::pool::manager::MemoryPoolMgr;
use bytemuck::Pod;

impl MemoryPoolMgr {
    /// Creates an object from one of the program, which is written straight into its slot.
    ///
    /// All or nothing under a kill, as [`alloc_zeroed_with`](Self::alloc_zeroed_with) is.
    /// [`Place::read`] returns the object again.
    ///
    /// # Errors
    ///
    /// A part of the object does not fit, or the pool has no room. Nothing has changed then.
    pub fn alloc_placed<T: PoolObject + Pod>(&mut self, object: &impl Place<T>) -> Result<Id<T>, PlaceError> {
        object.fits()?;
        Ok(self.alloc_zeroed_with(|form| object.write(form))?)
    }

    /// Creates an object with a user key, as [`alloc_placed`](Self::alloc_placed) does.
    ///
    /// # Errors
    ///
    /// As above, or the key exists.
    pub fn alloc_keyed_placed<T: PoolObject + Pod>(
        &mut self,
        key: u64,
        object: &impl Place<T>,
    ) -> Result<Id<T>, PlaceError> {
        object.fits()?;
        Ok(self.alloc_keyed_zeroed_with(key, |form| object.write(form))?)
    }
}
