//! `HugePages`, `Prefault` and `LockMemory`: what a start gets, what it reports, and what it
//! refuses.
//!
//! The tests reserve real pages of 2 MiB on the host and restore the setting. If that is
//! impossible, or a limit cannot be set, they print SKIPPED.

mod host;
#[path = "harness/own_keys.rs"]
mod own_keys;
mod skip;

use bytemuck::{Pod, Zeroable};
use host::{HUGE, Host};
use hotpool::__internal::layout::{DRAFT, MAGIC_MAKING};
use hotpool::conf::{BackendKind, HugePages, MemoryConf, ProcessConf};
use hotpool::inspect::describe_pool;
use hotpool::pool::{StartEnd, base_bytes};
use hotpool::share::{
    Home, MemoryReport, MemoryTable, PageKind, Verdict, observe, observe_pool, remove_pool,
};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolError, PoolObject, StartMode};
use own_keys::own_keys;
use skip::skipped;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Monster {
    words: [u64; 8],
}

/// A pool of two blocks, removed at the end.
struct Bench {
    conf: ProcessConf,
}

impl Bench {
    fn new(block_bytes: u64) -> Self {
        let base = own_keys(4);
        let mut conf =
            ProcessConf::new("zone", Key(base), Bytes(block_bytes), &[Key(base + 1), Key(base + 2)]);
        conf.owner_wait_ms = 0;
        Bench { conf }
    }

    fn with(mut self, huge_pages: HugePages, prefault: bool, lock_memory: bool) -> Self {
        self.conf.memory = MemoryConf { huge_pages, prefault, lock_memory };
        self
    }

    fn set(&mut self, huge_pages: HugePages) {
        self.conf.memory.huge_pages = huge_pages;
    }

    fn home(&self) -> Home {
        Home::of(&self.conf)
    }

    /// Returns the bytes of base and blocks.
    fn bytes(&self) -> u64 {
        base_bytes(&self.conf) + 2 * self.conf.block_size.0
    }

    /// Returns how many pages of 2 MiB the pool takes.
    fn huge(&self) -> u64 {
        base_bytes(&self.conf).div_ceil(HUGE) + 2 * self.conf.block_size.0.div_ceil(HUGE)
    }

    fn open(&self) -> MemoryPoolMgr {
        let pool = self.try_open().unwrap();
        self.is_attached_once();
        pool
    }

    /// Checks that each segment is attached once.
    ///
    /// If advice or a lock splits a mapping, the kernel counts each part as an attach, and a start
    /// takes it for a rival. A tool that lists the pools of this host also attaches each segment
    /// for a moment. The tool detaches again; a part of a mapping does not.
    fn is_attached_once(&self) {
        const LONGEST: Duration = Duration::from_secs(20);
        if self.conf.backend != BackendKind::Sysv {
            return;
        }
        let began = Instant::now();
        loop {
            let found = observe_pool(self.conf.base_key, &self.home()).unwrap();
            let segments: Vec<_> = found.segments().filter(|segment| segment.attached != Some(1)).collect();
            if segments.is_empty() {
                return;
            }
            assert!(began.elapsed() < LONGEST, "{segments:?}");
            std::thread::yield_now();
        }
    }

    fn try_open(&self) -> Result<MemoryPoolMgr, PoolError> {
        let mut pool = MemoryPoolMgr::open(&self.conf)?;
        pool.add_type::<Monster>()?;
        Ok(pool)
    }

    /// Returns the error of a start that is refused.
    fn refusal(&self) -> String {
        self.told(&self.try_open().unwrap_err().to_string())
    }

    /// Replaces the parts of a text that differ from run to run or depend on the size of a base.
    fn told(&self, text: &str) -> String {
        let all = self.bytes();
        let names = [
            (self.conf.base_key.to_string(), "0xBASE"),
            (Bytes(base_bytes(&self.conf)).to_string(), "BASE"),
            (Bytes(all).to_string(), "ALL"),
            (format!("-l {}", all / 1024), "-l ALL/K"),
            (format!("={all}"), "=ALL"),
        ];
        names.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
    }

