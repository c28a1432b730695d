//! The owner lock: a set of System V semaphores under the key of the base segment.
//!
//! | number | counts | changed by |
//! |--:|---|---|
//! | 0 | 0 if there is no owner; else 1, or 2 (see below) | `[wait for zero, +1]` in one call, undone by the kernel |
//! | 1 | observers that may be attached for reading | +1 before the attach, -1 after the detach, undone by the kernel |
//! | 2 | nothing: it holds [`SET_MAGIC`] | whoever makes the set |
//!
//! The kernel undoes a dead owner's +1 after it has unmapped the owner's memory, so that
//! whoever is let in next can be sure that no store is still to come. The lock is not inherited by
//! a forked child, and a stopped owner keeps it. No clock decides who is dead: the deadline of a
//! start ends the waiting, with an error.
//!
//! A process that executes another program keeps the lock and loses the memory. When the new program opens
//! the pool, it finds that its own pid holds a lock which nobody in it has taken, and takes it over: the
//! semaphore goes from 1 to 2, or from 2 to 1, in one call. Others go on waiting. Should there be somebody
//! in the process who did take it (a second copy of this library, in the middle of a start), the
//! two see each other as always: the one who took over looks for an attach, and the other looks
//! after its attach for a number that is not the one it has left ([`OwnerLock::is_named`]).

use crate::limits;
use crate::sys::proc::{self, Process, ProcessState};
use crate::sys::sysv;
use crate::units::Key;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const OWNER: i32 = 0;
const OBSERVERS: i32 = 1;
const MAGIC: i32 = 2;
const SEMAPHORES: u32 = 3;
/// Value of the third semaphore of our sets, `HP`.
pub(crate) const SET_MAGIC: u32 = 0x4850;

/// A set of semaphores under our key that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignSet {
    /// Number the kernel knows it by.
    pub semid: i32,
    /// User who owns it.
    pub uid: u32,
    /// What is wrong with it.
    pub why: String,
}

/// What the set of semaphores says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFacts {
    /// There is none: the pool has no owner.
    None,
    /// Somebody else uses the key for semaphores.
    Foreign(ForeignSet),
    /// Ours, and no process is the owner.
    Free {
        /// Observers that are attached.
        observers: u32,
    },
    /// A process is the owner.
    Held {
        /// Which.
        holder: Process,
        /// Observers that are attached.
        observers: u32,
    },
    /// Whoever collected the facts is the owner.
    Ours {
        /// Observers that are attached.
        observers: u32,
    },
}

impl LockFacts {
    /// Observers that are registered.
    pub fn observers(&self) -> u32 {
        match self {
            LockFacts::None | LockFacts::Foreign(_) => 0,
            LockFacts::Free { observers }
            | LockFacts::Held { observers, .. }
            | LockFacts::Ours { observers } => *observers,
        }
    }
}

