//! The operations of a running server do not allocate, do not enter the kernel and take no lock.
//!
//! Each operation runs in its own child, on a pool that has reached its final size:
//!
//! - under an allocator that counts;
//! - in seccomp's strict mode, in which the kernel kills a thread at any system call except `read`,
//!   `write`, `exit` and `sigreturn`: a child that reaches its `exit` has made none;
//! - instruction by instruction under ptrace, to find locks: an instruction with a lock prefix, or an
//!   exchange with memory. On x86-64 every lock uses one of them.
//!
//! The test first shows that the three methods detect what they are for, with forbidden operations.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::pool::Sweep;
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, TxError};
use own_keys::own_keys;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

#[path = "harness/own_keys.rs"]
mod own_keys;
mod skip;

#[cfg(target_arch = "x86_64")]
#[allow(dead_code, unreachable_pub, reason = "only the crash tests use breakpoints")]
#[path = "harness/stepper.rs"]
mod stepper;

/// How often an operation runs under the allocator and in strict mode. Those over all objects run a
/// hundredth of that.
const TIMES: u64 = 100_000;
/// How often an operation is stepped. Those over all objects are stepped once.
#[cfg(target_arch = "x86_64")]
const STEPPED: u64 = 8;
/// Number of objects of each type: several map words.
const OBJECTS: u64 = 150;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: forwards every call to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Monster {
    hp: u64,
    words: [u64; 7],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
struct Player {
    uid: u64,
    gold: u64,
}

/// A pool in its steady state.
struct World {
    pool: MemoryPoolMgr,
    monsters: Vec<Id<Monster>>,
    players: Vec<Id<Player>>,
    /// The index in `monsters` of the next one to free.
    oldest: usize,
    sweep: Sweep,
    /// Number of operations done.
    turn: u64,
    /// The next unused key.
    fresh: u64,
    lock: Mutex<u64>,
}

/// Returns the key of the only pool at a time. The parent chooses it, and removes what its children
/// leave.
fn base_key() -> Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    *KEY.get_or_init(|| Key(own_keys(2)))
}

impl World {
    fn new() -> Self {
        let key = base_key();
        let mut pool =
            MemoryPoolMgr::open(&ProcessConf::new("zone", key, Bytes(4 << 20), &[Key(key.0 + 1)])).unwrap();
        pool.add_type::<Monster>().unwrap();
        pool.add_type::<Player>().unwrap();
        pool.ready().unwrap();
        let monster = |hp| Monster { hp, words: [hp; 7] };
        World {
            monsters: (0..OBJECTS).map(|hp| pool.alloc(monster(hp)).unwrap()).collect(),
            players: (0..OBJECTS)
                .map(|uid| pool.alloc_keyed(uid, Player { uid, gold: 100 }).unwrap())
                .collect(),
            pool,
            oldest: 0,
            sweep: Sweep::default(),
            turn: 0,
            fresh: OBJECTS,
            lock: Mutex::new(0),
        }
    }

    fn monster(&self) -> Id<Monster> {
        self.monsters[(self.turn * 7 % OBJECTS) as usize]
    }

    fn two_players(&self) -> [Id<Player>; 2] {
        [0, 1].map(|n| self.players[((self.turn * 7 + n) % OBJECTS) as usize])
    }

    /// Returns a key that is in use.
    fn known(&self) -> u64 {
        self.turn * 7 % OBJECTS
    }

    /// Returns a key that was never used.
    fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh
    }
}