    /// Returns how many bytes of the segments are populated.
    fn resident(&self) -> u64 {
        let table = MemoryTable::read(&self.home()).unwrap();
        let pool = observe_pool(self.conf.base_key, &self.home()).unwrap();
        let blocks = pool.blocks.into_iter().filter_map(|block| block.segment);
        blocks.chain(pool.base.segment).map(|segment| table.of(&segment).unwrap().resident.0).sum()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = remove_pool(self.conf.base_key, &self.home(), false) {
            eprintln!("cannot remove the pool under {}: {error}", self.conf.base_key);
        }
    }
}

fn kinds(pool: &MemoryPoolMgr) -> Vec<PageKind> {
    pool.resume_report().memory.segments.iter().map(|segment| segment.kind).collect()
}

/// Returns the report's text after its microseconds.
fn said(pool: &MemoryPoolMgr) -> String {
    let report = pool.resume_report().to_string();
    report.split_once(" us").unwrap().1.to_string()
}

fn without_time(said: &str) -> String {
    let (start, end) = said.split_once(" ms").unwrap();
    let (start, number) = start.rsplit_once(' ').unwrap();
    assert!(number.parse::<u64>().is_ok(), "{said}");
    format!("{start} N ms{end}")
}

/// Gives access to the words of a System V segment, bypassing the pool.
fn words(key: Key, use_them: impl FnOnce(&mut [u64])) {
    let facts = observe(key, &Home::sysv()).unwrap().segment.unwrap();
    // SAFETY: the kernel chooses the address.
    let start = unsafe { libc::shmat(facts.id as i32, std::ptr::null(), 0) };
    assert_ne!(start.addr(), usize::MAX);
    // SAFETY: so many bytes are mapped, any bytes are valid words, and no owner runs meanwhile.
    use_them(unsafe { std::slice::from_raw_parts_mut(start.cast(), facts.bytes.0 as usize / 8) });
    // SAFETY: mapped above and no longer used.
    assert_eq!(unsafe { libc::shmdt(start) }, 0);
}

/// Returns the kernel's flags for the mappings of this process that are named `/SYSV` and a key of
/// `bench`.
fn flags(bench: &Bench) -> Vec<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let names: Vec<String> = (0..3).map(|n| format!("/SYSV{:08x}", bench.conf.base_key.0 + n)).collect();
    let mut ours = false;
    let mut found = Vec::new();
    for line in smaps.lines() {
        // The first line of a mapping begins with its range.
        if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            ours = names.iter().any(|name| line.contains(name.as_str()));
        }
        found.extend(line.strip_prefix("VmFlags: ").filter(|_| ours).map(str::to_owned));
    }
    found
}

/// The lines logged by the threads of the tests.
static LOGGED: Mutex<Vec<(std::thread::ThreadId, log::Level, String)>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = (std::thread::current().id(), record.level(), record.args().to_string());
        LOGGED.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

fn listen() {
    let _ = log::set_logger(&Logger).map(|()| log::set_max_level(log::LevelFilter::Info));
    LOGGED.lock().unwrap().retain(|(thread, ..)| *thread != std::thread::current().id());
}

fn warnings() -> Vec<String> {
    let logged = LOGGED.lock().unwrap();
    let mine = logged.iter().filter(|(thread, ..)| *thread == std::thread::current().id());
    mine.filter(|(_, level, _)| *level <= log::Level::Warn).map(|(.., line)| line.clone()).collect()
}

#[test]
fn default_settings_do_and_report_nothing() {
    let bench = Bench::new(8 * MIB);
    let pool = bench.open();
    assert_eq!(pool.resume_report().memory, MemoryReport::default());
    assert_eq!(said(&pool), "");
    assert!(
        bench.resident() < base_bytes(&bench.conf) + MIB,
        "blocks are populated as types allocate extents"
    );
}

