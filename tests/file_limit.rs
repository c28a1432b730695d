//! A limit on the file size makes a start fail with an error, instead of killing the process by
//! SIGXFSZ.

#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use own_keys::own_keys;
use std::os::unix::process::CommandExt;
use std::process::Command;

const ROLE: &str = "HOTPOOL_TEST_FILE_LIMIT";

fn conf(backend: BackendKind, base: Key, dir: &str) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", base, Bytes(1 << 20), &[Key(base.0 + 1)]);
    conf.backend = backend;
    if backend == BackendKind::File {
        conf.dir = dir.into();
    }
    conf
}

#[test]
fn a_file_size_limit_fails_the_start_with_an_error() {
    let name = "a_file_size_limit_fails_the_start_with_an_error";
    if let Ok(dir) = std::env::var(ROLE) {
        let base = Key(std::env::var("HOTPOOL_TEST_BASE").unwrap().parse().unwrap());
        for backend in [BackendKind::File, BackendKind::Posix] {
            let error = MemoryPoolMgr::open(&conf(backend, base, &dir)).unwrap_err().to_string();
            assert!(error.contains("raise `ulimit -f`"), "{backend:?}: {error}");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let base = Key(own_keys(64));
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    process.env(ROLE, dir).env("HOTPOOL_TEST_BASE", base.0.to_string());
    let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
    let limit_files = move || {
        // SAFETY: the call reads a value that the closure owns.
        match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call, which is allowed in the child of a fork.
    unsafe { process.pre_exec(limit_files) };
    let output = process.output().unwrap();
    for backend in [BackendKind::File, BackendKind::Posix] {
        // Remove the semaphores, and whatever a failed run leaves.
        let conf = conf(backend, base, dir);
        let _ = remove_pool(base, &Home::of(&conf), false);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
}
