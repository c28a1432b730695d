//! Migration: from the schema of stored objects to objects of this build.
//!
//! A [`Plan`] is made once for a type, from the two schemas and the changes that the source
//! declares, and then converts the bytes of each object. Nothing here knows of pools. [`StoredRule`]
//! and [`rust_source`] tell tools what a stored schema says.

mod batch;
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
mod stored_rule;
mod stub;
mod tree;
mod variants;

#[cfg(test)]
mod tests;

pub(crate) use batch::{Batch, Misfits, Spot};
pub use migration::{Migration, NoMigrations, convert_with};
pub(crate) use misfit::Misfit;
pub(crate) use plan::{NewType, Plan};
pub(crate) use refusal::Refusal;
pub use source::rust_source;
pub(crate) use stored_rule::StoredRule;
pub use tree::DamagedSchema;
