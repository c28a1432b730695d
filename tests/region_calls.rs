//! Tests the counterpart of each call in the table of docs/regions.md: one test for each row.

mod regions;

use hotpool::ShareMgr;
use hotpool::conf::BackendKind;
use hotpool::share::{FileMap, Home, RegionError, Successor};
use hotpool::units::Bytes;
use regions::{ALL, Bench, SHARED, child, order};
use std::fs;
use std::process::Command;

const SIZE: Bytes = Bytes(16 << 10);

/// Returns the lines of this process's map that name `what`.
fn mappings(what: &str) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(what)).map(str::to_string).collect()
}

/// Returns the line of this process's map that begins at an address.
fn mapping_at(address: *const u8) -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let holds = |line: &&str| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |hex| usize::from_str_radix(hex, 16).unwrap();
        (number(start)..number(end)).contains(&address.addr())
    };
    maps.lines().find(holds).map(str::to_string)
}

#[test]
fn every_row_has_a_test() {
    let document = fs::read_to_string("docs/regions.md").unwrap();
    let table =
        document.split("## Calls and their counterparts").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() >= 22, "{rows:?}");
    for row in rows {
        let name = row.trim_end_matches(" |").rsplit("| ").next().unwrap().trim_matches('`');
        assert!(include_str!("region_calls.rs").contains(&format!("\nfn {name}() {{")), "no test: {row}");
    }
    for call in [
        "CreateFileMapping",
        "OpenFileMapping",
        "MapViewOfFile",
        "FlushViewOfFile",
        "UnmapViewOfFile",
        "CloseHandle",
        "mmap",
        "munmap",
        "msync",
        "shm_open",
        "shm_unlink",
        "ftruncate",
        "fstat",
    ] {
        assert!(table.contains(&format!("| `{call}")), "the table has no row for {call}");
    }
}

/// The members of the structures for shared memory of eCAL 5.11, and of a ring with a semaphore, have
/// their counterparts in docs/messaging.md.
#[test]
fn every_member_of_other_structures_has_a_counterpart() {
    let document = fs::read_to_string("docs/messaging.md").unwrap();
    let names = |section: &str| {
        let table = document.split(section).nth(2).unwrap().split("\n## ").next().unwrap();
        let left = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let words = left.flat_map(|cell| cell.split(|c: char| !c.is_alphanumeric() && c != '_'));
        words.map(str::to_string).collect::<std::collections::BTreeSet<_>>()
    };
    let ecal = "m_write_idx m_memory_file_vec m_base_name m_memfile_name m_memfile m_attr min_size reserve \
        timeout_open_ms timeout_ack_ms m_created event_snd event_ack m_event_handle_map_sync \
        m_event_handle_map m_auto_sanitizing m_access_state m_name m_header m_memfile_info \
        m_memfile_mutex refcnt remove memfile map_region mem_address name size exists hdr_size \
        data_size id clock time hash options zero_copy unused ack_timout_ms int_hdr_size _reserved_0 \
        cur_data_size max_data_size m_impl m_mutex_handle m_named m_has_ownership mtx cvar locked";
    let ring = "l r id d_id size read_index read_fid sem_open sem_wait sem_post";
    for (section, members) in [("Words of eCAL and ours", ecal), ("A ring with a semaphore and ours", ring)] {
        let (named, table) = (names(section), members.split_whitespace());
        let missing: Vec<&str> = table.filter(|member| !named.contains(*member)).collect();
        assert!(missing.is_empty(), "{section}: the table lacks {missing:?}");
    }
}

/// Plays the other process of some tests.
#[test]
fn serve() {
    let Some((what, shared, keys, dir)) = order() else { return };
    match what.as_str() {
        "answer" => {
            let region = shared.open(keys).unwrap();
            assert_eq!(region.load::<u64>(8).unwrap(), 42);
            region.store(16, &43u64).unwrap();
        }
        "answer-file" => {
            let region = FileMap::new().open(dir.join("data")).unwrap();
            assert_eq!(region.load::<u64>(8).unwrap(), 42);
            region.store(16, &43u64).unwrap();
        }
        other => panic!("{other}"),
    }
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn create_file_mapping() {
    for backend in ALL {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        let mut bytes = vec![1; SIZE.0 as usize];
        region.read(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0), "{backend:?}: a new region is zero");
        let again = bench.shared.create(bench.keys, SIZE).unwrap_err();
        assert!(matches!(again, RegionError::Exists { generation: 1, bytes: SIZE, .. }), "{again}");
        for bytes in [Bytes(0), Bytes(u64::MAX)] {
            assert!(matches!(bench.shared.create(bench.keys, bytes), Err(RegionError::Size { .. })));
        }
    }
}

