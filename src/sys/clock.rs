//! Clocks: the wall, boot and coarse monotonic clocks of the kernel.
//!
//! # What the unsafe code here relies on
//!
//! `clock_gettime` writes one `timespec` to the address that it gets.
#![allow(unsafe_code)]

/// Returns the nanoseconds since boot, suspended time included; 0 if the kernel does not report
/// them.
pub(crate) fn boot_nanos() -> u64 {
    // Miri lacks the boot clock.
    nanos(if cfg!(miri) { libc::CLOCK_MONOTONIC } else { libc::CLOCK_BOOTTIME })
}

/// Returns the nanoseconds of the coarse monotonic clock.
///
/// Reading it takes a few nanoseconds; its resolution is a kernel tick.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    nanos(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline]
fn nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the address is that of the local `timespec`.
    let answer = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if answer == 0 { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 } else { 0 }
}
