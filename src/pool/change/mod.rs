//! How objects change: marked while a program writes them, or all or nothing by the undo log.

pub(crate) mod guard;
pub(crate) mod in_place;
pub(crate) mod lane_logs;
pub(crate) mod positions;
pub(crate) mod seen;
pub(crate) mod tx;
pub(crate) mod undo;
