//! What can be learned of a pool whose owner has died, or is about to lose it.

pub(crate) mod black_box;
pub(crate) mod health;
pub(crate) mod postmortem;
