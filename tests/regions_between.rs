//! Tests the promises of docs/regions.md on mappings, memory, and processes that share a region.

mod regions;
mod skip;

use hotpool::ShareMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{FileMap, Region, RegionError, RegionView, Successor};
use hotpool::units::{Bytes, Key};
use regions::{ALL, Bench, SHARED, child, end_of, order};
use skip::skipped;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

const SIZE: Bytes = Bytes(16 << 10);

/// Plays the other process of some tests: it does to a region what its order names.
#[test]
fn serve() {
    let Some((what, shared, keys, dir)) = order() else { return };
    let path = dir.join("data");
    match what.as_str() {
        "write-read-only" => write_to(&shared.open_read_only(keys).unwrap()),
        "write-read-only-file" => write_to(&FileMap::new().open_read_only(&path).unwrap()),
        "read-past-end" => read_past(&shared.open(keys).unwrap()),
        "read-past-end-read-only" => read_past(&shared.open_read_only(keys).unwrap()),
        "read-past-end-heap" => read_past(&shared.create(keys, SIZE).unwrap()),
        "read-past-end-file" => read_past(&FileMap::new().open(&path).unwrap()),
        "read-past-end-anonymous" => read_past(&ShareMgr::anonymous(SIZE).unwrap()),
        "full" => full(&shared, keys),
        "grow-full" => grow_full(&shared, keys),
        "full-file" => full_file(&path),
        "limited" => limited(&shared, keys, &path),
        "create" => {
            let answer = shared.create(keys, SIZE);
            println!("{}", if answer.is_ok() { "created" } else { "exists" });
        }
        "count" => {
            let region = shared.open(keys).unwrap();
            for _ in 0..10_000 {
                region.atomic_u64(0).unwrap().fetch_add(1, Ordering::Relaxed);
            }
        }
        other => panic!("{other}"),
    }
}

/// Stores through a view that lends only reading, as a stray write would.
fn write_to(view: &RegionView) {
    let start = view.as_ptr().cast_mut();
    // SAFETY: the address is mapped.
    let found = unsafe { start.read_volatile() };
    println!("read {found}");
    // SAFETY: the mapping is read-only, so this ends the process, as the test expects.
    unsafe { start.write_volatile(1) };
    println!("written");
}

/// Reads the last byte of the last page, and the byte after it.
fn read_past(view: &RegionView) {
    let end = view.as_ptr().wrapping_add(view.len().next_multiple_of(4096) as usize);
    // SAFETY: the last byte of the last page is mapped.
    let found = unsafe { end.wrapping_sub(1).read_volatile() };
    println!("read {found}");
    // SAFETY: the page after it is inaccessible, so this ends the process, as the test expects.
    let beyond = unsafe { end.read_volatile() };
    println!("beyond {beyond}");
}

/// Runs a child that must read and then die of SIGSEGV.
fn faults(bench: &Bench, what: &str) {
    let (signal, said) = end_of(&bench.order(what));
    assert!(said.contains("read ") && signal == Some(libc::SIGSEGV), "{what} {:?}: {said}", bench.home);
}

#[test]
fn a_store_through_a_read_only_region_is_a_fault() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        region.store(0, &7u8).unwrap();
        faults(&bench, "write-read-only");
        assert_eq!(region.load::<u8>(0).unwrap(), 7, "{backend:?}");
    }
    let bench = Bench::of(BackendKind::File);
    fs::write(bench.path("data"), [7; 100]).unwrap();
    faults(&bench, "write-read-only-file");
    assert_eq!(fs::read(bench.path("data")).unwrap(), [7; 100]);
}

#[test]
fn a_read_of_the_byte_after_a_region_is_a_fault() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let _region = bench.shared.create(bench.keys, SIZE).unwrap();
        faults(&bench, "read-past-end");
        faults(&bench, "read-past-end-read-only");
    }
    faults(&Bench::of(BackendKind::Heap), "read-past-end-heap");
    faults(&Bench::of(BackendKind::Heap), "read-past-end-anonymous");
    let bench = Bench::of(BackendKind::File);
    fs::write(bench.path("data"), [7; 5000]).unwrap();
    faults(&bench, "read-past-end-file");
}

const MOUNTS: &str = "exec unshare --mount --propagation private \"$@\"";

