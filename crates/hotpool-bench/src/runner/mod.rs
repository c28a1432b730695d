//! The timed loops.

mod cycle;
mod fill;
mod keeper;
mod keyed;
mod slots;

pub use fill::FillSlots;
pub use keeper::KeeperRunner;
pub use keyed::KeyedRunner;
pub use slots::SlotsRunner;