#[test]
fn create_file_mapping_of_a_file() {
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("data");
    fs::write(&path, vec![7; 5000]).unwrap();
    let region = FileMap::new().open(&path).unwrap();
    assert_eq!((region.len(), region.load::<u8>(4999).unwrap()), (5000, 7));
    assert!(matches!(
        region.load::<u8>(5000),
        Err(RegionError::OutOfRange { at: 5000, bytes: 1, len: 5000 })
    ));
}

#[test]
fn page_readonly() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        region.write(100, b"to be read").unwrap();
        let view = bench.shared.open_read_only(bench.keys).unwrap();
        let mut text = [0; 10];
        view.read(100, &mut text).unwrap();
        assert_eq!(&text, b"to be read");
        let line = mapping_at(view.as_ptr()).unwrap();
        assert!(line.contains(" r--s "), "{backend:?}: {line}");
    }
    let bench = Bench::of(BackendKind::Heap);
    let _region = bench.shared.create(bench.keys, SIZE).unwrap();
    assert!(matches!(bench.shared.open_read_only(bench.keys), Err(RegionError::OneMapping { .. })));
}

#[test]
fn open_file_mapping() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        assert!(matches!(bench.shared.open(bench.keys), Err(RegionError::NotFound { .. })));
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        region.store(8, &42u64).unwrap();
        succeeds(child(&bench.order("answer")));
        assert_eq!(region.load::<u64>(16).unwrap(), 43, "{backend:?}");
    }
}

#[test]
fn map_view_of_file() {
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("data");
    let bytes: Vec<u8> = (0..16 << 10).map(|n: u32| (n >> 12) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let part = FileMap::new().offset(8192).bytes(100).open(&path).unwrap();
    assert_eq!((part.len(), part.load::<u8>(99).unwrap()), (100, 2));
    let rest = FileMap::new().offset(12288).open(&path).unwrap();
    assert_eq!((rest.len(), rest.load::<u8>(0).unwrap()), (4096, 3));
    let askew = FileMap::new().offset(100).open(&path).unwrap_err();
    assert!(matches!(askew, RegionError::Misaligned { at: 100, align: 4096 }), "{askew}");
}

/// Checks what a flush with `flush` leaves in the file, read around every mapping.
fn flushes(flush: impl Fn(&hotpool::share::Region) -> Result<(), RegionError>) {
    for backend in ALL {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        region.write(5000, b"flushed").unwrap();
        flush(&region).unwrap();
        if let Some(path) = bench.file_of(bench.keys.0) {
            let content = fs::read(path).unwrap();
            assert_eq!(&content[4096 + 5000..][..7], b"flushed", "{backend:?}");
        }
    }
    let anonymous = ShareMgr::anonymous(SIZE).unwrap();
    flush(&anonymous).unwrap();
}

#[test]
fn flush_view_of_file() {
    flushes(|region| region.flush_async(5000, 7));
}

#[test]
fn unmap_view_of_file() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        let start = region.as_ptr();
        assert!(mapping_at(start).is_some());
        drop(region);
        // Another thread may have mapped something else there.
        let name = format!("{:08x}", bench.keys.0.0);
        assert!(mapping_at(start).is_none_or(|line| !line.contains(&name)), "{backend:?}");
        assert!(bench.shared.open(bench.keys).is_ok(), "{backend:?}: a drop removes nothing");
    }
}

#[test]
fn close_handle() {
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("only-here");
    let region = FileMap::new().bytes(100).extend(true).open(&path).unwrap();
    let open = || {
        let entries = fs::read_dir("/proc/self/fd").unwrap();
        let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|target| target.ends_with("only-here")).count()
    };
    assert_eq!((open(), mappings("only-here").len()), (0, 1), "a mapping needs no descriptor");
    drop(region);
    assert_eq!(mappings("only-here"), [""; 0]);
}

#[test]
fn mmap() {
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("data");
    fs::write(&path, vec![0; 4096]).unwrap();
    let region = FileMap::new().open(&path).unwrap();
    region.store(8, &42u64).unwrap();
    succeeds(child(&bench.order("answer-file")));
    assert_eq!(region.load::<u64>(16).unwrap(), 43);
    assert_eq!(fs::read(&path).unwrap()[16], 43, "the file has what the mappings have");
}

