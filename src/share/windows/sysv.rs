//! The backend `sysv` on Windows, which has no System V shared memory: every call is an error.

use crate::conf::BackendKind;
use crate::share::backend::{Access, Backend, SegmentFacts};
use crate::share::segment::Segment;
use crate::units::Key;
use std::io;

/// Nothing: it only says what to use instead.
#[derive(Debug, Default)]
pub(crate) struct SysvBackend {}

fn none<T>() -> io::Result<T> {
    let text = "Windows has no System V shared memory; use the backend posix or file";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

impl Backend for SysvBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Sysv
    }

    fn stat(&self, _key: Key) -> io::Result<Option<SegmentFacts>> {
        none()
    }

    fn create(&self, _key: Key, _bytes: u64, _mode: u32) -> io::Result<Segment> {
        none()
    }

    fn attach(&self, _key: Key, _facts: &SegmentFacts, _access: Access) -> io::Result<Segment> {
        none()
    }

    fn remove(&self, _key: Key, _facts: &SegmentFacts) -> io::Result<()> {
        none()
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        none()
    }

    fn writers(&self, _key: Key, _facts: &SegmentFacts) -> Vec<i32> {
        Vec::new()
    }
}
