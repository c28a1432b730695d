//! The semaphore set of the owner lock: the meaning of its numbers, and reading them. Changes nothing.

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
/// The semaphore that holds the number of the pool's place (`place.rs`); 0 if no start has noted it.
pub(super) const PLACE: i32 = 3;
/// Semaphores of a set.
pub(super) const SEMAPHORES: u32 = 4;
/// Semaphores of a set that an earlier build created, without a place.
const WITHOUT_PLACE: u32 = 3;
/// Value of the third semaphore of every set of hotpool, `HP`.
pub(crate) const SET_MAGIC: u32 = 0x4850;

/// The semaphore sets that are accepted, by their user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Only sets of this user: for a server.
    Own,
    /// Sets of any user: for an operator with the required rights.
    Any,
}

/// Returns the state of the semaphores under `key`, without a change.
pub(crate) fn look(key: Key, whose: Whose) -> io::Result<LockFacts> {
    let Some(semid) = sysv::sem_find(key)? else { return Ok(LockFacts::None) };
    match read(semid, whose) {
        Err(error) if vanished(&error) => Ok(LockFacts::None),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => denied(semid, error),
        other => other,
    }
}

/// Returns the state for a set of another user that this one may not read.
fn denied(semid: i32, error: io::Error) -> io::Result<LockFacts> {
    let Some((uid, count)) = proc::semaphores_of(semid) else { return Err(error) };
    let why = format!("this process runs as uid {} and may not read them", sysv::effective_uid());
    let set = ForeignSet { is_denied: is_size(count), ..foreign_set(semid, uid, why) };
    Ok(LockFacts::Foreign(set))
}

fn foreign_set(semid: i32, uid: u32, why: String) -> ForeignSet {
    ForeignSet { semid, uid, why, is_denied: false }
}

/// Reads a set; changes nothing.
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
        // A dying process releases the lock before it disappears. One that has disappeared and
        // still seems to hold it has ended between the two readings.
        let gone = holder.state == ProcessState::NotVisible && pid != 0;
        let held = || {
            Ok::<_, io::Error>(sysv::sem_value(semid, OWNER)? == count && sysv::sem_pid(semid, OWNER)? == pid)
        };
        if !gone || held()? {
            return Ok(LockFacts::Held { holder, observers });
        }
    }
}

/// The set of a key, and the last change of its first semaphore.
///
/// It differs after every change of owner, unless the same process changed it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) semid: i32,
    count: u32,
    pid: i32,
}

/// Returns the stamp of the set under `key`; `None` if there is no set, or if it may not be read.
pub(crate) fn stamp(key: Key) -> io::Result<Option<Stamp>> {
    let Some(semid) = sysv::sem_find(key)? else { return Ok(None) };
    let read =
        || Ok(Stamp { semid, count: sysv::sem_value(semid, OWNER)?, pid: sysv::sem_pid(semid, OWNER)? });
    match read() {
        Err(error) if vanished(&error) || error.raw_os_error() == Some(libc::EACCES) => Ok(None),
        other => other.map(Some),
    }
}

/// Returns why a set is foreign; `None` if it is hotpool's.
///
/// A set that its creator did not mark is hotpool's: it has never been used, and the next start
/// marks it.
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
    if !is_size(stat.count) {
        return foreign(format!("the set has size {}, not {SEMAPHORES}", stat.count));
    }
    if whose == Whose::Own && stat.uid != me {
        return of_another(stat.uid);
    }
    match sysv::sem_value(semid, MAGIC)? {
        SET_MAGIC => Ok(None),
        0 if stat.last_op == 0 => Ok(None),
        other => foreign(format!("the third semaphore of the set is {other}, not {SET_MAGIC}")),
    }
}

/// Returns whether a set of hotpool has so many semaphores.
const fn is_size(count: u32) -> bool {
    matches!(count, WITHOUT_PLACE | SEMAPHORES)
}

/// Returns the number of the place of the last pool; `None` if no start has noted it.
pub(super) fn place(key: Key) -> Option<u32> {
    let semid = sysv::sem_find(key).ok()??;
    sysv::sem_value(semid, PLACE).ok().filter(|place| *place != 0)
}

/// Notes the place of the pool, unless it is noted, or the set has no semaphore for it.
pub(super) fn note_place(semid: i32, place: u32) {
    if sysv::sem_value(semid, PLACE).is_ok_and(|noted| noted != place)
        && let Err(error) = sysv::sem_set(semid, PLACE, place as i32)
    {
        log::debug!("the place of the pool was not noted: {error}");
    }
}

/// Returns whether an error means that the set was removed.
pub(super) fn vanished(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL))
}
