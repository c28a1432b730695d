//! A pool is saved as a set without its owner, and the set becomes a pool again: in the same place,
//! under other keys, in another backend. The next start finds every handle, user key, owner link and
//! quarantined object as it was.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod histories;

#[cfg(target_arch = "x86_64")]
mod tests {
    use super::harness::keys::Keys;
    use super::histories::{Buff, Keyed, Large, Program, Small};
    use hotpool::conf::{BackendKind, ProcessConf};
    use hotpool::pool::{
        Existing, RestoreError, RestoreOptions, SaveError, SaveOptions, check_restore, check_save,
        restore_pool, save_pool,
    };
    use hotpool::share::{Home, OwnerError, ShareError, observe};
    use hotpool::snapshot::{Chain, Compression, list};
    use hotpool::units::Bytes;
    use hotpool::{MemoryPoolMgr, StartMode};
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    const BLOCK: u64 = 320 << 10;
    const BLOCKS: u32 = 6;

    /// Returns a configuration; the folder is that of the `file` backend.
    fn conf_of(keys: &Keys, backend: BackendKind, dir: &Path) -> ProcessConf {
        let mut conf = keys.conf(backend, BLOCK, BLOCKS);
        if backend == BackendKind::File {
            conf.dir = dir.to_path_buf();
        }
        conf
    }

    /// Runs a program on a new pool, and ends it as if its owner had died, or closes it.
    fn fill(conf: &ProcessConf, seed: u64, closes: bool) {
        std::panic::set_hook(Box::new(|what| {
            if what.payload().downcast_ref::<()>().is_none() {
                eprintln!("{what}");
            }
        }));
        let mut program = Program::new(MemoryPoolMgr::open(conf).unwrap(), seed);
        (0..800).for_each(|_| program.run());
        // Objects in several blocks.
        for value in 0..100 {
            program.pool.alloc(Large { value, rest: [value; 1100] }).unwrap();
        }
        match closes {
            true => program.pool.close().unwrap(),
            false => drop(program.pool),
        }
    }

    /// Everything that a program can see of a pool that it resumes.
    fn content(conf: &ProcessConf) -> Vec<String> {
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        assert_eq!(pool.start_mode(), StartMode::Resume);
        pool.add_type::<Small>().unwrap();
        pool.add_type::<Keyed>().unwrap();
        pool.add_type::<Large>().unwrap();
        pool.add_type::<Buff>().unwrap();
        let mut lines = vec![format!("committed {}", pool.last_committed())];
        lines.extend(pool.iter::<Small>().map(|(id, one)| format!("{id} {one:?}")));
        for (id, one) in pool.iter::<Keyed>() {
            let key = pool.view::<Keyed>().key(id).unwrap();
            assert_eq!(pool.find::<Keyed>(key), Some(id));
            lines.push(format!("{id} {key} {one:?}"));
        }
        for (id, one) in pool.iter::<Large>() {
            let buffs: Vec<_> = pool.children::<Buff>(id).map(|(buff, _)| buff.to_string()).collect();
            lines.push(format!("{id} {} {} {buffs:?}", one.value, one.rest[900]));
        }
        lines.extend(pool.iter::<Buff>().map(|(id, one)| format!("{id} {one:?}")));
        let mut quarantined: Vec<_> = pool.quarantined().iter().map(|one| one.to_string()).collect();
        quarantined.sort();
        lines.push(format!("quarantined {quarantined:?}"));
        let report = pool.verify();
        assert!(report.is_sound(), "{report:?}");
        drop(pool);
        lines
    }

    fn save(conf: &ProcessConf, shelf: &Path, compression: Compression) -> Chain {
        let options = SaveOptions::default().compression(compression);
        let saved = save_pool(conf.base_key, &Home::of(conf), shelf, &options).unwrap();
        Chain::open(saved.set.unwrap().path()).unwrap()
    }

    fn destroy(conf: &ProcessConf) {
        MemoryPoolMgr::open(conf).unwrap().destroy().unwrap();
    }

    fn exists(conf: &ProcessConf) -> bool {
        observe(conf.base_key, &Home::of(conf)).unwrap().segment.is_some()
    }

    #[test]
    fn a_pool_of_every_backend_is_the_same_after_a_round_trip() {
        let all = [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap];
        for (seed, backend) in (1..).zip(all) {
            for (closes, compression) in [(true, Compression::None), (false, Compression::Lz4)] {
                let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
                let conf = conf_of(&keys, backend, dir.path());
                let _posix = Removed(conf.clone());
                fill(&conf, seed, closes);
                let chain = save(&conf, &dir.path().join("sets"), compression);
                let before = content(&conf);
                assert!(before.len() > 100, "{}", before.len());
                destroy(&conf);
                let restored = restore_pool(&chain, &conf, &RestoreOptions::default()).unwrap();
                assert_eq!((restored.replaced, restored.blocks.len()), (false, BLOCKS as usize));
                assert_eq!(content(&conf), before, "{backend:?}");
                destroy(&conf);
                assert!(!exists(&conf));
            }
        }
    }

