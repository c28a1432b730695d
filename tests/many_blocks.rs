//! A pool with as many blocks as the table holds is created and opened again without reading a list
//! for each block (G3).
//!
//! `cargo test --test many_blocks -- --nocapture` prints both times for 1, 64, 1,024 and 4,095
//! blocks. The test runs in its own IPC namespace: with its base, the pool uses all 4,096 segments
//! that SHMMNI allows. The namespace removes them when the test ends, however it ends. Without the
//! right to unshare, the test prints SKIPPED.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::limits::{MAX_BLOCKS, MIN_BLOCK_BYTES};
use hotpool::share::StartMode;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::process::Command;
use std::time::{Duration, Instant};

const BASE: u32 = 0x7d9a_0000;
/// Passes the outer namespace to the inner process, which must not fill it.
const OUTER: &str = "HOTPOOL_TEST_OUTER_IPC";
/// A bound for a busy machine. A start that read the list of all segments for each new key took 28
/// s to add 3,071 blocks to 1,024.
const BOUND: Duration = Duration::from_secs(8);

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Object {
    word: u64,
}

fn conf(backend: BackendKind, blocks: u32) -> ProcessConf {
    let keys: Vec<Key> = (1..=blocks).map(|number| Key(BASE + number)).collect();
    ProcessConf::new("many", Key(BASE), Bytes(MIN_BLOCK_BYTES), &keys).backend(backend)
}

fn open(conf: &ProcessConf, wanted: StartMode) -> (MemoryPoolMgr, Duration) {
    let began = Instant::now();
    let pool = MemoryPoolMgr::open(conf).unwrap();
    let took = began.elapsed();
    assert_eq!(pool.start_mode(), wanted);
    (pool, took)
}

fn make_and_open(backend: BackendKind, blocks: u32) {
    let conf = conf(backend, blocks);
    let (mut pool, made) = open(&conf, StartMode::Init);
    pool.add_type::<Object>().unwrap();
    pool.alloc(Object { word: 7 }).unwrap();
    pool.ready().unwrap();
    pool.close().unwrap();
    let mut hot = Duration::MAX;
    for _ in 0..5 {
        let (pool, took) = open(&conf, StartMode::Resume);
        hot = hot.min(took);
        drop(pool);
    }
    println!("{backend:?}, {blocks} blocks: {made:.1?} to create, {hot:.1?} to open again");
    open(&conf, StartMode::Resume).0.destroy().unwrap();
    assert!(made < BOUND && hot < BOUND, "{blocks} blocks: {made:?}, {hot:?}");
}

#[test]
fn a_heap_pool_with_all_blocks_opens_fast() {
    make_and_open(BackendKind::Heap, MAX_BLOCKS);
}

#[test]
fn a_pool_with_all_blocks_opens_fast() {
    let may = Command::new("unshare").args(["--ipc", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: this process may not run `unshare --ipc`");
        return;
    }
    let mut inside = Command::new("unshare");
    inside.arg("--ipc").arg(std::env::current_exe().unwrap());
    inside.args(["--exact", "inside_its_own_ipc_namespace", "--nocapture"]);
    inside.env(OUTER, std::fs::read_link("/proc/self/ns/ipc").unwrap());
    let output = inside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter(|line| line.contains("blocks")).for_each(|line| println!("{line}"));
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs inside the namespace that the previous test creates.
#[test]
fn inside_its_own_ipc_namespace() {
    let Some(outer) = std::env::var_os(OUTER) else { return };
    assert_ne!(std::fs::read_link("/proc/self/ns/ipc").unwrap(), outer);
    for blocks in [1, 64.min(MAX_BLOCKS - 1), 1024.min(MAX_BLOCKS - 1), MAX_BLOCKS - 1] {
        make_and_open(BackendKind::Sysv, blocks);
    }
    add_the_rest(MAX_BLOCKS / 4);
}

/// Adds blocks while the list of segments is long and most keys are absent.
fn add_the_rest(blocks: u32) {
    let (pool, _) = open(&conf(BackendKind::Sysv, blocks), StartMode::Init);
    pool.close().unwrap();
    let (pool, took) = open(&conf(BackendKind::Sysv, MAX_BLOCKS - 1), StartMode::Init);
    println!("Sysv, from {blocks} to {} blocks: {took:.1?}", MAX_BLOCKS - 1);
    pool.destroy().unwrap();
    assert!(took < BOUND, "from {blocks} blocks: {took:?}");
}
