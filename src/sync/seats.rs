//! The semaphores that show which members live: one for each member, which the kernel undoes at its
//! death.
//!
//! The set has two more. The process that fills a new segment takes number 0. Number 1 marks the
//! set as made by hotpool. `docs/messaging.md` explains why a semaphore that can be taken proves a
//! death.

use super::error::OpenError;
use super::part::Part;
use crate::share::Process;
use crate::sys::{self, sysv};
use crate::units::Key;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The value of the second semaphore, which marks a set as made by hotpool.
const MARK: u32 = 0x4851;
/// The semaphore of the process that fills a segment.
pub(crate) const MAKER: u16 = 0;
const MARKED: u16 = 1;
const FIRST: u16 = 2;

/// The semaphores that this process has taken: process, set, number. If the kernel names this pid
/// for a semaphore that is not listed, the program before an `exec` has taken it.
static TAKEN: Mutex<BTreeSet<(u32, i32, u16)>> = Mutex::new(BTreeSet::new());

fn taken() -> MutexGuard<'static, BTreeSet<(u32, i32, u16)>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The set of semaphores of a lock or queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seats {
    semid: i32,
}

/// A semaphore that this process has taken. Dropping it in that process gives it back.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    number: u16,
    pid: u32,
}

/// Returns the number of the semaphore of a member.
pub(crate) fn of_member(member: usize) -> u16 {
    FIRST.saturating_add(u16::try_from(member).unwrap_or(u16::MAX))
}

impl Seats {
    /// Opens the set under `key`, or creates it.
    pub(crate) fn open(key: Key, members: usize, mode: u32) -> Result<Seats, OpenError> {
        let system = |call| OpenError::system(key, call);
        for _ in 0..crate::limits::OWNER_ROUNDS {
            let semid = match sysv::sem_find(key).map_err(system("semget"))? {
                Some(semid) => semid,
                None => match sysv::sem_create(key, (FIRST as usize + members) as i32, mode) {
                    Ok(semid) => semid,
                    Err(error) if error.raw_os_error() == Some(libc::EEXIST) => continue,
                    Err(error) => return Err(system("semget")(error)),
                },
            };
            let seats = Seats { semid };
            match seats.inspect(key, members) {
                Err(error) if error.is_gone() => {}
                answer => return answer.map(|()| seats),
            }
        }
        Err(OpenError::SeatsRemoved { key })
    }

    /// Returns the set under `key`, if it exists.
    pub(crate) fn find(key: Key) -> io::Result<Option<Seats>> {
        Ok(sysv::sem_find(key)?.map(|semid| Seats { semid }))
    }

    /// Returns what the set is. One of another user, and one that is used for something else, is
    /// foreign.
    pub(crate) fn part(self) -> io::Result<Part> {
        let stat = sysv::sem_stat(self.semid)?;
        let fits = FIRST as usize + 1..=FIRST as usize + 2 * crate::limits::MAX_MEMBERS;
        if stat.uid != sysv::effective_uid() || !fits.contains(&(stat.count as usize)) {
            return Ok(Part::Foreign);
        }
        let is_marked = || Ok::<_, io::Error>(sysv::sem_value(self.semid, MARKED.into())? == MARK);
        Ok(match is_marked()? {
            true => Part::Whole,
            false if self.is_untouched(&stat)? => Part::Unfinished,
            // It was marked and used meanwhile.
            false if is_marked()? => Part::Whole,
            false => Part::Foreign,
        })
    }

    /// Returns whether no process has changed the set since it was created: its creator was killed,
    /// or is about to mark it.
    fn is_untouched(self, stat: &sysv::SemStat) -> io::Result<bool> {
        for number in 0..stat.count as i32 {
            let is_new = sysv::sem_value(self.semid, number)? == 0 && sysv::sem_pid(self.semid, number)? == 0;
            if !is_new {
                return Ok(false);
            }
        }
        Ok(stat.last_op == 0)
    }

    /// Completes a creation.
    pub(crate) fn mark(self) -> io::Result<()> {
        sysv::sem_set(self.semid, MARKED.into(), MARK as i32)
    }

