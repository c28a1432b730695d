//! `hotpool push`, `pull`, `fence` and `snapshots URL`, on a store in a folder.
#![cfg(feature = "object-store")]

#[path = "../../../tests/harness/own_keys.rs"]
mod own_keys;

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{Home, remove_pool};
use hotpool::snapshot::{CHUNK, Compression, Set, SetInfo, SetWriter};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
use hotpool_snapshot_store::{Fence, FenceState, Store, Taking};
use own_keys::own_keys;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Writes a set of a base and one block, each of one chunk.
fn write(shelf: &Path, process: &str, taken: u64) -> Set {
    let length = Bytes(CHUNK.into());
    let base = (Key(0x7d33_0000), length);
    let mut info = SetInfo::new(process, BackendKind::Sysv, base, &[Key(0x7d33_0001)], length);
    info.taken_ns = taken * 1_000_000_000;
    let writer = SetWriter::begin(shelf, info, Compression::None, None).unwrap();
    let bytes: Vec<u8> = (0..CHUNK).map(|at| at as u8).collect();
    writer.chunk(0, 0, &bytes).unwrap();
    writer.chunk(1, 0, &bytes).unwrap();
    writer.finish().unwrap()
}

fn name(set: &Set) -> String {
    set.path().file_name().unwrap().to_str().unwrap().into()
}

/// A folder with local sets, and one with a store.
struct Site {
    here: TempDir,
    store: TempDir,
}

impl Site {
    fn new() -> Site {
        Site { here: tempfile::tempdir().unwrap(), store: tempfile::tempdir().unwrap() }
    }

    fn url(&self) -> String {
        format!("file://{}/game", self.store.path().display())
    }

    fn here(&self) -> &str {
        self.here.path().to_str().unwrap()
    }
}

/// Runs `hotpool` and returns its exit code, output and messages.
fn hotpool(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hotpool")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, out, err) = hotpool(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_set_goes_to_a_store_and_comes_back() {
    let site = Site::new();
    let url = site.url();
    let (code, text, _) = hotpool(&["snapshots", &url]);
    assert!(code == 0 && text.ends_with("has no snapshot\n"), "{text}");
    let (code, _, text) = hotpool(&["push", site.here(), &url]);
    assert!(code == 3 && text.contains("has no snapshot that can be read"), "{text}");

    write(site.here.path(), "zone", 1_000);
    let set = write(site.here.path(), "zone", 2_000);
    let (code, text, err) = hotpool(&["push", site.here(), &url]);
    assert!(
        code == 0 && text.contains(&format!("{} is in {url}: 1 snapshot sent", name(&set))),
        "{text}{err}"
    );
    let (code, text, _) = hotpool(&["push", site.here(), &url]);
    assert!(code == 0 && text.contains("already has"), "{text}");
    let (code, text, _) = hotpool(&["snapshots", &url]);
    assert!(code == 0 && text.contains(&name(&set)) && text.contains(" 512K"), "{text}");
    let listed = json(&["snapshots", &url]);
    assert_eq!(
        (&listed["snapshots"][0]["id"], listed["snapshots"].as_array().unwrap().len()),
        (&set.id().into(), 1)
    );

    let there = tempfile::tempdir().unwrap();
    let pulled = json(&["pull", &url, there.path().to_str().unwrap()]);
    let brought = Set::open(Path::new(pulled["path"].as_str().unwrap())).unwrap();
    assert_eq!((brought.id(), pulled["process"].as_str()), (set.id(), Some("zone")));
    let (code, text, _) = hotpool(&["pull", &url, there.path().to_str().unwrap()]);
    assert!(code == 0 && text.contains("is already here"), "{text}");

    // Several processes: which one is meant?
    let other = write(site.here.path(), "match", 3_000);
    let (code, _, text) = hotpool(&["push", site.here(), &url]);
    assert!(code == 3 && text.contains("match, zone: add --process"), "{text}");
    assert_eq!(json(&["push", site.here(), &url, "--process", "match"])["snapshot"], name(&other));
    let (code, _, text) = hotpool(&["pull", &url, there.path().to_str().unwrap()]);
    assert!(code == 3 && text.contains("match, zone: add --process"), "{text}");
    let (code, _, text) = hotpool(&["pull", &url, there.path().to_str().unwrap(), "--process", "hall"]);
    assert!(code == 7 && text.contains("no snapshot of the process hall"), "{text}");

    // A newer set, of which only the youngest is kept.
    let young = write(site.here.path(), "zone", 4_000);
    let pushed = json(&["push", young.path().to_str().unwrap(), &url, "--keep", "1"]);
    assert_eq!(pushed["dropped"], serde_json::json!([name(&set)]));
}

