//! Segment keys for one test. Everything under them is removed when the test ends, even if it
//! fails.

use super::own_keys::own_keys;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use std::time::{Duration, Instant};

/// The keys of a pool: the first for the base, the rest for blocks.
pub struct Keys {
    first: u32,
    count: u32,
}

impl Keys {
    /// Reserves keys that no other process and no other test of this process uses.
    pub fn take(count: u32) -> Self {
        let keys = Keys { first: own_keys(count), count };
        keys.remove();
        keys
    }

    /// Returns the key of the base.
    pub fn base(&self) -> Key {
        Key(self.first)
    }

    /// Returns the configuration of a pool with `blocks` blocks under these keys.
    pub fn conf(&self, backend: BackendKind, block_bytes: u64, blocks: u32) -> ProcessConf {
        assert!(blocks < self.count);
        let keys: Vec<Key> = (1..=blocks).map(|n| Key(self.first + n)).collect();
        let mut conf = ProcessConf::new("crash", self.base(), Bytes(block_bytes), &keys);
        conf.backend = backend;
        conf.owner_wait_ms = 2000;
        conf
    }

    /// Removes all segments and semaphores under these keys.
    pub fn remove(&self) {
        for key in self.first..self.first + self.count {
            remove_segment(Key(key));
        }
        remove_semaphores(self.base());
    }

    /// Checks that the kernel has released the lock and the mappings of a dead process.
    ///
    /// The lock is released when the process dies. Its mappings go with its memory. A reader of
    /// `/proc/<pid>/maps` or `smaps` keeps that memory alive longer than the process. Then no
    /// process has the segment in its maps, and the attach count falls when the reader is done. A
    /// tool that lists pools attaches segments for reading, and detaches them.
    ///
    /// A live process that can write to the segment is a violation at once. So is a segment that
    /// stays attached.
    pub fn are_let_go(&self) -> Result<(), String> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let began = Instant::now();
        loop {
            let left = self.left();
            let Err(Left::Attached(key)) = left else {
                return left.map_err(|left| left.to_string());
            };
            if let Some(pid) = process_with(key) {
                return Err(format!("the process {pid} has the segment {key} of a dead process attached"));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{} for {PATIENCE:?}, and no process has it", Left::Attached(key)));
            }
            std::thread::yield_now();
        }
    }

    /// Checks once whether a dead process still holds its lock or a mapping.
    fn left(&self) -> Result<(), Left> {
        // SAFETY: integers only.
        let semid = unsafe { libc::semget(self.first as i32, 0, 0) };
        // SAFETY: GETVAL takes no argument; it fails if the set does not exist.
        if semid != -1 && unsafe { libc::semctl(semid, 0, libc::GETVAL) } > 0 {
            return Err(Left::Locked);
        }
        for key in self.first..self.first + self.count {
            let Some(id) = shmid(Key(key)) else { continue };
            // SAFETY: all zero is a valid value of this struct.
            let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
            // SAFETY: IPC_STAT fills the record.
            unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
            if stat.shm_nattch != 0 {
                return Err(Left::Attached(Key(key)));
            }
        }
        Ok(())
    }

    /// Returns the keys that have a segment or a set of semaphores.
    pub fn in_use(&self) -> Vec<Key> {
        let all = (self.first..self.first + self.count).map(Key);
        // SAFETY: integers only.
        let set = unsafe { libc::semget(self.first as i32, 0, 0) } != -1;
        all.filter(|key| shmid(*key).is_some() || set && *key == self.base()).collect()
    }
}

/// What a dead process still holds.
enum Left {
    Locked,
    Attached(Key),
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Left::Locked => f.write_str("the lock of a dead process is held"),
            Left::Attached(key) => write!(f, "the segment {key} of a dead process is attached"),
        }
    }
}

/// Finds a process that can write to the segment under a key.
fn process_with(key: Key) -> Option<i32> {
    let id = shmid(key)?.to_string();
    let wanted = format!("/SYSV{:08x}", key.0);
    let pids = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // The inode of a System V mapping is the shmid.
    let is_it = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        line.contains(&wanted) && fields.get(1) == Some(&"rw-s") && fields.get(4) == Some(&id.as_str())
    };
    pids.into_iter().find(|pid| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        maps.lines().any(is_it)
    })
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Returns the shmid of the segment under a key.
pub fn shmid(key: Key) -> Option<i32> {
    // SAFETY: integers only.
    let id = unsafe { libc::shmget(key.raw(), 0, 0) };
    (id != -1).then_some(id)
}

/// Removes the semaphores under a key, if any.
pub fn remove_semaphores(key: Key) {
    // SAFETY: integers only.
    let semid = unsafe { libc::semget(key.raw(), 0, 0) };
    if semid != -1 {
        // SAFETY: IPC_RMID takes no argument.
        unsafe { libc::semctl(semid, 0, libc::IPC_RMID) };
    }
}

/// Removes the segment under a key, if any.
pub fn remove_segment(key: Key) {
    if let Some(id) = shmid(key) {
        // SAFETY: IPC_RMID takes no buffer.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
