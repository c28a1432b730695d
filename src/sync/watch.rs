//! Watching a member from any process: when it ends, and why.

use super::head::{Head, MemberRec, READY};
use super::seats::{Seats, of_member};
use super::value::{ForAll, Kept};
use crate::layout::text;
use crate::limits;
use crate::region::{OutOfBounds, Region, Table};
use crate::share::{Access, Home, Process, ProcessState};
use crate::sys::pidfd::ProcessFd;
use crate::units::Key;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// The value of `last` after a member gave its seat back.
pub(super) const LEFT: u64 = 1;
/// The value of `last` after a panic gave the seat of a member back.
pub(super) const PANICKED: u64 = 2;

/// Why a member ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The member gave its seat back: the handle was dropped. The process may continue.
    Left,
    /// A panic dropped the handle. The process may have caught the panic.
    Panicked,
    /// The process ended with this exit code, without dropping the handle.
    Exited(i32),
    /// This signal killed the process.
    Killed(i32),
    /// The process is dead, and the kernel does not report why.
    Unknown,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Left => f.write_str("left"),
            End::Panicked => f.write_str("panicked"),
            End::Exited(code) => write!(f, "exited with code {code}"),
            End::Killed(signal) => write!(f, "was killed by signal {signal}"),
            End::Unknown => f.write_str("died for an unknown reason"),
        }
    }
}

/// Why a member cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A system call failed.
    #[error("cannot watch {name} of {key}: {source}")]
    System {
        /// The key.
        key: Key,
        /// The name of the member.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// No lock or queue with that member is under the key.
    #[error("cannot watch {name} of {key}: no lock or queue with that member is there")]
    NoSuchMember {
        /// The key.
        key: Key,
        /// The name of the member.
        name: String,
    },
    /// No process has the name.
    #[error("cannot watch {name} of {key}: no process has that name now")]
    Absent {
        /// The key.
        key: Key,
        /// The name of the member.
        name: String,
    },
}

/// The present process of a member of a lock or queue, watched from any other process.
///
/// The kernel wakes the watcher when the seat of the member becomes free. That proves that the
/// process has given the seat back or is dead. A stopped process keeps its seat. No clock takes
/// part.
///
/// ```
/// use hotpool::sync::{End, Event, LockConf, Watch};
/// use hotpool::units::Key;
/// use std::time::Duration;
///
/// let conf = LockConf::new(Key(0x4850_0f03), ["p", "c"]);
/// let event = Event::open(&conf, "c")?;
/// let watch = Watch::open(conf.key, "c")?;
/// assert_eq!(watch.wait_for_end(Duration::ZERO)?, None);
/// drop(event);
/// assert_eq!(watch.wait_for_end(Duration::ZERO)?, Some(End::Left));
/// # drop(watch);
/// # hotpool::sync::remove(conf.key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watch {
    key: Key,
    name: String,
    seats: Seats,
    member: usize,
    /// The number of claims of the seat, up to the watched one.
    epoch: u64,
    pid: i32,
    /// `None` if the process is in another PID namespace, or the kernel is older than 5.3.
    process: Option<ProcessFd>,
    members: ForAll<Table<MemberRec>>,
    _kept: Kept,
}

/// How often [`Watch::open`] checks whether a process that has just taken its seat has recorded its
/// pid.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_micros(200);
/// How long to wait for a status. A dead process loses its semaphores a moment before its status is
/// available.
const STATUS_WAIT: Duration = Duration::from_secs(1);

impl Watch {
    /// Watches the process that has the name `name` in the lock or queue under `key`. If the
    /// process is writer and reader of a queue, one of its two seats is watched.
    ///
    /// # Errors
    ///
    /// No process has the name, no such member, lock or queue exists, or a system call failed.
    pub fn open(key: Key, name: &str) -> Result<Watch, WatchError> {
        let system = |source| WatchError::System { key, name: name.into(), source };
        let unknown = || WatchError::NoSuchMember { key, name: name.into() };
        let backend = Home::sysv().open();
        let facts = backend.stat(key).map_err(system)?.filter(|facts| !facts.removed);
        let segment = backend.attach(key, &facts.ok_or_else(unknown)?, Access::Read).map_err(system)?;
        let members = members(&segment.region()).map_err(|OutOfBounds| unknown())?;
        let seats = Seats::find(key).map_err(system)?.ok_or_else(unknown)?;
        let named = |n: &usize| members.get(*n).is_some_and(|member| text(&member.name) == name);
        let mut numbers = (0..members.len()).filter(named).peekable();
        numbers.peek().ok_or_else(unknown)?;
        for member in numbers {
            if let Some((epoch, pid, process)) = present(seats, &members, member).map_err(system)? {
                let (members, kept) = (ForAll::new(members), Kept::new(segment));
                let name = name.into();
                return Ok(Watch { key, name, seats, member, epoch, pid, process, members, _kept: kept });
            }
        }
        Err(WatchError::Absent { key, name: name.into() })
    }

