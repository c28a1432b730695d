//! The tools as a user who may not read the pool: they say whose it is, and remove nothing.

use crate::bench::{Answer, Bench, raw};
use crate::skip::skipped;
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const STRANGER: [&str; 5] = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// Runs the command as another user.
fn as_stranger(bench: &Bench, args: &[&str]) -> Answer {
    let mut command = Command::new("setpriv");
    command.args(STRANGER).arg(env!("CARGO_BIN_EXE_hotpool")).args(args);
    let output = command.current_dir(bench.folder()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Whether the tests run as the superuser, and another user may run the command.
fn may_change_user() -> bool {
    let tried = Command::new("setpriv")
        .args(STRANGER)
        .args([env!("CARGO_BIN_EXE_hotpool"), "--version"])
        .stdout(Stdio::null())
        .status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        skipped("this process may not run the command with `setpriv --reuid 65534`");
    }
    may
}

/// Returns a pool configuration of this user and its ini, which everyone may read.
fn of(bench: &Bench, backend: BackendKind) -> (ProcessConf, String) {
    let mut conf = bench.conf(0);
    conf.backend = backend;
    let mut lines = format!("Backend = {}", backend.name());
    if backend == BackendKind::File {
        conf.dir = bench.folder().to_path_buf();
        lines += &format!("\nDir = {}", bench.folder().display());
    }
    fs::set_permissions(bench.folder(), Permissions::from_mode(0o755)).unwrap();
    let ini = bench.ini_with(&["zone"], &lines);
    fs::set_permissions(&ini, Permissions::from_mode(0o644)).unwrap();
    (conf, ini)
}

/// Checks what every tool says of the pool.
fn judge(bench: &Bench, ini: &str, of: BackendKind, words: &[&str]) {
    let said = |args: &[&str], code: i32, state: &str| {
        let answer = as_stranger(bench, args);
        let told = format!("{of:?}, {args:?}: exit code {}\n{}{}", answer.code, answer.out, answer.err);
        assert_eq!(answer.code, code, "{told}");
        for word in words.iter().chain([&state]) {
            assert!(told.contains(word), "`{word}` is missing: {told}");
        }
        for word in ["absent", "no owner", "damaged", "no pools", "closed", "crashed", "nothing to remove"] {
            assert!(!answer.out.contains(word), "`{word}`: {told}");
        }
        answer
    };
    let base = bench.base(0);
    let row = said(&["ls", "--conf", ini], 1, "foreign").row(base).to_string();
    assert!(row.contains(" ? "), "its owner is not known: {row}");
    for verb in ["inspect", "verify", "postmortem"] {
        said(&[verb, "--conf", ini], 1, "unreadable");
    }
    said(&["rm", "--conf", ini, "--yes"], 4, "refused");
    if of == BackendKind::Sysv {
        said(&["rm", "--key", &base.to_string(), "--yes"], 4, "refused");
        said(&["verify", "--key", &base.to_string()], 1, "unreadable");
    }
    // Without semaphores nothing tells a System V segment that cannot be read from any program's.
    let is_known = of == BackendKind::Posix || of == BackendKind::Sysv && raw::has_semaphores(base);
    if is_known {
        let host = as_stranger(bench, &["ls"]);
        assert!(host.code == 1 && host.row(base).contains("foreign"), "{of:?}: {}", host.out);
    }
}

fn all_tools(backend: BackendKind) {
    if !may_change_user() {
        return;
    }
    let bench = Bench::new();
    let (conf, ini) = of(&bench, backend);
    // The user is `root` where /etc/passwd has one; the number is enough.
    let whose = ["belongs to uid 0, but this process runs as uid 65534", "as uid 0"];
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    judge(&bench, &ini, backend, &whose);
    pool.close().unwrap();
    judge(&bench, &ini, backend, &whose);
    // As after a restart of the host, or where the semaphores are in another IPC namespace.
    raw::remove_semaphores(conf.base_key);
    judge(&bench, &ini, backend, &whose);
    let again = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(again.resume_report().epoch, 2, "{backend:?}: nothing was removed");
    again.close().unwrap();
}

#[test]
fn a_system_v_pool_of_another_user_is_named_as_such_and_kept() {
    all_tools(BackendKind::Sysv);
}

#[test]
fn a_pool_of_another_user_in_dev_shm_is_named_as_such_and_kept() {
    all_tools(BackendKind::Posix);
}

#[test]
fn a_pool_of_another_user_in_files_is_named_as_such_and_kept() {
    all_tools(BackendKind::File);
}
