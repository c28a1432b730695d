//! How a program reaches objects: by handle, by key, in a walk, by a view of a type.

pub(crate) mod iter;
pub(crate) mod ops;
pub(crate) mod read;
pub(crate) mod view;
