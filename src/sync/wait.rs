//! Sleeping until a word changes, in slices, up to a deadline of the monotonic clock.

use crate::sys::futex;
use crate::word::SharedHalf;
use std::time::{Duration, Instant};

/// The longest slice of a process that waits for a lock.
pub(crate) const FOR_A_LOCK: Duration = Duration::from_millis(16);
/// The longest slice of a process that waits for a message: five checks a second cost next to
/// nothing. A waiter sleeps that long only if the process that owed the wake-up died.
pub(crate) const FOR_A_MESSAGE: Duration = Duration::from_millis(200);

const FIRST_SLICE: Duration = Duration::from_millis(1);
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
    pub(crate) fn new(most: Option<Duration>, longest: Duration) -> Self {
        // A deadline that the clock cannot represent counts as none.
        let end = most.and_then(|most| Instant::now().checked_add(most));
        Patience { end, slice: FIRST_SLICE, longest, looks: LOOKS }
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
