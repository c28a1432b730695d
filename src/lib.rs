//! Typed object pools in shared memory that survive `kill -9`.
//!
//! A process keeps its objects in a [pool](MemoryPoolMgr) and may die at any instruction. The next
//! process has every object at once: no snapshot, no log, no loading.
//!
//! # A first program
//!
//! ```
//! use hotpool::conf::ProcessConf;
//! use hotpool::units::{Bytes, Key};
//! use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
//!
//! #[repr(C)]
//! #[derive(Clone, Copy, PoolObject)]
//! #[pool(id = 900)]
//! struct Hero {
//!     uid: u64,
//!     hp: i32,
//!     level: u32,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let conf = ProcessConf::new("zone", Key(0x4850_0100), Bytes(1 << 20), &[Key(0x4850_0101)]);
//! # let conf = conf.backend(hotpool::conf::BackendKind::Heap);
//! let mut pool = MemoryPoolMgr::open(&conf)?;
//! pool.add_type::<Hero>()?;
//! if pool.start_mode() == StartMode::Init {
//!     pool.alloc(Hero { uid: 7, hp: 100, level: 1 })?; // otherwise the last run has left it
//! }
//! pool.ready()?; // serving: from here the restart counts as successful
//!
//! pool.for_each::<Hero>(|id, hero| {
//!     hero.level += 1;
//!     println!("{id}: hero {} has reached level {}", hero.uid, hero.level);
//! });
//! # Ok(())
//! # }
//! ```
//!
//! A program with an operator reads the keys and sizes from an ini, with [`ConfMgr::load`]. The
//! command `hotpool` of the package `hotpool-cli` checks inis, and lists, inspects and removes pools.
//!
//! # The modules
//!
//! | module | for |
//! |---|---|
//! | [`pool`] | objects: allocate, find, walk, change, several at once in a [transaction](MemoryPoolMgr::tx) |
//! | [`object`] | the types that a pool keeps, their fields, and [handles](Handle) |
//! | [`conf`] | the ini, or the same configuration made in code |
//! | [`queue`] | messages between processes: broadcast, channel, latest value, work |
//! | [`sync`] | locks, barriers and events between processes |
//! | [`share`] | raw shared memory with [`ShareMgr`], and the facts about the segments of a pool |
//! | [`inspect`] | reading and verifying a pool from outside |
//! | [`units`], [`limits`] | keys and sizes, and the largest values |
//!
//! `schemas`, which is on by default, adds [`object::Schemas`]: the schemas of a build as JSON, with
//! serde. `glam` and `uuid` make the types of these crates fields of objects. Features that begin with
//! `__internal` are for the tests of the crate.
//!
//! # Compared with others
//!
//! | | is | choose it if |
//! |---|---|---|
//! | hotpool | typed objects in shared memory, with one owner process | a restart must have all objects at once, and one process changes them |
//! | [slotmap](https://docs.rs/slotmap) | typed objects with handles in the memory of a process | the objects may end with the process; most operations are faster |
//! | [shared_memory](https://docs.rs/shared_memory), [memmap2](https://docs.rs/memmap2) | bytes that are mapped | you bring your own layout, and your own plan for a death during a write |
//! | [LMDB](https://docs.rs/heed) | a transactional store of keys and values in a file | the data must survive a reboot, or be larger than the memory |
//!
//! The repository has measurements (`docs/performance.md`), the promises with the tests that show
//! them (`docs/guarantees.md`), and a tutorial (`docs/tutorial.md`).
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]
// No bytes of a segment make the library panic; a test panics where it fails.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]
// Windows has regions and no pools: much of what both use has no user there.
#![cfg_attr(windows, allow(dead_code, unreachable_pub, unused_imports))]

// The derive's paths (`::hotpool::…`) must resolve inside this crate, too.
extern crate self as hotpool;

#[doc(hidden)]
#[cfg_attr(not(feature = "__internal_mutants"), allow(unreachable_pub))]
pub mod commits;
pub mod conf;
#[cfg(unix)]
pub mod inspect;
mod layout;
pub mod limits;
#[doc(hidden)]
#[cfg_attr(not(feature = "__internal_mutants"), allow(unreachable_pub))]
pub mod mutants;
pub mod object;
#[cfg(unix)]
pub mod pool;
#[cfg(unix)]
pub mod queue;
mod region;
#[cfg_attr(windows, path = "share/windows.rs")]
pub mod share;
#[cfg(all(unix, feature = "snapshots"))]
pub mod snapshot;
#[cfg(unix)]
pub mod sync;
#[cfg_attr(windows, path = "sys/windows.rs")]
mod sys;
pub mod units;
mod word;

pub use bytemuck;
pub use conf::ConfMgr;
pub use object::{Handle, Id, PoolObject, Ref};
#[cfg(unix)]
pub use pool::{AllocError, Forced, MemoryPoolMgr, PoolError, RefMut, ResumeReport, Tx, TxError};
pub use share::ShareMgr;
#[cfg(unix)]
pub use share::StartMode;

/// What the command, the fuzz targets and the tests of this crate need, and no program: it changes without notice.
#[cfg(unix)]
#[doc(hidden)]
pub mod __internal {
    pub use crate::object::{Fingerprint, TypeDesc, admit};
    pub use crate::share::{Reading, Want, judge};

    /// The records of a segment.
    pub mod layout {
        pub use crate::layout::*;
    }

    /// The words of a segment.
    pub mod word {
        pub use crate::word::*;
    }
}
