//! Helpers for the tests of locks and queues: keys of their own, which are cleared even if a test
//! fails, and other processes.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

#[path = "../harness/own_keys.rs"]
mod own_keys;

use hotpool::conf::{QueueConf, QueueKind};
use hotpool::sync::LockConf;
use hotpool::units::{Bytes, Key};
use own_keys::own_keys;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key that no other process and no other test of this process uses. Dropping this value removes
/// the segment and the semaphores under it.
pub struct OwnKey(pub Key);

impl OwnKey {
    pub fn take() -> Self {
        let key = OwnKey(Key(own_keys(1)));
        key.remove();
        key
    }

    /// Removes the segment and the semaphores, even if a process uses them.
    pub fn remove(&self) {
        // SAFETY: integers only.
        let shmid = unsafe { libc::shmget(self.0.raw(), 0, 0) };
        if shmid != -1 {
            // SAFETY: IPC_RMID takes no buffer.
            unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) };
        }
        self.remove_semaphores();
    }

    /// Removes the semaphores, even if a process uses them.
    pub fn remove_semaphores(&self) {
        // SAFETY: integers only.
        let semid = unsafe { libc::semget(self.0.raw(), 0, 0) };
        if semid != -1 {
            // SAFETY: IPC_RMID takes no argument.
            unsafe { libc::semctl(semid, 0, libc::IPC_RMID) };
        }
    }
}

impl Drop for OwnKey {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A queue that belongs to one test.
pub struct Queue {
    pub conf: QueueConf,
    key: OwnKey,
}

impl Queue {
    /// Returns a queue for messages of eight bytes.
    pub fn new(kind: QueueKind, capacity: u32, writers: &[&str], readers: &[&str]) -> Self {
        Self::bytes(kind, capacity, 8, writers, readers)
    }

    pub fn bytes(kind: QueueKind, capacity: u32, bytes: u64, writers: &[&str], readers: &[&str]) -> Self {
        let key = OwnKey::take();
        let mut conf = QueueConf::new("test", key.0, kind, capacity, Bytes(bytes));
        conf.writers = writers.iter().map(|name| (*name).into()).collect();
        conf.readers = readers.iter().map(|name| (*name).into()).collect();
        Queue { conf, key }
    }

    /// Removes the queue, so that the next open creates a new one.
    pub fn renew(&self) {
        self.key.remove();
    }

    pub fn remove_semaphores(&self) {
        self.key.remove_semaphores();
    }
}

/// A lock that belongs to one test.
pub struct Lock {
    pub conf: LockConf,
    key: OwnKey,
}

impl Lock {
    pub fn new(members: &[&str]) -> Self {
        let key = OwnKey::take();
        Lock { conf: LockConf::new(key.0, members.iter().copied()), key }
    }

    pub fn renew(&self) {
        self.key.remove();
    }

    pub fn remove_semaphores(&self) {
        self.key.remove_semaphores();
    }
}

/// A forked child of this process, which has one thread. Dropping this value kills the child.
pub struct Other {
    pid: i32,
    status: Option<i32>,
}

impl Other {
    /// Runs `work` in a child.
    pub fn start(work: impl FnOnce()) -> Other {
        // SAFETY: the child runs `work` and ends. The tests that call this have one thread, or
        // `work` does only what the child of several threads may do.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                // SAFETY: leaves without running code that belongs to the parent.
                unsafe { libc::_exit(if result.is_ok() { 0 } else { 101 }) }
            }
            pid => Other { pid, status: None },
        }
    }

    pub fn pid(&self) -> u64 {
        self.pid as u64
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a child of this process that is not reaped yet.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Waits until the child has ended; returns its status.
    pub fn wait(&mut self) -> i32 {
        while self.status.is_none() {
            let mut status = 0;
            // SAFETY: a child of this process and a word for its status.
            if unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == self.pid {
                self.status = Some(status);
            }
        }
        self.status.unwrap_or(0)
    }

    /// Stops the child, and waits until it is stopped.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: as in `wait`.
        while unsafe { libc::waitpid(self.pid, &raw mut status, libc::WUNTRACED) } != self.pid {}
        assert!(libc::WIFSTOPPED(status), "status {status:#x}");
    }

    /// Returns whether the child has ended.
    pub fn is_over(&mut self) -> bool {
        if self.status.is_none() {
            let mut status = 0;
            // SAFETY: as in `wait`.
            let ended = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            self.status = (ended == self.pid).then_some(status);
        }
        self.status.is_some()
    }

    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }

    /// Waits until the child has ended, and fails unless it ended cleanly.
    #[track_caller]
    pub fn ends_well(&mut self) {
        assert_eq!(self.wait(), 0, "the other process failed");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.kill();
        }
    }
}

/// Returns words that all processes of a test share, zero at first.
pub fn board(words: usize) -> &'static [AtomicU64] {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: the kernel chooses a free address.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), words * 8, protection, flags, -1, 0) };
    assert!(page.addr() != usize::MAX, "mmap: {}", std::io::Error::last_os_error());
    // SAFETY: zeroed pages that are never unmapped.
    unsafe { std::slice::from_raw_parts(page.cast::<AtomicU64>(), words) }
}

/// Waits until a word has at least this value.
pub fn until(word: &AtomicU64, least: u64) {
    while word.load(Ordering::SeqCst) < least {
        std::thread::yield_now();
    }
}
