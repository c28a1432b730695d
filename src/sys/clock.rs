//! The cheap clock.
//!
//! # What the unsafe code here relies on
//!
//! `clock_gettime` takes a pointer to a `timespec` of this file's own frame and fills it.
#![allow(unsafe_code)]

/// Nanoseconds of the coarse monotonic clock: a few nanoseconds to read, as fine as a tick of the kernel.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec and outlives the call. The clock exists wherever System V memory does.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
