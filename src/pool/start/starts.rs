//! The ring of starts: who owned the pool, since when, and how each owner ended.
//!
//! | step | state if killed after this step |
//! |---|---|
//! | the last start's record gets the end that the header has | the same, to be repeated |
//! | the oldest record is cleared and written anew | a record that no epoch counts |
//! | `epoch` is stored (by `adopt`) | the start is in the ring |

use crate::layout::{
    BEFORE_CLOSED, BEFORE_DIED_READY, BEFORE_DIED_STARTING, BEFORE_LEFT_READY, BEFORE_LEFT_STARTING,
    BEFORE_NONE, BaseHeader, END_CLOSED, END_DROPPED, END_NONE, END_PANICKED, END_SIGNAL, RUN_CLOSED,
    RUN_READY, StartRec,
};
use crate::pool::store::base::Base;
use crate::region::{At, Table};
use crate::sys;
use crate::sys::fork::Origin;
use std::time::Duration;

/// How the last owner of a pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastEnd {
    /// There was no owner: the pool is new.
    None,
    /// The owner called `close()`.
    Closed,
    /// The owner dropped its pool without `close()` and without a panic: it returned from `main`,
    /// for example.
    ///
    /// The next start recovers the pool as after a death.
    Left {
        /// Whether it had called `ready()`.
        was_ready: bool,
    },
    /// The owner was killed or crashed, or it exited without dropping its pool.
    Died {
        /// Whether it had called `ready()`.
        was_ready: bool,
    },
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartEnd {
    /// It is the last start: its owner runs, or has died since.
    Open,
    /// Its owner called `close()`.
    Closed,
    /// Its owner dropped the pool without `close()`.
    Dropped,
    /// A panic dropped its pool.
    Panicked,
    /// Its owner recorded that this signal ends it, see `MemoryPoolMgr::note_signal`.
    Signal(u8),
    /// Its owner was killed, crashed or exited without recording an end.
    Died,
}

impl StartEnd {
    /// Returns the word for this end in reports.
    pub const fn name(self) -> &'static str {
        match self {
            StartEnd::Open => "open",
            StartEnd::Closed => "closed",
            StartEnd::Dropped => "dropped",
            StartEnd::Panicked => "panicked",
            StartEnd::Signal(_) => "signal",
            StartEnd::Died => "died",
        }
    }
}

/// One start of a pool. Times are in nanoseconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Start {
    /// Epoch of the start; the first is 1.
    pub epoch: u64,
    /// Pid of the owner, in its own PID namespace.
    pub pid: u32,
    /// Time when the owner attached.
    pub started: u64,
    /// How the previous owner ended.
    pub before: LastEnd,
    /// Time when the owner called `ready()`; `None` if it has not.
    pub ready: Option<u64>,
    /// How the start ended.
    pub end: StartEnd,
    /// Time when the start ended, if known.
    pub ended: Option<u64>,
    start_boot: u64,
    boot: u32,
}

impl Start {
    /// Returns how long ago the owner attached. Within one boot, a clock that was set back has no
    /// effect.
    pub(crate) fn age(&self, now: Now) -> Duration {
        Duration::from_nanos(match self.boot == now.boot {
            true => now.boot_nanos.saturating_sub(self.start_boot),
            false => now.wall_nanos.saturating_sub(self.started),
        })
    }

    /// Returns whether the owner died before it was ready, which is what a crash loop consists of.
    ///
    /// An owner that ended cleanly, for example because a port was in use, does not count.
    pub(crate) fn crashed(&self) -> bool {
        let by_request = |signal: u8| [libc::SIGTERM, libc::SIGINT, libc::SIGHUP].contains(&signal.into());
        self.ready.is_none()
            && match self.end {
                StartEnd::Open | StartEnd::Died | StartEnd::Panicked => true,
                StartEnd::Signal(signal) => !by_request(signal),
                StartEnd::Closed | StartEnd::Dropped => false,
            }
    }
}

/// The present time of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall_nanos: u64,
    pub(crate) boot_nanos: u64,
    pub(crate) boot: u32,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self::of(sys::wall_nanos(), sys::boot_id())
    }

    /// Reads the boot clock, for a caller that has the wall clock and the boot already.
    pub(crate) fn of(wall_nanos: u64, boot_id: [u64; 2]) -> Self {
        Now { wall_nanos, boot_nanos: sys::boot_nanos(), boot: short(boot_id) }
    }
}

/// Returns the first 32 bits of the identity of a boot.
fn short(boot_id: [u64; 2]) -> u32 {
    (boot_id[0] >> 32) as u32
}

/// The ring in a base segment.
#[derive(Clone, Copy)]
pub(crate) struct Starts {
    header: At<BaseHeader>,
    table: Table<StartRec>,
}

