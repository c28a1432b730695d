//! The memory of a pool's segments: kind of pages, resident pages, and locks on them.

pub(crate) mod error;
pub(crate) mod pages;
pub(crate) mod populate;
pub(crate) mod prefault;
pub(crate) mod residence;
pub(crate) mod setting;
mod table;

pub use error::MemoryError;
pub use pages::{PageKind, SegmentPages};
pub use prefault::Prefaulted;
pub use residence::MemoryReport;
pub use table::{Memory, MemoryTable};
