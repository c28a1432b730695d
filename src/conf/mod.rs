//! ConfMgr: memorypool.ini to validated plain data. Knows no segment.

mod process;

pub use process::{BackendKind, CoreDump, Place, Places, ProcessConf, TypeConf};