#[test]
fn a_damaged_set_in_a_store_is_an_error_and_leaves_nothing() {
    let site = Site::new();
    let set = write(site.here.path(), "zone", 1_000);
    json(&["push", site.here(), &site.url()]);
    let folder = site.store.path().join("game").join(name(&set));
    let part = folder.join("block-0000.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&part, bytes).unwrap();
    let there = tempfile::tempdir().unwrap();
    let (code, _, text) = hotpool(&["pull", &site.url(), there.path().to_str().unwrap()]);
    assert!(code == 6 && text.contains("block-0000.part") && text.contains("take an older set"), "{text}");
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
    fs::write(folder.join("manifest.toml"), "nonsense").unwrap();
    let (code, text, _) = hotpool(&["snapshots", &site.url()]);
    assert!(code == 1 && text.contains("unreadable") && text.contains("manifest.toml"), "{text}");
}

#[test]
fn the_fence_refuses_a_second_host_and_is_taken_by_force() {
    let site = Site::new();
    let url = site.url();
    write(site.here.path(), "zone", 1_000);
    let (code, text, _) = hotpool(&["fence", "show", &url, "zone"]);
    assert!(code == 0 && text.contains("has no token of zone"), "{text}");

    let store = Store::open(&url).unwrap();
    let fence =
        Fence::take(&store, "zone", Taking::default().lease(std::time::Duration::from_secs(2))).unwrap();
    let shown = json(&["fence", "show", &url, "zone"]);
    assert_eq!(
        (&shown["held"], &shown["epoch"], &shown["pid"]),
        (&true.into(), &1.into(), &std::process::id().into())
    );
    let (code, text, _) = hotpool(&["fence", "show", &url, "zone"]);
    assert!(code == 0 && text.contains("zone: epoch 1, held by host "), "{text}");
    for verb in [&["push", site.here(), &url][..], &["fence", "take", &url, "zone"]] {
        let (code, _, text) = hotpool(verb);
        let hint = format!("hotpool fence take {url} zone --force");
        assert!(code == 4 && text.contains("(pid ") && text.contains(&hint), "{code} {text}");
    }
    assert_eq!(fence.state(), FenceState::Held);
    let (code, text, _) = hotpool(&["fence", "take", &url, "zone", "--force"]);
    assert!(code == 0 && text.contains("zone: epoch 2, taken from host "), "{text}");
    assert!(fence.confirm().is_err());
    assert!(matches!(fence.state(), FenceState::Lost { .. }));
    let (code, text, _) = hotpool(&["fence", "show", &url, "zone"]);
    assert!(code == 0 && text.contains("zone: epoch 2, free"), "{text}");
    assert_eq!(hotpool(&["push", site.here(), &url]).0, 0);
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1)]
struct Hero {
    level: u64,
}

/// The pool of a process, and its ini. Removes the pool when it is dropped.
struct Pool {
    conf: ProcessConf,
    ini: String,
}

impl Pool {
    fn new(folder: &Path) -> Pool {
        let first = own_keys(2);
        let (base, block) = (Key(first), Key(first + 1));
        let path = folder.join("zone.ini");
        let lines = format!("BaseKey = {base}\nBlockSize = 64K\nShmKeys = {block}\n");
        fs::write(&path, format!("[common]\nProcessList = zone\n[zone]\n{lines}")).unwrap();
        let conf = ProcessConf::new("zone", base, Bytes(64 << 10), &[block]);
        Pool { conf, ini: path.to_str().unwrap().into() }
    }

    fn remove(&self) {
        drop(remove_pool(self.conf.base_key, &Home::sysv(), false));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.remove();
    }
}

#[test]
fn a_pool_goes_to_a_store_and_is_restored_from_it() {
    let site = Site::new();
    let (url, site_pool) = (site.url(), Pool::new(site.here.path()));
    let ini = site_pool.ini.as_str();
    let mut pool = MemoryPoolMgr::open(&site_pool.conf).unwrap();
    pool.add_type::<Hero>().unwrap();
    let hero = pool.alloc(Hero { level: 7 }).unwrap();
    pool.close().unwrap();

    let saved = json(&["snapshot", "zone", &url, "--conf", ini, "--verify"]);
    let path = saved["path"].as_str().unwrap();
    assert!(path.starts_with(&format!("{url}/zone-")) && saved["objects"] == 1, "{saved}");
    let (code, _, text) = hotpool(&["restore", &url, "--conf", ini]);
    assert!(code == 4 && text.contains("--replace"), "an existing pool is refused: {code} {text}");

    site_pool.remove();
    let planned = json(&["restore", &url, "--conf", ini, "--dry-run"]);
    assert_eq!((&planned["set"], &planned["dry_run"]), (&saved["path"], &true.into()));
    // While another host holds the token, it may run the zone.
    let store = Store::open(&url).unwrap();
    let fence = Fence::take(&store, "zone", Taking::default().lease(Duration::from_secs(2))).unwrap();
    for verb in [&["restore", &url][..], &["snapshot", "zone", &url]] {
        let (code, _, text) = hotpool(&[verb, &["--conf", ini]].concat());
        // The pool does not exist, so there is nothing to save either.
        let expected = if verb[0] == "restore" { 4 } else { 7 };
        assert_eq!(code, expected, "{text}");
    }
    drop(fence);
    let restored = json(&["restore", &url, "--conf", ini]);
    assert_eq!(restored["set"], saved["path"]);
    let mut pool = MemoryPoolMgr::open(&site_pool.conf).unwrap();
    pool.add_type::<Hero>().unwrap();
    assert_eq!((pool.start_mode(), pool.get(hero).map(|hero| hero.level)), (StartMode::Resume, Some(7)));
}

#[test]
fn what_is_no_store_is_a_wrong_command_line() {
    let (code, _, text) = hotpool(&["fence", "show", "ftp://x/y", "zone"]);
    assert!(code == 2 && text.contains("write s3://"), "{text}");
    let (code, _, text) = hotpool(&["fence", "show", "file:///nowhere", "my zone"]);
    assert!(code == 2 && text.contains("letters, digits"), "{text}");
}