/// Why a process does not become the owner.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// Another process is.
    #[error("{key} is owned by {holder}{}; {}", waited(*.waited_ms), held_next(holder))]
    Held {
        /// Key of the base segment.
        key: Key,
        /// The owner.
        holder: Process,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// Nobody holds the lock, and yet somebody has the segment attached.
    #[error(
        "{key} (shmid or inode {id}) has no owner by its semaphores and is attached by {}{}; somebody removed the semaphores \
         or the segment under a running server: stop it, then run `hotpool ls`",
        named(writers, *.attached, *.observers),
        waited(*.waited_ms)
    )]
    Attached {
        /// Key of the base segment.
        key: Key,
        /// Its shmid or inode.
        id: u64,
        /// Processes that can write to it, as far as they can be seen.
        writers: Vec<Process>,
        /// How many times it is attached, where that is known.
        attached: Option<u64>,
        /// How many of these are registered observers.
        observers: u32,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// The key is used for semaphores that are not ours.
    #[error(
        "the semaphores under {key} (semid {}, uid {}) are not ours: {}; start as their user, choose another BaseKey, or look at `ipcs -s`",
        set.semid, set.uid, set.why
    )]
    Foreign {
        /// Key of the base segment.
        key: Key,
        /// The set.
        set: ForeignSet,
    },
    /// The set was removed each time it had been found or made.
    #[error(
        "the semaphores under {key} were removed {rounds} times while this process waited; find who runs `ipcrm`, \
         then run `hotpool doctor`"
    )]
    Removed {
        /// Key of the base segment.
        key: Key,
        /// How often.
        rounds: u32,
    },
    /// The kernel refused.
    #[error("cannot {call} the owner semaphores under {key}: {source}; {}", system_next(source))]
    System {
        /// Key of the base segment.
        key: Key,
        /// What was asked for.
        call: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

fn waited(ms: u64) -> String {
    if ms == 0 { String::new() } else { format!(", waited {ms} ms for it") }
}

/// What helps depends on what the owner is doing.
fn held_next(holder: &Process) -> String {
    if holder.pid == std::process::id() as i32 {
        return "that is this process: it opens the pool twice".into();
    }
    match holder.state {
        ProcessState::Stopped => format!("it is not dead: run `kill -CONT {}` or stop it", holder.pid),
        ProcessState::Exiting | ProcessState::Zombie => "raise OwnerWaitMs and start again".into(),
        ProcessState::NotVisible => "stop it where it runs, then run `hotpool ls`".into(),
        ProcessState::Running => "stop it first, or run `hotpool ls`".into(),
    }
}

fn system_next(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSPC) => "the limit SEMMNI, SEMMNS or SEMMNU is reached: run `hotpool doctor`",
        Some(libc::EACCES | libc::EPERM) => {
            "they belong to another user: look at `ipcs -s`, or run `hotpool ls`"
        }
        _ => "run `hotpool doctor`",
    }
}

fn named(writers: &[Process], attached: Option<u64>, observers: u32) -> String {
    match (writers, attached) {
        ([], Some(attached)) => format!(
            "{attached} mappings of which {observers} are observers, by processes that cannot be seen from here"
        ),
        ([], None) => "a process that cannot be seen from here".into(),
        (some, _) => some.iter().map(Process::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Until when a start waits for a dying owner, and since when it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    since: Instant,
    most: Duration,
}

impl Wait {
    /// Up to `ms` milliseconds from now.
    pub(crate) fn ms(ms: u64) -> Self {
        Wait { since: Instant::now(), most: Duration::from_millis(ms.min(limits::MAX_OWNER_WAIT_MS)) }
    }

    pub(crate) fn left(&self) -> Duration {
        self.most.saturating_sub(self.since.elapsed())
    }

    pub(crate) fn spent_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }
}

/// Whose set is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The user's own: for a server.
    Own,
    /// Anybody's who uses hotpool: for an operator with the right to.
    Any,
}

/// The right to be the only one who writes to a pool. Given back on drop, by the process
/// that took it and no other.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    key: Key,
    hold: Hold,
    pid: u32,
}

/// What is held.
#[derive(Debug)]
enum Hold {
    /// A set of semaphores.
    Set {
        semid: i32,
        /// It was made for this start.
        made: bool,
        /// Its first semaphore as this lock has left it.
        count: u32,
        /// The lock was that of an earlier program of this process.
        taken_over: bool,
    },
    /// A name in [`HEAP`]: memory of the process needs no lock between processes.
    Heap,
}

/// Keys of the pools in memory of this process that have an owner.
static HEAP: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn heap() -> MutexGuard<'static, BTreeSet<u32>> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets whose lock was taken by the program that this process executes now.
static SETS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn sets() -> MutexGuard<'static, BTreeSet<i32>> {
    SETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this program one that has not taken the lock of a set, as the next one of the process is.
#[cfg(test)]
pub(super) fn forget(semid: i32) {
    sets().remove(&semid);
}

