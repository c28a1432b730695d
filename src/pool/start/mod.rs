//! What a start finds, what it decides, and what it does before the pool serves.

pub(crate) mod adopt;
pub(crate) mod agree;
pub(crate) mod breaker;
pub mod disagreement;
pub(crate) mod elsewhere;
pub(crate) mod judging;
pub(crate) mod move_aside;
pub(crate) mod quarantine;
pub(crate) mod report;
pub(crate) mod starts;
pub(crate) mod suspects;
