//! Where the segments of a pool live, and the backend that reaches them there.

use super::backend::Backend;
use super::file::FileBackend;
use super::heap::HeapBackend;
use super::posix::PosixBackend;
use super::sysv::SysvBackend;
use crate::conf::{BackendKind, ProcessConf};
use std::path::PathBuf;

/// Where the segments of a pool live: a backend and what it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Where the memory comes from.
    pub backend: BackendKind,
    /// Folder of the segments of the `file` backend; the others ignore it.
    pub dir: PathBuf,
}

impl Home {
    /// System V shared memory, the default.
    pub fn sysv() -> Self {
        Home { backend: BackendKind::Sysv, dir: PathBuf::new() }
    }

    /// Where the pool of a process lives.
    pub fn of(conf: &ProcessConf) -> Self {
        Home { backend: conf.backend, dir: conf.dir.clone() }
    }

    /// The backend.
    pub(crate) fn open(&self) -> Box<dyn Backend> {
        match self.backend {
            BackendKind::Sysv => Box::new(SysvBackend::default()),
            BackendKind::Posix => Box::new(PosixBackend),
            BackendKind::File => Box::new(FileBackend::new(&self.dir)),
            BackendKind::Heap => Box::new(HeapBackend),
        }
    }
}
