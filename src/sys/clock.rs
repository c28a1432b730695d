//! Clocks: the wall, boot and coarse monotonic clocks of the kernel, and a wall clock for messages.
//!
//! # What the unsafe code here relies on
//!
//! `clock_gettime` writes one `timespec` to the address that it gets. Reading the time stamp counter
//! of the processor changes nothing.
#![allow(unsafe_code)]

use std::sync::OnceLock;

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

/// The ticks after which [`WallClock`] asks the kernel again: less than a millisecond.
const TRUST: u64 = 1 << 20;
/// The fewest ticks from which the length of a tick is measured.
const MEASURE: u64 = 1 << 19;
/// The most ticks that reading both clocks takes, unless the thread has lost the processor.
const READ: u64 = 1 << 12;

/// The wall clock, for a program that reads it for every message.
///
/// Between two readings of the kernel's clock it counts the ticks of the processor, if the kernel
/// counts the same ticks. That takes a quarter of the time. A change of the kernel's wall clock is
/// seen within a millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    counts: bool,
    /// Ticks, wall clock and monotonic clock at the last reading.
    ticks: u64,
    wall: u64,
    steady: u64,
    /// Nanoseconds of 2^32 ticks.
    rate: u64,
    /// For how many ticks after the last reading the sum is right.
    trust: u64,
}

impl WallClock {
    /// Creates a clock that has not asked the kernel yet.
    pub(crate) fn new() -> Self {
        WallClock { counts: kernel_counts_ticks(), ticks: 0, wall: 0, steady: 0, rate: 0, trust: 0 }
    }

    /// Returns the nanoseconds since 1970.
    #[inline(always)]
    pub(crate) fn nanos(&mut self) -> u64 {
        let passed = ticks().wrapping_sub(self.ticks);
        if passed < self.trust { self.wall + ((passed * self.rate) >> 32) } else { self.ask() }
    }

    #[cold]
    fn ask(&mut self) -> u64 {
        let before = ticks();
        let wall = nanos(libc::CLOCK_REALTIME);
        if !self.counts {
            return wall;
        }
        let steady = nanos(libc::CLOCK_MONOTONIC);
        let passed = before.wrapping_sub(self.ticks);
        if self.ticks != 0 && passed < MEASURE {
            return wall;
        }
        let span = u128::from(steady.saturating_sub(self.steady)) << 32;
        let rate = u64::try_from(span / u128::from(passed.max(1))).unwrap_or(0);
        // A tick takes between an eighth of a nanosecond and four.
        let is_known = self.ticks != 0 && (1 << 29..=1 << 34).contains(&rate);
        // Clocks that were not read at the same time say nothing about the next reading either.
        let is_quick = ticks().wrapping_sub(before) < READ;
        (self.ticks, self.wall, self.steady) = (if is_quick { before } else { 0 }, wall, steady);
        (self.rate, self.trust) = if is_known && is_quick { (rate, TRUST) } else { (0, 0) };
        wall
    }
}

/// Returns whether the clocks of the kernel count the ticks of the processor: then these have the
/// same rate and value on all processors, and do not stop.
fn kernel_counts_ticks() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let ask = || std::fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc");
    cfg!(all(target_arch = "x86_64", not(miri))) && *ANSWER.get_or_init(ask)
}

/// Returns the ticks of the processor; 0 if it is not known how to read them.
#[inline(always)]
fn ticks() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 processor has the instruction.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_messages_follows_that_of_the_kernel() {
        let mut clock = WallClock::new();
        let (mut counted, began) = (0, nanos(libc::CLOCK_REALTIME));
        let mut last = began;
        while last < began + 50_000_000 {
            let (before, trusted) = (nanos(libc::CLOCK_REALTIME), clock.trust > 0);
            let now = clock.nanos();
            last = nanos(libc::CLOCK_REALTIME);
            // The slack is what adjusting the clock and losing the processor may add.
            assert!(now + 100_000 > before && now < last + 100_000, "{before} {now} {last}: {clock:?}");
            counted += u64::from(trusted);
        }
        assert_eq!(counted > 0, kernel_counts_ticks(), "{clock:?}");
    }
}
