//! System V shared memory and semaphores.
//!
//! # What the unsafe code here relies on
//!
//! The calls take integers, and pointers to values of this file's own frames, which live
//! through the call and have the C library's types, or the kernel's where a binding lacks one. `shmat` chooses the address itself, so it
//! never maps over anything; what it returns is owned by one [`Attached`], which detaches it
//! once. `semctl` is variadic: each call passes the argument that its command is documented to take,
//! or none.
#![allow(unsafe_code)]

use crate::units::Key;
use std::io;
use std::ptr::NonNull;
use std::time::Duration;

/// Bit of a segment's mode: it is removed and lives on until its last detach.
pub(crate) const SHM_DEST: u32 = 0o1000;

/// What IPC_STAT says of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShmStat {
    pub(crate) bytes: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Permission bits and [`SHM_DEST`].
    pub(crate) mode: u32,
    pub(crate) creator_pid: i32,
    pub(crate) last_pid: i32,
    pub(crate) attached: u64,
    pub(crate) created: u64,
    pub(crate) last_attach: u64,
    pub(crate) last_detach: u64,
}

/// What IPC_STAT says of a set of semaphores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SemStat {
    pub(crate) uid: u32,
    pub(crate) count: u32,
    /// When an operation last succeeded; 0 if none has.
    pub(crate) last_op: u64,
}

/// A segment in the address space of this process; detached on drop.
#[derive(Debug)]
pub(crate) struct Attached {
    base: NonNull<u8>,
}

impl Attached {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: the address came from `shmat` and this value is its one owner.
        unsafe { libc::shmdt(self.base.as_ptr().cast()) };
    }
}

/// An answer of -1 as the error it stands for.
fn checked(answer: i32) -> io::Result<i32> {
    match answer {
        -1 => Err(io::Error::last_os_error()),
        other => Ok(other),
    }
}

/// An answer of ENOENT as `None`.
fn optional<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Key 0 is IPC_PRIVATE: it finds nothing and makes something nobody finds again.
fn named(key: Key) -> io::Result<i32> {
    match key.raw() {
        libc::IPC_PRIVATE => Err(io::Error::new(io::ErrorKind::InvalidInput, "key 0 names nothing")),
        raw => Ok(raw),
    }
}

/// Makes a private segment and a private set of semaphores and removes them again: the call that was refused, and its
/// answer.
pub(crate) fn probe() -> Result<(), (&'static str, io::Error)> {
    // SAFETY: integers only; nobody else finds what has no key.
    let shmid =
        checked(unsafe { libc::shmget(libc::IPC_PRIVATE, 1, 0o600) }).map_err(|error| ("shmget", error))?;
    shm_remove(shmid).map_err(|error| ("shmctl", error))?;
    // SAFETY: as above.
    let semid =
        checked(unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) }).map_err(|error| ("semget", error))?;
    sem_remove(semid).map_err(|error| ("semctl", error))
}

/// The segment under `key`.
pub(crate) fn shm_find(key: Key) -> io::Result<Option<i32>> {
    let key = named(key)?;
    // SAFETY: integers only.
    optional(checked(unsafe { libc::shmget(key, 0, 0) }))
}

/// Makes a segment; fails if there is one. `huge` asks for reserved pages of 2 MiB: the kernel rounds the mapping up to
/// whole ones, and answers to `IPC_STAT` with the size that was asked for.
pub(crate) fn shm_create(key: Key, bytes: u64, mode: u32, huge: bool) -> io::Result<i32> {
    // `SHM_HUGETLB` and `SHM_HUGE_2MB`, which the Rust binding does not have.
    const HUGE_2M: i32 = 0o4000 | 21 << 26;
    let key = named(key)?;
    let pages = if huge { HUGE_2M } else { 0 };
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | pages | (mode & 0o777) as i32;
    // SAFETY: integers only.
    checked(unsafe { libc::shmget(key, bytes as usize, flags) })
}

