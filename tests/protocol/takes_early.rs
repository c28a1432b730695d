//! The protocol without a fence after taking.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(super) const TAKE: Ordering = Ordering::Relaxed;
    pub(super) const GIVE: Ordering = Ordering::Release;
}

#[path = "../../src/pool/par/protocol.rs"]
#[allow(dead_code, reason = "the library uses all of it")]
pub(crate) mod protocol;
