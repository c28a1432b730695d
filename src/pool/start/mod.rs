//! What a start finds, decides and does before the pool is ready.

pub(crate) mod adopt;
pub(crate) mod agree;
pub(crate) mod bad_values;
pub(crate) mod breaker;
pub mod disagreement;
pub(crate) mod elsewhere;
pub(crate) mod judging;
pub(crate) mod migrate;
pub(crate) mod migrated;
pub(crate) mod move_aside;
pub(crate) mod quarantine;
pub(crate) mod report;
pub(crate) mod starts;
pub(crate) mod suspects;