#[test]
fn mmap_prot_read() {
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("data");
    fs::write(&path, vec![9; 5000]).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let view = FileMap::new().open_read_only(&path).unwrap();
    assert_eq!(view.load::<u8>(4999).unwrap(), 9);
    assert!(mapping_at(view.as_ptr()).unwrap().contains(" r--s "));
}

#[test]
fn mmap_anonymous() {
    let region = ShareMgr::anonymous(Bytes(5000)).unwrap();
    assert_eq!((region.len(), region.generation(), region.successor()), (8192, 0, None));
    assert_eq!(region.load::<u64>(8184).unwrap(), 0);
    // SAFETY: the child stores one word and exits.
    match unsafe { libc::fork() } {
        0 => {
            let stored = region.store(0, &42u64).is_ok();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!stored)) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: a child of this process.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!((status, region.load::<u64>(0).unwrap()), (0, 42));
        }
    }
    let mut region = region;
    let shared = ShareMgr::new(Home::sysv());
    assert!(matches!(shared.grow(&mut region, SIZE), Err(RegionError::NotNamed)));
}

#[test]
fn munmap() {
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("to-be-unmapped");
    fs::write(&path, vec![0; 4096]).unwrap();
    let view = FileMap::new().open_read_only(&path).unwrap();
    assert_eq!(mappings("to-be-unmapped").len(), 1);
    drop(view);
    assert_eq!(mappings("to-be-unmapped"), [""; 0]);
}

#[test]
fn msync_sync() {
    flushes(|region| region.flush(5000, 7));
    flushes(|region| region.flush(0, region.len()));
    let region = ShareMgr::anonymous(SIZE).unwrap();
    assert!(matches!(region.flush(16 << 10, 1), Err(RegionError::OutOfRange { .. })));
}

#[test]
fn msync_async() {
    flushes(|region| region.flush_async(0, region.len()));
    let region = ShareMgr::anonymous(SIZE).unwrap();
    assert!(matches!(region.flush_async(u64::MAX, 1), Err(RegionError::OutOfRange { .. })));
}

#[test]
fn shm_open_create() {
    let bench = Bench::of(BackendKind::Posix);
    let _region = bench.shared.create(bench.keys.0, SIZE).unwrap();
    let path = bench.file_of(bench.keys.0).unwrap();
    assert_eq!(fs::metadata(path).unwrap().len(), 4096 + SIZE.0);
    assert!(matches!(bench.shared.create(bench.keys.0, SIZE), Err(RegionError::Exists { .. })));
}

#[test]
fn shm_open() {
    let bench = Bench::of(BackendKind::Posix);
    let created = bench.shared.create(bench.keys.0, SIZE).unwrap();
    let opened = bench.shared.open(bench.keys.0).unwrap();
    opened.write(4000, b"both").unwrap();
    assert_eq!(created.load::<[u8; 4]>(4000).unwrap(), *b"both");
}

#[test]
fn shm_open_read_only() {
    let bench = Bench::of(BackendKind::Posix);
    assert!(matches!(bench.shared.open_read_only(bench.keys.0), Err(RegionError::NotFound { .. })));
    let created = bench.shared.create(bench.keys.0, SIZE).unwrap();
    created.store(0, &5u32).unwrap();
    let view = bench.shared.open_read_only(bench.keys.0).unwrap();
    assert_eq!((view.load::<u32>(0).unwrap(), view.len()), (5, SIZE.0));
    assert!(mapping_at(view.as_ptr()).unwrap().contains(" r--s "));
}

#[test]
fn shm_open_truncate() {
    for backend in ALL {
        let bench = Bench::of(backend);
        let old = bench.shared.create(bench.keys, SIZE).unwrap();
        old.store(0, &1u64).unwrap();
        assert!(bench.shared.remove(bench.keys).unwrap());
        let new = bench.shared.create(bench.keys, Bytes(4096)).unwrap();
        let last = SIZE.0 - 8;
        assert_eq!((new.load::<u64>(0).unwrap(), new.len()), (0, 4096), "{backend:?}");
        assert_eq!((old.load::<u64>(0).unwrap(), old.load::<u64>(last).unwrap()), (1, 0), "{backend:?}");
        assert_eq!((old.successor(), new.successor()), (Some(Successor::Removed), None));
    }
}

