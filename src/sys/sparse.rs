//! Where a file has bytes, and where it has holes.
//!
//! # What the unsafe code here relies on
//!
//! `lseek` takes an open descriptor and integers, and moves nothing but the position of that descriptor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The first offset from `from` on that has bytes; `None` if there is a hole up to the end. A file system that does
/// not know calls everything bytes.
pub(crate) fn next_bytes(file: &File, from: u64) -> io::Result<Option<u64>> {
    seek(file, from, libc::SEEK_DATA)
}

/// The first offset from `from` on that is in a hole, or the end of the file.
pub(crate) fn next_hole(file: &File, from: u64) -> io::Result<Option<u64>> {
    seek(file, from, libc::SEEK_HOLE)
}

fn seek(file: &File, from: u64, whence: i32) -> io::Result<Option<u64>> {
    let from = i64::try_from(from).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: an open descriptor and integers.
    let found = unsafe { libc::lseek(file.as_raw_fd(), from, whence) };
    match u64::try_from(found) {
        Ok(at) => Ok(Some(at)),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            error => Err(error),
        },
    }
}