/// A name, the number of operations that one run stands for, and the operation.
type Operation = (&'static str, u64, fn(&mut World));

/// The operations of a running server.
const OPERATIONS: [Operation; 24] = [
    ("get", 1, |w| assert!(w.pool.get(w.monster()).is_some())),
    ("get, a view", 1, |w| assert!(w.pool.view().get(w.monster()).is_some())),
    ("get_mut", 1, |w| w.pool.get_mut(w.monster()).unwrap().hp += 1),
    ("get_several_mut", 1, |w| {
        let [mut a, mut b] = w.pool.get_several_mut(w.two_players()).unwrap();
        std::mem::swap(&mut a.gold, &mut b.gold);
    }),
    ("alloc and free, the same", 1, |w| {
        let id = w.pool.alloc(Monster { hp: 1, words: [2; 7] }).unwrap();
        assert!(w.pool.free(id));
    }),
    ("free and alloc, the oldest", 1, |w| {
        let oldest = w.oldest;
        assert!(w.pool.free(w.monsters[oldest]));
        w.monsters[oldest] = w.pool.alloc(Monster { hp: 1, words: [2; 7] }).unwrap();
        w.oldest = (oldest + 1) % w.monsters.len();
    }),
    ("alloc_keyed and free_by_key", 1, |w| {
        let uid = w.fresh();
        w.pool.alloc_keyed(uid, Player { uid, gold: 0 }).unwrap();
        assert!(w.pool.free_by_key::<Player>(uid));
    }),
    ("find", 1, |w| assert!(w.pool.find::<Player>(w.known()).is_some())),
    ("find, a missing key", 1, |w| assert!(w.pool.find::<Player>(u64::MAX - w.turn).is_none())),
    ("get_by_key", 1, |w| assert!(w.pool.get_by_key::<Player>(w.known()).is_some())),
    ("get_mut_by_key", 1, |w| w.pool.get_mut_by_key::<Player>(w.known()).unwrap().gold += 1),
    ("force_get, an existing key", 1, |w| {
        let uid = w.known();
        assert!(!w.pool.force_get(uid, Player { uid, gold: 0 }).unwrap().is_made());
    }),
    ("force_get, a missing key, and free", 1, |w| {
        let uid = w.fresh();
        let forced = w.pool.force_get(uid, Player { uid, gold: 0 }).unwrap();
        assert!(forced.is_made() && w.pool.free(forced.into_inner()));
    }),
    ("iter", 100, |w| {
        assert_ne!(w.pool.iter::<Monster>().map(|(_, monster)| monster.hp | 1).sum::<u64>(), 0);
    }),
    ("iter_mut", 100, |w| w.pool.iter_mut::<Monster>().for_each(|(_, mut monster)| monster.hp += 1)),
    ("for_each", 100, |w| w.pool.for_each::<Monster>(|_, monster| monster.hp += 1)),
    ("sweep", 10, |w| {
        let mut seen = 0;
        w.pool.sweep::<Monster>(&mut w.sweep, 10, |_, monster| seen += monster.hp | 1);
        black_box(seen);
    }),
    ("update", 1, |w| w.pool.update(w.monster(), |monster| monster.hp += 1).unwrap()),
    ("update, rolled back", 1, |w| {
        let id = w.monster();
        let answer: Result<(), TxError> = w.pool.try_update(id, |monster| {
            monster.hp = 0;
            Err(TxError::Stale(id.handle()))
        });
        assert!(answer.is_err());
    }),
    ("tx, two updates", 1, |w| {
        let [a, b] = w.two_players();
        let answer: Result<(), TxError> = w.pool.tx(|tx| {
            tx.get_mut(a)?.gold -= 1;
            tx.get_mut(b)?.gold += 1;
            Ok(())
        });
        answer.unwrap();
    }),
    ("tx, alloc, update, free and commit_with", 1, |w| {
        let (oldest, [a, _], tag) = (w.oldest, w.two_players(), w.turn + 1);
        let (old, new) = (w.monsters[oldest], &mut w.monsters[oldest]);
        let answer: Result<(), TxError> = w.pool.tx(|tx| {
            *new = tx.alloc(Monster { hp: 1, words: [3; 7] })?;
            tx.get_mut(a)?.gold += 1;
            tx.free(old)?;
            tx.commit_with(tag)
        });
        answer.unwrap();
        assert_eq!(w.pool.last_committed(), tag);
        w.oldest = (oldest + 1) % w.monsters.len();
    }),
    ("note", 1, |w| w.pool.note(7, w.turn, 0)),
    ("note_object", 1, |w| w.pool.note_object(w.monster())),
    ("len, capacity and high_water", 1, |w| {
        assert!(w.pool.len::<Monster>() <= w.pool.high_water::<Monster>());
        assert!(w.pool.high_water::<Monster>() <= w.pool.capacity::<Monster>());
    }),
];

/// Forbidden operations, and the fault that each must be reported with.
const FORBIDDEN: [(Operation, Fault); 3] = [
    (
        ("a vector", 1, |w| drop(black_box(Vec::<u64>::with_capacity(w.turn as usize % 7 + 1)))),
        Fault::Allocates,
    ),
    // SAFETY: the call takes nothing and cannot fail.
    (("a process id", 1, |_| assert_ne!(unsafe { libc::getpid() }, 0)), Fault::EntersKernel),
    (("a mutex", 1, |w| *w.lock.lock().unwrap() += 1), Fault::Locks),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Allocates,
    EntersKernel,
    Locks,
    /// The host does not allow the check.
    Skipped,
}

fn run(world: &mut World, (_, weight, operation): Operation, times: u64) {
    for _ in 0..times / weight {
        operation(world);
        world.turn += 1;
    }
}

/// Returns a pool in which the operation has run until everything has its final size.
fn warm(operation: Operation) -> World {
    let mut world = World::new();
    run(&mut world, operation, 10_000);
    world
}

const DONE: i32 = 0;
const HAS_ALLOCATED: i32 = 3;
const NO_SECCOMP: i32 = 4;

/// Runs in the child: counts allocations, then repeats the operation in strict mode.
fn counted_and_strict(operation: Operation) -> i32 {
    let mut world = warm(operation);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run(&mut world, operation, TIMES);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    if allocations != 0 {
        println!("{}: {allocations} allocations in {TIMES} operations", operation.0);
        return HAS_ALLOCATED;
    }
    // SAFETY: strict mode takes no pointer.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) } != 0 {
        return NO_SECCOMP;
    }
    run(&mut world, operation, TIMES);
    // Neither a drop nor `exit_group` would be allowed.
    // SAFETY: ends the only thread.
    unsafe { libc::syscall(libc::SYS_exit, DONE) };
    unreachable!("the thread has ended")
}

