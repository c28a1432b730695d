//! Locks on open files: those of open file descriptions, which the kernel calls OFD locks.
//!
//! Such a lock belongs to what one `open` made, and to all descriptors and mappings that keep it. It
//! conflicts between two opens of one process as it does between two processes, in whatever namespaces they
//! are, and the kernel gives it back when the last descriptor and the last mapping are gone.
//!
//! # What the unsafe code here relies on
//!
//! `fcntl` with `F_OFD_SETLK` and `F_OFD_GETLK` takes a pointer to a `flock`, which lives through the call, and
//! touches nothing else. The descriptor is open, because the `File` is borrowed.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Locks one byte of a file, without waiting; `false` if another open file has it locked. The file is open
/// for writing, and the byte need not be there.
pub(crate) fn try_lock(file: &File, byte: u64) -> io::Result<bool> {
    let mut wanted = flock(byte)?;
    // SAFETY: see the top of this file.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut wanted) } {
        -1 => match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            error => Err(error),
        },
        _ => Ok(true),
    }
}

/// Whether another open file has this byte locked. The file may be open for reading alone.
pub(crate) fn is_locked(file: &File, byte: u64) -> io::Result<bool> {
    let mut found = flock(byte)?;
    // SAFETY: see the top of this file.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut found) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(found.l_type != libc::F_UNLCK as libc::c_short),
    }
}

/// A lock for writing on one byte.
fn flock(byte: u64) -> io::Result<libc::flock> {
    let start = libc::off_t::try_from(byte).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: it is made of integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start;
    lock.l_len = 1;
    Ok(lock)
}