/// What came of an attempt on one set.
enum Attempt {
    /// Its first semaphore is this now.
    Taken(u32),
    /// The same; it was held by an earlier program of this process.
    TakenOver(u32),
    /// Somebody removed the set meanwhile.
    Vanished,
}

impl OwnerLock {
    /// Becomes the owner, waiting for a dying one.
    pub(crate) fn take(key: Key, mode: u32, whose: Whose, wait: Wait) -> Result<Self, OwnerError> {
        for _ in 0..limits::OWNER_ROUNDS {
            let Some((semid, made)) = find_or_make(key, mode, whose)? else { continue };
            let (count, taken_over) = match attempt(key, semid, wait)? {
                Attempt::Taken(count) => (count, false),
                Attempt::TakenOver(count) => (count, true),
                Attempt::Vanished => continue,
            };
            sets().insert(semid);
            let hold = Hold::Set { semid, made, count, taken_over };
            let lock = OwnerLock { key, hold, pid: std::process::id() };
            if lock.is_named()? {
                return Ok(lock);
            }
        }
        Err(OwnerError::Removed { key, rounds: limits::OWNER_ROUNDS })
    }

    /// Becomes the owner of a pool in memory of this process.
    pub(crate) fn take_heap(key: Key) -> Result<Self, OwnerError> {
        let pid = std::process::id();
        match heap().insert(key.0) {
            true => Ok(OwnerLock { key, hold: Hold::Heap, pid }),
            false => Err(OwnerError::Held { key, holder: Process::look(pid as i32), waited_ms: 0 }),
        }
    }

    /// Whether the key still leads to the set that is held, and the lock is as it was taken. If not,
    /// another start may hold the lock of a newer set, or have taken this one over.
    pub(crate) fn is_named(&self) -> Result<bool, OwnerError> {
        let Hold::Set { semid, count, .. } = self.hold else { return Ok(true) };
        let named = sysv::sem_find(self.key).map_err(system(self.key, "find"))? == Some(semid);
        match sysv::sem_value(semid, OWNER) {
            Ok(found) => Ok(named && found == count),
            Err(error) if vanished(&error) => Ok(false),
            Err(error) => Err(system(self.key, "read")(error)),
        }
    }

    /// The set that the key leads to, if it is not the one that is held; `Ok(None)` inside if there is none at all.
    pub(crate) fn successor(&self) -> Result<Option<Option<i32>>, OwnerError> {
        let Hold::Set { semid, .. } = self.hold else { return Ok(None) };
        let found = sysv::sem_find(self.key).map_err(system(self.key, "find"))?;
        Ok((found != Some(semid)).then_some(found))
    }

    /// Observers that are registered now.
    pub(crate) fn observers(&self) -> u32 {
        match self.hold {
            Hold::Heap => 0,
            Hold::Set { semid, .. } => sysv::sem_value(semid, OBSERVERS).unwrap_or(0),
        }
    }

    /// What the owner knows of its own lock.
    pub(crate) fn facts(&self) -> LockFacts {
        LockFacts::Ours { observers: self.observers() }
    }

    /// Leaves all as it was before the lock was taken: gives it back, to the process where it was
    /// taken over, and leaves no set behind that was not there before.
    pub(crate) fn abandon(self) {
        match self.hold {
            Hold::Set { made: true, .. } => self.remove(),
            Hold::Set { semid, count, taken_over: true, .. } => drop(swap(semid, count, 3 - count)),
            _ => {}
        }
    }

    /// Removes the set, lock and all. Whoever waits for it makes a new one.
    pub(crate) fn remove(self) {
        if let Hold::Set { semid, .. } = self.hold
            && let Err(error) = sysv::sem_remove(semid)
            && !vanished(&error)
        {
            log::warn!("the owner semaphores under {} were not removed: {error}", self.key);
        }
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            return;
        }
        match self.hold {
            Hold::Heap => drop(heap().remove(&self.key.0)),
            // It fails where the set is gone or the lock was taken over: there is nothing to give back.
            Hold::Set { semid, count, .. } => {
                sets().remove(&semid);
                let _ = swap(semid, count, 0);
            }
        }
    }
}

