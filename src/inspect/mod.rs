//! Inspects a pool from outside, without a store: what it contains, and whether it is sound.

mod describe;
mod finding;
mod forms;
mod keys;
mod lane;
mod slots;
mod tables;
mod values;
mod verify;
mod walk;

pub use describe::{BlockShape, DescribeError, Description, TypeShape, describe_pool};
pub use finding::{Finding, Place, Report, Severity, TypeReport};
pub use verify::verify_pool;