/// Runs an order in a mount namespace of its own, with a file system of 1 MiB mounted over
/// `folder`.
fn on_a_small_file_system(bench: &Bench, what: &str, folder: &str) {
    let probe = ["-c", MOUNTS, "sh", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    if !Command::new("sh").args(probe).output().is_ok_and(|output| output.status.success()) {
        skipped("this process may not mount in its own namespace: regions on a full file system");
        return;
    }
    let script = format!("mount -t tmpfs -o size=1M tmpfs {folder} && exec \"$@\"");
    let program = child(&bench.order(what));
    let mut command = Command::new("sh");
    command.args(["-c", MOUNTS, "sh", "sh", "-c", &script, "sh"]).arg(program.get_program());
    command.args(program.get_args()).stdin(Stdio::null());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{what}: {} {}", output.status, String::from_utf8_lossy(&said));
}

fn is_full(error: &RegionError) {
    let said = error.to_string();
    assert!(said.contains("No space left on device"), "{said}");
}

fn full(shared: &ShareMgr, keys: (Key, Key)) {
    // One size far above the free space, and one for which a single page is missing.
    for bytes in [4 << 20, (1 << 20) - 4096 + 1] {
        let error = shared.create(keys, Bytes(bytes)).unwrap_err();
        is_full(&error);
        assert!(error.to_string().contains("is full"), "{error}");
        assert!(matches!(shared.open(keys), Err(RegionError::NotFound { .. })));
    }
    let first = shared.create((keys.1, keys.0), Bytes((1 << 20) - 4096)).unwrap();
    is_full(&shared.create(keys.0, Bytes(1)).unwrap_err());
    for at in (0..first.len()).step_by(4096) {
        first.store(at, &1u64).unwrap();
    }
    drop(first);
    shared.remove(keys.1).unwrap();
    let all = shared.create(keys, Bytes((1 << 20) - 4096)).unwrap();
    assert_eq!(all.load::<u64>(all.len() - 8).unwrap(), 0, "nothing is left of the failures");
}

fn grow_full(shared: &ShareMgr, keys: (Key, Key)) {
    let mut region = shared.create(keys, Bytes(512 << 10)).unwrap();
    region.store(0, &7u64).unwrap();
    is_full(&shared.grow(&mut region, Bytes(768 << 10)).unwrap_err());
    assert_eq!((region.generation(), region.len(), region.successor()), (1, 512 << 10, None));
    assert_eq!(shared.open(keys).unwrap().load::<u64>(0).unwrap(), 7);
}

fn full_file(path: &std::path::Path) {
    let path = std::path::Path::new("/mnt").join(path.file_name().unwrap());
    is_full(&FileMap::new().bytes(4 << 20).extend(true).open(&path).unwrap_err());
    // A file with holes gets its blocks, or is refused.
    let file = fs::File::create(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    is_full(&FileMap::new().open(&path).unwrap_err());
    assert_eq!(FileMap::new().bytes(4096).open(&path).unwrap().len(), 4096);
    assert_eq!(FileMap::new().open_read_only(&path).unwrap().len(), 4 << 20);
}

#[test]
fn a_full_file_system_is_an_error_of_create() {
    let bench = Bench::of(BackendKind::Posix);
    on_a_small_file_system(&bench, "full", "/dev/shm");
    let bench = Bench::of(BackendKind::File);
    on_a_small_file_system(&bench, "full", bench.dir.path().to_str().unwrap());
    on_a_small_file_system(&bench, "full-file", "/mnt");
}

#[test]
fn a_growth_that_does_not_fit_leaves_the_region_as_it_was() {
    let bench = Bench::of(BackendKind::Posix);
    on_a_small_file_system(&bench, "grow-full", "/dev/shm");
    let bench = Bench::of(BackendKind::File);
    on_a_small_file_system(&bench, "grow-full", bench.dir.path().to_str().unwrap());
}

fn limited(shared: &ShareMgr, keys: (Key, Key), path: &std::path::Path) {
    for error in [
        shared.create(keys, Bytes(1 << 20)).map(drop).unwrap_err(),
        FileMap::new().bytes(1 << 20).extend(true).open(path).map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("File too large"), "{error}");
    }
}

#[test]
fn a_limit_of_the_file_size_is_an_error() {
    for backend in [BackendKind::Posix, BackendKind::File] {
        let bench = Bench::of(backend);
        let program = child(&bench.order("limited"));
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 64 && exec \"$@\"", "sh"]).arg(program.get_program());
        command.args(program.get_args()).stdin(Stdio::null());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(bench.leftovers(), [""; 0]);
    }
}

