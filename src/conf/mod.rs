//! `ConfMgr`: from memorypool.ini to validated plain data, without any notion of segments.
//!
//! `docs/operating.md` describes every ini key, its default and its range; `ini` describes the
//! lines.

mod collide;
mod fits;
mod found;
mod ini;
pub mod key_plan;
mod manager;
mod memory;
mod nearest;
mod problem;
mod process;
mod queue;
mod queue_section;
mod read;
mod rename;
mod report;
mod resume;
mod rules;
mod section;
mod snapshots;
mod validate;
mod values;

pub use found::Found;
pub use manager::ConfMgr;
pub use memory::{HugePages, MemoryConf};
pub use problem::{ConfError, Problem, ProblemKind};
pub use process::{BackendKind, CoreDump, Place, Places, ProcessConf, RenameConf, TypeConf};
pub use queue::{OnDead, OnSlow, QueueConf, QueueKind};
#[cfg(test)]
pub(crate) use section::KEYS;

pub use resume::{OnCrashLoop, OnTorn, ResumeConf};
pub use snapshots::{OnMissing, SnapshotConf};