    /// Returns the watched process in its present state.
    pub fn process(&self) -> Process {
        Process::look(self.pid)
    }

    /// Waits for the end of the member, at most this long by the monotonic clock; returns why it
    /// ended, or `None` if it has not.
    ///
    /// # Errors
    ///
    /// The semaphores of the lock or queue were removed, or a system call failed.
    pub fn wait_for_end(&self, most: Duration) -> io::Result<Option<End>> {
        let began = Instant::now();
        loop {
            // If another process has claimed the name, the watched one has ended.
            if self.epoch_now() != self.epoch {
                return Ok(Some(self.end()));
            }
            match self.seats.wait_free(self.member, most.saturating_sub(began.elapsed())) {
                Ok(true) => return Ok(Some(self.end())),
                Ok(false) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn epoch_now(&self) -> u64 {
        self.members.get(self.member).map_or(0, |member| member.epoch.load())
    }

    /// Returns why the member ended.
    fn end(&self) -> End {
        let last = self.members.get(self.member).map_or(0, |member| member.last.load());
        let is_its_own = self.epoch_now() == self.epoch;
        match last {
            LEFT if is_its_own => return End::Left,
            PANICKED if is_its_own => return End::Panicked,
            _ => {}
        }
        let Some(process) = &self.process else { return End::Unknown };
        let lives = || matches!(self.process().state, ProcessState::Running | ProcessState::Stopped);
        // A successor has overwritten `last` of the watched process.
        if !is_its_own && !process.has_ended_in(Duration::ZERO).unwrap_or(false) && lives() {
            return End::Left;
        }
        if !process.has_ended_in(STATUS_WAIT).unwrap_or(false) {
            return End::Unknown;
        }
        match process.status() {
            None => End::Unknown,
            Some(status) if status & 0x7f == 0 => End::Exited(status >> 8 & 0xff),
            Some(status) => End::Killed(status & 0x7f),
        }
    }
}

/// Returns the members of a complete segment.
fn members(region: &Region) -> Result<Table<MemberRec>, OutOfBounds> {
    let head = region.at::<Head>(0)?;
    let count = u64::from(head.members.load());
    // A queue has a seat for each writer and for each reader.
    if head.magic.load() != READY || count > 2 * limits::MAX_MEMBERS as u64 {
        return Err(OutOfBounds);
    }
    region.table(size_of::<Head>() as u64, count)
}

/// Returns the identity of the process that has a seat: its claim, its pid and the process itself.
fn present(
    seats: Seats,
    members: &Table<MemberRec>,
    member: usize,
) -> io::Result<Option<(u64, i32, Option<ProcessFd>)>> {
    let Some(rec) = members.get(member) else { return Ok(None) };
    let mut found = None;
    for _ in 0..LOOKS {
        if !seats.is_taken(member)? {
            return Ok(None);
        }
        let (epoch, pid) = (rec.epoch.load(), seats.pid_of(of_member(member))?);
        // A member stores its pid last. A pid of another namespace never equals the one of the
        // semaphore.
        if rec.pid.load() == pid as u32 {
            let process = ProcessFd::open(pid).ok();
            // The process had the seat before and after, so the descriptor belongs to it.
            if seats.is_taken(member)? && seats.pid_of(of_member(member))? == pid && rec.epoch.load() == epoch
            {
                return Ok(Some((epoch, pid, process)));
            }
        }
        found = Some((epoch, pid, None));
        std::thread::sleep(PAUSE);
    }
    Ok(found)
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("key", &self.key).field("name", &self.name).finish()
    }
}