/// An attached observer, counted so that a start does not take it for a rival.
#[derive(Debug)]
pub(crate) struct Observer {
    semid: i32,
    pid: u32,
}

impl Observer {
    /// Registers one. `None` where there is no set of ours that is marked, or no right to
    /// change it: then the observer goes uncounted, and a start may wait for it.
    pub(crate) fn register(key: Key) -> Option<Self> {
        let semid = sysv::sem_find(key).ok()??;
        inspect(semid, Whose::Any).ok()?.is_none().then_some(())?;
        // An operation on a set that is not marked yet would make it look like a stranger's.
        (sysv::sem_value(semid, MAGIC).ok()? == SET_MAGIC).then_some(())?;
        sysv::sem_op(semid, &[(OBSERVERS as u16, 1)], Duration::ZERO).ok()?;
        Some(Observer { semid, pid: std::process::id() })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = sysv::sem_op(self.semid, &[(OBSERVERS as u16, -1)], Duration::ZERO);
        }
    }
}

/// What is known of the owner of a pool in memory of this process.
pub(crate) fn look_heap(key: Key) -> LockFacts {
    match heap().contains(&key.0) {
        true => LockFacts::Held { holder: Process::look(std::process::id() as i32), observers: 0 },
        false => LockFacts::None,
    }
}

/// What the set under `key` says; changes nothing.
pub(crate) fn look(key: Key, whose: Whose) -> io::Result<LockFacts> {
    let Some(semid) = sysv::sem_find(key)? else { return Ok(LockFacts::None) };
    match read(semid, whose) {
        Err(error) if vanished(&error) => Ok(LockFacts::None),
        other => other,
    }
}

fn read(semid: i32, whose: Whose) -> io::Result<LockFacts> {
    if let Some(foreign) = inspect(semid, whose)? {
        return Ok(LockFacts::Foreign(foreign));
    }
    let observers = sysv::sem_value(semid, OBSERVERS)?;
    match sysv::sem_value(semid, OWNER)? {
        0 => Ok(LockFacts::Free { observers }),
        _ => Ok(LockFacts::Held { holder: Process::look(sysv::sem_pid(semid, OWNER)?), observers }),
    }
}

/// The set under `key`, and whether it was made here. `None` if it vanished in between.
fn find_or_make(key: Key, mode: u32, whose: Whose) -> Result<Option<(i32, bool)>, OwnerError> {
    let found = sysv::sem_find(key).map_err(system(key, "find"))?;
    let (semid, made) = match found {
        Some(semid) => (semid, false),
        None => match sysv::sem_create(key, SEMAPHORES as i32, mode) {
            Ok(semid) => (semid, true),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => return Ok(None),
            Err(error) => return Err(system(key, "make")(error)),
        },
    };
    match inspect(semid, whose)
        .and_then(|foreign| foreign.map_or_else(|| mark(semid).map(|()| None), |f| Ok(Some(f))))
    {
        Ok(None) => Ok(Some((semid, made))),
        Ok(Some(set)) => Err(OwnerError::Foreign { key, set }),
        Err(error) if vanished(&error) => Ok(None),
        Err(error) => Err(system(key, "read")(error)),
    }
}

