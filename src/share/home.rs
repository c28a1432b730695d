//! Where the segments of a pool live, and the backend that reaches them there.

use super::backend::Backend;
use super::file::FileBackend;
use super::heap::HeapBackend;
use super::posix::PosixBackend;
use super::sysv::SysvBackend;
use crate::conf::{BackendKind, ProcessConf};
use std::path::PathBuf;

/// The backend of a pool's segments, and the folder that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Kind of memory.
    pub backend: BackendKind,
    /// Folder of the segments for the `file` backend; the others ignore it.
    pub dir: PathBuf,
}

impl Home {
    /// Returns System V shared memory, the default.
    pub fn sysv() -> Self {
        Home { backend: BackendKind::Sysv, dir: PathBuf::new() }
    }

    /// Returns the backend and folder of a process.
    pub fn of(conf: &ProcessConf) -> Self {
        Home { backend: conf.backend, dir: conf.dir.clone() }
    }

    /// Returns the backend.
    pub(crate) fn open(&self) -> Box<dyn Backend> {
        match self.backend {
            BackendKind::Sysv => Box::new(SysvBackend::default()),
            BackendKind::Posix => Box::new(PosixBackend::default()),
            BackendKind::File => Box::new(FileBackend::new(&self.dir)),
            BackendKind::Heap => Box::new(HeapBackend),
        }
    }
}
