//! Typed object pools in shared memory that survive `kill -9`.
#![deny(unsafe_code)]

// The derive's paths (`::hotpool::…`) must resolve inside this crate, too.
extern crate self as hotpool;

#[doc(hidden)]
#[cfg_attr(not(feature = "mutants"), allow(unreachable_pub))]
pub mod commits;
pub mod conf;
pub mod inspect;
pub mod layout;
pub mod limits;
#[doc(hidden)]
#[cfg_attr(not(feature = "mutants"), allow(unreachable_pub))]
pub mod mutants;
pub mod object;
pub mod pool;
pub mod queue;
mod region;
pub mod share;
pub mod sync;
mod sys;
pub mod units;
pub mod word;

pub use conf::ConfMgr;
pub use object::{Handle, Id, Link, PoolObject};
pub use pool::{AllocError, Forced, MemoryPoolMgr, PoolError, RefMut, ResumeReport, Tx, TxError};
pub use share::{ShareMgr, StartMode};
