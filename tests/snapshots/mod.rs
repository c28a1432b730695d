//! A pool that is saved and restored, in a place of its own that is cleared at the end.
#![allow(dead_code, unreachable_pub, reason = "each test uses only a part")]

pub mod kills;
pub mod places;

use super::harness::keys::Keys;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{Home, remove_pool};
use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
use std::path::{Path, PathBuf};

/// The backends that outlive a process.
pub const SHARED: [BackendKind; 3] = [BackendKind::Sysv, BackendKind::Posix, BackendKind::File];

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
pub struct Item {
    pub value: u64,
    pub rest: [u64; 60],
}

/// Objects of the pool.
const ITEMS: u64 = 3000;

/// A pool's configuration with keys and folders of its own.
pub struct Bench {
    pub keys: Keys,
    pub conf: ProcessConf,
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new(backend: BackendKind) -> Self {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf(&keys, backend, dir.path());
        std::fs::create_dir(dir.path().join("pool")).unwrap();
        Bench { keys, conf, dir }
    }

    /// Returns the folder of the sets.
    pub fn shelf(&self) -> PathBuf {
        self.dir.path().join("sets")
    }

    pub fn home(&self) -> Home {
        Home::of(&self.conf)
    }

    /// Creates the pool and closes it.
    pub fn fill(&self) {
        let mut pool = MemoryPoolMgr::open(&self.conf).unwrap();
        pool.add_type::<Item>().unwrap();
        for value in 0..ITEMS {
            pool.alloc_keyed(value, Item { value, rest: [value; 60] }).unwrap();
        }
        pool.ready().unwrap();
        pool.close().unwrap();
    }

    pub fn check(&self) {
        check(&self.conf);
    }

    pub fn destroy(&self) {
        destroy(&self.conf);
    }

    /// Returns what is left of the pool: segments, semaphores and files.
    pub fn left(&self) -> Vec<String> {
        let mut left: Vec<String> = self.keys.in_use().iter().map(ToString::to_string).collect();
        let names = |dir: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(dir).unwrap().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        left.extend(names(&self.dir.path().join("pool")));
        let own = |name: &String| {
            let keys = std::iter::once(&self.conf.base_key).chain(&self.conf.shm_keys);
            keys.into_iter().any(|key| name.contains(&format!("{:08x}", key.0)))
        };
        left.extend(names(Path::new("/dev/shm")).into_iter().filter(own));
        left
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = remove_pool(self.conf.base_key, &self.home(), false);
    }
}

/// Returns the configuration of a bench, which its child processes have, too.
fn conf(keys: &Keys, backend: BackendKind, dir: &Path) -> ProcessConf {
    let mut conf = keys.conf(backend, 512 << 10, 4);
    if backend == BackendKind::File {
        conf.dir = dir.join("pool");
    }
    conf
}

/// Resumes the pool and checks every object. Ends as if its owner had died.
fn check(conf: &ProcessConf) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    pool.add_type::<Item>().unwrap();
    assert_eq!(pool.len::<Item>() as u64, ITEMS);
    for value in 0..ITEMS {
        let id = pool.find::<Item>(value).unwrap();
        assert_eq!(pool.get(id), Some(&Item { value, rest: [value; 60] }));
    }
    let report = pool.verify();
    assert!(report.is_sound(), "{report:?}");
}

fn destroy(conf: &ProcessConf) {
    MemoryPoolMgr::open(conf).unwrap().destroy().unwrap();
}
