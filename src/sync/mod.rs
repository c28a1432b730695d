//! Locks between processes that survive the death of any of them.
//!
//! Each lock lies in a segment of its own, under a key that all processes share, with a fixed list
//! of members. The segment contains no pthread object, and no clock decides which process is dead.
//! `docs/messaging.md` describes the bytes and the state that a kill at each step leaves.

mod barrier;
mod conf;
mod error;
mod event;
mod head;
mod holder;
mod mutex;
mod part;
mod parts;
mod removal;
mod rwlock;
mod seats;
mod site;
#[doc(hidden)]
#[cfg_attr(not(feature = "__internal_mutants"), allow(unreachable_pub))]
pub mod slips;
mod value;
mod wait;
mod watch;

pub use barrier::{Barrier, Incomplete};
pub use conf::LockConf;
pub(crate) use error::listed;
pub use error::{LockError, OpenError, OwnerDied};
pub use event::Event;
pub(crate) use head::{Head, Kind, MemberRec, READY};
pub use mutex::{Mutex, MutexGuard};
#[doc(hidden)]
pub use part::Part;
#[doc(hidden)]
pub use parts::{Parts, parts};
pub use removal::{RemoveError, remove};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub(crate) use seats::Seats;
pub(crate) use site::{Role, Site, Spec, disagreement};
pub(crate) use value::ForAll;
pub(crate) use wait::{FOR_A_LOCK, FOR_A_MESSAGE, Patience, ring};
pub use watch::{End, Watch, WatchError};
