//! A configuration created in code obeys the rules of the ini, whatever its values are.

#[path = "harness/own_keys.rs"]
mod own_keys;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{
    BackendKind, HugePages, MemoryConf, OnCrashLoop, OnMissing, Place, ProblemKind, ProcessConf, ResumeConf,
    TypeConf,
};
use hotpool::share::{Home, LockFacts, observe, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{ConfMgr, MemoryPoolMgr, PoolError, limits};
use own_keys::own_keys;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Returns a segment key of this process. Each number has 16 of them.
fn key(number: u32, at: u32) -> Key {
    static FIRST: LazyLock<u32> = LazyLock::new(|| own_keys(0x1000));
    Key(*FIRST + (number << 4 | at))
}

fn sound(number: u32) -> ProcessConf {
    ProcessConf::new("zone", key(number, 0), Bytes(64 << 10), &[key(number, 1)]).owner_wait_ms(0)
}

fn type_conf(name: &str, capacity: u32, object_bytes: Option<u64>) -> TypeConf {
    let place = Place { section: "zone.types".into(), key: name.into(), ..Place::default() };
    TypeConf { name: name.into(), capacity, object_bytes, place }
}

/// Returns the problems of an error without their positions.
fn kinds(error: &hotpool::conf::ConfError) -> Vec<(String, ProblemKind)> {
    error.problems().iter().map(|problem| (problem.place.key.clone(), problem.kind.clone())).collect()
}

/// Returns an ini with these lines for the process and these for its types.
fn ini(lines: &[(&str, &str)], types: &str) -> String {
    let given = |key: &str| lines.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let required = [("BaseKey", "0x48500100"), ("BlockSize", "64K"), ("ShmKeys", "0x48500101")];
    let mut text = String::from("[common]\nProcessList = zone\n[zone]\n");
    for (key, value) in required {
        text += &format!("{key} = {}\n", given(key).unwrap_or(value));
    }
    for (key, value) in lines.iter().filter(|(key, _)| !required.iter().any(|(known, _)| known == key)) {
        text += &format!("{key} = {value}\n");
    }
    text + "[zone.types]\n" + types
}

type Row = (fn(&mut ProcessConf), &'static [(&'static str, &'static str)], &'static str);

/// Breaks each rule in code, and the same rule in an ini.
const BROKEN: &[Row] = &[
    (|conf| conf.base_key = Key(0), &[("BaseKey", "0x00000000")], ""),
    (|conf| conf.shm_keys = Vec::new(), &[("ShmKeys", "")], ""),
    (|conf| conf.block_size = Bytes(4096), &[("BlockSize", "4K")], ""),
    (|conf| conf.block_size = Bytes(70_000), &[("BlockSize", "70000")], ""),
    (|conf| conf.block_size = Bytes(1 << 41), &[("BlockSize", "2048G")], ""),
    (|conf| conf.undo_size = Bytes(0), &[("UndoSize", "0")], ""),
    (|conf| conf.undo_size = Bytes(5000), &[("UndoSize", "5000")], ""),
    (|conf| conf.undo_size = Bytes(2 << 30), &[("UndoSize", "2G")], ""),
    (|conf| conf.mode = 0o777, &[("Mode", "0777")], ""),
    (|conf| conf.mode = 0o066, &[("Mode", "0066")], ""),
    (|conf| conf.owner_wait_ms = 600_001, &[("OwnerWaitMs", "600001")], ""),
    (|conf| conf.backend = BackendKind::File, &[("Backend", "file")], ""),
    (
        |conf| (conf.backend, conf.dir) = (BackendKind::File, "a".into()),
        &[("Backend", "file"), ("Dir", "a")],
        "",
    ),
    (|conf| conf.dir = "/a".into(), &[("Dir", "/a")], ""),
    (
        |conf| (conf.backend, conf.memory.huge_pages) = (BackendKind::Posix, HugePages::On),
        &[("Backend", "posix"), ("HugePages", "on")],
        "",
    ),
    (|conf| conf.resume.max_crash_resumes = 33, &[("MaxCrashResumes", "33")], ""),
    (|conf| conf.resume.crash_window_sec = 0, &[("CrashWindowSec", "0")], ""),
    (
        |conf| (conf.resume.on_crash_loop, conf.resume.must_be_hot) = (OnCrashLoop::Cold, true),
        &[("OnCrashLoop", "cold"), ("MustBeHot", "yes")],
        "",
    ),
    (|conf| conf.snapshots.dir = "sets".into(), &[("SnapshotDir", "sets")], ""),
    (
        |conf| (conf.snapshots.dir, conf.snapshots.every_sec) = ("/sets".into(), 604_801),
        &[("SnapshotDir", "/sets"), ("SnapshotEverySec", "604801")],
        "",
    ),
    (
        |conf| (conf.snapshots.dir, conf.snapshots.keep) = ("/sets".into(), 0),
        &[("SnapshotDir", "/sets"), ("SnapshotKeep", "0")],
        "",
    ),
    (|conf| conf.snapshots.every_sec = 60, &[("SnapshotEverySec", "60")], ""),
    (|conf| conf.snapshots.keep = 3, &[("SnapshotKeep", "3")], ""),
    (|conf| conf.snapshots.on_missing = OnMissing::Restore, &[("OnMissing", "restore")], ""),
    (|conf| conf.snapshots.on_close = true, &[("SnapshotOnClose", "yes")], ""),
    (|conf| conf.types = vec![type_conf("1st", 1, None)], &[], "1st = 1\n"),
    (|conf| conf.types = vec![type_conf("npc", 67_108_864, None)], &[], "npc = 67108864\n"),
    (|conf| conf.types = vec![type_conf("npc", 1, Some(0))], &[], "npc = 1 x 0\n"),
    (|conf| conf.types = vec![type_conf("npc", 1, Some(1 << 20))], &[], "npc = 1 x 1M\n"),
    (|conf| conf.types = vec![type_conf("npc", 60_000, Some(64))], &[], "npc = 60000 x 64\n"),
];

#[test]
fn each_ini_rule_holds_for_a_configuration_in_code() {
    for (change, lines, types) in BROKEN {
        let text = ini(lines, types);
        let of_ini = ConfMgr::parse(&text, "").expect_err(&text);
        let mut conf = ProcessConf::new("zone", Key(0x4850_0100), Bytes(64 << 10), &[Key(0x4850_0101)]);
        change(&mut conf);
        let in_code = conf.validate().expect_err(&text);
        // The ini's problems quote the values as they were written, so only the codes are compared.
        let code = |found: &[(String, ProblemKind)]| -> Vec<_> {
            found.iter().map(|(key, kind)| (key.clone(), kind.code())).collect()
        };
        assert_eq!(code(&kinds(&in_code)), code(&kinds(&of_ini)), "{text}");
        let opened = MemoryPoolMgr::open(&conf).map(drop).unwrap_err();
        assert!(matches!(&opened, PoolError::Conf(error) if *error == in_code), "{opened}");
    }
}

#[test]
fn keys_and_names_of_a_configuration_in_code_are_checked() {
    let base = sound(0);
    let first = |change: fn(&mut ProcessConf)| {
        let mut conf = base.clone();
        change(&mut conf);
        conf.validate().unwrap_err().to_string()
    };
    assert_eq!(
        first(|conf| conf.name = "a b".into()),
        "[zone]: \"a b\" is not a valid name; a name begins with a letter or _ and consists of ASCII letters, digits, _ and -"
    );
    assert!(first(|conf| conf.name = "common".into()).contains("a process cannot be called common"));
    assert!(first(|conf| conf.name = "z".repeat(32)).contains("has 32 bytes; at most 31 fit"));
    assert!(first(|conf| conf.shm_keys.push(conf.base_key)).contains("is already used at [zone] BaseKey"));
    assert!(
        first(|conf| conf.shm_keys.push(Key(0))).contains("[zone] ShmKeys: \"0x00000000\" is IPC_PRIVATE")
    );
    let conf = base.clone().capacity("npc", 1).capacity("npc", 2);
    assert!(conf.validate().unwrap_err().to_string().contains("the key already exists"));
    let many: Vec<Key> = (1..=limits::MAX_BLOCKS + 1).map(Key).collect();
    let mut conf = base;
    conf.shm_keys = many;
    assert!(conf.validate().unwrap_err().to_string().contains("names 4097 keys"));
}

#[test]
fn the_size_of_a_base_does_not_wrap() {
    let conf = sound(0).undo_size(Bytes(u64::MAX));
    assert_eq!(hotpool::pool::base_bytes(&conf), u64::MAX);
}

/// Checks that no segment exists under the keys of a configuration.
fn assert_empty(conf: &ProcessConf) -> Result<(), TestCaseError> {
    let home = Home::of(conf);
    for &key in conf.shm_keys.iter().chain([&conf.base_key]).filter(|key| key.0 != 0) {
        // A folder that does not exist holds no segment.
        let Ok(found) = observe(key, &home) else { continue };
        prop_assert!(found.segment.is_none(), "a segment is left under {}", key);
        prop_assert_eq!(&found.lock, &LockFacts::None, "semaphores are left under {}", key);
    }
    Ok(())
}

/// Removes what a failed test leaves.
struct Sweep<'a>(&'a ProcessConf);

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        let _ = remove_pool(self.0.base_key, &Home::of(self.0), false);
    }
}

