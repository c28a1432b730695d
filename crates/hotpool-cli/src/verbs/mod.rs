//! The verbs. Each has `Args`, which clap fills in, and `run`, which prints the result
//! and says how it ended.

pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod postmortem;
pub(crate) mod rm;
pub(crate) mod verify;
