//! `hotpool postmortem` and `hotpool doctor` on real pools and on a host in a folder.

#[path = "../../../tests/harness/own_keys.rs"]
mod own_keys;

use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use own_keys::own_keys;
use std::path::Path;
use std::process::{Command, Output};

struct Site(ProcessConf);

impl Site {
    fn new() -> Self {
        Site(conf(own_keys(16)))
    }

    /// Writes an ini that names the pool.
    fn ini(&self, folder: &Path) -> String {
        let path = folder.join("zone.ini");
        let (base, block) = (self.0.base_key, self.0.shm_keys[0]);
        let text = format!(
            "[common]\nProcessList = zone\n[zone]\nBaseKey = {base}\nBlockSize = 64K\nShmKeys = {block}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(self.0.base_key, &Home::sysv(), false));
    }
}

fn conf(base: u32) -> ProcessConf {
    ProcessConf::new("zone", Key(base), Bytes(64 << 10), &[Key(base + 1)])
}

fn hotpool(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hotpool")).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs as the server if this process was launched as one.
#[test]
fn server() {
    let Ok(base) = std::env::var("HOTPOOL_TEST_SERVER") else { return };
    let mut pool = MemoryPoolMgr::open(&conf(base.parse().unwrap())).unwrap();
    pool.ready().unwrap();
    pool.note(42, 1000, 7);
    std::process::abort();
}

#[test]
fn a_dead_server_is_reported_in_text_and_in_json() {
    let site = Site::new();
    let mut server = Command::new(std::env::current_exe().unwrap());
    server.args(["--exact", "server"]).env("HOTPOOL_TEST_SERVER", site.0.base_key.0.to_string());
    assert!(!server.output().unwrap().status.success());

    let folder = tempfile::tempdir().unwrap();
    let told = hotpool(&["postmortem", "--conf", &site.ini(folder.path()), "--process", "zone"]);
    assert!(told.status.success());
    let words = text(&told);
    assert!(words.contains(" died while serving, "), "{words}");
    for line in [
        "last operation   none since it attached",
        "being written    nothing",
        "note 42 1000 7",
        "ready, start 1",
    ] {
        assert!(words.contains(line), "{line} is not in {words}");
    }
    assert!(
        words.lines().any(|line| line.trim_start().starts_with("1 ") && line.ends_with("died")),
        "{words}"
    );

    let told =
        json(&hotpool(&["postmortem", "--key", &site.0.base_key.to_string(), "--json", "--notes", "1"]));
    let pool = &told["pools"][0];
    assert_eq!((&told["ok"], &pool["process"], &pool["ready"]), (&true.into(), &"zone".into(), &true.into()));
    assert_eq!(pool["notes"].as_array().unwrap().len(), 1);
    assert_eq!((&pool["notes"][0]["tag"], &pool["notes"][0]["a"]), (&42.into(), &1000.into()));
    assert_eq!((&pool["starts"][0]["end"], &pool["owner_pid"]), (&"died".into(), &().into()));
}

#[test]
fn a_running_server_is_reported_without_disturbance() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    let words = text(&hotpool(&["postmortem", "--key", &site.0.base_key.to_string()]));
    assert!(words.contains(": running: pid ") && words.contains("not ready yet"), "{words}");
    assert!(pool.health().is_good());
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, hotpool::PoolObject)]
#[pool(id = 1)]
struct Player {
    gold: u64,
}

#[test]
fn an_object_torn_by_a_panic_of_this_owner_is_not_blamed_on_an_earlier_one() {
    let site = Site::new();
    let mut pool = MemoryPoolMgr::open(&site.0).unwrap();
    pool.add_type::<Player>().unwrap();
    let player = pool.alloc(Player { gold: 1 }).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = pool.get_mut(player).unwrap();
        std::panic::resume_unwind(Box::new("boom"));
    }));
    assert!(caught.is_err());
    let words = text(&hotpool(&["postmortem", "--key", &site.0.base_key.to_string()]));
    let line = "being written    player 1:0v1 (left by a panic, or by an owner before this one)";
    assert!(words.contains(line), "{words}");
}

#[test]
fn a_missing_pool_and_a_missing_process_are_problems() {
    let site = Site::new();
    let told = hotpool(&["postmortem", "--key", &site.0.base_key.to_string()]);
    assert_eq!(told.status.code(), Some(7));
    assert!(
        text(&told).contains(&format!("there is no segment under {}", site.0.base_key)),
        "{}",
        text(&told)
    );
    let folder = tempfile::tempdir().unwrap();
    let told = hotpool(&["postmortem", "--conf", &site.ini(folder.path()), "--process", "zon"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told).contains("did you mean zone?"), "{}", text(&told));
    assert_eq!(hotpool(&["postmortem"]).status.code(), Some(2));
}

/// Writes the files of a host that removes segments.
fn bad_host(folder: &Path) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("proc/sys/kernel/shm_rmid_forced", "1\n");
    write("proc/1/comm", "systemd\n");
    write("etc/passwd", "root:x:0:0::/:\ngame:x:1001:1001::/:\n");
}

#[test]
fn doctor_exits_with_one_and_the_remedy_if_something_needs_attention() {
    let folder = tempfile::tempdir().unwrap();
    bad_host(folder.path());
    let root = folder.path().to_str().unwrap();
    let told = hotpool(&["doctor", "--root", root, "--user", "game"]);
    assert_eq!(told.status.code(), Some(1));
    let words = text(&told);
    assert!(words.starts_with("error    shm-rmid-forced: "), "{words}");
    assert!(words.contains("run `sysctl -w kernel.shm_rmid_forced=0`"), "{words}");
    assert!(words.contains("error    remove-ipc: ") && words.contains("uid 1001"), "{words}");
    let sum = words.lines().last().unwrap();
    let counts: Vec<u64> = sum.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    assert_eq!(counts[0], counts[1..].iter().sum::<u64>(), "{sum}");
    assert!(sum.contains(" passed, ") && sum.ends_with(" need attention"), "{sum}");

    let told = json(&hotpool(&["doctor", "--root", root, "--user", "root", "--json"]));
    assert_eq!(told["ok"], false);
    let findings = told["findings"].as_array().unwrap();
    let of =
        |check: &str| findings.iter().find(|finding| finding["check"] == check).unwrap()["severity"].clone();
    assert_eq!(
        (of("shm-rmid-forced"), of("remove-ipc"), of("shmmni")),
        ("error".into(), "ok".into(), "note".into())
    );

    std::fs::write(folder.path().join("proc/sys/kernel/shm_rmid_forced"), "0\n").unwrap();
    assert_eq!(hotpool(&["doctor", "--root", root, "--user", "root"]).status.code(), Some(0));
    assert_eq!(hotpool(&["doctor", "--root", root, "--user", "nobody"]).status.code(), Some(3));
}

#[test]
fn doctor_checks_the_pools_of_an_ini() {
    let site = Site::new();
    drop(MemoryPoolMgr::open(&site.0).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let told = json(&hotpool(&["doctor", "--conf", &site.ini(folder.path()), "--json"]));
    let findings = told["findings"].as_array().unwrap();
    let namespace = findings.iter().find(|finding| finding["check"] == "pool-namespace").unwrap();
    assert_eq!(namespace["severity"], "ok", "{namespace}");
    let mut missing = site.ini(folder.path());
    missing.push('x');
    assert_eq!(hotpool(&["doctor", "--conf", &missing]).status.code(), Some(3));
}
