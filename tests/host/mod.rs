//! Host settings that tests change and restore: the number of 2 MiB pages, and whether the kernel
//! may use transparent ones.
#![allow(dead_code, reason = "each test uses only a part")]

use super::skip::skipped;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) const HUGE: u64 = 2 << 20;
const RESERVED: &str = "/proc/sys/vm/nr_hugepages";
const FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
const SHMEM: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// The host's 2 MiB pages, held by one test of all processes. Declare a pool that uses them after
/// this value, so that the pool is gone when they are restored.
pub(crate) struct Host {
    restore: Vec<(&'static str, String)>,
    _file: File,
    _turn: MutexGuard<'static, ()>,
}

impl Host {
    pub(crate) fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = File::create(std::env::temp_dir().join("hotpool-test-host-pages")).unwrap();
        // SAFETY: an open descriptor.
        assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
        Host { restore: Vec::new(), _file: file, _turn: turn }
    }

    /// Returns the number of free pages.
    pub(crate) fn free(&self) -> u64 {
        fs::read_to_string(FREE).map_or(0, |text| text.trim().parse().unwrap())
    }

    /// Makes sure that `pages` pages of 2 MiB are free. Prints SKIPPED if that is impossible.
    pub(crate) fn reserve(&mut self, pages: u64) -> bool {
        let before = fs::read_to_string(RESERVED).unwrap();
        let wanted = before.trim().parse::<u64>().unwrap() + pages;
        if fs::write(RESERVED, wanted.to_string()).is_ok() {
            self.restore.push((RESERVED, before));
        }
        let enough = self.free() >= pages;
        if !enough {
            skipped(&format!(
                "{pages} pages of 2 MiB are not available; run as root: sysctl vm.nr_hugepages={wanted}"
            ));
        }
        enough
    }

    /// Allows the kernel to back shared memory with transparent 2 MiB pages on request. Prints
    /// SKIPPED if that is impossible.
    pub(crate) fn allow_transparent(&mut self) -> bool {
        let Some(before) =
            fs::read_to_string(SHMEM).ok().and_then(|text| text.split(['[', ']']).nth(1).map(str::to_owned))
        else {
            skipped(&format!("this kernel has no {SHMEM}"));
            return false;
        };
        let allowed = fs::write(SHMEM, "advise").is_ok();
        if allowed {
            self.restore.push((SHMEM, before));
        } else {
            skipped(&format!("run as root: echo advise > {SHMEM}"));
        }
        allowed
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for (path, before) in self.restore.drain(..).rev() {
            if let Err(error) = fs::write(path, before.trim()) {
                eprintln!("cannot restore {path} to {before}: {error}");
            }
        }
    }
}
