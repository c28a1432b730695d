//! The state of the saver.
//!
//! ```text
//!          begin            all was given          the thread: whole
//!   Idle ---------> Giving ---------------> Given -------------------> Idle
//!    ^                |  drop                 |  drop
//!    |                v                       v
//!    +----------- Discarding <----------------+
//!    the thread: discarded, whole or failed
//! ```
//!
//! Wherever the thread reports a failure or has died, the state is `Idle` after that. The thread
//! reports exactly once after a beginning, so it never has two sets.

use crate::limits;
use crate::pool::image::{Budget, ImagePiece, Taking};
use crate::pool::saver::assembly::{Assembly, Busy};
use crate::pool::saver::error::{SnapshotError, SnapshotTrouble};
use crate::pool::saver::schedule::Schedule;
use crate::pool::store::type_table::TypeTable;
use crate::snapshot::{Compression, Plan, SetError, SetInfo, SetThread, Told, Written};
use crate::sys::{self, fork::Origin};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How far a snapshot is after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotStep {
    /// None is under way.
    Idle,
    /// More steps are needed.
    Taking,
    /// All bytes were given. The thread writes the rest; later steps tell when the set is whole.
    Writing,
    /// The set is whole, in this folder.
    Whole(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Giving,
    Given,
    Discarding,
}

/// The saver of a pool.
#[derive(Debug)]
pub(crate) struct Saver {
    /// Folder of the sets.
    dir: PathBuf,
    /// The process that has the thread.
    origin: Origin,
    thread: Option<SetThread>,
    state: State,
    assembly: Assembly,
    /// The last set of this start, on which the next one can build.
    last: Option<Written>,
    /// Sets that were written since the last full one.
    increments: u32,
    is_full: bool,
    /// Snapshots since the last whole one, and why the last of them is absent.
    failed: (u32, String),
    /// When the thread did something last.
    moved: Instant,
    pub(crate) schedule: Schedule,
}

impl Saver {
    pub(crate) fn new(dir: &Path) -> Self {
        Saver {
            dir: dir.to_path_buf(),
            origin: Origin::here(),
            thread: None,
            state: State::Idle,
            assembly: Assembly::new([0; 2]),
            last: None,
            increments: 0,
            is_full: true,
            failed: (0, String::new()),
            moved: Instant::now(),
            schedule: Schedule::default(),
        }
    }

    /// Returns the last whole set of this start.
    pub(crate) fn last(&self) -> Option<&Path> {
        self.last.as_ref().map(|set| set.path.as_path())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Returns whether bytes of an image are still to be given.
    pub(crate) fn is_giving(&self) -> bool {
        self.state == State::Giving
    }

    /// Returns whether the next set can be one of changes.
    pub(crate) fn can_build(&self) -> bool {
        self.last.is_some() && self.increments < limits::SNAPSHOTS_OF_CHANGES
    }

    fn thread(&mut self) -> Result<&mut SetThread, SnapshotError> {
        if self.thread.is_none() {
            let started = SetThread::start(&self.dir, Compression::Lz4);
            self.thread = Some(started.map_err(|source| SnapshotError::NoThread { source })?);
        }
        self.thread.as_mut().ok_or(SnapshotError::NotBegun)
    }

    /// Makes sure that there is a thread.
    pub(crate) fn prepare(&mut self) -> Result<(), SnapshotError> {
        self.thread().map(drop)
    }

    /// Begins the set of an image that has just begun.
    pub(crate) fn begin(&mut self, info: SetInfo, is_full: bool, keep: u32) -> Result<(), SnapshotError> {
        let parent = self.last.clone().filter(|_| !is_full);
        self.assembly = Assembly::new([info.segment_bytes(0), info.segment_bytes(1)]);
        self.thread()?.begin(info, Plan { parent, keep });
        (self.state, self.is_full, self.moved) = (State::Giving, is_full, Instant::now());
        Ok(())
    }

    /// Gives some bytes of the image; returns whether all were given.
    pub(crate) fn give(&mut self, taking: &mut Taking, types: &mut TypeTable, budget: Budget) -> bool {
        let Saver { thread: Some(thread), assembly, moved, .. } = self else { return false };
        let given = taking.step(types, budget, &mut |piece: ImagePiece<'_>| {
            assembly.take(piece, thread)?;
            *moved = Instant::now();
            Ok::<_, Busy>(())
        });
        let is_all = given.unwrap_or(false);
        if is_all {
            assembly.close(thread);
            thread.finish();
            (self.state, self.moved) = (State::Given, Instant::now());
        }
        is_all
    }

    /// Orders the thread to drop the set.
    pub(crate) fn discard(&mut self) {
        if let (State::Giving | State::Given, Some(thread)) = (self.state, &self.thread) {
            thread.discard();
            self.state = State::Discarding;
        }
    }

    /// Follows the reports of the thread; returns whether the set is whole.
    ///
    /// # Errors
    ///
    /// Fails if the set is absent, and was not dropped.
    pub(crate) fn follow(&mut self, wait: Duration, every: Duration) -> Result<bool, SnapshotError> {
        loop {
            let Some(thread) = &mut self.thread else { return Ok(false) };
            let told = if wait.is_zero() { thread.report() } else { thread.wait(wait) };
            let Some(told) = told else { return Ok(false) };
            self.moved = Instant::now();
            match told {
                Told::Latest(latest) => {
                    self.schedule = Schedule::first(every, latest, sys::wall_nanos());
                    continue;
                }
                Told::Whole(set) => return Ok(self.keep(set)),
                Told::Discarded => {
                    self.state = State::Idle;
                    return Ok(false);
                }
                Told::Failed(error) => {
                    if matches!(error, SetError::NoParent { .. }) {
                        self.last = None;
                    }
                    return self.fail(error.into());
                }
                Told::Died(what) => {
                    self.thread = None;
                    self.schedule = Schedule::next(every);
                    // If its set was a full one, those before may be gone.
                    self.last = self.last.take().filter(|_| !self.is_full);
                    return self.fail(SnapshotError::Died { what });
                }
            }
        }
    }

    /// Notes a whole set.
    fn keep(&mut self, set: Written) -> bool {
        let was = std::mem::replace(&mut self.state, State::Idle);
        if was != State::Given {
            // It was dropped, but a moment too late: sets before a full one may be gone.
            self.last = self.last.take().filter(|_| !self.is_full);
            return false;
        }
        self.increments = if self.is_full { 0 } else { self.increments + 1 };
        self.last = Some(set);
        self.failed = (0, String::new());
        true
    }

    /// Notes a failure, unless the set was dropped anyhow.
    fn fail(&mut self, error: SnapshotError) -> Result<bool, SnapshotError> {
        let was = std::mem::replace(&mut self.state, State::Idle);
        if was == State::Discarding {
            return Ok(false);
        }
        self.failed = (self.failed.0 + 1, error.to_string());
        Err(error)
    }

    /// Asks the thread for the latest set of a process.
    pub(crate) fn look(&mut self, process: &str) -> Result<(), SnapshotError> {
        (self.schedule, self.moved) = (Schedule::Asked, Instant::now());
        self.thread()?.look(process);
        Ok(())
    }

    /// Returns the error of a thread that has done nothing for too long, although it has a set.
    pub(crate) fn hangs(&self) -> Option<SnapshotError> {
        let time = self.moved.elapsed();
        let is_busy = self.state != State::Idle || matches!(self.schedule, Schedule::Asked);
        let is_long = time.as_secs() >= limits::SNAPSHOT_HANGS_SEC;
        (is_busy && is_long).then(|| SnapshotError::Hangs { dir: self.dir.clone(), time })
    }

    /// Returns why the last snapshots are absent.
    pub(crate) fn trouble(&self) -> Option<SnapshotTrouble> {
        let (failed, why) = self.failed.clone();
        let why = match self.hangs() {
            Some(hangs) => hangs.to_string(),
            None if failed != 0 => why,
            None => return None,
        };
        Some(SnapshotTrouble { dir: self.dir.clone(), failed, why })
    }
}

impl Drop for Saver {
    /// A forked child has a copy, and no thread.
    fn drop(&mut self) {
        if !self.origin.is_here() {
            std::mem::forget(self.thread.take());
        }
    }
}
