//! The loops that are timed.

mod cycle;
mod fill;
mod keyed;
mod slots;

pub use fill::FillSlots;
pub use keyed::KeyedRunner;
pub use slots::SlotsRunner;
