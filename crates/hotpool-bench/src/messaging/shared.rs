//! Memory that two processes map, for the ways that are written by hand.
//!
//! # What the unsafe code here relies on
//!
//! The mapping stays as long as the value. Words are atomics. Bytes are lent and written by turns:
//! the ways that use this file publish a message with a store that releases it, and write its bytes
//! again only after the reader has said by another such store that it has done with them. `futex`
//! takes the address of a word that stays mapped through the call; `kill` takes integers.
#![allow(unsafe_code)]

use memmap2::MmapRaw;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A mapping of a file.
pub struct Shared(MmapRaw);

/// Makes the file.
pub fn make(file: &Path, bytes: usize) -> anyhow::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(file)?.set_len(bytes as u64)?;
    Ok(())
}

impl Shared {
    /// Maps a file.
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        Ok(Shared(MmapRaw::map_raw(&OpenOptions::new().read(true).write(true).open(file)?)?))
    }

    fn at(&self, offset: usize, bytes: usize) -> *mut u8 {
        assert!(offset.saturating_add(bytes) <= self.0.len(), "outside the mapping");
        // SAFETY: inside the mapping.
        unsafe { self.0.as_mut_ptr().add(offset) }
    }

    /// Returns the word of 64 bits at a multiple of 8.
    #[inline(always)]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "not aligned");
        // SAFETY: mapped and aligned, and only used as an atomic.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    /// Returns the word of 32 bits at a multiple of 4.
    #[inline(always)]
    pub fn half(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "not aligned");
        // SAFETY: mapped and aligned, and only used as an atomic.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    /// Writes bytes that no other process reads now.
    #[inline(always)]
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: they have room, and the other process does not use them, see the top of this file.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Lends bytes that no process writes now.
    #[inline(always)]
    pub fn read(&self, offset: usize, bytes: usize) -> &[u8] {
        let from = self.at(offset, bytes);
        // SAFETY: mapped, and the other process does not write to them, see the top of this file.
        unsafe { std::slice::from_raw_parts(from, bytes) }
    }
}

/// Sleeps while the word has this value. May return early.
pub fn sleep(word: &AtomicU32, value: u32) {
    let none = std::ptr::null::<libc::timespec>();
    // SAFETY: see the top of this file.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, none) };
}

/// Wakes one sleeper.
pub fn wake(word: &AtomicU32) {
    // SAFETY: see the top of this file.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// Ends the process that started this one.
pub fn end_parent() {
    // SAFETY: takes nothing.
    let parent = unsafe { libc::getppid() };
    // SAFETY: integers only.
    unsafe { libc::kill(parent, libc::SIGTERM) };
}
