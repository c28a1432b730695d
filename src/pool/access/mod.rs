//! What a program does with an open pool: it accesses objects by handle, by user key, in walks or
//! views, writes notes, and handles torn objects and objects in quarantine.

pub(crate) mod batch;
pub(crate) mod children;
mod images;
pub(crate) mod iter;
pub(crate) mod many;
pub(crate) mod notes;
pub(crate) mod ops;
pub(crate) mod placed;
pub(crate) mod quarantined;
pub(crate) mod read;
pub(crate) mod reclaim;
#[cfg(feature = "snapshots")]
mod snapshots;
pub(crate) mod timed;
pub(crate) mod torn;
pub(crate) mod view;
