//! Sets: images of a pool in files.
//!
//! A [`SetWriter`] writes a set, a [`Chain`] reads one, with the sets that it builds on. A set is a
//! folder with a manifest and one part for each segment. It is whole or absent: a writer works under
//! another name, and renames the folder at the end. An [`Arrival`] is a set that is copied from
//! elsewhere. `docs/snapshots.md` has the bytes.

mod arrival;
mod chain;
mod codec;
mod contents;
mod error;
mod keep;
mod manifest;
mod part;
mod set;
mod shelf;
mod thread;
mod writer;

pub use arrival::Arrival;
pub use chain::Chain;
pub use codec::Compression;
pub use contents::Contents;
pub use error::SetError;
pub use manifest::{SetInfo, SetType};
pub use part::CHUNK;
pub use set::Set;
pub use shelf::{Found, latest, list};
pub(crate) use thread::{Chunk, Plan, SetThread, Told, Written};
pub use writer::SetWriter;
