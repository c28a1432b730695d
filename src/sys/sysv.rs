//! System V shared memory and semaphores.
//!
//! # What the unsafe code here relies on
//!
//! The calls take integers, and pointers to local values, which outlive the call and have the C
//! library's types, or the kernel's if the Rust binding lacks one. `shmat` chooses the address
//! itself, so it never maps over anything. One [`Attached`] owns the mapping that it returns, and
//! detaches it once. `semctl` is variadic: each call passes the argument that its command is
//! documented to take, or none.
#![allow(unsafe_code)]

use crate::units::Key;
use std::io;
use std::ptr::NonNull;
use std::time::Duration;

/// Bit in a segment's mode that is set once it is removed; the segment stays until its last detach.
pub(crate) const SHM_DEST: u32 = 0o1000;

/// What IPC_STAT reports of a segment. Times are in seconds of the wall clock.
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

/// What IPC_STAT reports of a semaphore set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SemStat {
    pub(crate) uid: u32,
    pub(crate) count: u32,
    /// Time of the last successful operation in seconds of the wall clock; 0 if there was none.
    pub(crate) last_op: u64,
}

/// A segment in the address space of this process, which a drop detaches.
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
        // SAFETY: the address came from `shmat`, and this value is its only owner.
        unsafe { libc::shmdt(self.base.as_ptr().cast()) };
    }
}

/// Turns a result of -1 into the error that `errno` names.
fn checked(answer: i32) -> io::Result<i32> {
    match answer {
        -1 => Err(io::Error::last_os_error()),
        other => Ok(other),
    }
}

/// Turns the error ENOENT into `None`.
fn optional<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Returns the raw key, and an error for key 0.
///
/// Key 0 is IPC_PRIVATE: it finds nothing, and creates a segment that no process can find again.
fn named(key: Key) -> io::Result<i32> {
    match key.raw() {
        libc::IPC_PRIVATE => Err(io::Error::new(io::ErrorKind::InvalidInput, "key 0 names no segment")),
        raw => Ok(raw),
    }
}

/// Creates and removes a private segment and a private semaphore set.
///
/// # Errors
///
/// Returns the name of the call that was refused, and its error.
pub(crate) fn probe() -> Result<(), (&'static str, io::Error)> {
    // SAFETY: integers only; no other process can find a segment without a key.
    let shmid =
        checked(unsafe { libc::shmget(libc::IPC_PRIVATE, 1, 0o600) }).map_err(|error| ("shmget", error))?;
    shm_remove(shmid).map_err(|error| ("shmctl", error))?;
    // SAFETY: as above.
    let semid =
        checked(unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) }).map_err(|error| ("semget", error))?;
    sem_remove(semid).map_err(|error| ("semctl", error))
}

/// Returns the shmid of the segment under `key`.
pub(crate) fn shm_find(key: Key) -> io::Result<Option<i32>> {
    let key = named(key)?;
    // SAFETY: integers only.
    optional(checked(unsafe { libc::shmget(key, 0, 0) }))
}

/// Creates a segment; fails if the key is in use.
///
/// `huge` requests reserved pages of 2 MiB: the kernel rounds the mapping up to whole ones, and
/// reports the requested size by `IPC_STAT`.
pub(crate) fn shm_create(key: Key, bytes: u64, mode: u32, huge: bool) -> io::Result<i32> {
    // `SHM_HUGETLB | SHM_HUGE_2MB`, which the Rust binding lacks.
    const HUGE_2M: i32 = 0o4000 | 21 << 26;
    let key = named(key)?;
    let pages = if huge { HUGE_2M } else { 0 };
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | pages | (mode & 0o777) as i32;
    // SAFETY: integers only.
    checked(unsafe { libc::shmget(key, bytes as usize, flags) })
}

