//! `src/pool/par/protocol.rs` with atomics of loom.

pub(crate) mod gives_early;
pub(crate) mod right;
pub(crate) mod takes_early;
