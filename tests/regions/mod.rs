//! Helpers for the tests of regions: keys that are cleared at the end, and children that die.
#![allow(dead_code, unreachable_pub, reason = "each test uses only a part")]

#[path = "../harness/own_keys.rs"]
mod own_keys;

use hotpool::ShareMgr;
use hotpool::conf::BackendKind;
use hotpool::share::Home;
use hotpool::units::Key;
use own_keys::own_keys;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The backends whose memory other processes can reach.
pub const SHARED: [BackendKind; 3] = [BackendKind::Sysv, BackendKind::Posix, BackendKind::File];
pub const ALL: [BackendKind; 4] =
    [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap];

/// Two keys in a home of their own. Dropping this clears them, even if the test fails.
pub struct Bench {
    pub home: Home,
    pub keys: (Key, Key),
    pub shared: ShareMgr,
    /// A folder for files of the test.
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn of(backend: BackendKind) -> Bench {
        let first = own_keys(2);
        let dir = tempfile::tempdir().unwrap();
        let home = Home { backend, dir: dir.path().into() };
        let bench =
            Bench { shared: ShareMgr::new(home.clone()), home, keys: (Key(first), Key(first + 1)), dir };
        bench.clear();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the file of a segment; `None` if segments of the backend are not files.
    pub fn file_of(&self, key: Key) -> Option<PathBuf> {
        let folder = match self.home.backend {
            BackendKind::Posix => "/dev/shm".into(),
            BackendKind::File => self.home.dir.clone(),
            _ => return None,
        };
        Some(folder.join(format!("hotpool-{:08x}", key.0)))
    }

    /// Lists what exists under the keys: segments, semaphores, and drafts of files.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for key in [self.keys.0, self.keys.1] {
            // SAFETY: integers only.
            if unsafe { libc::shmget(key.raw(), 0, 0) } != -1 {
                found.push(format!("segment {key}"));
            }
            // SAFETY: integers only.
            if unsafe { libc::semget(key.raw(), 0, 0) } != -1 {
                found.push(format!("semaphores {key}"));
            }
            for folder in ["/dev/shm".into(), self.home.dir.clone()] {
                let name = format!("hotpool-{:08x}", key.0);
                let Ok(entries) = std::fs::read_dir(&folder) else { continue };
                let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
                found.extend(names.filter(|found| found.contains(&name)));
            }
        }
        found
    }

    /// Removes what exists under the keys.
    pub fn clear(&self) {
        for key in [self.keys.0, self.keys.1] {
            // SAFETY: integers only.
            let shmid = unsafe { libc::shmget(key.raw(), 0, 0) };
            if shmid != -1 {
                // SAFETY: this command takes no buffer, and the key belongs to this test.
                unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) };
            }
            // SAFETY: integers only.
            let semid = unsafe { libc::semget(key.raw(), 0, 0) };
            if semid != -1 {
                // SAFETY: integers only, and the key belongs to this test.
                unsafe { libc::semctl(semid, 0, libc::IPC_RMID) };
            }
            if let Some(path) = self.file_of(key) {
                let _ = std::fs::remove_file(path);
            }
        }
        if self.home.backend == BackendKind::Heap {
            let _ = self.shared.remove(self.keys);
        }
    }

    /// Returns the order that a child needs to reach the same region.
    pub fn order(&self, what: &str) -> String {
        format!("{what} {} {} {}", self.home.backend.name(), self.keys.0.0, self.dir.path().display())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.clear();
    }
}

pub const ROLE: &str = "HOTPOOL_TEST_REGION";

/// Returns the command that runs this test program with an order, for the test `serve` alone.
pub fn child(order: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "serve", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, order).stdin(Stdio::null());
    command
}

/// Runs a child and returns the signal that ended it, and what it printed.
pub fn end_of(order: &str) -> (Option<i32>, String) {
    let output = child(order).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.signal(), String::from_utf8_lossy(&said).into_owned())
}

/// Returns the order of this process in parts: the action, and the region.
pub fn order() -> Option<(String, ShareMgr, (Key, Key), PathBuf)> {
    let order = std::env::var(ROLE).ok()?;
    let words: Vec<&str> = order.splitn(4, ' ').collect();
    let backend = ALL.into_iter().find(|kind| kind.name() == words[1]).unwrap();
    let first: u32 = words[2].parse().unwrap();
    let dir = PathBuf::from(words[3]);
    let shared = ShareMgr::new(Home { backend, dir: dir.clone() });
    Some((words[0].into(), shared, (Key(first), Key(first + 1)), dir))
}