impl Starts {
    pub(crate) fn of(base: &Base) -> Self {
        Starts { header: base.header, table: base.starts }
    }

    fn entry(&self, epoch: u64) -> Option<At<StartRec>> {
        let entries = self.table.len() as u64;
        self.table.at((epoch % entries.max(1)) as usize)
    }

    fn rec(&self, epoch: u64) -> Option<At<StartRec>> {
        self.entry(epoch).filter(|rec| epoch != 0 && rec.epoch.load() == epoch)
    }

    /// Returns the record of the last start, if it was committed.
    pub(crate) fn last(&self) -> Option<At<StartRec>> {
        self.rec(self.header.epoch.load())
    }

    /// Returns when the last start dropped its pool without `close()`, in wall clock; `None` if it
    /// did not.
    pub(crate) fn left(&self) -> Option<u64> {
        self.last().filter(|rec| rec.end.load() == END_DROPPED).map(|rec| rec.end_wall.load())
    }

    /// Brings the record of the last start up to date with the header, in case a kill prevented
    /// that.
    pub(crate) fn mend(&self) {
        let (Some(rec), run) = (self.last(), self.header.run.load()) else { return };
        if run == RUN_READY && rec.ready_wall.load() == 0 {
            rec.ready_wall.store(self.header.ready_wall.load());
        }
        if run == RUN_CLOSED && rec.end.load() != END_CLOSED {
            rec.end_wall.store(self.header.closed_wall.load());
            rec.end.store(END_CLOSED);
        }
    }

    /// Writes the record of a start that the epoch does not count yet.
    pub(crate) fn write(&self, epoch: u64, before: LastEnd, before_wall: Option<u64>, now: Now) {
        let Some(rec) = self.entry(epoch) else { return };
        rec.epoch.store(0);
        rec.start_wall.fill(now.wall_nanos);
        rec.start_boot.fill(now.boot_nanos);
        rec.boot.fill(now.boot);
        rec.pid.fill(sys::pid());
        rec.before.fill(match before {
            LastEnd::None => BEFORE_NONE,
            LastEnd::Closed => BEFORE_CLOSED,
            LastEnd::Left { was_ready: false } => BEFORE_LEFT_STARTING,
            LastEnd::Left { was_ready: true } => BEFORE_LEFT_READY,
            LastEnd::Died { was_ready: false } => BEFORE_DIED_STARTING,
            LastEnd::Died { was_ready: true } => BEFORE_DIED_READY,
        });
        rec.end.fill(END_NONE);
        rec.before_wall.fill(before_wall.unwrap_or(0));
        rec.ready_wall.fill(0);
        rec.end_wall.fill(0);
        rec.epoch.store(epoch);
    }

    /// Records which signal ends the last start.
    pub(crate) fn signal(&self, signal: u8, wall: u64) {
        let Some(rec) = self.last().filter(|rec| rec.end.load() == END_NONE) else { return };
        rec.end_wall.store(wall);
        rec.end.store(END_SIGNAL + u32::from(signal));
    }

    /// Records that the last start is ready.
    pub(crate) fn ready(&self, wall: u64) {
        if let Some(rec) = self.last()
            && rec.ready_wall.load() == 0
        {
            rec.ready_wall.store(wall);
        }
    }

    /// Returns the starts in the ring, the oldest first. Invalid records are left out.
    pub(crate) fn read(&self) -> Vec<Start> {
        let last = self.header.epoch.load();
        let oldest = last.saturating_sub(self.table.len() as u64 - 1).max(1);
        let mut starts: Vec<Start> =
            (oldest..=last).filter_map(|epoch| Some(self.start(epoch, &*self.rec(epoch)?))).collect();
        let before: Vec<(u64, u64)> =
            (oldest..=last).filter_map(|epoch| Some((epoch, self.rec(epoch)?.before_wall.load()))).collect();
        for start in &mut starts {
            let next = before.iter().find(|(epoch, _)| Some(*epoch) == start.epoch.checked_add(1));
            if start.end == StartEnd::Open && start.epoch != last {
                start.end = StartEnd::Died;
                start.ended = next.map(|(_, wall)| *wall).filter(|wall| *wall != 0);
            }
        }
        starts
    }