#[test]
fn reserved_pages_are_used_reported_and_kept_by_every_resume() {
    // Neither the base nor a block is a whole number of huge pages.
    let mut host = Host::take();
    let mut bench = Bench::new(5 * MIB + 4096).with(HugePages::On, false, false);
    if !host.reserve(bench.huge()) {
        return;
    }
    listen();
    let mut pool = bench.open();
    assert_eq!(kinds(&pool), [PageKind::Reserved; 3]);
    let segments = &pool.resume_report().memory.segments;
    assert_eq!(segments.iter().map(|segment| segment.huge.0).sum::<u64>(), bench.bytes());
    assert_eq!(said(&pool), "; pages of 2 MiB in 3 of 3 segments");
    let mut ids = Vec::new();
    while let Ok(id) = pool.alloc(Monster { words: [ids.len() as u64; 8] }) {
        ids.push(id);
    }
    assert!(ids.len() > 100_000, "two blocks hold more than {} objects", ids.len());
    drop(pool);
    assert_eq!(observe(bench.conf.base_key, &bench.home()).unwrap().verdict(), Verdict::Crashed);
    let told = describe_pool(bench.conf.base_key, &bench.home()).unwrap();
    assert_eq!(told.base_pages, Some(PageKind::Reserved));
    for huge_pages in HugePages::ALL {
        bench.set(huge_pages);
        let pool = bench.open();
        assert_eq!(pool.start_mode(), StartMode::Resume);
        let wanted = if huge_pages == HugePages::Off { vec![] } else { vec![PageKind::Reserved; 3] };
        assert_eq!(kinds(&pool), wanted);
        assert!(ids.iter().enumerate().all(|(n, id)| pool.get(*id).unwrap().words == [n as u64; 8]));
        let flags = flags(&bench);
        assert_eq!(flags.len(), 3, "{flags:?}");
        // Reserved, not copied to children, not dumped.
        let kept =
            |line: &String| ["ht", "dc", "dd"].iter().all(|flag| line.split(' ').any(|word| word == *flag));
        assert!(flags.iter().all(kept), "{flags:?}");
        assert!(pool.verify().is_sound(), "{:?}", pool.verify());
    }
    // `off` for a pool on reserved pages is a disagreement, and the only one.
    let [told] = &warnings()[..] else { panic!("{:?}", warnings()) };
    assert!(told.contains("keeps its reserved pages of 2 MiB, but the ini has HugePages = off"), "{told}");
}

#[test]
fn an_interrupted_creation_on_reserved_pages_begins_again_from_zeros() {
    let mut host = Host::take();
    let bench = Bench::new(4 * MIB).with(HugePages::On, false, false);
    if !host.reserve(bench.huge()) {
        return;
    }
    drop(bench.open());
    let keys = (0..3).map(|n| Key(bench.conf.base_key.0 + n));
    // Simulates an interrupted move aside: a base that was being emptied, and blocks that were
    // emptied.
    for (number, key) in keys.clone().enumerate() {
        words(key, |words| {
            words[0] = MAGIC_MAKING;
            words[8..].fill(if number == 0 { u64::MAX } else { 0 });
            words[7] |= if number == 0 { u64::from(DRAFT) << 32 } else { 0 };
        });
    }
    let pool = bench.open();
    assert_eq!((pool.start_mode(), pool.epoch()), (StartMode::Init, 1));
    assert_eq!(kinds(&pool), [PageKind::Reserved; 3]);
    assert!(pool.verify().is_sound());
    drop(pool);
    for key in keys {
        words(key, |words| assert_eq!(words.iter().position(|word| *word == u64::MAX), None, "{key}"));
    }
}

#[test]
fn without_reserved_pages_on_refuses_and_try_continues() {
    let host = Host::take();
    let mut bench = Bench::new(64 * MIB).with(HugePages::On, false, false);
    if host.free() >= base_bytes(&bench.conf).div_ceil(HUGE) {
        skipped("the host has free pages of 2 MiB; run `sysctl vm.nr_hugepages=0`");
        return;
    }
    let in_use: u64 = std::fs::read_to_string("/proc/sys/vm/nr_hugepages").unwrap().trim().parse().unwrap();
    let refused = bench.refusal();
    if in_use == 0 {
        insta::assert_snapshot!(refused, @"[zone] HugePages = on, but the segment under 0xBASE of size BASE cannot be created with pages of 2 MiB: Cannot allocate memory (os error 12); the host has 0, 0 of them free, and the pool needs 66; run `sysctl vm.nr_hugepages=66`, which is enough for the whole pool, or set HugePages = try");
    }
    assert_eq!(observe(bench.conf.base_key, &bench.home()).unwrap().verdict(), Verdict::Absent);
    bench.set(HugePages::Try);
    let pool = bench.open();
    assert_eq!(kinds(&pool), [PageKind::Small; 3]);
    assert_eq!(said(&pool), "; pages of 4 KiB");
}

