//! When a look at two counts is believed.
//!
//! Who has a segment attached and which of them are observers are two numbers, read one after the other. A tool that
//! comes or goes between the two seems to be a process that is not counted. So nobody believes in one of those at the
//! first look: it is there at every look, or it was a tool.

use std::io;
use std::time::Duration;

/// How often a look is repeated, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    looks: u32,
    longest: Duration,
}

impl Patience {
    /// A start that is refused costs more than a tenth of a second.
    pub(super) fn of_a_start() -> Self {
        Patience { looks: 40, longest: Duration::from_millis(4) }
    }

    /// A tool looks at many segments.
    pub(super) fn of_a_tool() -> Self {
        Patience { looks: 8, longest: Duration::from_millis(1) }
    }

    /// Looks until there is no doubt, or until it is believed.
    pub(super) fn look<T>(
        self,
        mut look: impl FnMut() -> io::Result<T>,
        is_doubtful: impl Fn(&T) -> bool,
    ) -> io::Result<T> {
        let mut pause = Duration::from_micros(20);
        let mut found = look()?;
        for _ in 1..self.looks {
            if !is_doubtful(&found) {
                break;
            }
            // What was attached for the look is not to be counted by the next one.
            drop(found);
            std::thread::sleep(pause);
            pause = (pause * 2).min(self.longest);
            found = look()?;
        }
        Ok(found)
    }
}
