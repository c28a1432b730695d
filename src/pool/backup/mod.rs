//! A pool that no process has open is saved as a set, and a set becomes a pool.

mod crew;
mod image;
pub(crate) mod missing;
mod restore;
mod room;
mod save;
mod seats;
mod words;

pub use crew::Progress;
pub use restore::{Existing, RestoreError, RestoreOptions, Restored, check_restore, restore_pool};
pub use room::NoRoom;
pub use save::{SaveError, SaveOptions, Saved, check_save, save_pool};
