//! ConfMgr: memorypool.ini to validated plain data. Knows no segment.
//!
//! Every key, its default and its range are in `docs/operating.md`; the rules for lines are in `ini`.

mod collide;
mod fits;
mod ini;
pub mod key_plan;
mod manager;
mod memory;
mod nearest;
mod problem;
mod process;
mod read;
mod report;
mod resume;
mod rules;
mod section;
mod validate;
mod values;

pub use manager::ConfMgr;
pub use memory::{HugePages, MemoryConf};
pub use problem::{ConfError, Found, Problem, ProblemKind};
pub use process::{BackendKind, CoreDump, Place, Places, ProcessConf, TypeConf};
#[cfg(test)]
pub(crate) use section::KEYS;

pub use resume::{OnCrashLoop, OnTorn, ResumeConf};
