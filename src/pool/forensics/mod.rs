//! What can be learned about a pool whose owner has died or is about to lose it.

pub(crate) mod black_box;
pub(crate) mod health;
pub(crate) mod postmortem;
pub(crate) mod watch;