/// Runs the operation in a child that counts allocations and then enters strict mode.
fn watched(operation: Operation) -> Option<Fault> {
    // SAFETY: this process has one thread, so the child may do anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let result = std::panic::catch_unwind(|| counted_and_strict(operation));
        // SAFETY: exits without running destructors or handlers of the parent.
        unsafe { libc::_exit(result.unwrap_or(101)) };
    }
    let mut status = 0;
    // SAFETY: waits for a child of this process, with a valid pointer for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if libc::WIFSIGNALED(status) {
        assert_eq!(libc::WTERMSIG(status), libc::SIGKILL, "{}", operation.0);
        return Some(Fault::EntersKernel);
    }
    match libc::WEXITSTATUS(status) {
        DONE => None,
        HAS_ALLOCATED => Some(Fault::Allocates),
        NO_SECCOMP => Some(Fault::Skipped),
        other => panic!("{}: the child ended with {other}", operation.0),
    }
}

/// Checks every instruction of the operation.
#[cfg(target_arch = "x86_64")]
fn stepped(operation: Operation, steps: &mut u64) -> Option<Fault> {
    let child = stepper::Child::start(|| {
        let mut world = warm(operation);
        stepper::begin();
        run(&mut world, operation, STEPPED.max(operation.1));
        stepper::end();
    });
    while !child.is_done() {
        let fault = fault_of(child.rip());
        child.step();
        *steps += 1;
        // The last lock signals the end of the operation to the parent.
        if fault.is_some() && !child.is_done() {
            return fault;
        }
    }
    None
}

/// Returns the fault of the instruction at an address. A forked child and this process have the
/// same text there.
#[cfg(target_arch = "x86_64")]
fn fault_of(rip: usize) -> Option<Fault> {
    // SAFETY: reads the text of the running program. The bytes after an instruction are mapped as
    // well, because text ends with padding.
    let bytes = unsafe { std::ptr::read_unaligned(rip as *const [u8; 15]) };
    decode(&bytes)
}