    fn start(&self, epoch: u64, rec: &StartRec) -> Start {
        let known = |wall: u64| Some(wall).filter(|wall| *wall != 0);
        let run = match epoch == self.header.epoch.load() {
            true => Some(self.header.run.load()),
            false => None,
        };
        let mut start = Start {
            epoch,
            pid: rec.pid.load(),
            started: rec.start_wall.load(),
            before: match rec.before.load() {
                BEFORE_CLOSED => LastEnd::Closed,
                BEFORE_LEFT_STARTING => LastEnd::Left { was_ready: false },
                BEFORE_LEFT_READY => LastEnd::Left { was_ready: true },
                BEFORE_DIED_STARTING => LastEnd::Died { was_ready: false },
                BEFORE_DIED_READY => LastEnd::Died { was_ready: true },
                _ => LastEnd::None,
            },
            ready: known(rec.ready_wall.load()),
            end: match rec.end.load() {
                END_CLOSED => StartEnd::Closed,
                END_DROPPED => StartEnd::Dropped,
                END_PANICKED => StartEnd::Panicked,
                end @ END_SIGNAL..512 => StartEnd::Signal((end - END_SIGNAL) as u8),
                _ => StartEnd::Open,
            },
            ended: known(rec.end_wall.load()),
            start_boot: rec.start_boot.load(),
            boot: rec.boot.load(),
        };
        // The header may have committed what the record does not have yet.
        if run == Some(RUN_READY) && start.ready.is_none() {
            start.ready = known(self.header.ready_wall.load());
        }
        if run == Some(RUN_CLOSED) && start.end != StartEnd::Closed {
            start.end = StartEnd::Closed;
            start.ended = known(self.header.closed_wall.load());
        }
        start
    }
}

/// Records how a start ended when its pool is dropped: by a panic or without one.
///
/// It does nothing in a forked child, which has no mapping.
pub(crate) struct Farewell {
    starts: Starts,
    origin: Origin,
}

impl Farewell {
    pub(crate) fn new(starts: Starts) -> Self {
        Farewell { starts, origin: Origin::here() }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        let Some(rec) = self.starts.last().filter(|rec| rec.end.load() == END_NONE) else { return };
        rec.end_wall.store(sys::wall_nanos());
        rec.end.store(if std::thread::panicking() { END_PANICKED } else { END_DROPPED });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{BackendKind, ProcessConf};
    use crate::pool::MemoryPoolMgr;
    use crate::units::{Bytes, Key};
    use std::sync::atomic::{AtomicU32, Ordering};

    fn open(conf: &ProcessConf) -> MemoryPoolMgr {
        MemoryPoolMgr::open(conf).unwrap()
    }

    fn conf() -> ProcessConf {
        static NEXT: AtomicU32 = AtomicU32::new(0x7c40_0000);
        let at = NEXT.fetch_add(16, Ordering::Relaxed);
        let mut conf = ProcessConf::new("zone", Key(at), Bytes(64 << 10), &[Key(at + 1)]);
        conf.backend = BackendKind::Heap;
        conf
    }

    fn ends(pool: &MemoryPoolMgr) -> Vec<(u64, StartEnd)> {
        pool.starts().iter().map(|start| (start.epoch, start.end)).collect()
    }

    #[test]
    fn a_start_that_was_cut_before_its_epoch_is_not_in_the_ring_and_costs_none_that_is() {
        let conf = conf();
        for _ in 0..64 {
            open(&conf).close().unwrap();
        }
        let pool = open(&conf);
        let before = ends(&pool);
        assert_eq!((before.len(), before[0].0), (64, 2));
        let starts = Starts::of(&pool.base);
        starts.entry(66).unwrap().epoch.store(0);
        assert_eq!(ends(&pool), before[1..], "the oldest is being written over");
        starts.write(66, LastEnd::Closed, None, Now::read());
        assert_eq!(ends(&pool), before[1..], "written, and not committed");
        pool.close().unwrap();
        assert_eq!(open(&conf).starts().last().unwrap().epoch, 66, "and written again by the next start");
    }

    #[test]
    fn what_the_header_has_committed_is_read_and_then_written_down() {
        let conf = conf();
        let mut pool = open(&conf);
        pool.ready().unwrap();
        let rec = Starts::of(&pool.base).last().unwrap();
        rec.ready_wall.store(0);
        assert!(pool.starts()[0].ready.is_some(), "interrupted between the header and the record");
        let ready = pool.starts()[0].ready;
        drop(pool);
        let pool = open(&conf);
        assert_eq!(pool.starts()[0].ready, ready);
        assert_eq!(Starts::of(&pool.base).rec(1).unwrap().ready_wall.load(), ready.unwrap());

        pool.base.header.closed_wall.store(5);
        pool.base.header.run.store(RUN_CLOSED);
        assert_eq!((pool.starts()[1].end, pool.starts()[1].ended), (StartEnd::Closed, Some(5)));
    }

    #[test]
    fn bytes_of_any_kind_give_starts_or_none() {
        let conf = conf();
        let pool = open(&conf);
        let epoch = pool.base.header.epoch.load();
        for bad in [0, 63, 64, u64::MAX - 1, u64::MAX] {
            pool.base.header.epoch.store(bad);
            assert!(pool.starts().len() <= 64);
        }
        pool.base.header.epoch.store(epoch);
    }
}
