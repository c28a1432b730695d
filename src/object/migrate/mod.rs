//! Migration: from the schema of stored objects to objects of this build.
//!
//! A [`Plan`] is made once for a type, from the two schemas and the changes that the source
//! declares, and then converts the bytes of each object. Nothing here knows of pools.

mod declared;
mod matcher;
mod migration;
mod misfit;
mod op;
mod order;
mod plan;
mod refusal;
mod scalar;
mod shape;
mod source;
mod step;
mod stub;
mod tree;

#[cfg(test)]
mod tests;

pub use migration::{Migration, NoMigrations, convert_with};
pub(crate) use misfit::Misfit;
pub(crate) use plan::{NewType, Plan};
pub(crate) use refusal::Refusal;
pub use source::rust_source;
pub use tree::DamagedSchema;
