//! Sets with a fault are restored: with a part that was cut, is missing or is that of another set, with
//! a flipped bit, or of a newer format (docs/snapshots.md). Each is a typed error that names the file.
//! Nothing is left of the restore, and nothing else is touched: not the pool that it would replace, not
//! the pool beside it, not the set.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod snapshots;

#[cfg(target_arch = "x86_64")]
mod tests {
    use super::snapshots::{Bench, SHARED};
    use hotpool::conf::{BackendKind, OnMissing, SnapshotConf};
    use hotpool::pool::{
        Existing, RestoreError, RestoreOptions, Restored, SaveOptions, check_restore, restore_pool, save_pool,
    };
    use hotpool::snapshot::{Chain, SetError};
    use hotpool::{MemoryPoolMgr, PoolError};
    use std::collections::BTreeMap;
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::FileExt;
    use std::path::{Path, PathBuf};

    /// Two sets of one pool.
    struct Sets {
        set: PathBuf,
        other: PathBuf,
    }

    /// What a restore says of a fault.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Said {
        NoSet,
        Manifest,
        Newer,
        Part,
        NoParent,
        Layout,
    }

    impl Said {
        fn of(error: &RestoreError) -> Option<Said> {
            match error {
                RestoreError::Set(SetError::NoSet { .. }) => Some(Said::NoSet),
                RestoreError::Set(SetError::Manifest { .. }) => Some(Said::Manifest),
                RestoreError::Set(SetError::Newer { format: 2, known: 1, .. }) => Some(Said::Newer),
                RestoreError::Set(SetError::Part { .. }) => Some(Said::Part),
                RestoreError::Set(SetError::NoParent { .. }) => Some(Said::NoParent),
                RestoreError::Layout { found: 9999, .. } => Some(Said::Layout),
                _ => None,
            }
        }
    }

    /// A fault: the file that it is in, what is done to it, and what the error is.
    struct Fault {
        name: &'static str,
        file: &'static str,
        make: fn(&Path, &Sets),
        said: Said,
    }

    const fn fault(name: &'static str, file: &'static str, make: fn(&Path, &Sets), said: Said) -> Fault {
        Fault { name, file, make, said }
    }

    const BASE: &str = "base.part";
    const BLOCK: &str = "block-0001.part";
    const MANIFEST: &str = "manifest.toml";

    const FAULTS: [Fault; 22] = [
        fault("a cut base", BASE, |file, _| cut(file, 1), Said::Part),
        fault("a cut block", BLOCK, |file, _| cut(file, 1), Said::Part),
        fault("a block without its foot", BLOCK, |file, _| cut(file, 32), Said::Part),
        fault("half a block", BLOCK, |file, _| cut(file, len(file) / 2), Said::Part),
        fault("an empty block", BLOCK, |file, _| cut(file, len(file)), Said::Part),
        fault("a cut manifest", MANIFEST, |file, _| cut(file, 1), Said::Manifest),
        fault("no base", BASE, |file, _| fs::remove_file(file).unwrap(), Said::Part),
        fault("no block", BLOCK, |file, _| fs::remove_file(file).unwrap(), Said::Part),
        fault("no manifest", MANIFEST, |file, _| fs::remove_file(file).unwrap(), Said::NoSet),
        fault("the base of another set", BASE, from_other, Said::Part),
        fault("a block of another set", BLOCK, from_other, Said::Part),
        fault("the manifest of another set", MANIFEST, from_other, Said::Part),
        fault("another block", BLOCK, |file, _| copy(&beside(file, "block-0000.part"), file), Said::Part),
        fault("a flipped bit in a head", BASE, |file, _| flip(file, 20), Said::Part),
        fault("a flipped bit in the base", BASE, |file, _| flip(file, 300), Said::Part),
        fault("a flipped bit in a block", BLOCK, |file, _| flip(file, 100_000), Said::Part),
        fault("a flipped bit in a table", BLOCK, |file, _| flip(file, len(file) - 40), Said::Part),
        fault("a flipped bit in a foot", BLOCK, |file, _| flip(file, len(file) - 20), Said::Part),
        fault("a flipped bit in the manifest", MANIFEST, |file, _| flip(file, 10), Said::Manifest),
        fault("a newer format", MANIFEST, |file, _| say(file, "format = 1", "format = 2"), Said::Newer),
        fault("a newer layout", MANIFEST, newer_layout, Said::Layout),
        fault("a parent that is gone", MANIFEST, parent, Said::NoParent),
    ];

    fn len(file: &Path) -> u64 {
        fs::metadata(file).unwrap().len()
    }

    fn cut(file: &Path, bytes: u64) {
        let file = OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
    }

    fn flip(file: &Path, at: u64) {
        let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    }

    fn copy(from: &Path, to: &Path) {
        fs::copy(from, to).unwrap();
    }

    fn beside(file: &Path, name: &str) -> PathBuf {
        file.with_file_name(name)
    }

    fn from_other(file: &Path, sets: &Sets) {
        copy(&sets.other.join(file.file_name().unwrap()), file);
    }

    /// Replaces some words of a manifest, and gives it the checksum of its new text.
    fn say(manifest: &Path, old: &str, new: &str) {
        let text = fs::read_to_string(manifest).unwrap();
        let (body, _) = text.rsplit_once("\n# crc32c ").unwrap();
        assert!(body.contains(old), "{body}");
        let body = body.replacen(old, new, 1);
        let sum = crc32c::crc32c(body.as_bytes());
        fs::write(manifest, format!("{body}\n# crc32c {sum:08x}\n")).unwrap();
    }

    fn newer_layout(manifest: &Path, _: &Sets) {
        let text = fs::read_to_string(manifest).unwrap();
        let line = text.lines().find(|line| line.starts_with("layout = ")).unwrap();
        say(manifest, line, "layout = 9999");
    }

    fn parent(manifest: &Path, _: &Sets) {
        say(manifest, "process = ", &format!("parent = \"{}\"\nprocess = ", "0".repeat(32)));
    }

    /// Returns the bytes of all files of a folder, by their paths.
    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths
            .flat_map(|path| match path.is_dir() {
                true => files(&path),
                false => BTreeMap::from([(path.clone(), fs::read(path).unwrap())]),
            })
            .collect()
    }

    type Restore = fn(&Chain, &Bench, Existing) -> Result<Restored, RestoreError>;

    /// Restores a set in a folder, or checks whether it can be.
    const WAYS: [(&str, Restore); 2] = [
        ("restore", |chain, bench, existing| {
            restore_pool(chain, &bench.conf, &RestoreOptions::default().existing(existing))
        }),
        ("dry run", |chain, bench, existing| {
            check_restore(chain, &bench.conf, &RestoreOptions::default().existing(existing))
        }),
    ];

    fn save(bench: &Bench) -> PathBuf {
        let saved = save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default());
        saved.unwrap().set.unwrap().path().to_path_buf()
    }

    /// Copies a set, and makes a fault in the copy.
    fn faulty(fault: &Fault, sets: &Sets, bench: &Bench) -> PathBuf {
        let shelf = bench.dir.path().join("faulty");
        let _ = fs::remove_dir_all(&shelf);
        let to = shelf.join(sets.set.file_name().unwrap());
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(&sets.set).unwrap().map(|entry| entry.unwrap().path()) {
            copy(&file, &to.join(file.file_name().unwrap()));
        }
        (fault.make)(&to.join(fault.file), sets);
        to
    }

    fn for_each_fault(backend: BackendKind, test: impl Fn(&Fault, &Path, &Bench)) {
        let (bench, neighbour) = (Bench::new(backend), Bench::new(backend));
        bench.fill();
        neighbour.fill();
        let sets = Sets { set: save(&bench), other: save(&bench) };
        bench.destroy();
        for fault in &FAULTS {
            let set = faulty(fault, &sets, &bench);
            let before = files(&bench.dir.path().join("faulty"));
            test(fault, &set, &bench);
            assert!(files(&bench.dir.path().join("faulty")) == before, "{}: the set has changed", fault.name);
        }
        neighbour.check();
        neighbour.destroy();
        // What has no fault can still be restored.
        restore_pool(&Chain::open(&sets.set).unwrap(), &bench.conf, &RestoreOptions::default()).unwrap();
        bench.check();
        bench.destroy();
        assert_eq!(bench.left(), [""; 0]);
    }

    /// Restores a faulty set in every way, which must fail with the right error.
    fn assert_refused(fault: &Fault, set: &Path, bench: &Bench, existing: Existing) {
        for (way, restore) in WAYS {
            let done = Chain::open(set).map_err(RestoreError::from);
            let done = done.and_then(|chain| restore(&chain, bench, existing));
            // A dry run does not read the chunks of blocks.
            if way == "dry run" && fault.name == "a flipped bit in a block" {
                assert!(done.is_ok());
                continue;
            }
            let error = done.map(drop).unwrap_err();
            let is_named = error.to_string().contains(fault.file) || fault.said != Said::Part;
            let is_said = Said::of(&error) == Some(fault.said);
            // The manifest of another set names none of the parts: the first of them is told.
            let is_first = fault.name == "the manifest of another set";
            assert!(is_said && (is_named || is_first), "{}, {way}: {error}", fault.name);
        }
    }

    #[test]
    fn a_faulty_set_is_a_typed_error_and_leaves_nothing() {
        for backend in SHARED {
            for_each_fault(backend, |fault, set, bench| {
                assert_refused(fault, set, bench, Existing::Refuse);
                assert_eq!(bench.left(), [""; 0], "{}", fault.name);
            });
        }
    }

    #[test]
    fn a_pool_is_not_replaced_by_a_faulty_set() {
        for backend in [BackendKind::Sysv, BackendKind::File] {
            for_each_fault(backend, |fault, set, bench| {
                bench.fill();
                assert_refused(fault, set, bench, Existing::Replace);
                bench.check();
                bench.destroy();
            });
        }
    }

    #[test]
    fn a_start_without_a_whole_set_is_refused_and_leaves_nothing() {
        for_each_fault(BackendKind::Sysv, |fault, set, bench| {
            let shelf = SnapshotConf::into_dir(set.parent().unwrap());
            let snapshots = SnapshotConf { on_missing: OnMissing::Restore, ..shelf };
            let error = MemoryPoolMgr::open(&bench.conf.clone().snapshots(snapshots)).map(drop).unwrap_err();
            // An older set does not help a build that is too old.
            let is_old = matches!(fault.said, Said::Newer | Said::Layout);
            let is_right = match error {
                PoolError::NotRestored { .. } => is_old,
                PoolError::NoWholeSet { sets: 1, .. } => !is_old,
                _ => false,
            };
            assert!(is_right, "{}: {error}", fault.name);
            assert_eq!(bench.left(), [""; 0], "{}", fault.name);
        });
    }

    /// A part that is cut after the set was opened and checked.
    #[test]
    fn a_part_that_is_cut_during_a_restore_is_an_error_and_leaves_nothing() {
        for backend in SHARED {
            let bench = Bench::new(backend);
            bench.fill();
            let set = save(&bench);
            bench.destroy();
            let chain = Chain::open(&set).unwrap();
            cut(&set.join(BLOCK), len(&set.join(BLOCK)) / 2);
            let error = restore_pool(&chain, &bench.conf, &RestoreOptions::default()).map(drop).unwrap_err();
            assert!(matches!(error, RestoreError::Set(_)), "{error}");
            assert!(error.to_string().contains(BLOCK), "{error}");
            assert_eq!(bench.left(), [""; 0]);
        }
    }
}
