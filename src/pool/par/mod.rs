//! Several threads of the owner in one pool: lanes, portions of a type, scopes, and a handle to share.

pub(crate) mod lane;
pub(crate) mod lanes;
#[cfg(feature = "rayon")]
pub(crate) mod on_rayon;
pub(crate) mod portion;
pub(crate) mod protocol;
pub(crate) mod scope;
pub(crate) mod shared;
pub(crate) mod shared_pool;
pub(crate) mod workers;

/// The atomics of `protocol.rs`, and how they are ordered; tests/parallel_protocol.rs has others.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    /// Taking comes after the giving that it sees, and after everything before that.
    pub(super) const TAKE: Ordering = Ordering::Acquire;
    /// Giving comes after everything that its thread has done.
    pub(super) const GIVE: Ordering = Ordering::Release;
}
