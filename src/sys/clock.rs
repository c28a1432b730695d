//! Clocks: of the machine, and a cheap one.
//!
//! # What the unsafe code here relies on
//!
//! `clock_gettime` writes one `timespec` to the address that it is given.
#![allow(unsafe_code)]

/// Nanoseconds since boot, suspended time included; 0 where the kernel does not say.
pub(crate) fn boot_nanos() -> u64 {
    // Miri has fewer clocks.
    nanos(if cfg!(miri) { libc::CLOCK_MONOTONIC } else { libc::CLOCK_BOOTTIME })
}

/// Nanoseconds of the coarse monotonic clock: a few nanoseconds to read, as fine as a tick of the kernel.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    nanos(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline]
fn nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the address is that of a `timespec` of ours.
    let answer = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if answer == 0 { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 } else { 0 }
}
