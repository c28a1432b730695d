//! A descriptor that one thread makes readable for another.
//!
//! # What the unsafe code here relies on
//!
//! `eventfd` takes no pointer, and returns a new descriptor that nothing else owns.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// A counter of the kernel whose descriptor is readable while it is not 0.
#[derive(Debug)]
pub(crate) struct EventFd(File);

impl EventFd {
    /// Creates a counter with the value 0. Its descriptor does not survive `exec`.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: integers only.
        let number = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if number == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just created it, see the top of this file.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(number) }.into()))
    }

    /// Makes the descriptor readable.
    pub(crate) fn raise(&self) {
        // It fails if the counter is at its maximum, and then the descriptor is readable anyway.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable.
    pub(crate) fn clear(&self) {
        // It fails if the counter is 0, and then there is nothing to do.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
