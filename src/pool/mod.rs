//! `MemoryPoolMgr`: typed objects in slots, found by handle and kept across restarts.

mod access;
#[cfg(feature = "snapshots")]
mod backup;
mod change;
mod error;
mod forensics;
mod image;
mod manager;
mod opening;
mod par;
#[cfg(feature = "snapshots")]
mod saver;
mod start;
pub(crate) mod store;

pub use access::batch::{FindMany, GetMany};
pub use access::children::Children;
pub use access::iter::{Iter, IterMut, Sweep};
pub use access::ops::{Forced, Parts};
pub use access::read::Read;
pub use access::timed::Due;
pub use access::view::{View, ViewMut};
#[cfg(feature = "snapshots")]
pub use backup::{
    Existing, NoRoom, Progress, RestoreError, RestoreOptions, Restored, SaveError, SaveOptions, Saved,
    check_restore, check_save, restore_pool, save_pool,
};
pub use change::guard::RefMut;
pub(crate) use change::lane_logs;
pub(crate) use change::positions::{Position, ReaderId};
pub use change::tx::{Tx, TxError};
pub use error::{AllocError, Full, PlaceError, PoolError};
pub use forensics::black_box::{Event, LIBRARY_TAGS, Note};
pub use forensics::health::Health;
pub use forensics::postmortem::ipc_namespace;
pub use forensics::postmortem::{BeingWritten, LastOperation, PostMortem, PostMortemError};
pub use image::Budget;
#[doc(hidden)]
pub use image::ImagePiece;
pub use manager::MemoryPoolMgr;
pub use par::lane::{Lane, LaneMut};
#[cfg(feature = "rayon")]
pub use par::on_rayon::{ParChunks, ParIter};
pub use par::portion::{Chunks, Portion};
pub use par::scope::{Refused, Scope, Scoped};
pub use par::shared_pool::SharedPool;
#[cfg(feature = "snapshots")]
pub use saver::{SnapshotError, SnapshotStep, SnapshotTrouble};
pub use start::bad_values::BadObject;
pub use start::breaker::CrashLoop;
pub use start::disagreement::{self, Disagreement, Severity};
#[doc(hidden)]
pub use start::elsewhere::{disagreements, not_listed};
pub use start::migrated::Migrated;
pub use start::quarantine::QuarantineError;
pub use start::report::{RestoredFrom, ResumeReport, TypeCount};
pub use start::starts::{LastEnd, Start, StartEnd};
pub use start::suspects::Torn;
#[doc(hidden)]
pub use store::base::base_bytes;
