//! The protocol without a fence before giving.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(super) const TAKE: Ordering = Ordering::Acquire;
    pub(super) const GIVE: Ordering = Ordering::Relaxed;
}

#[path = "../../src/pool/par/protocol.rs"]
#[allow(dead_code, reason = "the library uses all of it")]
pub(crate) mod protocol;