#[test]
fn the_memory_of_a_region_is_there_before_it_is_returned() {
    let resident = |region: &Region| {
        let pages = region.len() as usize / 4096;
        let mut found = vec![0u8; pages];
        let start = region.as_ptr().cast_mut().cast();
        // SAFETY: the range is mapped, and the vector has a byte for each page.
        assert_eq!(unsafe { libc::mincore(start, region.len() as usize, found.as_mut_ptr()) }, 0);
        found.iter().filter(|page| **page & 1 == 1).count() == pages
    };
    let bench = Bench::of(BackendKind::Sysv);
    assert!(resident(&bench.shared.create(bench.keys, Bytes(1 << 20)).unwrap()));
    assert!(resident(&ShareMgr::anonymous(Bytes(1 << 20)).unwrap()));
    for backend in [BackendKind::Posix, BackendKind::File] {
        let bench = Bench::of(backend);
        let _region = bench.shared.create(bench.keys, Bytes(1 << 20)).unwrap();
        let file = fs::metadata(bench.file_of(bench.keys.0).unwrap()).unwrap();
        assert!(file.blocks() * 512 > 1 << 20, "{backend:?}: the file has its blocks");
    }
}

#[test]
fn of_many_processes_one_creates() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let start = || child(&bench.order("create")).stdout(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..6).map(|_| start()).collect();
        let said: Vec<String> = children
            .into_iter()
            .map(|child| String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned())
            .collect();
        let count = |what: &str| said.iter().filter(|said| said.contains(what)).count();
        assert_eq!((count("created"), count("exists")), (1, 5), "{backend:?}: {said:?}");
    }
}

#[test]
fn atomics_count_across_processes() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        let children: Vec<_> = (0..3).map(|_| child(&bench.order("count")).spawn().unwrap()).collect();
        children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
        assert_eq!(region.load::<u64>(0).unwrap(), 30_000, "{backend:?}");
        assert!(matches!(region.atomic_u64(4), Err(RegionError::Misaligned { at: 4, align: 8 })));
        assert!(matches!(region.atomic_u32(16 << 10), Err(RegionError::OutOfRange { .. })));
    }
}

/// Checks that an open during a growth always finds a whole generation.
#[test]
fn a_growing_region_can_be_opened_at_any_moment() {
    for backend in ALL {
        let bench = Bench::of(backend);
        let mut region = bench.shared.create(bench.keys, Bytes(4096)).unwrap();
        region.store(0, &0x600d_u64).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let opener = scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let found = bench.shared.open(bench.keys).unwrap();
                    assert_eq!(found.load::<u64>(0).unwrap(), 0x600d);
                    assert!(found.generation() >= last);
                    last = found.generation();
                }
            });
            let mut old = bench.shared.open(bench.keys).unwrap();
            for _ in 0..50 {
                bench.shared.grow(&mut region, Bytes(4096)).unwrap();
                assert_eq!(old.successor(), Some(Successor::Generation(region.generation())));
                old = bench.shared.open(bench.keys).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            opener.join().unwrap();
        });
        assert_eq!(region.generation(), 51);
    }
}

#[test]
fn what_is_not_a_region_is_refused_and_not_touched() {
    for backend in [BackendKind::Posix, BackendKind::File] {
        let bench = Bench::of(backend);
        for key in [bench.keys.0, bench.keys.1] {
            let path = bench.file_of(key).unwrap();
            let mut zeros_and_one = vec![0; 20_000];
            zeros_and_one[19_999] = 1;
            for content in [b"a file of another program".to_vec(), zeros_and_one] {
                fs::write(&path, &content).unwrap();
                refused(&bench);
                assert_eq!(fs::read(&path).unwrap(), content, "{backend:?}");
            }
            fs::remove_file(&path).unwrap();
        }
    }
    let bench = Bench::of(BackendKind::Sysv);
    // SAFETY: integers only; the bench removes the segment.
    let shmid = unsafe { libc::shmget(bench.keys.1.raw(), 4096, libc::IPC_CREAT | 0o600) };
    // SAFETY: the kernel chooses the address.
    let start = unsafe { libc::shmat(shmid, std::ptr::null(), 0) };
    // The segment is blank, but another program has it attached.
    refused(&bench);
    // SAFETY: a mapped page.
    unsafe { start.cast::<u64>().write(1) };
    // SAFETY: the address came from `shmat`.
    unsafe { libc::shmdt(start) };
    refused(&bench);
    // SAFETY: integers only.
    assert_eq!(unsafe { libc::shmget(bench.keys.1.raw(), 0, 0) }, shmid);
}

