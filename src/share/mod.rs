//! The segments of a pool, their owner, and how a start attaches or creates them; shared regions.
//!
//! [`ShareMgr`] creates and opens shared memory of a program's own (`region/`).
//!
//! A pool is a base segment and blocks, one key each. `PoolSegments` takes the owner lock, checks for
//! rivals (`fence.rs`), and judges what it finds ([`Verdict`]). Only then does it attach or create
//! segments. It never deletes a segment that it finds.

mod advice;
mod backend;
mod base_lock;
mod blank;
mod claim;
mod ended;
mod error;
mod facts;
mod fence;
mod file;
mod flush;
mod ground;
mod head;
mod heap;
mod heap_memory;
mod home;
mod host;
mod host_list;
#[cfg(feature = "snapshots")]
mod idle;
mod listing;
mod lock_facts;
mod look;
mod loss;
mod making;
mod manager;
mod memory;
mod observed;
mod observer;
mod orphans;
mod owner;
mod owner_error;
mod owner_set;
mod patience;
mod place;
mod posix;
mod prospect;
#[cfg(feature = "__internal_fuzzing")]
pub mod raw;
mod region;
mod remains;
#[cfg(feature = "snapshots")]
mod restoring;
mod rivals;
mod segment;
mod shmem;
mod small;
mod sysv;
mod unlinked;
mod verdict;
mod wait;

#[cfg(test)]
mod suite;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use crate::sys::proc::{Process, ProcessState};
pub(crate) use advice::growth;
#[doc(hidden)]
pub use advice::{Site, explain_listing, explain_look, probe_sysv};
pub(crate) use backend::Access;
pub use backend::SegmentFacts;
pub(crate) use blank::is_blank;
pub use ended::Ended;
pub use error::ShareError;
pub use facts::Facts;
#[doc(hidden)]
pub use facts::{Reading, Want};
pub(crate) use ground::{BlockWant, Judged, Standing};
pub use head::{Head, NamedBlock};
#[cfg(feature = "snapshots")]
pub(crate) use heap::scratch;
pub use home::Home;
#[doc(hidden)]
pub use host::list_host;
pub use host::{Removal, Removed, remove_pool};
pub use host_list::{Listing, LooseBlock, list_pools, observe_process};
#[cfg(feature = "snapshots")]
pub(crate) use idle::Idle;
pub use listing::{BlockFacts, PoolFacts, observe_pool};
pub use lock_facts::{ForeignSet, LockFacts};
pub use look::observe;
pub use loss::Loss;
pub(crate) use manager::PoolSegments;
pub use manager::StartMode;
#[doc(hidden)]
pub use memory::{Memory, MemoryTable};
pub use memory::{MemoryError, MemoryReport, PageKind, Prefaulted, SegmentPages};
pub(crate) use observed::Observed;
#[doc(hidden)]
pub use orphans::{orphans, remove_orphans};
pub use owner_error::OwnerError;
pub(crate) use place::was_in_other_folder;
pub(crate) use prospect::Prospect;
pub use region::{FileMap, Region, RegionError, RegionFacts, RegionKeys, RegionView, ShareMgr, Successor};
#[cfg(feature = "snapshots")]
pub(crate) use restoring::Restoring;
pub(crate) use segment::Segment;
#[doc(hidden)]
pub use verdict::judge;
pub use verdict::{Damage, Verdict};
