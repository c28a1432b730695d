//! Keys of a test's own, and what is under them removed when the test ends, also when it fails.

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::{Bytes, Key};
use std::sync::atomic::{AtomicU32, Ordering};

/// Keys of a pool, one for the base and the rest for blocks.
pub struct Keys {
    first: u32,
    count: u32,
}

impl Keys {
    /// Keys that no other process and no other test of this one has.
    pub fn take(count: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let first = NEXT.fetch_add(count, Ordering::Relaxed);
        assert!(first + count <= 0x1000, "a test process has 4096 keys");
        let keys = Keys { first: 0x7f00_0000 | (std::process::id() & 0xfff) << 12 | first, count };
        keys.remove();
        keys
    }

    /// Key of the base.
    pub fn base(&self) -> Key {
        Key(self.first)
    }

    /// A pool of `blocks` blocks under these keys.
    pub fn conf(&self, backend: BackendKind, block_bytes: u64, blocks: u32) -> ProcessConf {
        assert!(blocks < self.count);
        let keys: Vec<Key> = (1..=blocks).map(|n| Key(self.first + n)).collect();
        let mut conf = ProcessConf::new("crash", self.base(), Bytes(block_bytes), &keys);
        conf.backend = backend;
        conf.owner_wait_ms = 2000;
        conf
    }

    /// Removes the segments and semaphores that are there.
    pub fn remove(&self) {
        for key in self.first..self.first + self.count {
            remove_segment(Key(key));
        }
        // SAFETY: integers only.
        let semid = unsafe { libc::semget(self.first as i32, 0, 0) };
        if semid != -1 {
            // SAFETY: IPC_RMID takes no argument.
            unsafe { libc::semctl(semid, 0, libc::IPC_RMID) };
        }
    }

    /// Whether the kernel has undone what the dead process held: its lock and its mappings.
    pub fn are_let_go(&self) -> Result<(), String> {
        // SAFETY: integers only.
        let semid = unsafe { libc::semget(self.first as i32, 0, 0) };
        // SAFETY: GETVAL takes no argument; without a set it fails.
        if semid != -1 && unsafe { libc::semctl(semid, 0, libc::GETVAL) } > 0 {
            return Err("the lock of a dead process is held".into());
        }
        for key in self.first..self.first + self.count {
            let Some(id) = shmid(Key(key)) else { continue };
            // SAFETY: all zero is a value of it.
            let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
            // SAFETY: IPC_STAT fills the record.
            unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
            if stat.shm_nattch != 0 {
                return Err(format!("the segment {} of a dead process is attached", Key(key)));
            }
        }
        Ok(())
    }

    /// Keys under which there is a segment or a set of semaphores.
    pub fn in_use(&self) -> Vec<Key> {
        let all = (self.first..self.first + self.count).map(Key);
        // SAFETY: integers only.
        let set = unsafe { libc::semget(self.first as i32, 0, 0) } != -1;
        all.filter(|key| shmid(*key).is_some() || set && *key == self.base()).collect()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Number of the segment under a key.
pub fn shmid(key: Key) -> Option<i32> {
    // SAFETY: integers only.
    let id = unsafe { libc::shmget(key.raw(), 0, 0) };
    (id != -1).then_some(id)
}

/// Removes the segment under a key, if there is one.
pub fn remove_segment(key: Key) {
    if let Some(id) = shmid(key) {
        // SAFETY: IPC_RMID takes no buffer.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