/// Facts of a segment.
pub(crate) fn shm_stat(shmid: i32) -> io::Result<ShmStat> {
    let mut ds = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: IPC_STAT fills a `shmid_ds`, and `ds` is one.
    checked(unsafe { libc::shmctl(shmid, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it was zeroed before the kernel filled it, and it is made of integers.
    let ds = unsafe { ds.assume_init() };
    Ok(ShmStat {
        bytes: ds.shm_segsz as u64,
        uid: ds.shm_perm.uid,
        gid: ds.shm_perm.gid,
        mode: u32::from(ds.shm_perm.mode),
        creator_pid: ds.shm_cpid,
        last_pid: ds.shm_lpid,
        attached: ds.shm_nattch,
        created: ds.shm_ctime as u64,
        last_attach: ds.shm_atime as u64,
        last_detach: ds.shm_dtime as u64,
    })
}

/// Attaches a segment.
pub(crate) fn shm_attach(shmid: i32, writable: bool) -> io::Result<Attached> {
    let flags = if writable { 0 } else { libc::SHM_RDONLY };
    // SAFETY: without an address the kernel chooses a free one.
    let base = unsafe { libc::shmat(shmid, std::ptr::null(), flags) };
    if base.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).map(|base| Attached { base }).ok_or_else(|| io::Error::other("mapped at 0"))
}

/// Removes a segment; what is attached stays until it is detached.
pub(crate) fn shm_remove(shmid: i32) -> io::Result<()> {
    // SAFETY: IPC_RMID takes no buffer.
    checked(unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// The set of semaphores under `key`.
pub(crate) fn sem_find(key: Key) -> io::Result<Option<i32>> {
    let key = named(key)?;
    // SAFETY: integers only.
    optional(checked(unsafe { libc::semget(key, 0, 0) }))
}

/// Makes a set of semaphores, all of them zero; fails if there is one.
pub(crate) fn sem_create(key: Key, count: i32, mode: u32) -> io::Result<i32> {
    let key = named(key)?;
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777) as i32;
    // SAFETY: integers only.
    checked(unsafe { libc::semget(key, count, flags) })
}

/// What `IPC_STAT` fills for a set of semaphores: `struct semid64_ds` of the kernel, which both C libraries pass
/// through. The Rust binding has it for one of the two.
#[repr(C)]
struct SemidDs {
    perm: libc::ipc_perm,
    otime: libc::time_t,
    /// Only x86-64 has room behind each time.
    #[cfg(target_arch = "x86_64")]
    _otime_high: u64,
    ctime: libc::time_t,
    #[cfg(target_arch = "x86_64")]
    _ctime_high: u64,
    count: u64,
    _unused: [u64; 2],
}

const _: () = assert!(size_of::<SemidDs>() == if cfg!(target_arch = "x86_64") { 104 } else { 88 });
#[cfg(target_env = "gnu")]
const _: () = {
    use libc::semid_ds;
    use std::mem::offset_of;
    assert!(size_of::<SemidDs>() == size_of::<semid_ds>());
    assert!(offset_of!(SemidDs, perm) == offset_of!(semid_ds, sem_perm));
    assert!(offset_of!(SemidDs, otime) == offset_of!(semid_ds, sem_otime));
    assert!(offset_of!(SemidDs, ctime) == offset_of!(semid_ds, sem_ctime));
    assert!(offset_of!(SemidDs, count) == offset_of!(semid_ds, sem_nsems));
};

/// Facts of a set.
pub(crate) fn sem_stat(semid: i32) -> io::Result<SemStat> {
    let ds = sem_ds(semid)?;
    Ok(SemStat { uid: ds.perm.uid, count: ds.count as u32, last_op: ds.otime as u64 })
}

/// Gives a set to another user.
#[cfg(test)]
pub(crate) fn sem_give(semid: i32, uid: u32) -> io::Result<()> {
    let mut ds = sem_ds(semid)?;
    ds.perm.uid = uid;
    // SAFETY: IPC_SET reads a `semid_ds`; `SemidDs` is one.
    checked(unsafe { libc::semctl(semid, 0, libc::IPC_SET, &raw mut ds) }).map(drop)
}

fn sem_ds(semid: i32) -> io::Result<SemidDs> {
    let mut ds = std::mem::MaybeUninit::<SemidDs>::zeroed();
    // SAFETY: IPC_STAT takes a pointer to a `semid_ds` and fills it; `SemidDs` is one.
    checked(unsafe { libc::semctl(semid, 0, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it was zeroed before the kernel filled it, and it is made of integers.
    Ok(unsafe { ds.assume_init() })
}

/// Value of a semaphore.
pub(crate) fn sem_value(semid: i32, number: i32) -> io::Result<u32> {
    // SAFETY: GETVAL takes no argument.
    checked(unsafe { libc::semctl(semid, number, libc::GETVAL) }).map(|value| value as u32)
}

/// Process that last changed a semaphore; 0 if this PID namespace does not show it.
pub(crate) fn sem_pid(semid: i32, number: i32) -> io::Result<i32> {
    // SAFETY: GETPID takes no argument.
    checked(unsafe { libc::semctl(semid, number, libc::GETPID) })
}

/// Sets a semaphore.
pub(crate) fn sem_set(semid: i32, number: i32, value: i32) -> io::Result<()> {
    // SAFETY: SETVAL takes an int.
    checked(unsafe { libc::semctl(semid, number, libc::SETVAL, value) }).map(drop)
}

/// Removes a set; whoever waits for it is told EIDRM.
pub(crate) fn sem_remove(semid: i32) -> io::Result<()> {
    // SAFETY: IPC_RMID takes no argument.
    checked(unsafe { libc::semctl(semid, 0, libc::IPC_RMID) }).map(drop)
}

/// One step of a [`sem_op`]: semaphore and change, 0 to wait for zero. The kernel undoes every
/// change when the process ends.
pub(crate) type Step = (u16, i16);

/// Does all of `steps` or none; waits up to `wait` for it to be possible, `EAGAIN` after that.
pub(crate) fn sem_op(semid: i32, steps: &[Step], wait: Duration) -> io::Result<()> {
    let flag = |change: i16| if change == 0 { 0 } else { libc::SEM_UNDO as i16 };
    let mut ops: Vec<libc::sembuf> = steps
        .iter()
        .map(|&(number, change)| libc::sembuf { sem_num: number, sem_op: change, sem_flg: flag(change) })
        .collect();
    let wait = libc::timespec {
        tv_sec: wait.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    // The C library has a function for it, its Rust binding has not on every target.
    // SAFETY: `ops` is `ops.len()` operations and `wait` a timespec; both outlive the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_semtimedop, semid, ops.as_mut_ptr(), ops.len(), &raw const wait) };
    checked(answer as i32).map(drop)
}

/// User whose rights this process has.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Clock ticks a second, the unit of start times in `/proc`.
pub(crate) fn ticks_per_second() -> u64 {
    if cfg!(miri) {
        return 100;
    }
    // SAFETY: it takes an integer.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|t| *t != 0).unwrap_or(100)
}
