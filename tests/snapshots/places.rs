//! Children in namespaces of their own: a host that rebooted, and a file system that is full.

use super::Bench;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{RestoreError, RestoreOptions, SaveError, SaveOptions, restore_pool, save_pool};
use hotpool::share::Home;
use hotpool::snapshot::{Chain, latest, list};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The boot of the host that the children see.
const BOOT: &str = "01234567-89ab-cdef-0123-456789abcdef\n";

/// Runs as the child that the arguments ask for; returns whether they do.
pub fn child() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, verb, backend, base, blocks, dir, shelf] = &arguments[..] else { return false };
    let conf = super::kills::conf_of(backend, base, blocks, dir);
    let shelf = PathBuf::from(shelf);
    match verb.as_str() {
        "child-reboot" => reboot(&conf, &shelf),
        "child-full" => full(&conf, &shelf),
        "child-no-room" => no_room(&conf, &shelf),
        _ => return false,
    }
    true
}

/// Restores on a host with another boot and no segment of the old one, and resumes the pool.
fn reboot(conf: &ProcessConf, shelf: &Path) {
    let chain = Chain::open(&latest(shelf, "crash").unwrap().unwrap()).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(boot, BOOT);
    assert_ne!(chain.info().boot, boot.trim().replace('-', ""));
    restore_pool(&chain, conf, &RestoreOptions::default()).unwrap();
    super::check(conf);
    super::destroy(conf);
}

/// Saves to a file system that is too small, which leaves nothing there.
fn full(conf: &ProcessConf, shelf: &Path) {
    let saved = save_pool(conf.base_key, &Home::of(conf), shelf, &SaveOptions::default());
    let error = saved.unwrap_err();
    assert!(matches!(error, SaveError::Set(_)), "{error}");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert!(list(shelf).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(shelf).unwrap().count(), 0);
}

/// Restores to a file system that is too small, which creates no file there.
fn no_room(conf: &ProcessConf, shelf: &Path) {
    let chain = Chain::open(&latest(shelf, "crash").unwrap().unwrap()).unwrap();
    let error = restore_pool(&chain, conf, &RestoreOptions::default()).unwrap_err();
    assert!(matches!(error, RestoreError::NoRoom(_)), "{error}");
    assert!(error.to_string().contains("are free"), "{error}");
    assert_eq!(std::fs::read_dir(&conf.dir).unwrap().count(), 0);
}

/// Runs a child after `prepare`, in namespaces of its own; `None` without the right to.
fn run(bench: &Bench, verb: &str, prepare: &str, conf: &ProcessConf, shelf: &Path) -> Option<Output> {
    let script = format!("{prepare} || exit 42; exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--ipc", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(super::kills::arguments(verb, conf, shelf));
    command.env("PLACE", bench.dir.path()).arg0("unshare");
    let output = command.output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_refused = output.status.code() == Some(42) || said.contains("unshare:");
    if is_refused {
        println!("SKIPPED: {verb} needs namespaces: {said}");
    }
    (!is_refused).then_some(output)
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// After a reboot there are no segments, and the boot has another identity.
pub fn rebooted(backend: BackendKind, _: u32) {
    let bench = Bench::new(backend);
    bench.fill();
    save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default()).unwrap();
    bench.destroy();
    std::fs::write(bench.dir.path().join("boot"), BOOT).unwrap();
    let prepare = "mount --bind $PLACE/boot /proc/sys/kernel/random/boot_id";
    let output = run(&bench, "child-reboot", prepare, &bench.conf, &bench.shelf());
    output.iter().for_each(assert_done);
    assert_eq!(bench.left(), [""; 0]);
}

/// A disk that is full is an error, whether the set or the pool lies there.
pub fn full_disk(backend: BackendKind, _: u32) {
    if backend != BackendKind::File {
        return;
    }
    let bench = Bench::new(backend);
    bench.fill();
    let small = bench.dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let prepare = "mount -t tmpfs -o size=1m tmpfs $PLACE/small";
    let output = run(&bench, "child-full", prepare, &bench.conf, &small);
    output.iter().for_each(assert_done);
    save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default()).unwrap();
    bench.check();
    bench.destroy();
    let mut conf = bench.conf.clone();
    conf.dir = small;
    let output = run(&bench, "child-no-room", prepare, &conf, &bench.shelf());
    output.iter().for_each(assert_done);
}
