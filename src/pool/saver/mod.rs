//! The saver of a running pool: it hands images to a thread that writes them as sets.

mod assembly;
mod error;
mod schedule;
mod state;

pub use error::{SnapshotError, SnapshotTrouble};
pub(crate) use schedule::Schedule;
pub(crate) use state::Saver;
pub use state::SnapshotStep;