    /// Removes a pool when the test ends, also when it fails.
    struct Removed(ProcessConf);

    impl Drop for Removed {
        fn drop(&mut self) {
            let _ = hotpool::share::remove_pool(self.0.base_key, &Home::of(&self.0), false);
        }
    }

    #[test]
    fn a_set_becomes_the_pool_of_another_process_in_another_backend() {
        let (keys, others, dir) = (Keys::take(8), Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf_of(&keys, BackendKind::Sysv, dir.path());
        fill(&conf, 11, true);
        let chain = save(&conf, &dir.path().join("sets"), Compression::None);
        for backend in [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap] {
            let mut other = conf_of(&others, backend, dir.path());
            other.name = "other".into();
            other.shm_keys.reverse();
            let _end = Removed(other.clone());
            let error = restore_pool(&chain, &other, &RestoreOptions::default()).unwrap_err();
            assert!(matches!(error, RestoreError::OtherProcess { .. }), "{error}");
            assert!(error.to_string().contains("--as other"), "{error}");
            restore_pool(&chain, &other, &RestoreOptions::default().other_process(true)).unwrap();
            let as_other = content(&other);
            destroy(&other);
            // The original is still there, and knows nothing of it.
            assert!(exists(&conf));
            let again = save(&conf, &dir.path().join("again"), Compression::None);
            restore_pool(&again, &other, &RestoreOptions::default().other_process(true)).unwrap();
            assert_eq!(content(&other), as_other);
            destroy(&other);
        }
        destroy(&conf);
    }

    #[test]
    fn a_live_pool_is_not_saved_and_its_pid_is_named() {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf_of(&keys, BackendKind::Sysv, dir.path());
        let pool = MemoryPoolMgr::open(&conf).unwrap();
        let error =
            save_pool(conf.base_key, &Home::of(&conf), dir.path(), &SaveOptions::default()).unwrap_err();
        assert!(matches!(error, SaveError::Share(ShareError::Owner(OwnerError::Held { .. }))), "{error}");
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(list(dir.path()).unwrap().is_empty());
        drop(pool);
        destroy(&conf);
        let error =
            save_pool(conf.base_key, &Home::of(&conf), dir.path(), &SaveOptions::default()).unwrap_err();
        assert!(error.to_string().contains("there is no segment"), "{error}");
        assert!(keys.in_use().is_empty(), "a refused save leaves semaphores: {:?}", keys.in_use());
    }

    /// A start that comes while a pool is saved or restored waits, and then finds it.
    #[test]
    fn a_start_waits_for_a_save_and_for_a_restore() {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf_of(&keys, BackendKind::Sysv, dir.path());
        fill(&conf, 21, true);
        let mut impatient = conf.clone();
        impatient.owner_wait_ms = 0;
        let tries = AtomicU64::new(0);
        let refused = |_: hotpool::pool::Progress| {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                let error = MemoryPoolMgr::open(&impatient).unwrap_err().to_string();
                assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
            }
        };
        let options = SaveOptions::default().progress(&refused);
        let saved = save_pool(conf.base_key, &Home::of(&conf), dir.path(), &options).unwrap();
        let chain = Chain::open(saved.set.unwrap().path()).unwrap();
        let before = content(&conf);
        destroy(&conf);
        tries.store(0, Ordering::Relaxed);
        restore_pool(&chain, &conf, &RestoreOptions::default().progress(&refused)).unwrap();
        assert!(tries.load(Ordering::Relaxed) > 1);
        assert_eq!(content(&conf), before);
        destroy(&conf);
    }