/// The objects take precedence over the setting.
#[test]
fn a_pool_on_small_pages_resumes_with_a_warning_whatever_the_ini_sets() {
    let mut host = Host::take();
    let mut bench = Bench::new(4 * MIB);
    if !host.reserve(bench.huge()) {
        return;
    }
    let mut pool = bench.open();
    let id = pool.alloc(Monster { words: [7; 8] }).unwrap();
    drop(pool);
    bench.set(HugePages::On);
    listen();
    let pool = bench.open();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    assert_eq!(pool.get(id).unwrap().words, [7; 8]);
    assert_eq!(said(&pool), "; pages of 4 KiB");
    let [told] = &warnings()[..] else { panic!("{:?}", warnings()) };
    assert!(told.contains("keeps its small pages, but the ini has HugePages = on"), "{told}");
    drop(pool);
    // A block that is added gets the configured pages.
    bench.conf.shm_keys.push(Key(bench.conf.base_key.0 + 3));
    let pool = bench.open();
    assert_eq!(kinds(&pool)[3], PageKind::Reserved);
    drop(pool);
}

#[test]
fn try_uses_transparent_pages_if_the_host_allows_them() {
    let mut host = Host::take();
    let bench = Bench::new(8 * MIB).with(HugePages::Try, true, false);
    if host.free() >= bench.huge() {
        skipped("the host has free pages of 2 MiB; run `sysctl vm.nr_hugepages=0`");
        return;
    }
    if !host.allow_transparent() {
        return;
    }
    let pool = bench.open();
    let segments = &pool.resume_report().memory.segments;
    // The tail of the base uses small pages.
    assert_eq!(kinds(&pool), [PageKind::Transparent; 3], "{segments:?}");
    assert_eq!(
        segments.iter().map(|segment| segment.huge.0).collect::<Vec<_>>(),
        [2 * MIB, 8 * MIB, 8 * MIB]
    );
    let said = without_time(&said(&pool));
    assert!(
        said.starts_with("; pages of 2 MiB in 3 of 3 segments, 18M of them transparent so far; populated"),
        "{said}"
    );
    let mut posix = Bench::new(8 * MIB).with(HugePages::Try, true, false);
    posix.conf.backend = BackendKind::Heap;
    let pool = posix.open();
    assert!(!kinds(&pool).contains(&PageKind::Reserved));
    pool.destroy().unwrap();
}

#[test]
fn prefault_populates_every_page() {
    let mut bench = Bench::new(24 * MIB + 4096).with(HugePages::Off, true, false);
    let pool = bench.open();
    assert_eq!(bench.resident(), bench.bytes());
    let done = pool.resume_report().memory.prefaulted.unwrap();
    assert_eq!(done.bytes.0, bench.bytes());
    assert!(done.threads >= 1 && done.took.as_nanos() > 0);
    insta::assert_snapshot!(bench.told(&without_time(&said(&pool))), @"; populated ALL in N ms");
    drop(pool);
    // After an attach the pages exist, but are not mapped yet.
    let mapped = |bench: &Bench| {
        let pool = bench.open();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let name = format!("/SYSV{:08x}", bench.conf.base_key.0 + 1);
        let ours = smaps.lines().skip_while(|line| !line.contains(&name));
        let rss = ours.map_while(|line| Some(line.strip_prefix("Rss:"))).flatten().next().unwrap();
        drop(pool);
        rss.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    };
    assert_eq!(mapped(&bench), bench.conf.block_size.0);
    bench.conf.memory.prefault = false;
    assert!(mapped(&bench) < MIB);
}

/// Runs one of the parts below if this process was launched for it.
#[test]
fn serve() {
    match std::env::var("HOTPOOL_TEST_MEMORY").as_deref() {
        Ok("small-file-system") => inside_of_a_small_file_system(),
        Ok("small-limit") => inside_of_a_small_limit(),
        Ok("room-to-lock") => inside_of_room_to_lock(),
        _ => {}
    }
}

/// Runs a part of [`serve`] in its own process, launched by `sh`; `$@` is that process.
fn run(role: &str, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "serve", "--nocapture"]).env("HOTPOOL_TEST_MEMORY", role);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter_map(|line| line.split_once("SKIPPED: ")).for_each(|(_, why)| skipped(why));
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn out_of_memory_is_an_error_and_not_a_signal() {
    run(
        "small-file-system",
        r#"unshare --mount true 2>/dev/null || { echo "SKIPPED: may not unshare"; exit; }; exec unshare --mount "$@""#,
    );
}

