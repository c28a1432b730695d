//! Repeated readings of two counts, which decide when a result is trusted.
//!
//! The attaches of a segment and its registered observers are two counts, read one after the other.
//! A tool that attaches or detaches between the two looks like an uncounted process. So an
//! uncounted process is trusted to exist only if every reading shows it.

use std::io;
use std::time::Duration;

/// How often a reading is repeated, and with how long a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    readings: u32,
    longest: Duration,
}

impl Patience {
    /// Returns the repetition for a start, whose refusal costs more than a tenth of a second.
    pub(super) fn of_a_start() -> Self {
        Patience { readings: 40, longest: Duration::from_millis(4) }
    }

    /// Returns the repetition for a tool, which reads many segments.
    pub(super) fn of_a_tool() -> Self {
        Patience { readings: 8, longest: Duration::from_millis(1) }
    }

    /// Repeats `read` until its result is beyond doubt, or has been repeated often enough.
    pub(super) fn look<T>(
        self,
        mut read: impl FnMut() -> io::Result<T>,
        is_doubtful: impl Fn(&T) -> bool,
    ) -> io::Result<T> {
        let mut pause = Duration::from_micros(20);
        let mut found = read()?;
        for _ in 1..self.readings {
            if !is_doubtful(&found) {
                break;
            }
            // Drops the attach of this reading, which the next one must not count.
            drop(found);
            std::thread::sleep(pause);
            pause = (pause * 2).min(self.longest);
            found = read()?;
        }
        Ok(found)
    }
}
