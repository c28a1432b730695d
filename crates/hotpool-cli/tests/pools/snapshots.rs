//! `snapshot` saves a pool, `restore` makes one of it, and the verbs that read pools read a set.

use crate::bench::Bench;
use crate::skip::skipped;
use hotpool::snapshot::list;
use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1, keyed, name = "hero")]
struct Hero {
    uid: u64,
    rest: [u64; 30],
}

const HEROES: u64 = 300;

/// Creates a pool with heroes and returns it.
fn filled(bench: &Bench, pool: u32, first: u64) -> MemoryPoolMgr {
    let mut pool = bench.open(pool);
    pool.add_type::<Hero>().unwrap();
    for uid in first..first + HEROES {
        pool.alloc_keyed(uid, Hero { uid, rest: [uid; 30] }).unwrap();
    }
    pool.ready().unwrap();
    pool
}

/// Resumes a pool and returns its lowest user key.
fn first(conf: &hotpool::conf::ProcessConf) -> u64 {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    pool.add_type::<Hero>().unwrap();
    assert_eq!(pool.len::<Hero>() as u64, HEROES);
    pool.iter::<Hero>().map(|(_, hero)| hero.uid).min().unwrap()
}

fn sets(bench: &Bench) -> Vec<PathBuf> {
    list(&bench.folder().join("sets")).unwrap().into_iter().map(|found| found.path).collect()
}

#[test]
fn a_pool_goes_to_a_folder_and_comes_back() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone", "other"]);
    let pool = filled(&bench, 0, 1);
    let busy = bench.hotpool(&["snapshot", "zone", "sets", "--conf", &ini]);
    assert_eq!(busy.code, 4, "{}{}", busy.out, busy.err);
    assert!(
        busy.err.contains(&format!("pid {}", std::process::id())) && sets(&bench).is_empty(),
        "{}",
        busy.err
    );
    pool.close().unwrap();

    let dry = bench.hotpool(&["snapshot", "zone", "sets", "--conf", &ini, "--dry-run"]);
    assert!(
        dry.code == 0 && dry.out.contains("are free; nothing was written") && sets(&bench).is_empty(),
        "{}",
        dry.err
    );
    for (more, compression) in [(&["--verify"][..], "none"), (&["--json"], "zstd")] {
        let args = ["snapshot", "zone", "sets", "--conf", &ini, "--compression", compression];
        let saved = bench.hotpool(&[&args[..], more].concat());
        assert_eq!(saved.code, 0, "{}{}", saved.out, saved.err);
        assert!(
            saved.out.contains("every checksum is right") || saved.json()["objects"] == HEROES,
            "{}",
            saved.out
        );
    }
    let key = bench.base(0).to_string();
    assert_eq!(bench.hotpool(&["snapshot", "--key", &key, "sets"]).code, 0);
    assert_eq!(sets(&bench).len(), 3);

    let exists = bench.hotpool(&["restore", "sets", "--conf", &ini]);
    assert!(exists.code == 4 && exists.err.contains("--replace"), "{}", exists.err);
    // It asks, and there is no terminal.
    let asks = bench.hotpool(&["restore", "sets", "--conf", &ini, "--replace"]);
    assert!(asks.code == 2 && asks.err.contains("--yes"), "{}", asks.err);
    assert_eq!(first(&bench.conf(0)), 1);
    bench.open(0).destroy().unwrap();
    filled(&bench, 0, 1000).close().unwrap();
    let replaced = bench.hotpool(&["restore", "sets", "--conf", &ini, "--replace", "--yes"]);
    assert!(replaced.code == 0 && replaced.out.contains("in place of the present pool"), "{}", replaced.err);
    assert_eq!(first(&bench.conf(0)), 1);
    bench.open(0).destroy().unwrap();

    let dry = bench.hotpool(&["restore", "sets", "--dry-run", "--verify"]);
    assert!(dry.code == 0 && dry.out.contains("nothing was made"), "{}{}", dry.out, dry.err);
    let restored = bench.hotpool(&["restore", "sets", "--json"]);
    assert_eq!((restored.code, &restored.json()["key"]), (0, &key.as_str().into()), "{}", restored.err);
    let verified = bench.hotpool(&["verify", "--key", &key]);
    assert_eq!(verified.code, 0, "{}", verified.out);
    assert_eq!(first(&bench.conf(0)), 1);
    bench.open(0).destroy().unwrap();

    let other = bench.hotpool(&["restore", "sets", "--conf", &ini, "--as", "other"]);
    assert_eq!(other.code, 0, "{}{}", other.out, other.err);
    assert!(other.out.contains(&bench.base(1).to_string()), "{}", other.out);
    let mut conf = bench.conf(1);
    conf.name = "other".into();
    assert_eq!(first(&conf), 1);
    MemoryPoolMgr::open(&conf).unwrap().destroy().unwrap();
}

