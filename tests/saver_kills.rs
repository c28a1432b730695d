//! SIGKILL at random moments while a running pool writes snapshots, and while a start restores one
//! (docs/snapshots.md).
//!
//! A child starts a pool, gives all objects a new value in each tick, and takes one snapshot after the
//! other. After each kill every set is whole, the latest is not older than before, and the pool is
//! sound. After every third kill the segments go, as in a reboot: the next start restores the latest
//! set, in which all objects have one value. `HOTPOOL_SAVER_KILLS=500` sets the number of kills.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
mod kills {
    use super::harness::keys::Keys;
    use hotpool::conf::{BackendKind, OnMissing, ProcessConf, SnapshotConf};
    use hotpool::pool::{Budget, SnapshotStep};
    use hotpool::share::{Home, observe};
    use hotpool::snapshot::{Chain, list};
    use hotpool::units::{Bytes, Key};
    use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command};
    use std::time::{Duration, SystemTime};

    const CHILD: &str = "HOTPOOL_SAVER_CHILD";
    /// A release build has large sets, so that most kills come while one is written.
    const OBJECTS: u64 = if cfg!(debug_assertions) { 3000 } else { 60_000 };
    const BLOCK: u64 = if cfg!(debug_assertions) { 1 << 20 } else { 8 << 20 };

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, keyed)]
    struct Item {
        value: u64,
        rest: [u64; 31],
    }

    fn conf(first: Key, shelf: &Path) -> ProcessConf {
        let keys: Vec<Key> = (1..4).map(|n| Key(first.0 + n)).collect();
        let snapshots = SnapshotConf { on_missing: OnMissing::Restore, ..SnapshotConf::into_dir(shelf) };
        let conf = ProcessConf::new("killed", first, Bytes(BLOCK), &keys).backend(BackendKind::Sysv);
        conf.owner_wait_ms(5000).snapshots(snapshots)
    }

    /// Runs the game until it is killed, if this process is a child.
    pub(crate) fn child() -> bool {
        let Ok(words) = std::env::var(CHILD) else { return false };
        let (key, shelf) = words.split_once(' ').unwrap();
        let mut pool = MemoryPoolMgr::open(&conf(Key(key.parse().unwrap()), Path::new(shelf))).unwrap();
        pool.add_type::<Item>().unwrap();
        for key in pool.len::<Item>() as u64..OBJECTS {
            pool.force_get(key, Item { value: 0, rest: [0; 31] }).unwrap();
        }
        pool.ready().unwrap();
        loop {
            let next = pool.iter::<Item>().map(|(_, item)| item.value).max().unwrap() + 1;
            pool.for_each::<Item>(|_, item| item.value = next);
            match pool.snapshot_step(Budget::Bytes(128 << 10)).unwrap() {
                SnapshotStep::Idle | SnapshotStep::Whole(_) => pool.snapshot_begin().unwrap(),
                _ => {}
            }
        }
    }

    fn spawn(key: Key, shelf: &Path) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(CHILD, format!("{} {}", key.0, shelf.display())).spawn().unwrap()
    }

    /// Checks every set, and returns when the latest was taken; 0 if there is none.
    fn check_sets(shelf: &Path) -> u64 {
        let found = list(shelf).unwrap();
        for set in &found {
            let chain = Chain::open(&set.path).unwrap_or_else(|error| panic!("{error}"));
            chain.verify(|_| {}).unwrap();
        }
        found.last().map_or(0, |set| set.info.as_ref().unwrap().taken_ns)
    }

    fn drafts_in(shelf: &Path) -> Vec<PathBuf> {
        let paths = std::fs::read_dir(shelf).unwrap().map(|entry| entry.unwrap().path());
        let is_draft = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".making-");
        paths.filter(is_draft).collect()
    }

    /// Opens the pool in this process, checks it, and leaves it.
    fn check_pool(conf: &ProcessConf, is_rebooted: bool) -> bool {
        let latest = list(&conf.snapshots.dir).unwrap().pop();
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        pool.add_type::<Item>().unwrap();
        let report = pool.verify();
        assert!(report.is_sound(), "{report:?}");
        let restored = pool.resume_report().restored.clone();
        if is_rebooted {
            let of = restored.as_ref().map(|from| from.set.clone());
            assert_eq!(of, latest.map(|set| set.path), "the latest set is restored");
        } else {
            assert_eq!(restored, None, "nothing is restored over a pool");
        }
        if restored.is_some() {
            assert_eq!(pool.start_mode(), StartMode::Resume);
            let values: Vec<u64> = pool.iter::<Item>().map(|(_, item)| item.value).collect();
            assert_eq!(values.len() as u64, OBJECTS);
            assert!(
                values.iter().all(|value| *value == values[0]),
                "the set was not taken between two ticks"
            );
            (0..OBJECTS).for_each(|key| assert!(pool.get_by_key::<Item>(key).is_some(), "key {key}"));
        }
        restored.is_some()
    }

    pub(crate) fn run(kills: u32) {
        let (keys, shelf) = (Keys::take(8), tempfile::tempdir_in("/dev/shm").unwrap());
        let (shelf, conf) = (shelf.path(), conf(keys.base(), shelf.path()));
        let (mut latest, mut restores, mut drafts) = (0, 0, 0);
        for kill in 0..kills {
            let mut child = spawn(keys.base(), shelf);
            // The first ones live long enough to leave a set.
            let most = if kill < 3 { 1500 } else { 400 };
            std::thread::sleep(Duration::from_micros(fastrand::u64(..most * 1000)));
            child.kill().unwrap();
            child.wait().unwrap();
            // A reader of its `/proc` entries may keep its memory for a moment.
            keys.are_let_go().unwrap();
            let now = check_sets(shelf);
            assert!(now >= latest, "kill {kill}: the latest set is gone");
            latest = now;
            drafts += drafts_in(shelf).len();
            if kill % 3 == 2 {
                keys.remove();
                // A tool that lists all pools may have one of them for a moment longer.
                keys.are_let_go().unwrap();
                // Half of these reboots are for the next child, which may be killed while it restores.
                if kill % 2 == 0 {
                    continue;
                }
                restores += u32::from(check_pool(&conf, true));
            } else if latest != 0 && kill % 2 == 0 {
                // A killed restore leaves a draft, which is no pool.
                let facts = observe(keys.base(), &Home::of(&conf)).unwrap();
                let is_pool = facts.head().is_some_and(|head| head.is_hotpool() && !head.is_incomplete());
                check_pool(&conf, !is_pool);
            }
        }
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Item>().unwrap();
        pool.snapshot_begin().unwrap();
        pool.snapshot_finish().unwrap();
        // A writer that was killed before it locked its draft looks like one that is about to: its
        // draft goes after a minute.
        for draft in drafts_in(shelf) {
            assert!(!draft.join("lock").exists(), "{} is left", draft.display());
            let minute_ago = SystemTime::now() - Duration::from_secs(61);
            std::fs::File::open(draft).unwrap().set_modified(minute_ago).unwrap();
        }
        pool.snapshot_begin().unwrap();
        pool.snapshot_finish().unwrap();
        assert_eq!(std::fs::read_dir(shelf).unwrap().count(), list(shelf).unwrap().len(), "a draft is left");
        pool.destroy().unwrap();
        println!("{kills} kills: {drafts} drafts, {restores} restores",);
        assert!(kills < 20 || restores != 0 && drafts != 0, "no kill met a draft, or no set was restored");
    }
}

#[cfg(target_arch = "x86_64")]
fn main() {
    if kills::child() {
        return;
    }
    let kills = std::env::var("HOTPOOL_SAVER_KILLS").ok().and_then(|kills| kills.parse().ok());
    kills::run(kills.unwrap_or(30));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the harness is written for x86-64");
}
