//! A process that has a pool open and forks: its child can neither read nor write the pool, nor its
//! own memory at the pool's addresses (G5, G15).
//!
//! Each scenario runs in its own process of this test program, because the parent of the children
//! must do nothing else.

mod owner;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use owner::Keys;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Hero {
    uid: u64,
    gold: u64,
}

const BLOCK: u64 = 1 << 20;
const ROLE: &str = "HOTPOOL_TEST_FORKS";

/// Runs `scenario` with a pool's configuration, in a process that runs only the test `name`.
#[track_caller]
fn alone(name: &str, scenario: fn(&ProcessConf)) -> Option<Output> {
    if let Ok(base) = std::env::var(ROLE) {
        scenario(&conf(Key(base.parse().unwrap())));
        return None;
    }
    let keys = Keys::take(BLOCK);
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, keys.base.0.to_string());
    let output = process.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
    Some(output)
}

fn conf(base: Key) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", base, Bytes(BLOCK), &[Key(base.0 + 1)]);
    conf.owner_wait_ms = 10_000;
    conf
}

fn open(conf: &ProcessConf) -> MemoryPoolMgr {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Hero>().unwrap();
    pool.ready().unwrap();
    pool
}

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Signal(i32),
}

/// Forks a child that runs `act` and exits with its result.
fn in_a_child(act: impl FnOnce() -> i32) -> End {
    // SAFETY: the C libraries of this system allow a child to allocate, and it touches nothing that
    // another thread may hold.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // Rust's runtime would print a message for a SIGSEGV, and might wait for a lock of another
        // thread.
        for signal in [libc::SIGSEGV, libc::SIGABRT] {
            // SAFETY: the default action runs no code.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // SAFETY: the call takes an integer.
        unsafe { libc::_exit(act()) };
    }
    end_of(pid)
}

fn end_of(pid: i32) -> End {
    let mut status = 0;
    // SAFETY: waits for a child of this process, with a valid pointer for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    match libc::WIFSIGNALED(status) {
        true => End::Signal(libc::WTERMSIG(status)),
        false => End::Exit(libc::WEXITSTATUS(status)),
    }
}

fn no_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the record outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
}

/// Allocates memory of all sizes, filled with one byte, to fill every hole in the address space.
fn fill_holes() -> Vec<Vec<u8>> {
    (12..23).flat_map(|size| std::iter::repeat_n(vec![7u8; (1 << size) - 64], 64)).collect()
}

#[test]
fn a_child_that_allocates_memory_does_not_write_to_it_through_the_pool() {
    alone("a_child_that_allocates_memory_does_not_write_to_it_through_the_pool", |conf| {
        no_core_dumps();
        let mut pool = open(conf);
        let hero = pool.alloc(Hero { uid: 7, gold: 100 }).unwrap();
        let write = |pool: &mut MemoryPoolMgr| {
            let memory = fill_holes();
            let made = pool.alloc(Hero { uid: 8, gold: 0 }).is_ok();
            let whole = memory.iter().all(|vec| vec.iter().all(|byte| *byte == 7));
            1 + i32::from(made) + 2 * i32::from(!whole)
        };
        assert_eq!(in_a_child(|| write(&mut pool)), End::Signal(libc::SIGSEGV));
        let read = in_a_child(|| {
            let _memory = fill_holes();
            pool.get(hero).map_or(1, |hero| hero.gold as i32)
        });
        assert_eq!(read, End::Signal(libc::SIGSEGV));
        // The same holds for a grandchild, and for a child that dropped the pool.
        let below = in_a_child(|| match in_a_child(|| write(&mut pool)) {
            End::Signal(signal) => signal,
            End::Exit(code) => 100 + code,
        });
        assert_eq!(below, End::Exit(libc::SIGSEGV));
        let dropped = in_a_child(|| {
            // SAFETY: the child has its own copy of the pool, and drops it once.
            drop(unsafe { std::ptr::read(&raw const pool) });
            let memory = fill_holes();
            i32::from(memory.iter().all(|vec| vec.iter().all(|byte| *byte == 7)))
        });
        assert_eq!(dropped, End::Exit(1));
        assert_eq!((pool.len::<Hero>(), pool.get(hero).unwrap().gold), (1, 100));
        pool.close().unwrap();
    });
}

/// A pool that the child opens belongs to the child, and a fork of the child cannot reach it.
#[test]
fn a_child_may_open_its_own_pool_and_its_children_cannot_reach_it() {
    alone("a_child_may_open_its_own_pool_and_its_children_cannot_reach_it", |conf| {
        no_core_dumps();
        drop(open(conf));
        let parent = open(conf);
        let end = in_a_child(|| {
            let refused = MemoryPoolMgr::open(&conf.clone().owner_wait_ms(0)).is_err();
            i32::from(refused)
        });
        assert_eq!(end, End::Exit(1), "the parent owns the pool");
        drop(parent);
        let end = in_a_child(|| {
            let mut pool = open(conf);
            let hero = pool.alloc(Hero { uid: 1, gold: 5 }).unwrap();
            let below = in_a_child(|| pool.get(hero).map_or(1, |hero| hero.gold as i32));
            let gold = pool.get(hero).unwrap().gold as i32;
            pool.close().unwrap();
            i32::from(below == End::Signal(libc::SIGSEGV)) + gold
        });
        assert_eq!(end, End::Exit(6));
        assert_eq!(open(conf).len::<Hero>(), 1);
    });
}