#[test]
fn the_latest_whole_set_is_taken_and_the_damaged_one_is_named() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    for round in [1, 500] {
        filled(&bench, 0, round).close().unwrap();
        assert_eq!(bench.hotpool(&["snapshot", "zone", "sets", "--conf", &ini]).code, 0);
        bench.open(0).destroy().unwrap();
    }
    let part = sets(&bench)[1].join("base.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    let named = sets(&bench)[1].display().to_string();
    let damaged = bench.hotpool(&["restore", &named]);
    assert!(damaged.code == 6 && damaged.err.contains("base.part"), "{}", damaged.err);
    let restored = bench.hotpool(&["restore", "sets", "--verify"]);
    assert_eq!(restored.code, 0, "{}", restored.err);
    assert!(restored.err.contains("passed over") && restored.err.contains("base.part"), "{}", restored.err);
    assert!(
        restored.out.contains(&sets(&bench)[0].file_name().unwrap().to_string_lossy()[..]),
        "{}",
        restored.out
    );
    assert_eq!(first(&bench.conf(0)), 1);
    bench.open(0).destroy().unwrap();
    let none = bench.hotpool(&["restore", "sets", "--process", "match"]);
    assert!(none.code == 7 && none.err.contains("no whole snapshot of match"), "{}", none.err);
    assert_eq!(bench.hotpool(&["restore", "nowhere"]).code, 7);
}

#[test]
fn the_verbs_that_read_pools_read_a_set() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    filled(&bench, 0, 1).close().unwrap();
    let build = bench.hotpool(&["schema", "zone", "--conf", &ini, "--json"]);
    fs::write(bench.folder().join("build.json"), &build.out).unwrap();
    assert_eq!(bench.hotpool(&["snapshot", "zone", "sets", "--conf", &ini]).code, 0);
    bench.open(0).destroy().unwrap();
    let set = sets(&bench)[0].display().to_string();
    let inspected = bench.hotpool(&["inspect", &set]);
    assert!(inspected.code == 0 && inspected.out.contains("hero"), "{}{}", inspected.out, inspected.err);
    let verified = bench.hotpool(&["verify", &set]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    assert_eq!(bench.hotpool(&["schema", &set, "--json"]).out, build.out);
    let compat = bench.hotpool(&["compat", "build.json", &set]);
    assert!(compat.code == 0 && compat.out.contains("same"), "{}{}", compat.out, compat.err);
    let listed = bench.hotpool(&["snapshots", "sets"]);
    assert!(listed.out.contains("layout") && listed.out.contains("hero (300 objects)"), "{}", listed.out);
    let part = PathBuf::from(&set).join("block-0000.part");
    fs::remove_file(&part).unwrap();
    let missing = bench.hotpool(&["verify", &set]);
    assert!(missing.code == 6 && missing.out.contains("this part is missing"), "{}", missing.out);
    assert!(missing.out.starts_with("snapshot: damaged: "), "{}", missing.out);
    assert!(bench.hotpool(&["inspect", "sets"]).code == 7);
    // A set without its manifest is told, and not passed over in silence.
    fs::remove_file(PathBuf::from(&set).join("manifest.toml")).unwrap();
    let listed = bench.hotpool(&["snapshots", "sets"]);
    assert!(listed.code == 1 && listed.out.contains("no manifest.toml"), "{}", listed.out);
    for place in ["sets", &set] {
        let none = bench.hotpool(&["restore", place]);
        assert!(none.code == 7 && none.err.contains("no manifest.toml"), "{}", none.err);
    }
}

/// On a terminal, as `script` of util-linux makes one.
#[test]
fn a_terminal_shows_the_rate_and_the_time_left() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    filled(&bench, 0, 1).close().unwrap();
    for verb in ["snapshot zone sets", "restore sets"] {
        let line = format!("{} {verb} --conf {ini}", env!("CARGO_BIN_EXE_hotpool"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(bench.folder()).stdin(Stdio::null());
        let Ok(output) = command.output() else { return skipped("`script` is not installed") };
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{shown}");
        assert!(shown.contains("/s, ") && shown.contains(" left"), "{shown:?}");
        if verb.starts_with("snapshot") {
            bench.open(0).destroy().unwrap();
        }
    }
    bench.open(0).destroy().unwrap();
}
