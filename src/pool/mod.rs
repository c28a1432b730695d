//! MemoryPoolMgr: typed object slots by handle, kept across restarts.

mod adopt;
mod base;
mod error;
mod guard;
mod index;
mod iter;
mod manager;
mod open;
mod ops;
mod report;
mod slots;
mod space;
mod state;
mod tx;
mod typed;
mod types;
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
