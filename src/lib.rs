//! Typed object pools in shared memory that survive `kill -9`.
#![deny(unsafe_code)]

// So that the derive's paths (`::hotpool::…`) hold inside this crate too.
extern crate self as hotpool;

pub mod conf;
pub mod layout;
pub mod limits;
pub mod object;
mod region;
pub mod sync;
pub mod units;

pub use conf::ConfMgr;
pub use object::{Handle, Id, PoolObject};
