//! Typed object pools in shared memory that survive `kill -9`.
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

// The derive's paths (`::hotpool::…`) must resolve inside this crate, too.
extern crate self as hotpool;

#[doc(hidden)]
#[cfg_attr(not(feature = "__internal_mutants"), allow(unreachable_pub))]
pub mod commits;
pub mod conf;
pub mod inspect;
mod layout;
pub mod limits;
#[doc(hidden)]
#[cfg_attr(not(feature = "__internal_mutants"), allow(unreachable_pub))]
pub mod mutants;
pub mod object;
pub mod pool;
pub mod queue;
mod region;
pub mod share;
pub mod sync;
mod sys;
pub mod units;
mod word;

pub use bytemuck;
pub use conf::ConfMgr;
pub use object::{Handle, Id, Link, PoolObject};
pub use pool::{AllocError, Forced, MemoryPoolMgr, PoolError, RefMut, ResumeReport, Tx, TxError};
pub use share::{ShareMgr, StartMode};

/// What the command, the fuzz targets and the tests of this crate need, and no program: it changes without notice.
#[doc(hidden)]
pub mod __internal {
    pub use crate::object::{Fingerprint, TypeDesc, admit};
    pub use crate::share::{Reading, Want, judge};

    /// The records of a segment.
    pub mod layout {
        pub use crate::layout::*;
    }

    /// The words of a segment.
    pub mod word {
        pub use crate::word::*;
    }
}
