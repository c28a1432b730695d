//! Creates segments of small pages.

use super::backend::Backend;
use super::error::{ShareError, system};
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::sys::pages;
use crate::units::Key;
use std::io;

/// Creates a segment of small pages, unless it is a file beyond the limit of this process.
pub(crate) fn create(backend: &dyn Backend, key: Key, bytes: u64, mode: u32) -> Result<Segment, ShareError> {
    // The kernel sends SIGXFSZ for a file that grows beyond the limit, which ends the process.
    let is_file = matches!(backend.kind(), BackendKind::Posix | BackendKind::File);
    if is_file && pages::file_limit().is_some_and(|limit| bytes > limit) {
        let too_large = io::Error::from_raw_os_error(libc::EFBIG);
        return Err(system(key, bytes, "create")(too_large));
    }
    backend.create(key, bytes, mode).map_err(system(key, bytes, "create"))
}