    fn inspect(self, key: Key, members: usize) -> Result<(), OpenError> {
        let foreign = |why: String| Err(OpenError::Foreign { key, why });
        let stat = sysv::sem_stat(self.semid).map_err(OpenError::system(key, "semctl"))?;
        if stat.uid != sysv::effective_uid() {
            return foreign(format!("its semaphores belong to uid {}", stat.uid));
        }
        let part = self.part().map_err(OpenError::system(key, "semctl"))?;
        if part == Part::Foreign {
            return foreign("it has semaphores that are not those of a lock or queue".into());
        }
        if stat.count as usize != FIRST as usize + members {
            let (found, wanted) =
                ((stat.count as usize).saturating_sub(FIRST.into()).to_string(), members.to_string());
            return Err(OpenError::Differs { key, what: "the number of members", found, wanted });
        }
        if part == Part::Unfinished {
            self.mark().map_err(OpenError::system(key, "semctl"))?;
        }
        Ok(())
    }

    /// Takes a semaphore if no process has it.
    pub(crate) fn take(self, number: u16) -> io::Result<Option<Seat>> {
        let pid = sys::pid();
        let mut taken = taken();
        match sysv::sem_op(self.semid, &[(number, 0), (number, 1)], Duration::ZERO) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {
                let mine = sysv::sem_pid(self.semid, number.into())? == pid as i32
                    && sysv::sem_value(self.semid, number.into())? != 0;
                if !mine || taken.contains(&(pid, self.semid, number)) {
                    return Ok(None);
                }
                // The program before an `exec` took it, and the memory of that program is unmapped.
            }
            Err(error) => return Err(error),
        }
        taken.insert((pid, self.semid, number));
        Ok(Some(Seat { seats: self, number, pid }))
    }

    /// Takes a semaphore, and waits for a dying process.
    pub(crate) fn take_in(self, number: u16, wait: Duration) -> io::Result<Option<Seat>> {
        let began = Instant::now();
        let mut pause = Duration::from_micros(100);
        loop {
            if let Some(seat) = self.take(number)? {
                return Ok(Some(seat));
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(crate::limits::FENCE_PAUSE_MS));
        }
    }

    /// Takes the proof that a member is dead, which keeps its successor out while it lives; returns
    /// `None` if the member is alive.
    pub(crate) fn prove_dead(self, member: usize) -> io::Result<Option<Seat>> {
        self.take(of_member(member))
    }

    /// Returns whether a process has the seat of a member. That may change at any moment.
    pub(crate) fn is_taken(self, member: usize) -> io::Result<bool> {
        Ok(sysv::sem_value(self.semid, of_member(member).into())? != 0)
    }

    /// Waits until no process has the seat of a member, and takes nothing. Returns `false` if a
    /// process still has it after this time.
    pub(crate) fn wait_free(self, member: usize, most: Duration) -> io::Result<bool> {
        match sysv::sem_op(self.semid, &[(of_member(member), 0)], most) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the pid of the process that last had a semaphore; 0 if it is not visible here.
    pub(crate) fn pid_of(self, number: u16) -> io::Result<i32> {
        sysv::sem_pid(self.semid, number.into())
    }

    /// Returns the process that last had a semaphore.
    pub(crate) fn holder(self, number: u16) -> Process {
        Process::look(sysv::sem_pid(self.semid, number.into()).unwrap_or(0))
    }

    /// Returns the process that last had the seat of a member.
    pub(crate) fn holder_of(self, member: usize) -> Process {
        self.holder(of_member(member))
    }

    /// Returns the number that a segment records for this set. It is never 0.
    pub(crate) fn record(self) -> u32 {
        self.semid as u32 + 1
    }

    /// Returns whether the key leads to this set.
    pub(crate) fn is_named(self, key: Key) -> io::Result<bool> {
        Ok(sysv::sem_find(key)? == Some(self.semid))
    }

    /// Takes the semaphores of all members, which keeps them from opening; returns the member that
    /// lives if there is one.
    pub(crate) fn take_all(self) -> io::Result<Result<Vec<Seat>, Process>> {
        let numbers = 0..sysv::sem_stat(self.semid)?.count as u16;
        let mut all = Vec::new();
        for number in numbers.filter(|number| *number != MARKED) {
            match self.take(number)? {
                Some(seat) => all.push(seat),
                None => return Ok(Err(self.holder(number))),
            }
        }
        Ok(Ok(all))
    }

    /// Removes the set.
    pub(crate) fn remove(self) -> io::Result<()> {
        sysv::sem_remove(self.semid)
    }
}

impl Seat {
    /// Returns whether this process took the semaphore; a forked child did not.
    pub(crate) fn is_mine(&self) -> bool {
        self.pid == sys::pid()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_mine() {
            return;
        }
        let mut taken = taken();
        taken.remove(&(self.pid, self.seats.semid, self.number));
        // It fails if the set was removed, and then nothing has to be given back.
        let _ = sysv::sem_op(self.seats.semid, &[(self.number, -1)], Duration::ZERO);
    }
}