/// Tells a set that is not ours. One that its maker did not come to mark is ours: it has never
/// been used, and whoever comes next marks it.
fn inspect(semid: i32, whose: Whose) -> io::Result<Option<ForeignSet>> {
    let me = sysv::effective_uid();
    let of_another = |uid| Ok(Some(ForeignSet { semid, uid, why: format!("this process runs as uid {me}") }));
    let stat = match sysv::sem_stat(semid) {
        Err(error) if whose == Whose::Own && error.raw_os_error() == Some(libc::EACCES) => {
            return proc::semaphores_user(semid).filter(|uid| *uid != me).map_or(Err(error), of_another);
        }
        other => other?,
    };
    let foreign = |why: String| Ok(Some(ForeignSet { semid, uid: stat.uid, why }));
    if stat.count != SEMAPHORES {
        return foreign(format!("it has {} semaphores, not {SEMAPHORES}", stat.count));
    }
    if whose == Whose::Own && stat.uid != me {
        return of_another(stat.uid);
    }
    match sysv::sem_value(semid, MAGIC)? {
        SET_MAGIC => Ok(None),
        0 if stat.last_op == 0 => Ok(None),
        other => foreign(format!("its third semaphore is {other}, not {SET_MAGIC}")),
    }
}

fn mark(semid: i32) -> io::Result<()> {
    match sysv::sem_value(semid, MAGIC)? {
        SET_MAGIC => Ok(()),
        _ => sysv::sem_set(semid, MAGIC, SET_MAGIC as i32),
    }
}

/// Takes the lock of one set, or says who has it.
fn attempt(key: Key, semid: i32, wait: Wait) -> Result<Attempt, OwnerError> {
    const TAKE: [sysv::Step; 2] = [(OWNER as u16, 0), (OWNER as u16, 1)];
    let mut patience = Duration::ZERO;
    loop {
        let error = match sysv::sem_op(semid, &TAKE, patience) {
            Ok(()) => return Ok(Attempt::Taken(1)),
            Err(error) => error,
        };
        if error.raw_os_error() == Some(libc::EAGAIN) {
            match take_over(semid) {
                Ok(Some(count)) => return Ok(Attempt::TakenOver(count)),
                Ok(None) => {}
                Err(error) if vanished(&error) => return Ok(Attempt::Vanished),
                Err(error) => return Err(system(key, "read")(error)),
            }
        }
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EIDRM | libc::EINVAL) => return Ok(Attempt::Vanished),
            Some(libc::EAGAIN) if !wait.left().is_zero() => {
                log::info!("{key}: waiting up to {} ms for its owner", wait.left().as_millis());
            }
            Some(libc::EAGAIN) => match read(semid, Whose::Any) {
                Ok(LockFacts::Held { holder, .. }) => {
                    return Err(OwnerError::Held { key, holder, waited_ms: wait.spent_ms() });
                }
                // It left at the last moment: once more without waiting.
                Ok(_) => {}
                Err(error) if vanished(&error) => return Ok(Attempt::Vanished),
                Err(error) => return Err(system(key, "read")(error)),
            },
            _ => return Err(system(key, "take")(error)),
        }
        patience = wait.left();
    }
}

/// Takes over what an earlier program of this process holds; gives the new number of the semaphore.
fn take_over(semid: i32) -> io::Result<Option<u32>> {
    let count = sysv::sem_value(semid, OWNER)?;
    let mine = sysv::sem_pid(semid, OWNER)? == std::process::id() as i32;
    if !mine || !matches!(count, 1 | 2) || sets().contains(&semid) {
        return Ok(None);
    }
    match swap(semid, count, 3 - count) {
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(None),
        done => done.map(|()| Some(3 - count)),
    }
}

/// Changes the first semaphore from one number to another in one call, `EAGAIN` if it is not the one.
fn swap(semid: i32, from: u32, to: u32) -> io::Result<()> {
    let owner = OWNER as u16;
    let steps = [(owner, -(from as i16)), (owner, 0), (owner, to as i16)];
    sysv::sem_op(semid, &steps[..if to == 0 { 2 } else { 3 }], Duration::ZERO)
}

fn vanished(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL))
}

fn system(key: Key, call: &'static str) -> impl FnOnce(io::Error) -> OwnerError {
    move |source| OwnerError::System { key, call, source }
}
