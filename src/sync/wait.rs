//! Sleeping until a word changes, in slices, up to a deadline of the monotonic clock.

use crate::sys::futex;
use crate::word::SharedHalf;
use std::time::{Duration, Instant};

/// The slices in which a process sleeps: each is twice as long as the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    first: Duration,
    longest: Duration,
}

/// The slices of a process that waits for a lock.
pub(crate) const FOR_A_LOCK: Slices =
    Slices { first: Duration::from_millis(1), longest: Duration::from_millis(16) };
/// The slices of a process that waits for a message. It sleeps for a whole slice only if the process
/// that owed the wake-up died. A first slice of 1 ms would make each sleep a sixth slower, because
/// the processor would have to set its timer. Five checks a second cost next to nothing.
pub(crate) const FOR_A_MESSAGE: Slices =
    Slices { first: Duration::from_millis(16), longest: Duration::from_millis(200) };

/// Checks of a word before the first sleep: about as long as a short critical section takes.
const LOOKS: u32 = 60;

/// How long a waiter continues.
pub(crate) struct Patience {
    end: Option<Instant>,
    slice: Duration,
    longest: Duration,
    looks: u32,
}

impl Patience {
    /// Waits up to `most`, or without a deadline if that is `None`.
    pub(crate) fn new(most: Option<Duration>, slices: Slices) -> Self {
        // A deadline that the clock cannot represent counts as none.
        let end = most.and_then(|most| Instant::now().checked_add(most));
        Patience { end, slice: slices.first, longest: slices.longest, looks: LOOKS }
    }

    /// Changes the longest slice.
    pub(crate) fn up_to(&mut self, slices: Slices) {
        self.longest = slices.longest;
        self.slice = self.slice.min(slices.longest);
    }

    /// Returns whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }

    /// Returns whether it is too early to sleep. If so, it has spun for a moment.
    pub(crate) fn spin(&mut self) -> bool {
        let early = self.looks > 0;
        if early {
            self.looks -= 1;
            std::hint::spin_loop();
        }
        early
    }

    /// Sleeps while the word has this value, at most one slice; returns whether the slice has
    /// passed.
    pub(crate) fn sleep(&mut self, word: &SharedHalf, value: u32) -> bool {
        let left = self.end.map_or(self.slice, |end| end.saturating_duration_since(Instant::now()));
        let passed = futex::wait(word, value, self.slice.min(left));
        if passed {
            self.slice = (self.slice * 2).min(self.longest);
        }
        passed
    }
}

/// Rings a bell: wakes all processes that may sleep on it.
#[inline(always)]
pub(crate) fn ring(bell: &SharedHalf) {
    if bell.load() != 0 {
        wake_sleepers(bell);
    }
}

#[cold]
fn wake_sleepers(bell: &SharedHalf) {
    if bell.swap(0) != 0 {
        futex::wake(bell, i32::MAX);
    }
}
