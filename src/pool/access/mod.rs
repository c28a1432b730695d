//! What a program does with an open pool: it reaches objects by handle, by key, in a walk or by a view of a type, notes
//! what it is doing, and decides about torn objects and those in quarantine.

pub(crate) mod iter;
pub(crate) mod notes;
pub(crate) mod ops;
pub(crate) mod quarantined;
pub(crate) mod read;
pub(crate) mod torn;
pub(crate) mod view;
