//! MemoryPoolMgr: typed object slots by handle, kept across restarts.

mod adopt;
pub(crate) mod base;
mod error;
mod guard;
pub(crate) mod index;
mod iter;
mod manager;
mod open;
mod ops;
mod report;
pub(crate) mod slots;
mod space;
mod state;
mod tx;
mod typed;
pub(crate) mod types;
mod undo;
mod view;

pub use error::{AllocError, Full, PoolError};
pub use guard::RefMut;
pub use iter::{Iter, IterMut, Sweep};
pub use manager::MemoryPoolMgr;
pub use ops::{Forced, Parts};
pub use report::{LastEnd, ResumeReport, TypeCount};
pub use tx::{Tx, TxError};
pub use view::{View, ViewMut};
