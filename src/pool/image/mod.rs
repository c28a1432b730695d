//! An image of the pool at one moment, taken while the program goes on.
//!
//! The image is physical: the bytes of base and blocks as they were when it began. A start from it
//! finds the pool as if its owner had been killed at that moment, between two operations.
//! `docs/snapshots.md` has what is copied when.

mod base_copy;
mod taking;

pub(crate) use taking::Taking;
pub use taking::{Budget, ImagePiece};