fn refused(bench: &Bench) {
    let foreign = |error: &RegionError| matches!(error, RegionError::Foreign { .. });
    for error in [
        bench.shared.create(bench.keys, SIZE).unwrap_err(),
        bench.shared.open(bench.keys).unwrap_err(),
        bench.shared.remove(bench.keys).unwrap_err(),
    ] {
        assert!(foreign(&error), "{error}");
    }
    let left = bench.leftovers();
    assert!(!left.iter().any(|what| what.contains("semaphores")), "{left:?}");
}

#[test]
fn a_damaged_head_is_refused() {
    let bench = Bench::of(BackendKind::Posix);
    drop(bench.shared.create(bench.keys, SIZE).unwrap());
    let path = bench.file_of(bench.keys.0).unwrap();
    let sound = fs::read(&path).unwrap();
    for at in 0..64 {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        refused(&bench);
    }
    fs::write(&path, &sound[..8192]).unwrap();
    refused(&bench);
    fs::write(&path, &sound).unwrap();
    assert!(bench.shared.open(bench.keys).is_ok());
}

#[test]
fn a_region_of_another_user_is_refused() {
    // SAFETY: this call takes no argument.
    if unsafe { libc::geteuid() } != 0 {
        skipped("only root may give a file to another user: a region of another user");
        return;
    }
    let bench = Bench::of(BackendKind::Posix);
    drop(bench.shared.create(bench.keys, SIZE).unwrap());
    std::os::unix::fs::chown(bench.file_of(bench.keys.0).unwrap(), Some(12345), None).unwrap();
    let error = bench.shared.open(bench.keys).unwrap_err().to_string();
    assert!(error.contains("it belongs to user 12345"), "{error}");
}

#[test]
fn each_mistake_of_a_file_request_is_named() {
    let bench = Bench::of(BackendKind::File);
    let (path, empty) = (bench.path("data"), bench.path("empty"));
    fs::write(&path, vec![1; 5000]).unwrap();
    fs::write(&empty, "").unwrap();
    let says = |answer: Result<Region, RegionError>, words: &str| {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let map = FileMap::new();
    says(map.open(&empty), "it is empty");
    says(map.extend(true).open(&empty), "it is empty");
    says(map.bytes(5001).open(&path), "it has 5000 bytes");
    says(map.offset(8192).open(&path), "it has 5000 bytes");
    says(map.offset(8192).extend(true).open(&path), "it has 5000 bytes");
    says(map.offset(4096).bytes(905).open(&path), "it has 5000 bytes");
    says(map.bytes(0).open(&path), "a size of 0 bytes");
    says(map.offset(1).open(&path), "not a multiple of 4096");
    says(map.offset(4096).bytes(u64::MAX).extend(true).open(&path), "is not possible");
    says(map.open(bench.dir.path()), "not a regular file");
    says(map.open("/dev/zero"), "not a regular file");
    says(map.open(bench.path("absent")), "No such file");
    let short = map.bytes(6000).extend(true).open_read_only(&path).unwrap_err();
    assert!(matches!(short, RegionError::ShortFile { file_bytes: 5000, .. }), "{short}");
    assert!(map.extend(true).open_read_only(bench.path("absent")).is_err());
    assert_eq!(fs::metadata(&path).unwrap().len(), 5000, "no mistake changes the file");
    assert!(!bench.path("absent").exists());
    let part = map.offset(4096).bytes(904).open(&path).unwrap();
    assert_eq!((part.len(), part.load::<u8>(903).unwrap()), (904, 1));
    let beyond = map.offset(8192).bytes(10).extend(true).open(&path).unwrap();
    beyond.store(2, &9u64).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 8202);
}

#[test]
fn slices_are_lent_to_those_who_promise() {
    let mut region = ShareMgr::anonymous(SIZE).unwrap();
    // SAFETY: no other thread or process uses the region.
    let bytes = unsafe { region.bytes_mut() };
    bytes[16_383] = 5;
    // SAFETY: as above.
    let bytes = unsafe { region.bytes() };
    assert_eq!((bytes.len(), bytes[16_383], region.load::<u8>(16_383).unwrap()), (16_384, 5, 5));
}

#[test]
fn a_manager_follows_the_configuration_of_a_process() {
    let bench = Bench::of(BackendKind::File);
    let mut conf = ProcessConf::new("zone", bench.keys.0, Bytes(1 << 20), &[]);
    (conf.backend, conf.dir) = (BackendKind::File, bench.home.dir.clone());
    let _region = ShareMgr::of(&conf).create(bench.keys, SIZE).unwrap();
    assert!(bench.file_of(bench.keys.0).unwrap().exists());
}
