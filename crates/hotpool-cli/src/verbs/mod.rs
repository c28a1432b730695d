//! The verbs. Each has `Args`, which clap fills in, and `run`, which prints the result
//! and returns the exit code.

pub(crate) mod check;
pub(crate) mod compat;
pub(crate) mod completions;
pub(crate) mod doctor;
#[cfg(feature = "object-store")]
pub(crate) mod fence;
pub(crate) mod generate;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod install_extras;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod postmortem;
#[cfg(feature = "object-store")]
pub(crate) mod pull;
#[cfg(feature = "object-store")]
pub(crate) mod push;
pub(crate) mod queues;
pub(crate) mod restore;
pub(crate) mod rm;
pub(crate) mod schema;
pub(crate) mod snapshot;
pub(crate) mod snapshots;
pub(crate) mod verify;