    #[test]
    fn an_existing_pool_is_refused_and_replaced_only_if_the_set_is_whole() {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf_of(&keys, BackendKind::Sysv, dir.path());
        fill(&conf, 31, true);
        let chain = save(&conf, &dir.path().join("sets"), Compression::None);
        let old = content(&conf);
        destroy(&conf);
        fill(&conf, 32, true);
        let new = content(&conf);
        assert_ne!(old, new);
        let error = restore_pool(&chain, &conf, &RestoreOptions::default()).unwrap_err();
        assert!(matches!(error, RestoreError::Exists { .. }), "{error}");
        assert!(matches!(
            check_restore(&chain, &conf, &RestoreOptions::default()),
            Err(RestoreError::Exists { .. })
        ));
        assert_eq!(content(&conf), new);
        // A flipped bit in a block: the old pool stays.
        let part = chain.sets()[0].path().join("block-0000.part");
        let bytes = std::fs::read(&part).unwrap();
        let mut damaged = bytes.clone();
        damaged[5000] ^= 1;
        std::fs::write(&part, damaged).unwrap();
        let replace = RestoreOptions::default().existing(Existing::Replace);
        let error = restore_pool(&chain, &conf, &replace).unwrap_err();
        assert!(error.to_string().contains("block-0000.part"), "{error}");
        assert_eq!(content(&conf), new);
        std::fs::write(&part, bytes).unwrap();
        assert!(check_restore(&chain, &conf, &replace).unwrap().replaced);
        assert_eq!(content(&conf), new);
        assert!(restore_pool(&chain, &conf, &replace).unwrap().replaced);
        assert_eq!(content(&conf), old);
        destroy(&conf);
    }

    #[test]
    fn a_restore_that_fails_leaves_nothing() {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        for backend in [BackendKind::Sysv, BackendKind::File] {
            let conf = conf_of(&keys, backend, dir.path());
            fill(&conf, 41, true);
            let chain = save(&conf, &dir.path().join(backend.name()), Compression::None);
            destroy(&conf);
            for (name, at) in [("base.part", 300), ("block-0001.part", 100_000)] {
                let part = chain.sets()[0].path().join(name);
                let bytes = std::fs::read(&part).unwrap();
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                std::fs::write(&part, damaged).unwrap();
                let error = restore_pool(&chain, &conf, &RestoreOptions::default()).unwrap_err();
                assert!(error.to_string().contains(name), "{error}");
                assert!(keys.in_use().is_empty(), "{:?}", keys.in_use());
                let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
                assert!(left.iter().all(|entry| entry.path().is_dir()), "{left:?}");
                std::fs::write(&part, bytes).unwrap();
            }
        }
    }

    #[test]
    fn an_ini_that_does_not_fit_is_refused_before_anything_is_made() {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf_of(&keys, BackendKind::Sysv, dir.path());
        fill(&conf, 51, true);
        let chain = save(&conf, dir.path(), Compression::None);
        destroy(&conf);
        let refused = |conf: &ProcessConf| {
            let error = restore_pool(&chain, conf, &RestoreOptions::default()).unwrap_err();
            assert!(keys.in_use().is_empty(), "{:?}", keys.in_use());
            error
        };
        let mut larger = conf.clone();
        larger.block_size = Bytes(2 * BLOCK);
        assert!(matches!(refused(&larger), RestoreError::BlockSize { found: Bytes(BLOCK), .. }));
        let mut fewer = conf.clone();
        fewer.shm_keys.truncate(1);
        let error = refused(&fewer);
        assert!(matches!(error, RestoreError::TooFewKeys { named: 1, .. }), "{error}");
        // One key more is no obstacle: the next start adds the block.
        let mut more = conf.clone();
        more.shm_keys.push(hotpool::units::Key(conf.base_key.0 + 7));
        restore_pool(&chain, &more, &RestoreOptions::default()).unwrap();
        content(&more);
        destroy(&more);
    }

    #[test]
    fn a_dry_run_tells_the_same_and_makes_nothing() {
        let (keys, dir) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = conf_of(&keys, BackendKind::Sysv, dir.path());
        fill(&conf, 61, false);
        let home = Home::of(&conf);
        let told =
            check_save(conf.base_key, &home, &dir.path().join("a/b"), &SaveOptions::default()).unwrap();
        assert!(told.set.is_none() && list(dir.path()).unwrap().is_empty());
        assert!(told.free.is_some_and(|free| free > told.bytes), "{:?}", told.free);
        let options = SaveOptions::default().threads(3);
        let saved = save_pool(conf.base_key, &Home::of(&conf), dir.path(), &options).unwrap();
        assert_eq!((told.bytes, told.info.blocks.len()), (saved.bytes, BLOCKS as usize));
        let names: Vec<_> = saved.info.types.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names[..4], ["small", "keyed", "large", "buff"]);
        assert!(saved.info.types.iter().all(|one| !one.schema.is_empty()));
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Large>().unwrap();
        // The object that was allocated last counts, too.
        assert_eq!(saved.info.types[2].objects, pool.len::<Large>() as u64);
        drop(pool);
        destroy(&conf);
        let chain = Chain::open(saved.set.unwrap().path()).unwrap();
        let told = check_restore(&chain, &conf, &RestoreOptions::default()).unwrap();
        assert!(keys.in_use().is_empty());
        let restored = restore_pool(&chain, &conf, &RestoreOptions::default()).unwrap();
        assert_eq!((told.bytes, told.blocks), (restored.bytes, restored.blocks));
        destroy(&conf);
    }
}
