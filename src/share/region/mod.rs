//! Shared memory for the program's own use: named, anonymous, or a mapped file.
//!
//! `docs/regions.md` describes the bytes, the states, and the state that a kill at each step
//! leaves.

mod copy;
mod error;
mod file_map;
mod head;
mod keyed;
mod keys;
mod manager;
#[cfg_attr(windows, path = "turn_windows.rs")]
mod turn;
mod view;

pub use error::RegionError;
pub use file_map::FileMap;
pub use keys::{RegionFacts, RegionKeys};
pub use manager::ShareMgr;
pub use view::{Region, RegionView, Successor};