#[test]
fn shm_unlink() {
    for backend in ALL {
        let bench = Bench::of(backend);
        assert!(!bench.shared.remove(bench.keys).unwrap(), "there is nothing yet");
        let region = bench.shared.create(bench.keys, SIZE).unwrap();
        assert!(bench.shared.remove(bench.keys).unwrap());
        assert!(matches!(bench.shared.open(bench.keys), Err(RegionError::NotFound { .. })));
        region.store(0, &1u64).unwrap();
        assert_eq!(region.load::<u64>(0).unwrap(), 1, "{backend:?}: a mapping stays");
        drop(region);
        assert_eq!(bench.leftovers(), [""; 0], "{backend:?}");
    }
}

#[test]
fn ftruncate_new() {
    for backend in ALL {
        let bench = Bench::of(backend);
        let region = bench.shared.create(bench.keys, Bytes(5000)).unwrap();
        assert_eq!(region.len(), 8192, "{backend:?}: whole pages");
        region.store(8184, &1u64).unwrap();
        let end = region.load::<u64>(8185);
        assert!(matches!(end, Err(RegionError::OutOfRange { at: 8185, bytes: 8, len: 8192 })), "{end:?}");
    }
}

#[test]
fn ftruncate_longer() {
    for backend in ALL {
        let bench = Bench::of(backend);
        let mut region = bench.shared.create(bench.keys, Bytes(4096)).unwrap();
        region.store(4088, &7u64).unwrap();
        let mut old = bench.shared.open(bench.keys).unwrap();
        for (generation, bytes) in [(2, 8192), (3, 1 << 20), (4, 1 << 20)] {
            bench.shared.grow(&mut region, Bytes(bytes)).unwrap();
            assert_eq!((region.generation(), region.len(), region.successor()), (generation, bytes, None));
            assert_eq!(region.load::<u64>(4088).unwrap(), 7, "{backend:?}: the data moves along");
            assert_eq!(region.load::<u64>(bytes - 8).unwrap(), 0);
        }
        assert_eq!(old.successor(), Some(Successor::Generation(2)));
        assert_eq!(old.load::<u64>(4088).unwrap(), 7, "{backend:?}: the old mapping stays");
        assert!(matches!(bench.shared.grow(&mut old, SIZE), Err(RegionError::Superseded { .. })));
        assert_eq!(bench.shared.open(bench.keys).unwrap().generation(), 4);
        let mut single = bench.shared.open(bench.keys.1).unwrap();
        assert!(matches!(
            bench.shared.grow(&mut single, Bytes(2 << 20)),
            Err(RegionError::NoSecondKey { .. })
        ));
    }
    let bench = Bench::of(BackendKind::File);
    let path = bench.path("data");
    fs::write(&path, b"short").unwrap();
    let region = FileMap::new().bytes(10_000).extend(true).open(&path).unwrap();
    assert_eq!((region.len(), fs::metadata(&path).unwrap().len()), (10_000, 10_000));
    assert_eq!((region.load::<[u8; 5]>(0).unwrap(), region.load::<u64>(9992).unwrap()), (*b"short", 0));
}

#[test]
fn ftruncate_shorter() {
    let bench = Bench::of(BackendKind::Posix);
    let mut region = bench.shared.create(bench.keys, SIZE).unwrap();
    let refused = bench.shared.grow(&mut region, Bytes(4096)).unwrap_err();
    assert!(matches!(refused, RegionError::Size { bytes: 4096, min: SIZE, .. }), "{refused}");
    assert_eq!((region.generation(), region.len()), (1, SIZE.0));
}

#[test]
fn fstat() {
    for backend in ALL {
        let bench = Bench::of(backend);
        assert_eq!(bench.shared.stat(bench.keys).unwrap(), None);
        let mut region = bench.shared.create(bench.keys, SIZE).unwrap();
        let facts = bench.shared.stat(bench.keys).unwrap().unwrap();
        assert_eq!((facts.key, facts.generation, facts.bytes), (bench.keys.0, 1, SIZE), "{backend:?}");
        // SAFETY: this call takes no argument.
        assert_eq!((facts.uid, facts.mode), (unsafe { libc::geteuid() }, 0o600));
        bench.shared.grow(&mut region, Bytes(1 << 20)).unwrap();
        let grown = bench.shared.stat(bench.keys).unwrap().unwrap();
        assert_eq!((grown.key, grown.generation, grown.bytes), (bench.keys.1, 2, Bytes(1 << 20)));
        assert_eq!(grown.id, facts.id, "{backend:?}: the same region");
    }
}
