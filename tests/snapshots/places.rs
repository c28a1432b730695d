//! Children in namespaces of their own: a host that rebooted, and a file system that is full.

use super::{Bench, Item};
use hotpool::conf::{BackendKind, OnMissing, ProcessConf, SnapshotConf};
use hotpool::object::GameTime;
use hotpool::pool::{
    RestoreError, RestoreOptions, SaveError, SaveOptions, check_save, restore_pool, save_pool,
};
use hotpool::share::Home;
use hotpool::snapshot::{Chain, latest, list};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

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
        "child-start" => start(&conf, &shelf),
        "child-full" => full(&conf, &shelf),
        "child-no-room" => no_room(&conf, &shelf),
        "child-low-limit" => low_limit(&conf, &shelf),
        _ => return false,
    }
    true
}

/// A timer of the pool's own clock.
#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2)]
struct Timer {
    #[pool(time)]
    until: GameTime,
    number: u64,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Adds timers to a pool; one of them is due.
fn add_timers(pool: &mut MemoryPoolMgr) {
    pool.add_type::<Timer>().unwrap();
    let now = pool.game_time();
    for number in 0..4 {
        pool.alloc(Timer { until: now + HOUR * number, number: number.into() }).unwrap();
    }
}

/// Reads the clock of a pool; returns what it says, with the handles and times of all timers.
fn clock(pool: &MemoryPoolMgr) -> String {
    let now = pool.game_time();
    let timers =
        pool.iter::<Timer>().map(|(id, timer)| format!("{id} {} {}", timer.number, timer.until.nanos()));
    format!("{} {}", now.nanos(), timers.collect::<Vec<_>>().join(", "))
}

/// Returns the file that tells a child what the clock of the pool said.
fn clock_file(shelf: &Path) -> PathBuf {
    shelf.with_file_name("clock")
}

/// Restores on a host with another boot and no segment of the old one, and resumes the pool.
fn reboot(conf: &ProcessConf, shelf: &Path) {
    assert_other_boot(shelf);
    let chain = Chain::open(&latest(shelf, "crash").unwrap().unwrap()).unwrap();
    restore_pool(&chain, conf, &RestoreOptions::default()).unwrap();
    assert_goes_on(conf, shelf);
}

/// Starts on such a host with an ini that restores what is missing.
fn start(conf: &ProcessConf, shelf: &Path) {
    assert_other_boot(shelf);
    let snapshots = SnapshotConf { on_missing: OnMissing::Restore, ..SnapshotConf::into_dir(shelf) };
    let conf = conf.clone().snapshots(snapshots);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    assert!(pool.resume_report().restored.is_some());
    drop(pool);
    assert_goes_on(&conf, shelf);
}

/// Checks that this is not the boot in which the sets were taken.
fn assert_other_boot(shelf: &Path) {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(boot, BOOT);
    for set in list(shelf).unwrap() {
        assert_ne!(set.info.unwrap().boot, boot.trim().replace('-', ""));
    }
}

/// Checks that every object is there, and that the clock goes on from its last reading.
fn assert_goes_on(conf: &ProcessConf, shelf: &Path) {
    super::check(conf);
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Item>().unwrap();
    pool.add_type::<Timer>().unwrap();
    assert_eq!(clock(&pool), std::fs::read_to_string(clock_file(shelf)).unwrap());
    std::thread::sleep(Duration::from_millis(20));
    let now = pool.game_time();
    let due: Vec<u64> = pool.due::<Timer>(now).map(|(_, timer)| timer.number).collect();
    assert_eq!(due, [0], "the time of the reboot does not count");
    let next = pool.due::<Timer>(GameTime::NEVER).nth(1).unwrap().1.until - now;
    assert!(next < HOUR && next > HOUR - HOUR / 60, "{next:?}");
    let due: Vec<u64> = pool.due::<Timer>(now + HOUR).map(|(_, timer)| timer.number).collect();
    assert_eq!(due, [0, 1]);
    pool.destroy().unwrap();
}

/// Saves to a file system that is too small, which leaves nothing there.
fn full(conf: &ProcessConf, shelf: &Path) {
    let (home, options) = (Home::of(conf), SaveOptions::default());
    let told = check_save(conf.base_key, &home, shelf, &options).unwrap();
    assert!(told.free.is_some_and(|free| free < told.bytes), "{told:?}");
    let error = save_pool(conf.base_key, &home, shelf, &options).unwrap_err();
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

/// Restores on a host whose limits are too low for the pool, which creates no segment.
fn low_limit(conf: &ProcessConf, shelf: &Path) {
    let chain = Chain::open(&latest(shelf, "crash").unwrap().unwrap()).unwrap();
    let error = restore_pool(&chain, conf, &RestoreOptions::default()).unwrap_err();
    assert!(matches!(error, RestoreError::NoRoom(_)), "{error}");
    assert!(error.to_string().contains("raise `sysctl kernel.shm"), "{error}");
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    assert_eq!(segments.lines().count(), 1, "{segments}");
}

/// Runs a child after `prepare`, in namespaces of its own; `None` without the right to.
fn run(bench: &Bench, verb: &str, prepare: &str, conf: &ProcessConf, shelf: &Path) -> Option<Output> {
    let script = format!("{prepare} || exit 42; exec \"$@\"");
    let mut command = Command::new("unshare");
    if Path::new("/proc/self/ns/time").exists() {
        // The clocks of the host begin again: most of its time has not passed yet.
        let up = std::fs::read_to_string("/proc/uptime").unwrap();
        let back = up.split('.').next().unwrap().parse::<i64>().unwrap() * -9 / 10;
        command.args(["--fork", "--time", &format!("--monotonic={back}"), &format!("--boottime={back}")]);
    }
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

/// After a reboot there are no segments, the boot has another identity, and the clocks of the host begin
/// again. A restore, or the next start, brings back the pool of a closed or running program.
pub fn rebooted(backend: BackendKind, _: u32) {
    for (verb, is_running) in [("child-reboot", false), ("child-start", true)] {
        let bench = Bench::new(backend);
        bench.fill();
        let conf = bench.conf.clone().snapshots(SnapshotConf::into_dir(bench.shelf()));
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        add_timers(&mut pool);
        std::fs::write(clock_file(&bench.shelf()), clock(&pool)).unwrap();
        match is_running {
            true => {
                pool.snapshot_begin().unwrap();
                pool.snapshot_finish().unwrap();
                // The time after the snapshot is lost with the objects.
                pool.game_time();
                drop(pool);
            }
            false => {
                pool.close().unwrap();
                let options = SaveOptions::default();
                save_pool(conf.base_key, &bench.home(), &bench.shelf(), &options).unwrap();
            }
        }
        bench.destroy();
        std::fs::write(bench.dir.path().join("boot"), BOOT).unwrap();
        let prepare = "mount --bind $PLACE/boot /proc/sys/kernel/random/boot_id";
        let output = run(&bench, verb, prepare, &bench.conf, &bench.shelf());
        output.iter().for_each(assert_done);
        assert_eq!(bench.left(), [""; 0]);
    }
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

/// Limits of System V memory that are too low for the pool are an error.
pub fn low_limits(backend: BackendKind, _: u32) {
    if backend != BackendKind::Sysv {
        return;
    }
    let bench = Bench::new(backend);
    bench.fill();
    save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default()).unwrap();
    bench.destroy();
    for (limit, value) in [("shmmax", 1 << 20), ("shmall", 500)] {
        let prepare = format!("echo {value} > /proc/sys/kernel/{limit}");
        let output = run(&bench, "child-low-limit", &prepare, &bench.conf, &bench.shelf());
        output.iter().for_each(assert_done);
    }
}
