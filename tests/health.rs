//! A running owner notices when its segments or semaphores are removed by `ipcrm`.

#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::share::{Home, Loss, remove_pool};
use hotpool::units::{Bytes, Key};
use own_keys::own_keys;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A pool of a test; removes everything that is left of it.
struct Site(ProcessConf);

impl Site {
    fn new() -> Self {
        let base = own_keys(16);
        Site(ProcessConf::new("zone", Key(base), Bytes(64 << 10), &[Key(base + 1), Key(base + 2)]))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(self.0.base_key, &Home::sysv(), false));
        for key in self.0.shm_keys.iter().chain([&self.0.base_key]) {
            drop(Command::new("ipcrm").arg("-M").arg(key.to_string()).output());
        }
        drop(Command::new("ipcrm").arg("-S").arg(self.0.base_key.to_string()).output());
    }
}

fn ipcrm(what: &str, key: Key) {
    assert!(Command::new("ipcrm").arg(what).arg(key.to_string()).status().unwrap().success());
}

#[test]
fn an_untouched_pool_is_good() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    assert!(pool.health().is_good());
    assert_eq!(pool.health().to_string(), "good");
    drop(pool);
    assert!(MemoryPoolMgr::open(&site.0).unwrap().health().is_good(), "a resumed pool is good, too");
}

#[test]
fn what_the_program_watches_is_part_of_the_health() {
    let site = Site::new();
    let mut pool = MemoryPoolMgr::open(&site.0).unwrap();
    let lost = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&lost);
    pool.also_watch(move || seen.load(Ordering::Relaxed).then(|| "host b has the pool; stop".to_string()));
    pool.also_watch(|| None);
    assert!(pool.health().is_good());
    lost.store(true, Ordering::Relaxed);
    let health = pool.health();
    assert_eq!(health.losses, [Loss::Watched { why: "host b has the pool; stop".into() }]);
    assert!(!health.is_good() && !health.objects_at_risk());
    assert_eq!(health.to_string(), "host b has the pool; stop");
    lost.store(false, Ordering::Relaxed);
    assert!(pool.health().is_good());
}

#[test]
fn a_removed_segment_is_noticed_and_named() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    let [_, second] = site.0.shm_keys[..] else { panic!() };
    ipcrm("-M", second);
    assert_eq!(pool.health().losses, [Loss::SegmentRemoved { key: second }]);
    ipcrm("-M", site.0.base_key);
    let health = pool.health();
    let base = Loss::SegmentRemoved { key: site.0.base_key };
    assert_eq!(health.losses, [base, Loss::SegmentRemoved { key: second }]);
    assert!(health.objects_at_risk());
    assert!(health.to_string().contains("save what you need now"), "{health}");
}

/// Simulates `unshare(CLONE_SYSVSEM)`, after which the kernel undoes what the process did to the
/// semaphores.
#[test]
fn a_lock_that_the_kernel_released_is_noticed() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    assert!(pool.health().is_good());
    // SAFETY: integers only.
    let semid = unsafe { libc::semget(site.0.base_key.raw(), 0, 0) };
    // SAFETY: SETVAL takes an int.
    assert_eq!(unsafe { libc::semctl(semid, 0, libc::SETVAL, 0) }, 0);
    assert_eq!(pool.health().losses, [Loss::LockReleased { key: site.0.base_key }]);
}

#[test]
fn removed_semaphores_are_noticed_and_cost_no_objects() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    ipcrm("-S", site.0.base_key);
    let health = pool.health();
    assert_eq!(health.losses, [Loss::SemaphoresRemoved { key: site.0.base_key }]);
    assert!(!health.objects_at_risk());

    // A start in this process is now refused before it creates new semaphores.
    let mut rival = site.0.clone();
    rival.owner_wait_ms = 0;
    let rival = std::thread::spawn(move || MemoryPoolMgr::open(&rival).map(drop).unwrap_err().to_string());
    let refusal = rival.join().unwrap();
    assert!(refusal.contains("it opens the pool twice"), "{refusal}");
    assert!(!pool.health().is_good());
}

#[test]
fn another_segment_under_the_key_is_noticed() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    let block = site.0.shm_keys[0];
    ipcrm("-M", block);
    // Another program gets the key.
    // SAFETY: integers only.
    let other = unsafe { libc::shmget(block.raw(), 4096, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert_ne!(other, -1);
    let health = pool.health();
    assert_eq!(health.losses, [Loss::SegmentReplaced { key: block }]);
    assert!(health.objects_at_risk());
}