/// Whenever a thread forks during an attach or detach, the child has no mapping of a segment.
#[test]
fn forks_during_opens_and_closes_inherit_no_mapping() {
    const FORKS: usize = 300;
    alone("forks_during_opens_and_closes_inherit_no_mapping", |conf| {
        let (done, opens) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let mut pool = open(conf);
                    pool.alloc(Hero { uid: 1, gold: 1 }).unwrap();
                    drop(pool);
                    opens.fetch_add(1, Ordering::Relaxed);
                }
            });
            let forkers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| (0..FORKS).map(|_| in_a_child(segments)).find(|end| *end != End::Exit(0)))
                })
                .collect();
            let ends: Vec<_> = forkers.into_iter().map(|forker| forker.join().unwrap()).collect();
            done.store(true, Ordering::Relaxed);
            assert_eq!(
                ends,
                [None, None, None],
                "a child inherited segments (the exit code is their number)"
            );
        });
        println!("{} children, {} opens", 3 * FORKS, opens.into_inner());
    });
}

/// Counts the mapped segments. Makes system calls only.
fn segments() -> i32 {
    // SAFETY: the path ends with a zero byte.
    let maps = unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY) };
    let (mut bytes, mut seen, mut at) = ([0u8; 4096], 0, 0);
    let name = b"/SYSV";
    loop {
        // SAFETY: the call writes at most the length of the array.
        let read = unsafe { libc::read(maps, bytes.as_mut_ptr().cast(), bytes.len()) };
        if read <= 0 {
            return if read < 0 { 255 } else { seen };
        }
        for &byte in &bytes[..read as usize] {
            at = match byte == name[at] {
                true => at + 1,
                false => usize::from(byte == name[0]),
            };
            if at == name.len() {
                (seen, at) = (seen + 1, 0);
            }
        }
    }
}

/// A handler that another library registered before the first open runs before that of the pool.
/// Its memory may then be at the pool's address. The child ends with a message.
#[test]
fn a_child_whose_addresses_another_handler_took_aborts_with_a_message() {
    static HOLE: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn take() {
        let wanted: *mut libc::c_void = std::ptr::without_provenance_mut(HOLE.load(Ordering::Relaxed));
        if !wanted.is_null() {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            // SAFETY: MAP_FIXED_NOREPLACE never replaces a mapping.
            unsafe { libc::mmap(wanted, 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        }
    }
    let output = alone("a_child_whose_addresses_another_handler_took_aborts_with_a_message", |conf| {
        no_core_dumps();
        // SAFETY: the handler makes system calls only.
        assert_eq!(unsafe { libc::pthread_atfork(None, None, Some(take)) }, 0);
        let pool = open(conf);
        assert_eq!(in_a_child(|| 0), End::Exit(0));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let segment = maps.lines().find(|line| line.contains("/SYSV")).unwrap();
        HOLE.store(usize::from_str_radix(segment.split_once('-').unwrap().0, 16).unwrap(), Ordering::Relaxed);
        assert_eq!(in_a_child(|| 0), End::Signal(libc::SIGABRT));
        HOLE.store(0, Ordering::Relaxed);
        drop(pool);
    });
    if let Some(output) = output {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cannot keep a forked child out of the pool's memory"), "{said}");
    }
}

/// A child that executes another program, with `fork` or without, does not need the pool and does
/// not disturb it.
#[test]
fn commands_run_beside_a_pool_of_many_blocks() {
    use std::os::unix::process::CommandExt;
    const BLOCKS: u32 = 128;
    let folder = tempfile::tempdir().unwrap();
    let base = Keys::take(BLOCK).base;
    // On this backend, block keys are only file names in the folder.
    let keys: Vec<Key> = (1..=BLOCKS).map(Key).collect();
    let mut conf = ProcessConf::new("zone", base, Bytes(64 << 10), &keys);
    (conf.backend, conf.dir) = (BackendKind::File, folder.path().into());
    let mut pool = open(&conf);
    let hero = pool.alloc(Hero { uid: 1, gold: 2 }).unwrap();
    let run = |command: &mut Command| assert!(command.status().unwrap().success());
    for _ in 0..3 {
        run(&mut Command::new("true"));
        let mut forked = Command::new("true");
        // SAFETY: the closure does nothing; it makes the standard library use fork.
        run(unsafe { forked.pre_exec(|| Ok(())) });
    }
    let killed = Command::new("sh").args(["-c", "kill -9 $$"]).status().unwrap();
    assert_eq!(killed.signal(), Some(9));
    assert_eq!(pool.get(hero).unwrap().gold, 2);
    drop(pool);
    let home = Home { backend: BackendKind::File, dir: folder.path().into() };
    remove_pool(base, &home, false).unwrap();
}
