//! If the system refuses a start or a growth, the error names the real cause. The tests use real
//! full file systems, limits and filters.
//!
//! Each case runs in its own process, cases with mounts in a private mount namespace. Without the
//! right to create one they print SKIPPED.

#[path = "harness/own_keys.rs"]
mod own_keys;
mod skip;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::base_bytes;
use hotpool::share::{Home, LockFacts, Verdict, observe, probe_sysv, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, MemoryPoolMgr, PoolObject, TxError};
use own_keys::own_keys;
use skip::skipped;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const ROLE: &str = "HOTPOOL_TEST_SYSTEM_REFUSALS";
const MOUNTS: &str = "exec unshare --mount --propagation private \"$@\"";

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Page {
    bytes: [u64; 512],
}

/// Runs a case in its own process, launched by `script`, whose `$@` is that process.
fn run(role: &str, script: &str) {
    let dir = tempfile::tempdir().unwrap();
    let base = Key(own_keys(8));
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "case", "--nocapture"]).stdin(Stdio::null());
    command.env(ROLE, format!("{role} {} {}", base.0, dir.path().display()));
    let output = command.output().unwrap();
    // Remove the semaphores, and whatever a failed case leaves.
    let _ = remove_pool(base, &Home::sysv(), false);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
}

fn may_mount() -> bool {
    let may = Command::new("sh").args(["-c", MOUNTS, "sh", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    let may = may.is_ok_and(|output| output.status.success());
    if !may {
        skipped("this process may not mount in its own namespace: full and missing file systems");
    }
    may
}

#[test]
fn a_full_file_system_is_named() {
    if may_mount() {
        run("full-dir", MOUNTS);
        run("full-shm", MOUNTS);
    }
}

#[test]
fn growth_into_a_full_file_system_names_it() {
    if may_mount() {
        run("growth", MOUNTS);
    }
}

#[test]
fn a_growth_that_fails_in_a_transaction_leaves_nothing() {
    if may_mount() {
        run("growth-in-tx", MOUNTS);
    }
}

#[test]
fn a_cold_start_that_fails_at_its_third_segment_leaves_nothing() {
    if may_mount() {
        run("third-segment", MOUNTS);
    }
}

#[test]
fn a_missing_dev_shm_is_named() {
    if may_mount() {
        run("no-shm", MOUNTS);
    }
}

#[test]
fn system_v_calls_that_a_filter_refuses_are_named() {
    run("filter", "exec \"$@\"");
}

#[test]
fn a_limit_of_the_address_space_is_named() {
    run("address-space", "exec \"$@\"");
}

/// Runs one of the cases if this process was launched for it.
#[test]
fn case() {
    let Ok(order) = std::env::var(ROLE) else { return };
    let mut words = order.splitn(3, ' ');
    let (role, base, dir) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let base = Key(base.parse().unwrap());
    let mut conf = ProcessConf::new("zone", base, Bytes(4 << 20), &[Key(base.0 + 1)]);
    match role {
        "full-dir" => full(conf, BackendKind::File, dir),
        "full-shm" => full(conf, BackendKind::Posix, "/dev/shm"),
        "growth" => {
            (conf.backend, conf.dir) = (BackendKind::File, dir.into());
            growth(&conf, dir);
        }
        "growth-in-tx" => {
            (conf.backend, conf.dir) = (BackendKind::File, dir.into());
            growth_in_tx(&conf, dir);
        }
        "third-segment" => {
            (conf.backend, conf.dir) = (BackendKind::File, dir.into());
            conf.shm_keys.push(Key(base.0 + 2));
            third_segment(&conf, dir);
        }
        "no-shm" => {
            conf.backend = BackendKind::Posix;
            no_shm(&conf, dir);
        }
        "filter" => filter(&conf),
        "address-space" => {
            conf.block_size = Bytes(64 << 20);
            address_space(&conf);
            for backend in [BackendKind::Sysv, BackendKind::File, BackendKind::Posix] {
                conf.backend = backend;
                conf.dir = if backend == BackendKind::File { dir.into() } else { PathBuf::new() };
                address_space_for_a_new_pool(&conf);
            }
        }
        other => panic!("{other}"),
    }
}

fn mount(args: &[&str]) {
    assert!(Command::new("mount").args(args).status().unwrap().success(), "mount {args:?}");
}

fn tmpfs(bytes: u64, dir: &str) {
    mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs", dir]);
}

fn refusal(conf: &ProcessConf) -> String {
    MemoryPoolMgr::open(conf).unwrap_err().to_string()
}

fn full(mut conf: ProcessConf, backend: BackendKind, dir: &str) {
    conf.backend = backend;
    if backend == BackendKind::File {
        conf.dir = dir.into();
    }
    tmpfs(64 << 10, dir);
    let said = refusal(&conf);
    let needed =
        format!("the file system of {dir} is full: {} are needed, 64K are free", Bytes(base_bytes(&conf)));
    assert!(said.contains("No space left on device") && said.contains(&needed), "{said}");
}

fn growth(conf: &ProcessConf, dir: &str) {
    tmpfs(base_bytes(conf).next_multiple_of(4096) + (1 << 20), dir);
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Page>().unwrap();
    let error = (0..1024).find_map(|_| pool.alloc(Page::zeroed()).err()).unwrap().to_string();
    assert!(error.contains(&format!("the file system of {dir} is full: ")), "{error}");
    assert!(error.contains("No space left on device"), "{error}");
    pool.destroy().unwrap();
}

fn growth_in_tx(conf: &ProcessConf, dir: &str) {
    tmpfs(base_bytes(conf).next_multiple_of(4096) + (1 << 20), dir);
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Page>().unwrap();
    let made: Vec<_> = std::iter::from_fn(|| pool.alloc(Page::zeroed()).ok()).collect();
    let state = |pool: &MemoryPoolMgr| (pool.len::<Page>(), pool.capacity::<Page>(), pool.bytes_free());
    let before = state(&pool);
    for number in 0..20 {
        let result: Result<(), TxError> = pool.tx(|tx| {
            tx.get_mut(made[number])?.bytes[0] = 7;
            tx.free(made[number + 1])?;
            tx.commit_with(9)?;
            tx.alloc(Page::zeroed()).map(drop)
        });
        let Err(TxError::Alloc(AllocError::Full(full))) = result else { panic!("{result:?}") };
        assert!(full.remedy.contains(&format!("the file system of {dir} is full: ")), "{full}");
        assert_eq!(
            (state(&pool), pool.last_committed()),
            (before, 0),
            "the failed transaction left something"
        );
    }
    assert!(made.iter().all(|id| pool.get(*id).unwrap().bytes == [0; 512]));
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    // A free slot suffices, in this start and in the next one.
    assert!(pool.free(made[3]));
    pool.tx(|tx| tx.alloc(Page::zeroed())).unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Page>().unwrap();
    assert_eq!(state(&pool), before);
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    pool.destroy().unwrap();
}

/// Grows a file system page by page until all three segments fit.
fn third_segment(conf: &ProcessConf, dir: &str) {
    let base = base_bytes(conf).next_multiple_of(4096);
    tmpfs(base, dir);
    let mut failed = Vec::new();
    let pool = (0..64).find_map(|page| {
        mount(&["-o", &format!("remount,size={}", base + page * 4096), dir]);
        match MemoryPoolMgr::open(conf) {
            Ok(pool) => Some(pool),
            Err(error) => {
                failed.push(error.to_string());
                let left: Vec<_> = std::fs::read_dir(dir).unwrap().collect();
                assert!(left.is_empty(), "page {page}: {error}: {left:?}");
                let facts = observe(conf.base_key, &Home::of(conf)).unwrap();
                assert!(matches!(facts.lock, LockFacts::None), "page {page}: {error}: {:?}", facts.lock);
                None
            }
        }
    });
    let last = failed.last().unwrap();
    assert!(last.contains(&conf.shm_keys[1].to_string()), "the error names another segment: {last}");
    pool.unwrap().destroy().unwrap();
}

fn no_shm(conf: &ProcessConf, dir: &str) {
    for name in ["urandom", "null"] {
        let (from, to) = (format!("/dev/{name}"), format!("{dir}/{name}"));
        std::fs::write(&to, "").unwrap();
        mount(&["--bind", &from, &to]);
    }
    mount(&["--rbind", dir, "/dev"]);
    let said = refusal(conf);
    assert!(said.contains("Backend = posix needs /dev/shm, which is not mounted"), "{said}");
}

/// Makes the kernel refuse `shmget` and `semget`, as the filters of containers do.
fn filter(conf: &ProcessConf) {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let is = |call: libc::c_long, jt: u8| {
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, jt, 0)
    };
    let answer = |k: u32| statement(libc::BPF_RET | libc::BPF_K, k, 0, 0);
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        is(libc::SYS_shmget, 2),
        is(libc::SYS_semget, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: integers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the kernel reads the program, which outlives the call.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } != 0 {
        return skipped("this kernel has no seccomp filters: refused System V calls");
    }
    for said in [refusal(conf), probe_sysv().unwrap_err()] {
        assert!(said.contains("System V IPC is not permitted here"), "{said}");
    }
}

fn address_space(conf: &ProcessConf) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Page>().unwrap();
    pool.alloc(Page::zeroed()).unwrap();
    pool.close().unwrap();
    limit_address_space(Some(32 << 20));
    let said = refusal(conf);
    assert!(said.contains("raise `ulimit -v`") && !said.contains("not this pool's"), "{said}");
    limit_address_space(None);
    let pool = MemoryPoolMgr::open(conf).unwrap();
    assert_eq!(pool.resume_report().objects(), 1, "the pool was not changed");
    pool.destroy().unwrap();
}

/// A cold start has room for nothing, or for its base and not for its block.
fn address_space_for_a_new_pool(conf: &ProcessConf) {
    for room in [2 << 20, 32 << 20] {
        limit_address_space(Some(room));
        let said = refusal(conf);
        limit_address_space(None);
        assert!(said.contains("raise `ulimit -v`"), "{:?}: {said}", conf.backend);
        for key in [conf.base_key, conf.shm_keys[0]] {
            let facts = observe(key, &Home::of(conf)).unwrap();
            assert_eq!(facts.verdict(), Verdict::Absent, "{:?}, {key}: {facts:?}", conf.backend);
            assert_eq!(facts.lock, LockFacts::None, "{:?}, {key}", conf.backend);
        }
        MemoryPoolMgr::open(conf).unwrap().destroy().unwrap();
    }
}

/// Lets this process map so many bytes more than it has mapped, or any number.
fn limit_address_space(room: Option<u64>) {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let mapped: u64 = text.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
    let rlim_cur = room.map_or(libc::RLIM_INFINITY, |room| mapped + room);
    let limit = libc::rlimit { rlim_cur, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the record outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}
