//! Pools in /dev/shm and in files are listed and removed like System V pools.

use crate::bench::{Bench, raw};
use hotpool::MemoryPoolMgr;
use hotpool::conf::BackendKind;

fn list_and_remove(backend: BackendKind) {
    let bench = Bench::new();
    let mut conf = bench.conf(0);
    conf.backend = backend;
    if backend == BackendKind::File {
        conf.dir = bench.folder().to_path_buf();
    }
    let dir = match backend {
        BackendKind::File => format!("\nDir = {}", bench.folder().display()),
        _ => String::new(),
    };
    let ini = bench.ini_with(&["zone"], &format!("Backend = {}{dir}", backend.name()));
    let pool = MemoryPoolMgr::open(&conf).unwrap();

    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    let row = answer.row(bench.base(0)).to_string();
    assert!(row.contains("starting") && row.contains("2 x 64K"), "{row}");
    assert!(row.contains(&std::process::id().to_string()), "{row}");
    assert_eq!(bench.hotpool(&["rm", "--conf", &ini, "--yes"]).code, 4);

    pool.close().unwrap();
    let json = bench.hotpool(&["ls", "--json", "--conf", &ini]).json();
    assert_eq!(json["pools"][0]["state"], "closed", "{json:#}");
    assert_eq!(json["pools"][0]["backend"], backend.name());
    assert!(json["pools"][0]["resident_bytes"].as_u64().unwrap() > 0, "{json:#}");
    let host = bench.hotpool(&["ls"]);
    let state = if backend == BackendKind::Posix { "closed" } else { "semaphores" };
    assert!(host.row(bench.base(0)).contains(state), "{}", host.out);

    let answer = bench.hotpool(&["rm", "--conf", &ini, "--yes"]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    assert!(answer.out.contains("removed 3 segments"), "{}", answer.out);
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert!(answer.row(bench.base(0)).contains("absent"), "{}", answer.out);
    assert!(!raw::has_semaphores(bench.base(0)));
}

#[test]
fn in_dev_shm() {
    list_and_remove(BackendKind::Posix);
}

#[test]
fn in_files() {
    list_and_remove(BackendKind::File);
}
