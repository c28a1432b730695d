//! Inspects a pool from outside, without a store: what it contains, and whether it is sound.

#[cfg(feature = "schemas")]
mod compat;
mod describe;
mod finding;
mod forms;
mod keys;
mod lane;
mod refs;
#[cfg(feature = "schemas")]
mod room;
mod slots;
#[cfg(feature = "schemas")]
mod spare;
mod tables;
mod values;
mod verify;
mod walk;

#[cfg(feature = "schemas")]
pub use compat::{Compat, NANOS_PER_BYTE, TypeCompat, Verdict, compat_pool};
pub use describe::{BlockShape, DescribeError, Description, TypeShape, describe_pool};
pub use finding::{Finding, Place, Report, Severity, TypeReport};
pub use verify::verify_pool;
