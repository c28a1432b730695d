//! How objects lie in memory: the base, extents, types, slots and the index.

pub(crate) mod barrier;
pub(crate) mod base;
pub(crate) mod chains;
pub(crate) mod children;
pub(crate) mod copy;
pub(crate) mod extent_table;
pub(crate) mod extents;
mod followed;
pub(crate) mod forms;
pub(crate) mod gaps;
mod hollow;
pub(crate) mod index;
pub(crate) mod lists;
pub(crate) mod open_words;
pub(crate) mod probe;
pub(crate) mod renames;
pub(crate) mod schema_texts;
pub(crate) mod shape;
pub(crate) mod slot;
pub(crate) mod slots;
pub(crate) mod type_state;
pub(crate) mod type_table;
pub(crate) mod typed;
pub(crate) mod types;
mod values;
pub(crate) mod walk;
pub(crate) mod wanted;
