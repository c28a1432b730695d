//! Shared memory on Windows: [`ShareMgr`] and its regions, and nothing of pools.
//!
//! This is the root of the module there, in place of `mod.rs`. `docs/regions.md` says what works.
//! Only the compiler checks it.

mod backend;
mod blank;
#[path = "windows/error.rs"]
mod error;
#[path = "windows/file.rs"]
mod file;
mod flush;
mod heap;
mod heap_memory;
mod home;
#[path = "windows/posix.rs"]
mod posix;
mod region;
mod segment;
mod shmem;
mod small;
#[path = "windows/sysv.rs"]
mod sysv;

mod memory {
    pub(crate) mod populate;
}

pub use error::ShareError;
pub use home::Home;
pub use region::{FileMap, Region, RegionError, RegionFacts, RegionKeys, RegionView, ShareMgr, Successor};