/// Returns mostly a value of `sound`, sometimes one of `broken`.
fn mostly<T: Clone + std::fmt::Debug + 'static>(sound: Vec<T>, broken: Vec<T>) -> BoxedStrategy<T> {
    prop_oneof![6 => prop::sample::select(sound), 1 => prop::sample::select(broken)].boxed()
}

fn any_memory() -> impl Strategy<Value = MemoryConf> {
    let pages = prop::sample::select(HugePages::ALL.to_vec());
    (pages, any::<bool>(), any::<bool>()).prop_map(|(huge_pages, prefault, lock_memory)| MemoryConf {
        huge_pages,
        prefault,
        lock_memory,
    })
}

fn any_resume() -> impl Strategy<Value = ResumeConf> {
    let policy = prop::sample::select(OnCrashLoop::ALL.to_vec());
    let resumes = mostly(vec![0, 3, 32], vec![33, u32::MAX]);
    let window = mostly(vec![1, 300, 86_400], vec![0, 86_401, u64::MAX]);
    (policy, resumes, window, any::<bool>()).prop_map(|(on_crash_loop, resumes, window, must_be_hot)| {
        ResumeConf {
            max_crash_resumes: resumes,
            crash_window_sec: window,
            on_crash_loop,
            must_be_hot,
            ..ResumeConf::default()
        }
    })
}

