//! MemoryPoolMgr: typed object slots by handle, kept across restarts.

mod adopt;
mod aside;
mod base;
mod black_box;
mod breaker;
mod error;
mod guard;
mod health;
mod index;
mod iter;
mod manager;
mod open;
mod ops;
mod postmortem;
mod quarantine;
mod report;
mod slots;
mod space;
mod starts;
mod state;
mod typed;
mod types;
mod view;

pub use black_box::{Event, LIBRARY_TAGS, Note};
pub use breaker::CrashLoop;
pub use error::{AllocError, Full, PoolError};
pub use guard::RefMut;
pub use health::Health;
pub use iter::{Iter, IterMut, Sweep};
pub use manager::MemoryPoolMgr;
pub use ops::{Forced, Parts};
pub use postmortem::{BeingWritten, LastOperation, PostMortem, PostMortemError};
pub use quarantine::QuarantineError;
pub use report::{LastEnd, ResumeReport, TypeCount};
pub use starts::{Start, StartEnd};
pub use view::{View, ViewMut};