fn inside_of_a_small_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=16M", "tmpfs"]).arg(dir.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        skipped("may not mount");
        return;
    }
    let mut bench = Bench::new(16 * MIB).with(HugePages::Off, true, false);
    bench.conf.backend = BackendKind::File;
    bench.conf.dir = dir.path().into();
    let refused = bench.refusal();
    // The threads decide which segment is short and how much was done.
    let (start, rest) = refused.split_once(" under ").unwrap();
    let (segment, rest) = rest.split_once(": ").unwrap();
    assert!(segment.starts_with("0x") && segment.contains(" of size "), "{refused}");
    let (reason, rest) = rest.split_once("; ").unwrap();
    let rest = &rest[rest.find(" of ").unwrap()..];
    let told = bench.told(&format!("{start} under KEY of size SIZE: {reason}; N{rest}"));
    insta::assert_snapshot!(told, @"[zone] Prefault = yes, but there is not enough memory for all pages of the segment under KEY of size SIZE: No space left on device (os error 28); N of ALL were populated; see `free -m`, the limit of the cgroup and, for Backend = posix or file, `df`; provide more memory, name fewer ShmKeys, or set Prefault = no");
    // The start ended cleanly, so it is not a crash, and the next one succeeds.
    bench.conf.memory.prefault = false;
    let pool = bench.open();
    let ends: Vec<StartEnd> = pool.starts().iter().map(|start| start.end).collect();
    assert_eq!(ends, [StartEnd::Dropped, StartEnd::Open]);
    drop(pool);
    drop(bench);
    assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
}

/// Root may lock any amount unless it gives up the right.
const NO_RIGHT: &str = r#"[ $(id -u) = 0 ] && exec setpriv --bounding-set=-ipc_lock "$@"; exec "$@""#;

#[test]
fn a_pool_that_cannot_be_locked_is_refused_with_the_limit() {
    run("small-limit", &format!("ulimit -l 64; {NO_RIGHT}"));
}

fn inside_of_a_small_limit() {
    let mut bench = Bench::new(8 * MIB).with(HugePages::Off, false, true);
    insta::assert_snapshot!(bench.refusal(), @"[zone] LockMemory = yes, but the segment under 0xBASE of size BASE cannot be locked in RAM: Cannot allocate memory (os error 12); the pool has ALL, and locked memory is limited to 64K; set `ulimit -l ALL/K` or LimitMEMLOCK=ALL in the unit (more if the program locks memory of its own), give the server CAP_IPC_LOCK, or set LockMemory = no");
    bench.conf.memory.lock_memory = false;
    let pool = bench.open();
    let ends: Vec<StartEnd> = pool.starts().iter().map(|start| start.end).collect();
    assert_eq!(ends, [StartEnd::Dropped, StartEnd::Open]);
}

fn locked_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn a_locked_pool_is_fully_populated() {
    // Use less than the default limit.
    run(
        "room-to-lock",
        &format!(
            "ulimit -l 6144 || {{ echo SKIPPED: locked memory is limited to $(ulimit -l)K; exit; }}; {NO_RIGHT}"
        ),
    );
}

fn inside_of_room_to_lock() {
    let bench = Bench::new(MIB).with(HugePages::Off, false, true);
    let before = locked_kb();
    let pool = bench.open();
    assert_eq!((locked_kb() - before) << 10, bench.bytes());
    assert_eq!(bench.resident(), bench.bytes());
    assert_eq!(pool.resume_report().memory.locked, Some(Bytes(bench.bytes())));
    insta::assert_snapshot!(bench.told(&without_time(&said(&pool))), @"; populated ALL in N ms; ALL locked in RAM");
    drop(pool);
    assert_eq!(locked_kb(), before, "the lock ends with the mapping");
    drop(bench);
    let mut host = Host::take();
    let bench = Bench::new(MIB).with(HugePages::On, false, true);
    if host.reserve(bench.huge()) {
        // Reserved pages need no lock, and no limit applies.
        assert_eq!(bench.open().resume_report().memory.locked, Some(Bytes(0)));
    }
}