/// Returns what IPC_STAT reports of a segment.
pub(crate) fn shm_stat(shmid: i32) -> io::Result<ShmStat> {
    let mut ds = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: IPC_STAT fills a `shmid_ds`, the type of `ds`.
    checked(unsafe { libc::shmctl(shmid, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it was zeroed before the kernel filled it, and it consists of integers.
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
    NonNull::new(base.cast())
        .map(|base| Attached { base })
        .ok_or_else(|| io::Error::other("the segment was attached at address 0"))
}

/// Removes a segment; its mappings stay until they are detached.
pub(crate) fn shm_remove(shmid: i32) -> io::Result<()> {
    // SAFETY: IPC_RMID takes no buffer.
    checked(unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// Returns the semid of the semaphore set under `key`.
pub(crate) fn sem_find(key: Key) -> io::Result<Option<i32>> {
    let key = named(key)?;
    // SAFETY: integers only.
    optional(checked(unsafe { libc::semget(key, 0, 0) }))
}

/// Creates a semaphore set, all of it zero; fails if the key is in use.
pub(crate) fn sem_create(key: Key, count: i32, mode: u32) -> io::Result<i32> {
    let key = named(key)?;
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777) as i32;
    // SAFETY: integers only.
    checked(unsafe { libc::semget(key, count, flags) })
}

/// The kernel's `struct semid64_ds`, which IPC_STAT fills for a semaphore set.
///
/// Both C libraries pass it through; the Rust binding has it for only one of them.
#[repr(C)]
struct SemidDs {
    perm: libc::ipc_perm,
    otime: libc::time_t,
    /// Only x86-64 has padding after each time.
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

/// Returns what IPC_STAT reports of a semaphore set.
pub(crate) fn sem_stat(semid: i32) -> io::Result<SemStat> {
    let ds = sem_ds(semid)?;
    Ok(SemStat { uid: ds.perm.uid, count: ds.count as u32, last_op: ds.otime as u64 })
}

/// Makes another user the owner of a semaphore set.
#[cfg(test)]
pub(crate) fn sem_give(semid: i32, uid: u32) -> io::Result<()> {
    let mut ds = sem_ds(semid)?;
    ds.perm.uid = uid;
    // SAFETY: IPC_SET reads a `semid_ds`, the layout of `SemidDs`.
    checked(unsafe { libc::semctl(semid, 0, libc::IPC_SET, &raw mut ds) }).map(drop)
}

fn sem_ds(semid: i32) -> io::Result<SemidDs> {
    let mut ds = std::mem::MaybeUninit::<SemidDs>::zeroed();
    // SAFETY: IPC_STAT takes a pointer to a `semid_ds` and fills it; `SemidDs` has that layout.
    checked(unsafe { libc::semctl(semid, 0, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it was zeroed before the kernel filled it, and it consists of integers.
    Ok(unsafe { ds.assume_init() })
}

/// Returns the value of a semaphore.
pub(crate) fn sem_value(semid: i32, number: i32) -> io::Result<u32> {
    // SAFETY: GETVAL takes no argument.
    checked(unsafe { libc::semctl(semid, number, libc::GETVAL) }).map(|value| value as u32)
}

/// Returns the pid of the process that last changed a semaphore; 0 if this PID namespace does not
/// show it.
pub(crate) fn sem_pid(semid: i32, number: i32) -> io::Result<i32> {
    // SAFETY: GETPID takes no argument.
    checked(unsafe { libc::semctl(semid, number, libc::GETPID) })
}

/// Sets the value of a semaphore.
pub(crate) fn sem_set(semid: i32, number: i32, value: i32) -> io::Result<()> {
    // SAFETY: SETVAL takes an int.
    checked(unsafe { libc::semctl(semid, number, libc::SETVAL, value) }).map(drop)
}

/// Removes a semaphore set; processes that wait for it get EIDRM.
pub(crate) fn sem_remove(semid: i32) -> io::Result<()> {
    // SAFETY: IPC_RMID takes no argument.
    checked(unsafe { libc::semctl(semid, 0, libc::IPC_RMID) }).map(drop)
}

/// One step of a [`sem_op`]: the semaphore and the change, 0 to wait for zero.
///
/// The kernel undoes every change when the process ends.
pub(crate) type Step = (u16, i16);

/// Performs all of `steps` or none.
///
/// # Errors
///
/// Returns `EAGAIN` if the steps do not become possible within `wait`, and `EINTR` if a signal
/// interrupts a wait that is not zero.
pub(crate) fn sem_op(semid: i32, steps: &[Step], wait: Duration) -> io::Result<()> {
    let flag = |change: i16| if change == 0 { 0 } else { libc::SEM_UNDO as i16 };
    let mut ops: Vec<libc::sembuf> = steps
        .iter()
        .map(|&(number, change)| libc::sembuf { sem_num: number, sem_op: change, sem_flg: flag(change) })
        .collect();
    let at_once = wait.is_zero();
    let wait = libc::timespec {
        tv_sec: wait.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    loop {
        // The C library has a function for this call; its Rust binding lacks it on some targets.
        // SAFETY: `ops` has `ops.len()` operations, and `wait` is a timespec; both outlive the call.
        let answer = unsafe {
            libc::syscall(libc::SYS_semtimedop, semid, ops.as_mut_ptr(), ops.len(), &raw const wait)
        };
        match checked(answer as i32) {
            // A stop or a signal interrupts even a call that does not wait. A caller that waits
            // computes what is left of its time.
            Err(error) if at_once && error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer.map(drop),
        }
    }
}

/// Returns the effective user of this process.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: it takes no argument and cannot fail.
    unsafe { libc::geteuid() }
}

/// Returns the clock ticks per second, the unit of start times in `/proc`.
pub(crate) fn ticks_per_second() -> u64 {
    if cfg!(miri) {
        return 100;
    }
    // SAFETY: an integer.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|t| *t != 0).unwrap_or(100)
}
