//! Locks on open file descriptions, which the kernel calls OFD locks.
//!
//! Such a lock belongs to one open file description, and to all descriptors and mappings that keep
//! it. It conflicts between two opens in one process as it does between two processes, in any
//! namespaces. The kernel releases it when the last descriptor and the last mapping are closed.
//!
//! # What the unsafe code here relies on
//!
//! `fcntl` with `F_OFD_SETLK` and `F_OFD_GETLK` gets a pointer to a `flock`, which outlives the
//! call, and accesses nothing else. The descriptor is open, because the `File` is borrowed.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Locks one byte of a file without waiting; returns `false` if another open file has locked it.
///
/// The file must be open for writing. The byte need not exist.
pub(crate) fn try_lock(file: &File, byte: u64) -> io::Result<bool> {
    let mut lock = flock(byte)?;
    // SAFETY: see the top of this file.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) } {
        -1 => match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            error => Err(error),
        },
        _ => Ok(true),
    }
}

/// Returns whether another open file has locked this byte. The file may be open for reading only.
pub(crate) fn is_locked(file: &File, byte: u64) -> io::Result<bool> {
    let mut found = flock(byte)?;
    // SAFETY: see the top of this file.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut found) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(found.l_type != libc::F_UNLCK as libc::c_short),
    }
}

/// Returns a write lock on one byte.
fn flock(byte: u64) -> io::Result<libc::flock> {
    let start = libc::off_t::try_from(byte).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the struct consists of integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start;
    lock.l_len = 1;
    Ok(lock)
}
