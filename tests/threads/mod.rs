//! Processes with several threads in operations, and how they are killed.

pub(crate) mod pairs;
pub(crate) mod stepper;
pub(crate) mod storm;

use std::ops::Deref;

/// A value in memory that a process shares with its children, of zeros at first.
pub(crate) struct Shared<T: 'static>(&'static T);

impl<T> Shared<T> {
    /// `T` consists of atomics.
    pub(crate) fn new() -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses a free address.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<T>(), protection, flags, -1, 0) };
        assert!(page.addr() != usize::MAX, "mmap: {}", std::io::Error::last_os_error());
        // SAFETY: zeros are a value of atomics, and the pages are never unmapped.
        Shared(unsafe { &*page.cast() })
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}
