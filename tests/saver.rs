//! The saver of a running pool: its sets are the pool at the moment of their beginning, old ones go,
//! and no failure of the disk or of its thread costs the game more than a snapshot.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod histories;
#[cfg(target_arch = "x86_64")]
mod skip;

#[cfg(target_arch = "x86_64")]
mod tests {
    use super::harness::image;
    use super::harness::imaging::Bytes;
    use super::harness::keys::Keys;
    use super::histories::{Keyed, Program, Small};
    use super::skip::skipped;
    use hotpool::conf::{BackendKind, OnMissing, ProcessConf, SnapshotConf};
    use hotpool::pool::{Budget, RestoredFrom, SnapshotError, SnapshotStep};
    use hotpool::snapshot::{Chain, Found, list};
    use hotpool::{MemoryPoolMgr, PoolError};
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    /// Most time of anything that these tests wait for.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn conf(keys: &Keys, shelf: &Path) -> ProcessConf {
        let conf = keys.conf(BackendKind::Heap, 1 << 20, 3);
        conf.snapshots(SnapshotConf::into_dir(shelf))
    }

    /// Returns a folder for sets, in memory, where a sync takes no time.
    fn shelf() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").unwrap()
    }

    /// Keeps panics that are part of a history out of the output.
    fn hide_planned_panics() {
        std::panic::set_hook(Box::new(|what| {
            if what.payload().downcast_ref::<()>().is_none() {
                eprintln!("{what}");
            }
        }));
    }

    /// Steps until the set is whole, with operations between the steps.
    fn finish(program: &mut Program) -> PathBuf {
        let began = Instant::now();
        loop {
            match program.pool.snapshot_step(Budget::Bytes(1)).unwrap() {
                SnapshotStep::Whole(path) => return path,
                SnapshotStep::Idle => panic!("the snapshot is gone"),
                _ => program.run(),
            }
            assert!(began.elapsed() < PATIENCE);
        }
    }

    /// Returns the sets in a folder; checks that nothing else is there, and that each can be read.
    fn sets(shelf: &Path) -> Vec<Found> {
        let found = list(shelf).unwrap();
        let entries = fs::read_dir(shelf).map_or(0, |entries| entries.count());
        assert_eq!(found.len(), entries, "something else than sets is in {}", shelf.display());
        for set in &found {
            Chain::open(&set.path).unwrap_or_else(|error| panic!("{error}")).verify(|_| {}).unwrap();
        }
        found
    }

    #[test]
    fn each_set_is_the_pool_at_its_beginning() {
        hide_planned_panics();
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = conf(&keys, shelf.path());
        let mut program = Program::new(MemoryPoolMgr::open(&conf).unwrap(), 1);
        let segments = image::find_heap(&conf);
        for round in 0..20 {
            (0..60).for_each(|_| program.run());
            let expected = Bytes::of(&segments);
            program.pool.snapshot_begin().unwrap();
            assert!(matches!(program.pool.snapshot_begin(), Err(SnapshotError::UnderWay)));
            let path = finish(&mut program);
            assert_eq!(program.pool.snapshot_last(), Some(path.as_path()));
            let same = Bytes::of_set(&path, &segments).compare(&expected);
            assert!(same.is_ok(), "round {round}: {}", same.unwrap_err());
            let chain = Chain::open(&path).unwrap();
            assert_eq!(chain.sets().len(), round % 16 + 1, "every 16th set is a full one");
            assert_eq!(chain.info().epoch, program.pool.epoch());
        }
        let small = program.pool.len::<Small>() as u64;
        program.pool.snapshot_begin().unwrap();
        let path = program.pool.snapshot_finish().unwrap();
        let chain = Chain::open(&path).unwrap();
        let of_small = chain.info().types.iter().find(|of| of.id == 1).unwrap();
        assert_eq!((of_small.objects, of_small.name.as_str()), (small, "small"));
        assert!(of_small.schema.contains("value"), "{}", of_small.schema);
        program.pool.destroy().unwrap();
    }

    #[test]
    fn a_dropped_snapshot_is_in_the_next_one() {
        hide_planned_panics();
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = conf(&keys, shelf.path());
        let mut program = Program::new(MemoryPoolMgr::open(&conf).unwrap(), 2);
        let segments = image::find_heap(&conf);
        for round in 0..10 {
            (0..40).for_each(|_| program.run());
            program.pool.snapshot_begin().unwrap();
            for _ in 0..fastrand::u32(..20) {
                program.run();
                program.pool.snapshot_step(Budget::Bytes(1)).unwrap();
            }
            program.pool.snapshot_drop();
            let began = Instant::now();
            while program.pool.snapshot_step(Budget::Bytes(1)).unwrap() != SnapshotStep::Idle {
                program.run();
                assert!(began.elapsed() < PATIENCE);
            }
            let expected = Bytes::of(&segments);
            program.pool.snapshot_begin().unwrap();
            let path = finish(&mut program);
            let same = Bytes::of_set(&path, &segments).compare(&expected);
            assert!(same.is_ok(), "round {round}: {}", same.unwrap_err());
        }
        sets(shelf.path());
        program.pool.destroy().unwrap();
    }

    #[test]
    fn a_pool_that_goes_in_the_middle_leaves_no_set_and_no_draft() {
        for close in [false, true] {
            let (keys, shelf) = (Keys::take(8), shelf());
            let conf = conf(&keys, shelf.path());
            let mut pool = MemoryPoolMgr::open(&conf).unwrap();
            pool.add_type::<Small>().unwrap();
            pool.alloc(Small { value: 1 }).unwrap();
            pool.snapshot_begin().unwrap();
            assert_eq!(pool.snapshot_step(Budget::Bytes(1)).unwrap(), SnapshotStep::Taking);
            match close {
                true => pool.close().unwrap(),
                false => drop(pool),
            }
            assert_eq!(sets(shelf.path()).len(), 0);
            MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
        }
    }

    #[test]
    fn closing_writes_a_last_set_of_what_has_changed() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let mut conf = conf(&keys, shelf.path());
        conf.snapshots.on_close = true;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Small>().unwrap();
        let one = pool.alloc(Small { value: 1 }).unwrap();
        pool.snapshot_begin().unwrap();
        pool.snapshot_finish().unwrap();
        pool.get_mut(one).unwrap().value = 2;
        let segments = image::find_heap(&conf);
        // One that is under way goes, because it would be older.
        pool.snapshot_begin().unwrap();
        pool.snapshot_step(Budget::Bytes(1)).unwrap();
        pool.close().unwrap();
        let found = sets(shelf.path());
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].parent.as_deref(), Some(found[0].id.as_str()));
        let same = Bytes::of_set(&found[1].path, &segments).compare(&Bytes::of(&segments));
        assert!(same.is_ok(), "{}", same.unwrap_err());
        MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
    }

    /// Which sets are kept, said as simply as possible: the youngest full one and the `keep - 1`
    /// before it, and all younger than the oldest of them.
    fn model(written: &[(String, bool)], keep: u32) -> BTreeSet<&str> {
        let mut left = keep;
        let mut kept = BTreeSet::new();
        for (id, is_full) in written.iter().rev() {
            if left == 0 {
                break;
            }
            kept.insert(id.as_str());
            left -= u32::from(*is_full);
        }
        kept
    }

    #[test]
    fn old_sets_go_with_what_builds_on_them() {
        let (keys, shelf) = (Keys::take(8), shelf());
        for keep in [1, 2] {
            let shelf = shelf.path().join(keep.to_string());
            let mut conf = conf(&keys, &shelf);
            conf.snapshots.keep = keep;
            let mut written: Vec<(String, bool)> = Vec::new();
            for _ in 0..4 {
                // The first set of a start is a full one.
                let mut pool = MemoryPoolMgr::open(&conf).unwrap();
                pool.add_type::<Small>().unwrap();
                for _ in 0..fastrand::u32(1..19) {
                    pool.alloc(Small { value: 1 }).unwrap();
                    pool.snapshot_begin().unwrap();
                    let path = pool.snapshot_finish().unwrap();
                    let chain = Chain::open(&path).unwrap();
                    let set = &chain.sets()[0];
                    written.push((set.id().to_string(), set.parent().is_none()));
                    let found = list(&shelf).unwrap();
                    let found: BTreeSet<&str> = found.iter().map(|set| set.id.as_str()).collect();
                    assert_eq!(found, model(&written, keep), "{written:?}");
                }
            }
            sets(&shelf);
            MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
        }
    }

    #[test]
    fn sets_of_other_pools_and_unreadable_ones_stay() {
        let (keys, others, shelf) = (Keys::take(8), Keys::take(8), shelf());
        let mut conf = conf(&keys, shelf.path());
        conf.snapshots.keep = 1;
        let mut other = others.conf(BackendKind::Heap, 1 << 20, 3).snapshots(conf.snapshots.clone());
        let save = |conf: &ProcessConf| {
            let mut pool = MemoryPoolMgr::open(conf).unwrap();
            pool.add_type::<Small>().unwrap();
            pool.snapshot_begin().unwrap();
            pool.snapshot_finish().unwrap()
        };
        let same_name = save(&other);
        MemoryPoolMgr::open(&other).unwrap().destroy().unwrap();
        other.name = "other".into();
        let other_name = save(&other);
        let unreadable = save(&conf);
        fs::write(unreadable.join("manifest.toml"), "format = 1").unwrap();
        let (first, second) = (save(&conf), save(&conf));
        assert!(same_name.exists() && other_name.exists() && unreadable.exists() && second.exists());
        assert!(!first.exists());
        // A full set that is damaged does not count as one that is kept.
        fs::write(second.join("base.part"), "cut").unwrap();
        let third = save(&conf);
        assert!(third.exists() && !second.exists());
        for conf in [conf, other] {
            MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
        }
    }

    #[test]
    fn a_set_whose_parent_is_gone_is_refused_and_the_next_is_full() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = conf(&keys, shelf.path());
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Small>().unwrap();
        pool.snapshot_begin().unwrap();
        let first = pool.snapshot_finish().unwrap();
        fs::remove_dir_all(first).unwrap();
        pool.snapshot_begin().unwrap();
        let error = pool.snapshot_finish().unwrap_err();
        assert!(error.to_string().contains("which is not beside it"), "{error}");
        pool.snapshot_begin().unwrap();
        let set = pool.snapshot_finish().unwrap();
        assert!(Chain::open(&set).unwrap().sets()[0].parent().is_none());
        pool.destroy().unwrap();
    }

    /// Calls the method of a tick until `is_there`.
    fn tick_until(pool: &mut MemoryPoolMgr, is_there: impl Fn(&MemoryPoolMgr) -> bool) {
        let began = Instant::now();
        while !is_there(pool) {
            pool.snapshot_tick(Duration::from_millis(1));
            std::thread::sleep(Duration::from_millis(1));
            assert!(began.elapsed() < PATIENCE);
        }
    }

    #[test]
    fn a_program_that_calls_one_method_per_tick_follows_the_ini() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let mut conf = conf(&keys, shelf.path());
        conf.snapshots.every_sec = 2;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Small>().unwrap();
        let one = pool.alloc(Small { value: 1 }).unwrap();
        let began = Instant::now();
        tick_until(&mut pool, |pool| pool.snapshot_last().is_some());
        assert!(began.elapsed() < Duration::from_millis(1900), "without a set, the first begins at once");
        let first = pool.snapshot_last().unwrap().to_path_buf();
        pool.get_mut(one).unwrap().value = 2;
        tick_until(&mut pool, |pool| pool.snapshot_last() != Some(&first));
        assert!(began.elapsed() > Duration::from_millis(1900), "the second follows after two seconds");
        let found = sets(shelf.path());
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].parent.as_deref(), Some(found[0].id.as_str()));
        drop(pool);

        // The next start waits until the latest set is old enough.
        let again = Instant::now();
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        tick_until(&mut pool, |pool| pool.snapshot_last().is_some());
        let waited = again.elapsed();
        assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(20), "{waited:?}");
        assert!(pool.health().is_good(), "{}", pool.health());
        pool.destroy().unwrap();
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        let keys = Keys::take(8);
        let mut pool = MemoryPoolMgr::open(&keys.conf(BackendKind::Heap, 1 << 20, 1)).unwrap();
        pool.snapshot_tick(Duration::from_secs(1));
        let error = pool.snapshot_begin().unwrap_err();
        assert_eq!(
            error.to_string(),
            "[crash] SnapshotDir: there is no folder for the snapshots; write, for example, SnapshotDir = \
             /var/lib/hotpool/snapshots"
        );
        assert!(matches!(pool.snapshot_finish(), Err(SnapshotError::NotBegun)));
        assert_eq!(pool.snapshot_step(Budget::Bytes(1)).unwrap(), SnapshotStep::Idle);
        pool.destroy().unwrap();
    }

    /// Mounts a small file system, which this thread and those that it starts see; `None` without the
    /// right to do so.
    fn small_disk(at: &Path, bytes: u64) -> Option<()> {
        let null = std::ptr::null();
        // SAFETY: integers only.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return None;
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        // SAFETY: the strings are constants that end with a NUL.
        let is_private = unsafe { libc::mount(c"none".as_ptr(), c"/".as_ptr(), null, private, null.cast()) };
        let to = std::ffi::CString::new(at.to_str()?).ok()?;
        let size = std::ffi::CString::new(format!("size={bytes}")).ok()?;
        let kind = c"tmpfs".as_ptr();
        // SAFETY: all strings end with a NUL and outlive the call.
        let is_mounted = unsafe { libc::mount(kind, to.as_ptr(), kind, 0, size.as_ptr().cast()) };
        (is_private == 0 && is_mounted == 0).then_some(())
    }

    #[test]
    fn a_full_disk_costs_a_snapshot_and_no_more() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = conf(&keys, shelf.path());
        let run = || {
            if small_disk(shelf.path(), 3 << 20).is_none() {
                return skipped("a_full_disk_costs_a_snapshot_and_no_more: no right to mount");
            }
            let mut pool = MemoryPoolMgr::open(&conf).unwrap();
            pool.add_type::<Small>().unwrap();
            let one = pool.alloc(Small { value: 1 }).unwrap();
            pool.snapshot_begin().unwrap();
            pool.snapshot_finish().unwrap();
            let used = list(shelf.path()).unwrap()[0].bytes;
            let ballast = shelf.path().join("ballast");
            fs::write(&ballast, vec![1; (3 << 20) - used as usize - (64 << 10)]).unwrap();
            // Random bytes, which do not compress: 1 MiB.
            (0..120_000).for_each(|_| drop(pool.alloc(Small { value: fastrand::u64(..) })));
            pool.snapshot_begin().unwrap();
            let error = pool.snapshot_finish().unwrap_err();
            assert!(error.to_string().contains("No space left on device"), "{error}");
            let health = pool.health();
            assert!(!health.is_good() && !health.objects_at_risk());
            let trouble = health.snapshot.unwrap();
            assert_eq!((trouble.failed, trouble.why), (1, error.to_string()));
            let entries = || fs::read_dir(shelf.path()).unwrap().count();
            assert_eq!(entries(), 2, "a draft is left");
            pool.get_mut(one).unwrap().value = 2;
            fs::remove_file(ballast).unwrap();
            let segments = image::find_heap(&conf);
            let expected = Bytes::of(&segments);
            pool.snapshot_begin().unwrap();
            let set = pool.snapshot_finish().unwrap();
            assert!(Bytes::of_set(&set, &segments).compare(&expected).is_ok());
            assert_eq!(sets(shelf.path()).len(), 2);
            assert!(pool.health().is_good(), "{}", pool.health());
            pool.destroy().unwrap();
        };
        std::thread::scope(|scope| scope.spawn(run).join().unwrap());
    }

    #[test]
    fn a_last_snapshot_that_fails_is_an_error_and_the_pool_is_closed() {
        let (keys, shelf) = (Keys::take(8), shelf());
        // A file is where the folder should be.
        let file = shelf.path().join("file");
        fs::write(&file, "").unwrap();
        let mut conf = conf(&keys, &file);
        conf.snapshots.on_close = true;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Small>().unwrap();
        pool.alloc(Small { value: 1 }).unwrap();
        let error = pool.close().unwrap_err();
        assert!(matches!(error, PoolError::LastSnapshot(_)), "{error}");
        assert!(
            error.to_string().starts_with("the pool is closed, and its last snapshot is absent: "),
            "{error}"
        );
        let pool = MemoryPoolMgr::open(&conf).unwrap();
        assert_eq!(pool.resume_report().last_end, hotpool::pool::LastEnd::Closed);
        pool.destroy().unwrap();
    }

    /// Runs `f` as on a host that has just booted: in an IPC namespace of its own, or without the right
    /// to make one, after the segments were removed.
    fn after_boot<R: Send>(keys: &Keys, f: impl FnOnce() -> R + Send) -> R {
        let boot = || {
            // SAFETY: integers only. It concerns this thread alone.
            if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
                keys.remove();
            }
            f()
        };
        std::thread::scope(|scope| scope.spawn(boot).join().unwrap())
    }

    /// Says what to take of a pool that was restored.
    fn reboot(keys: &Keys, conf: &ProcessConf) -> Result<(RestoredFrom, u64), PoolError> {
        after_boot(keys, || {
            let mut pool = MemoryPoolMgr::open(conf)?;
            let report = pool.resume_report().clone();
            let from = report.restored.clone().expect("nothing was restored");
            let line = format!("restored from {}, taken", from.set.display());
            assert!(report.to_string().contains(&line), "{report}");
            assert_eq!(pool.start_mode(), hotpool::StartMode::Resume);
            pool.add_type::<Keyed>().unwrap();
            let value = pool.get_by_key::<Keyed>(7).expect("the key holds").value;
            pool.destroy().unwrap();
            Ok((from, value))
        })
    }

    /// Writes a set for each of these values of one object, as of several starts.
    fn save_values(keys: &Keys, conf: &ProcessConf, values: &[u64]) -> Vec<PathBuf> {
        after_boot(keys, || {
            let cold = ProcessConf::clone(conf).snapshots(SnapshotConf::into_dir(&conf.snapshots.dir));
            let mut pool = MemoryPoolMgr::open(&cold).unwrap();
            pool.add_type::<Keyed>().unwrap();
            let one = pool.alloc_keyed(7, Keyed { value: 0, more: [0; 3] }).unwrap();
            let sets = values.iter().map(|value| {
                pool.get_mut(one).unwrap().value = *value;
                pool.snapshot_begin().unwrap();
                pool.snapshot_finish().unwrap()
            });
            let sets = sets.collect();
            pool.destroy().unwrap();
            sets
        })
    }

    fn restoring(keys: &Keys, shelf: &Path) -> ProcessConf {
        let snapshots = SnapshotConf { on_missing: OnMissing::Restore, ..SnapshotConf::into_dir(shelf) };
        keys.conf(BackendKind::Sysv, 1 << 20, 3).snapshots(snapshots)
    }

    #[test]
    fn a_host_that_rebooted_comes_back_with_its_world() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = restoring(&keys, shelf.path());
        let sets = save_values(&keys, &conf, &[1, 2, 3]);
        let (from, value) = reboot(&keys, &conf).unwrap();
        assert_eq!((&from.set, value), (&sets[2], 3));
        assert!(from.age < PATIENCE && from.damaged.is_empty());

        // A damaged set falls back to the one before.
        let part = sets[2].join("base.part");
        let bytes = fs::read(&part).unwrap();
        fs::write(&part, &bytes[..bytes.len() - 1]).unwrap();
        let (from, value) = reboot(&keys, &conf).unwrap();
        assert_eq!((&from.set, value, &from.damaged), (&sets[1], 2, &vec![sets[2].clone()]));
        fs::write(sets[1].join("manifest.toml"), "format = 1").unwrap();
        let (from, value) = reboot(&keys, &conf).unwrap();
        assert_eq!((&from.set, value), (&sets[0], 1));
        assert_eq!(from.damaged.len(), 2);

        // Without a whole set the start is refused, and leaves no segment.
        fs::remove_file(sets[0].join("base.part")).unwrap();
        let (error, left) = after_boot(&keys, || {
            let error = MemoryPoolMgr::open(&conf).map(drop).unwrap_err();
            (error, keys.in_use())
        });
        assert!(matches!(error, PoolError::NoWholeSet { sets: 3, .. }), "{error}");
        assert!(error.to_string().contains("set OnMissing = cold"), "{error}");
        assert_eq!(left, []);
    }

    #[test]
    fn a_pool_that_exists_is_never_replaced_and_no_set_is_a_cold_start() {
        let (keys, shelf) = (Keys::take(8), shelf());
        let conf = restoring(&keys, shelf.path());
        after_boot(&keys, || {
            let mut pool = MemoryPoolMgr::open(&conf).unwrap();
            assert_eq!(pool.start_mode(), hotpool::StartMode::Init);
            pool.add_type::<Keyed>().unwrap();
            let one = pool.alloc_keyed(7, Keyed { value: 1, more: [0; 3] }).unwrap();
            pool.snapshot_begin().unwrap();
            pool.snapshot_finish().unwrap();
            pool.get_mut(one).unwrap().value = 2;
            drop(pool);
            let mut pool = MemoryPoolMgr::open(&conf).unwrap();
            assert_eq!(pool.resume_report().restored, None);
            pool.add_type::<Keyed>().unwrap();
            assert_eq!(pool.get(one).unwrap().value, 2);
            pool.destroy().unwrap();
        });
        // A set that does not fit the ini is an error, and not a cold start.
        let mut other = conf.clone();
        other.block_size = hotpool::units::Bytes(2 << 20);
        let error = after_boot(&keys, || MemoryPoolMgr::open(&other).map(drop).unwrap_err());
        assert!(matches!(error, PoolError::NotRestored { .. }), "{error}");
    }
}
