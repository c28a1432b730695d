//! The set of semaphores that the owner lock is made of: what its numbers mean, and what they say. Changes nothing.

use super::lock_facts::{ForeignSet, LockFacts};
use crate::sys::proc::{self, Process, ProcessState};
use crate::sys::sysv;
use crate::units::Key;
use std::io;

/// The semaphore that counts owners.
pub(super) const OWNER: i32 = 0;
/// The semaphore that counts observers.
pub(super) const OBSERVERS: i32 = 1;
/// The semaphore that holds [`SET_MAGIC`].
pub(super) const MAGIC: i32 = 2;
/// Semaphores of a set.
pub(super) const SEMAPHORES: u32 = 3;
/// Value of the third semaphore of our sets, `HP`.
pub(crate) const SET_MAGIC: u32 = 0x4850;

/// Whose set is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The user's own: for a server.
    Own,
    /// Anybody's who uses hotpool: for an operator with the right to.
    Any,
}

/// What the set under `key` says; changes nothing.
pub(crate) fn look(key: Key, whose: Whose) -> io::Result<LockFacts> {
    let Some(semid) = sysv::sem_find(key)? else { return Ok(LockFacts::None) };
    match read(semid, whose) {
        Err(error) if vanished(&error) => Ok(LockFacts::None),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => denied(semid, error),
        other => other,
    }
}

/// A set of another user that this one may not look at.
fn denied(semid: i32, error: io::Error) -> io::Result<LockFacts> {
    let Some((uid, count)) = proc::semaphores_of(semid) else { return Err(error) };
    let why = format!("this process runs as uid {} and may not look at them", sysv::effective_uid());
    let set = ForeignSet { is_denied: count == SEMAPHORES, ..foreign_set(semid, uid, why) };
    Ok(LockFacts::Foreign(set))
}

fn foreign_set(semid: i32, uid: u32, why: String) -> ForeignSet {
    ForeignSet { semid, uid, why, is_denied: false }
}

/// What a set says; changes nothing.
pub(super) fn read(semid: i32, whose: Whose) -> io::Result<LockFacts> {
    if let Some(foreign) = inspect(semid, whose)? {
        return Ok(LockFacts::Foreign(foreign));
    }
    let observers = sysv::sem_value(semid, OBSERVERS)?;
    loop {
        let count = sysv::sem_value(semid, OWNER)?;
        if count == 0 {
            return Ok(LockFacts::Free { observers });
        }
        let pid = sysv::sem_pid(semid, OWNER)?;
        let holder = Process::look(pid);
        // A dying process gives the lock back before it disappears: one that has disappeared and still
        // seems to hold it has ended between the two looks.
        let gone = holder.state == ProcessState::NotVisible && pid != 0;
        let held = || {
            Ok::<_, io::Error>(sysv::sem_value(semid, OWNER)? == count && sysv::sem_pid(semid, OWNER)? == pid)
        };
        if !gone || held()? {
            return Ok(LockFacts::Held { holder, observers });
        }
    }
}

/// Which set a key leads to and who last changed its first semaphore: differs after every change of
/// owner but one by a process that was the last already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) semid: i32,
    count: u32,
    pid: i32,
}

/// The stamp of the set under `key`; `None` if there is no set, or it may not be read.
pub(crate) fn stamp(key: Key) -> io::Result<Option<Stamp>> {
    let Some(semid) = sysv::sem_find(key)? else { return Ok(None) };
    let read =
        || Ok(Stamp { semid, count: sysv::sem_value(semid, OWNER)?, pid: sysv::sem_pid(semid, OWNER)? });
    match read() {
        Err(error) if vanished(&error) || error.raw_os_error() == Some(libc::EACCES) => Ok(None),
        other => other.map(Some),
    }
}

/// Tells a set that is not ours. One that its maker did not come to mark is ours: it has never
/// been used, and whoever comes next marks it.
pub(super) fn inspect(semid: i32, whose: Whose) -> io::Result<Option<ForeignSet>> {
    let me = sysv::effective_uid();
    let of_another = |uid| Ok(Some(foreign_set(semid, uid, format!("this process runs as uid {me}"))));
    let stat = match sysv::sem_stat(semid) {
        Err(error) if whose == Whose::Own && error.raw_os_error() == Some(libc::EACCES) => {
            return proc::semaphores_of(semid)
                .map(|(uid, _)| uid)
                .filter(|uid| *uid != me)
                .map_or(Err(error), of_another);
        }
        other => other?,
    };
    let foreign = |why: String| Ok(Some(foreign_set(semid, stat.uid, why)));
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

/// Whether an error says that the set was removed.
pub(super) fn vanished(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL))
}
