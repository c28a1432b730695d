//! The thread that writes the snapshots of a running pool panics or hangs: the pool goes on, its health
//! says so, and a later snapshot works.
//!
//! Both come from outside, as they would in a program. The logger of the program panics, which the
//! thread calls, too. And a file that the thread opens is a pipe that nobody writes to.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
mod tests {
    use super::harness::image;
    use super::harness::imaging::Bytes;
    use super::harness::keys::Keys;
    use hotpool::conf::{BackendKind, ProcessConf, SnapshotConf};
    use hotpool::pool::{Budget, SnapshotError, SnapshotStep};
    use hotpool::snapshot::{Chain, list};
    use hotpool::{MemoryPoolMgr, PoolObject};
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::{Mutex, Once, PoisonError};
    use std::time::{Duration, Instant};

    /// Most time of anything that these tests wait for.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// What the message of the panics is.
    const PLANNED: &str = "a planned panic of the logger";

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1)]
    struct Item {
        value: u64,
        rest: [u64; 511],
    }

    impl Item {
        fn new(value: u64) -> Self {
            Item { value, rest: [value; 511] }
        }
    }

    /// The beginning of the message at which the logger panics next, in the thread that writes.
    static PANICS_AT: Mutex<Option<&str>> = Mutex::new(None);

    /// A logger that panics as planned.
    struct Logger;

    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            if std::thread::current().name() != Some("hotpool-saver") {
                return;
            }
            let message = record.args().to_string();
            let is_planned = {
                let mut at = PANICS_AT.lock().unwrap_or_else(PoisonError::into_inner);
                at.take_if(|at| message.contains(*at)).is_some()
            };
            assert!(!is_planned, "{PLANNED}");
        }

        fn flush(&self) {}
    }

    fn panics_at(message: &'static str) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Logger).unwrap();
            log::set_max_level(log::LevelFilter::Debug);
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |what| {
                if !what.to_string().contains(PLANNED) {
                    hook(what);
                }
            }));
        });
        *PANICS_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }

    fn conf(keys: &Keys, shelf: &Path, block: u64) -> ProcessConf {
        keys.conf(BackendKind::Heap, block, 3).snapshots(SnapshotConf::into_dir(shelf))
    }

    fn shelf() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").unwrap()
    }

    /// Plays until the snapshot is whole or has failed.
    fn finish(pool: &mut MemoryPoolMgr) -> Result<PathBuf, SnapshotError> {
        let began = Instant::now();
        loop {
            pool.alloc(Item::new(7)).unwrap();
            match pool.snapshot_step(Budget::Bytes(1))? {
                SnapshotStep::Whole(path) => return Ok(path),
                SnapshotStep::Idle => panic!("the snapshot is gone"),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
            assert!(began.elapsed() < PATIENCE);
        }
    }

    /// Takes a snapshot, and checks that it is the pool at its beginning.
    fn assert_next_works(pool: &mut MemoryPoolMgr, conf: &ProcessConf) {
        let segments = image::find_heap(conf);
        let expected = Bytes::of(&segments);
        pool.snapshot_begin().unwrap();
        let set = finish(pool).unwrap();
        let same = Bytes::of_set(&set, &segments).compare(&expected);
        assert!(same.is_ok(), "{}", same.unwrap_err());
        assert!(pool.health().is_good(), "{}", pool.health());
        assert!(pool.verify().is_sound());
    }

    /// Checks that only sets are in a folder, and that all of them are whole; returns their number.
    fn sets(shelf: &Path) -> usize {
        let found = list(shelf).unwrap();
        assert_eq!(fs::read_dir(shelf).unwrap().count(), found.len(), "a draft is left");
        for set in &found {
            Chain::open(&set.path).unwrap().verify(|_| ()).unwrap();
        }
        found.len()
    }

    #[test]
    fn a_panic_costs_a_snapshot_and_no_more() {
        // Before there is a draft, with a complete one, and after the set has its name.
        for (at, more) in [("panics: writes a", 0), ("panics: syncs the", 0), ("panics: wrote the", 1)] {
            let (keys, shelf) = (Keys::take(8), shelf());
            let mut conf = conf(&keys, shelf.path(), 4 << 20);
            // The other tests have the same logger.
            conf.name = "panics".into();
            let mut pool = MemoryPoolMgr::open(&conf).unwrap();
            pool.add_type::<Item>().unwrap();
            let one = pool.alloc(Item::new(1)).unwrap();
            for round in 1..3 {
                assert_next_works(&mut pool, &conf);
                let whole = sets(shelf.path());
                pool.get_mut(one).unwrap().value += 1;
                panics_at(at);
                pool.snapshot_begin().unwrap();
                let error = finish(&mut pool).unwrap_err();
                assert!(matches!(error, SnapshotError::Died { .. }), "{at}: {error}");
                assert!(error.to_string().contains(PLANNED), "{at}: {error}");
                assert_eq!(sets(shelf.path()), whole + more, "{at}");
                // The pool goes on, and its health says what is missing.
                pool.get_mut(one).unwrap().value += 1;
                assert_eq!(pool.get(one).unwrap().value, 1 + 2 * round);
                let health = pool.health();
                assert!(!health.is_good() && !health.objects_at_risk(), "{at}: {health}");
                let trouble = health.snapshot.unwrap();
                assert_eq!((trouble.failed, trouble.why), (1, error.to_string()));
            }
            assert_next_works(&mut pool, &conf);
            pool.destroy().unwrap();
        }
    }

    /// A draft in which the file that a sweep opens is a pipe without a writer.
    struct Trap(PathBuf);

    impl Trap {
        fn set(shelf: &Path) -> Trap {
            let draft = shelf.join(".making-trap");
            fs::create_dir(&draft).unwrap();
            let pipe = draft.join("lock");
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            Trap(pipe)
        }

        /// Lets the thread go on, which then removes the draft.
        fn open(&self) {
            drop(fs::OpenOptions::new().write(true).open(&self.0).unwrap());
        }
    }

    #[test]
    fn a_thread_that_hangs_delays_no_tick_and_is_told() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = conf(&keys, shelf.path(), 16 << 20);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Item>().unwrap();
        // More than all buffers of the saver take.
        let one = pool.alloc(Item::new(0)).unwrap();
        (0..6000).for_each(|value| _ = pool.alloc(Item::new(value)).unwrap());
        let trap = Trap::set(shelf.path());
        pool.snapshot_begin().unwrap();
        let (began, mut slowest) = (Instant::now(), Duration::ZERO);
        while pool.health().snapshot.is_none() {
            let tick = Instant::now();
            pool.get_mut(one).unwrap().value += 1;
            let step = pool.snapshot_step(Budget::Time(Duration::from_millis(1))).unwrap();
            assert_eq!(step, SnapshotStep::Taking, "its buffers are full");
            slowest = slowest.max(tick.elapsed());
            std::thread::sleep(Duration::from_millis(5));
            assert!(began.elapsed() < PATIENCE, "nothing tells that the thread hangs");
        }
        assert!(began.elapsed() > Duration::from_secs(29), "{:?}", began.elapsed());
        assert!(slowest < Duration::from_secs(1), "a tick took {slowest:?}");
        let health = pool.health();
        assert!(!health.is_good() && !health.objects_at_risk(), "{health}");
        let trouble = health.snapshot.unwrap();
        assert!(trouble.why.contains("has done nothing for 3"), "{}", trouble.why);
        let error = pool.snapshot_finish().unwrap_err();
        assert!(matches!(error, SnapshotError::Hangs { .. }), "{error}");
        // The thread has the dropped one until it goes on.
        assert!(matches!(pool.snapshot_begin(), Err(SnapshotError::UnderWay)));
        assert!(pool.get(one).unwrap().value > 100);
        trap.open();
        while pool.snapshot_step(Budget::Bytes(1)).unwrap() != SnapshotStep::Idle {
            assert!(began.elapsed() < 2 * PATIENCE);
        }
        assert_eq!(sets(shelf.path()), 0);
        assert_next_works(&mut pool, &conf);
        pool.destroy().unwrap();
    }

    #[test]
    fn a_pool_waits_10_s_for_a_thread_that_hangs_and_then_goes() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = conf(&keys, shelf.path(), 4 << 20);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Item>().unwrap();
        let one = pool.alloc(Item::new(1)).unwrap();
        // The thread stays there until the process ends.
        let _trap = Trap::set(shelf.path());
        pool.snapshot_begin().unwrap();
        let began = Instant::now();
        pool.close().unwrap();
        let waited = began.elapsed();
        assert!(waited > Duration::from_secs(9) && waited < PATIENCE, "{waited:?}");
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Item>().unwrap();
        assert_eq!(pool.get(one).unwrap().value, 1);
        pool.destroy().unwrap();
    }
}
