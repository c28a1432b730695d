//! An event that processes report and wait for.

use super::conf::LockConf;
use super::error::OpenError;
use super::head::Kind;
use super::site::{Role, Site};
use super::value::ForAll;
use super::wait::{FOR_A_MESSAGE, Patience, ring};
use crate::layout::record;
use crate::limits::LINE;
use crate::region::{At, Table};
use crate::word::{Shared, SharedHalf};
use std::fmt;
use std::time::Duration;

#[repr(C)]
struct EventRec {
    count: Shared,
    bell: SharedHalf,
    spare: [SharedHalf; 13],
}

record!(EventRec, 64);

#[repr(C)]
struct Seen {
    count: Shared,
    spare: [Shared; 7],
}

record!(Seen, 64);

/// An event that any member reports, and of which each member learns once.
///
/// The event counts. A member that was not waiting, or not alive, learns later how often the event
/// has happened since.
pub struct Event {
    event: ForAll<At<EventRec>>,
    seen: ForAll<Table<Seen>>,
    /// Dropped last: it keeps the memory mapped.
    site: Site,
}

impl Event {
    /// Opens the event as the member `me`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &LockConf, me: &str) -> Result<Self, OpenError> {
        let members = conf.members.len() as u64;
        let spec = conf.plain(Kind::Event, LINE + members * LINE);
        let site = Site::open(&spec, me, Role::Both, &|_, _| Ok(()))?;
        Ok(Event { event: site.at(0)?, seen: site.table(LINE, members)?, site })
    }

    /// Reports to all members that the event has happened.
    pub fn set(&self) {
        self.event.count.add(1);
        ring(&self.event.bell);
    }

    /// Returns how often the event has happened since this member last learned of it; 0 if it has
    /// not.
    pub fn take(&self) -> u64 {
        let Some(seen) = self.seen.get(self.site.me) else { return 0 };
        let mut before = seen.count.load();
        loop {
            let count = self.event.count.load();
            // Several threads of the process may call this; each occurrence is returned to one of
            // them.
            match seen.count.replace(before, count) {
                Ok(()) => return count.wrapping_sub(before),
                Err(now) => before = now,
            }
        }
    }

    /// Waits for the event, and returns how often it has happened since this member last learned of
    /// it.
    pub fn wait(&self) -> u64 {
        self.sleep(None)
    }

    /// Waits for the event at most this long by the monotonic clock; returns 0 if it has not
    /// happened.
    pub fn wait_timeout(&self, most: Duration) -> u64 {
        self.sleep(Some(most))
    }

    fn sleep(&self, most: Option<Duration>) -> u64 {
        let mut patience = Patience::new(most, FOR_A_MESSAGE);
        loop {
            match self.take() {
                0 if patience.spin() => continue,
                0 => {}
                times => return times,
            }
            self.event.bell.swap(1);
            match self.take() {
                0 if patience.is_over() => return 0,
                0 => patience.sleep(&self.event.bell, 1),
                times => return times,
            };
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.event.count.load();
        f.debug_struct("Event").field("key", &self.site.key).field("count", &count).finish()
    }
}