fn any_types() -> impl Strategy<Value = Vec<TypeConf>> {
    let name = mostly(vec!["npc", "player", "item"], vec!["", "1st", "a b", "\0"]);
    let capacity = mostly(vec![0, 1, 100], vec![67_108_864, u32::MAX]);
    let size = mostly(vec![None, Some(1), Some(64)], vec![Some(0), Some(u64::MAX), Some(1 << 40)]);
    let one = (name, capacity, size).prop_map(|(name, capacity, size)| type_conf(name, capacity, size));
    prop::collection::vec(one, 0..4)
}

fn any_conf() -> impl Strategy<Value = ProcessConf> {
    let name = mostly(vec!["zone", "_", "a-1"], vec!["", "common", "a\nb", "zone.types", "0"]);
    let block = mostly(
        vec![64 << 10, 1 << 20],
        vec![0, 1, 4096, 70_000, (1 << 40) + 4096, u64::MAX, u64::MAX - 4095],
    );
    let undo = mostly(vec![4096, 64 << 10], vec![0, 1, 5000, (1 << 30) + 4096, u64::MAX, u64::MAX - 4095]);
    let blocks = mostly(vec![vec![1], vec![1, 2, 3]], vec![vec![], vec![1, 1], vec![0], vec![99]]);
    let backend = prop::sample::select(BackendKind::ALL.to_vec());
    let dir = mostly(vec![""], vec!["/", "a", "/no/such/folder", "/\0"]);
    let mode = mostly(vec![0o600, 0o666], vec![0, 0o777, 0o066, u32::MAX]);
    let wait = mostly(vec![0], vec![600_001, u64::MAX]);
    let rest = (any_memory(), any_resume(), any_types());
    (name, block, undo, blocks, backend, dir, (mode, wait), rest).prop_map(
        |(name, block, undo, blocks, backend, dir, (mode, wait), (memory, resume, types))| {
            // 99 stands for key 0.
            let keys: Vec<Key> = blocks.iter().map(|&n| if n == 99 { Key(0) } else { key(1, n) }).collect();
            let mut conf = ProcessConf::new(name, key(1, 0), Bytes(block), &keys);
            (conf.undo_size, conf.backend, conf.dir) = (Bytes(undo), backend, PathBuf::from(dir));
            (conf.mode, conf.owner_wait_ms, conf.memory) = (mode, wait, memory);
            (conf.resume, conf.types) = (resume, types);
            conf
        },
    )
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, hotpool::PoolObject)]
#[pool(id = 1)]
struct Npc([u64; 4]);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_values_open_a_pool_or_are_refused_and_leave_nothing(conf in any_conf()) {
        let _sweep = Sweep(&conf);
        let valid = conf.validate();
        match MemoryPoolMgr::open(&conf) {
            Ok(mut pool) => {
                prop_assert!(valid.is_ok());
                let _ = pool.add_type::<Npc>();
                prop_assert!(pool.destroy().is_ok());
            }
            Err(PoolError::Conf(error)) => {
                prop_assert_eq!(Err(&error), valid.as_ref().map(|_| ()));
                prop_assert!(!error.to_string().is_empty());
            }
            // The host refuses: locked memory, 2 MiB pages, or a pool that must be hot.
            Err(other) => prop_assert!(valid.is_ok(), "{}", other),
        }
        if valid.is_err() || conf.resume.must_be_hot {
            assert_empty(&conf)?;
        }
    }
}