#[cfg(target_arch = "x86_64")]
fn decode(bytes: &[u8; 15]) -> Option<Fault> {
    const LOCK: u8 = 0xf0;
    const PREFIXES: [u8; 11] = [LOCK, 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];
    let prefixes = bytes.iter().take_while(|byte| PREFIXES.contains(byte)).count();
    if bytes[..prefixes].contains(&LOCK) {
        return Some(Fault::Locks);
    }
    let rest = &bytes[prefixes..];
    let rest = if rest.first().is_some_and(|byte| byte & 0xf0 == 0x40) { &rest[1..] } else { rest };
    match rest {
        [0x0f, 0x05 | 0x34, ..] | [0xcd, 0x80, ..] => Some(Fault::EntersKernel),
        // An exchange with memory locks without a prefix.
        [0x86 | 0x87, operands, ..] if *operands < 0xc0 => Some(Fault::Locks),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn stepped(_: Operation, _: &mut u64) -> Option<Fault> {
    Some(Fault::Skipped)
}

/// Runs a child and removes the pool that it leaves, even if it fails.
fn clean<R>(run: impl FnOnce() -> R) -> R {
    struct Left;
    impl Drop for Left {
        fn drop(&mut self) {
            remove_pool(base_key(), &Home::sysv(), false).unwrap();
        }
    }
    let _left = Left;
    run()
}

/// Returns the faults of an operation found by any method, and whether a method was not allowed.
fn faults(operation: Operation, steps: &mut u64) -> Vec<Fault> {
    let watched = clean(|| watched(operation));
    [watched, clean(|| stepped(operation, steps))].into_iter().flatten().collect()
}

/// Checks that the decoder recognises the instructions it searches for, with their usual prefixes.
#[cfg(target_arch = "x86_64")]
fn check_decoder() {
    let decoded = |start: &[u8]| {
        let mut bytes = [0x90; 15];
        bytes[..start.len()].copy_from_slice(start);
        decode(&bytes)
    };
    // lock cmpxchg %rcx,(%rdi); lock incb %fs:0x10; xchg %al,(%rdi); xchg %rax,(%rdi)
    for locked in
        [&[0xf0, 0x48, 0x0f, 0xb1, 0x0f][..], &[0x64, 0xf0, 0xfe, 4, 0x25], &[0x86, 7], &[0x48, 0x87, 7]]
    {
        assert_eq!(decoded(locked), Some(Fault::Locks), "{locked:x?}");
    }
    assert_eq!(decoded(&[0x0f, 0x05]), Some(Fault::EntersKernel));
    // cmpxchg %rcx,(%rdi); xchg %ax,%ax; xchg %rax,%rcx; mov %rax,(%rdi)
    for harmless in [&[0x48, 0x0f, 0xb1, 0x0f][..], &[0x66, 0x90], &[0x48, 0x87, 0xc1], &[0x48, 0x89, 7]] {
        assert_eq!(decoded(harmless), None, "{harmless:x?}");
    }
}

fn main() {
    #[cfg(target_arch = "x86_64")]
    check_decoder();
    base_key();
    let (mut steps, mut broken, mut skipped) = (0, 0, false);
    for (operation, fault) in FORBIDDEN {
        let found = faults(operation, &mut 0);
        let looks = found.contains(&fault) || found.contains(&Fault::Skipped);
        assert!(looks, "{} went unnoticed: {found:?} instead of {fault:?}", operation.0);
    }
    for operation in OPERATIONS {
        for fault in faults(operation, &mut steps) {
            skipped |= fault == Fault::Skipped;
            if fault != Fault::Skipped {
                println!("{}: {fault:?}", operation.0);
                broken += 1;
            }
        }
    }
    if skipped {
        skip::skipped("a part, because seccomp or the stepper is not available on this host");
    }
    println!(
        "{} operations, {TIMES} times each: allocations, system calls and locks in {broken}; {steps} instructions stepped",
        OPERATIONS.len()
    );
    std::process::exit(i32::from(broken != 0));
}
