//! Operations that create and remove segments, on every backend of the kernel, killed after each
//! system call.
//!
//! `kill_every_instruction` kills these operations after every store between two calls. Here a kill
//! interrupts the kernel's state: a segment without a size, a file name without a block, semaphores
//! without a base. Each kill gets a pool that another process built before it died.

use super::changing;
use super::content::{Content, add_types};
use super::judge::{self, Expected, Leaves, named};
use super::keys::Keys;
use super::reach;
use super::run::Tally;
use super::scenario::{Build, World, few, looping, torn};
use super::stepper::{self, Call, Child};
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, OnCrashLoop, ProcessConf};
use hotpool::share::{Home, remove_pool};
use std::path::PathBuf;

/// For an operation with many calls: so many of the last are killed, and about as many of those before.
const LAST: usize = if cfg!(debug_assertions) { 10 } else { 50 };

/// The operation to kill.
#[derive(Clone, Copy)]
enum Act {
    Open,
    Destroy,
    Remove,
}

/// An operation on a backend.
pub struct Operation {
    pub name: &'static str,
    backend: BackendKind,
    act: Act,
    /// Builds the pool; `None` if no pool exists before.
    build: Option<Build>,
    blocks: u32,
    more_blocks: u32,
    leaves: Leaves,
    tune: fn(&mut ProcessConf),
}

const fn operation(name: &'static str, backend: BackendKind, act: Act, leaves: Leaves) -> Operation {
    Operation { name, backend, act, build: Some(few), blocks: 1, more_blocks: 0, leaves, tune: |_| () }
}

const fn with_build(build: Option<Build>, operation: Operation) -> Operation {
    Operation { build, ..operation }
}

macro_rules! on_each_backend {
    ($($kind:ident $name:literal,)+) => {
        /// All operations on all backends.
        pub const ALL: &[Operation] = &[$(
            with_build(None, operation(
                concat!("open, cold, ", $name), BackendKind::$kind, Act::Open, Leaves::Nothing)),
            operation(concat!("open, hot, ", $name), BackendKind::$kind, Act::Open, Leaves::Done),
            Operation {
                more_blocks: 1,
                ..operation(concat!("open with one more block, ", $name), BackendKind::$kind, Act::Open, Leaves::Done)
            },
            Operation {
                build: Some(torn),
                tune: |conf| looping(conf, OnCrashLoop::Cold),
                ..operation(concat!("open with OnCrashLoop = cold, ", $name), BackendKind::$kind, Act::Open, Leaves::Aside)
            },
            operation(concat!("destroy, ", $name), BackendKind::$kind, Act::Destroy, Leaves::Ruins),
            Operation {
                blocks: 2,
                ..operation(concat!("rm, ", $name), BackendKind::$kind, Act::Remove, Leaves::Ruins)
            },
        )+];
    };
}

on_each_backend! {
    Sysv "sysv",
    Posix "posix",
    File "file",
}

/// The keys of an operation. Everything under them is removed when this is dropped.
struct Site {
    keys: Keys,
    built: ProcessConf,
    conf: ProcessConf,
    dir: Option<PathBuf>,
}

impl Site {
    fn new(operation: &Operation) -> Site {
        let keys = Keys::take(8);
        let mut built = keys.conf(operation.backend, 128 << 10, operation.blocks);
        let mut conf = keys.conf(operation.backend, 128 << 10, operation.blocks + operation.more_blocks);
        let mut dir = None;
        if operation.backend == BackendKind::File {
            let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("calls-{}", keys.base()));
            std::fs::create_dir_all(&path).unwrap();
            (built.dir, conf.dir) = (path.clone(), path.clone());
            dir = Some(path);
        }
        (operation.tune)(&mut conf);
        let site = Site { keys, built, conf, dir };
        site.clean();
        site
    }

    /// Removes segments, semaphores and files in any state.
    fn clean(&self) {
        self.keys.remove();
        let folder = match self.conf.backend {
            BackendKind::File => self.conf.dir.clone(),
            _ => PathBuf::from("/dev/shm"),
        };
        let aside = judge::aside(&self.conf);
        for conf in [&self.conf, &aside] {
            for key in super::image::keys_of(conf) {
                super::keys::remove_segment(key);
                super::keys::remove_semaphores(key);
                let _ = std::fs::remove_file(folder.join(format!("hotpool-{:08x}", key.0)));
            }
        }
    }

    /// Has another process build the pool and die.
    fn prepare(&self, operation: &Operation) {
        self.clean();
        let Some(build) = operation.build else { return };
        let child = Child::start(|| {
            let mut pool = MemoryPoolMgr::open(&self.built).unwrap();
            add_types(&mut pool).unwrap();
            build(&mut pool, &mut World::default());
            stepper::begin();
        });
        child.kill();
    }

    /// Returns the expected state, read by an ordinary start.
    fn expected(&self, operation: &Operation) -> Expected {
        let mut expected = Expected { leaves: operation.leaves, ..Expected::default() };
        if operation.build.is_none() {
            return expected;
        }
        let mut pool = MemoryPoolMgr::open(&self.built).unwrap();
        add_types(&mut pool).unwrap();
        expected.before = Content::read(&pool).unwrap();
        expected.suspects = named(pool.resume_report());
        expected.epoch = pool.epoch() - 1;
        if operation.leaves != Leaves::Aside {
            expected.after = expected.before.clone();
        }
        expected
    }

    fn child(&self, operation: &Operation, tally: &Tally) -> Child {
        Child::start(|| {
            tally.arm(true);
            reach::reset();
            match operation.act {
                Act::Open => {
                    changing::stop_at_changes();
                    stepper::begin();
                    let pool = MemoryPoolMgr::open(&self.conf);
                    stepper::end();
                    drop(pool.unwrap());
                }
                Act::Destroy => {
                    let pool = MemoryPoolMgr::open(&self.conf).unwrap();
                    reach::reset();
                    changing::stop_at_changes();
                    stepper::begin();
                    let done = pool.destroy();
                    stepper::end();
                    done.unwrap();
                }
                Act::Remove => {
                    changing::stop_at_changes();
                    stepper::begin();
                    let done = remove_pool(self.conf.base_key, &Home::of(&self.conf), false);
                    stepper::end();
                    done.unwrap();
                }
            }
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.clean();
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Kills an operation after each of its system calls.
pub fn kill_at_calls(operation: &Operation, tally: &mut Tally) {
    tally.arm(false);
    let site = Site::new(operation);
    site.prepare(operation);
    let expected = site.expected(operation);
    site.prepare(operation);
    let child = site.child(operation, tally);
    let mut all: Vec<Call> = Vec::new();
    while let Some(call) = child.to_change() {
        all.push(call);
    }
    let log = reach::log();
    child.kill();
    // After a call that only reads, a kill leaves the same state as after the call before.
    let calls = all.len();
    let mut kills: Vec<usize> = (1..=calls).collect();
    // A removal inspects all existing segments before it begins.
    let (before, step) = (kills.len().saturating_sub(LAST), kills.len().div_ceil(LAST));
    let mut number = 0;
    kills.retain(|_| {
        number += 1;
        number > before || number % step == 0
    });
    let mut kill = |place: String, run: &dyn Fn(&Child) -> bool| {
        tally.arm(false);
        site.prepare(operation);
        let child = site.child(operation, tally);
        let reached = run(&child);
        child.kill();
        tally.reached.kill(operation.name, &log, reach::done());
        tally.arm(true);
        let result = match reached {
            true => judge::judge(&site.conf, &expected),
            false => Ok(()),
        };
        tally.arm(false);
        tally.note(operation.name, &place, result);
        tally.is_over()
    };
    // The number of reads differs from run to run, because of other segments on the host. The
    // number of removals does not.
    let removals = all.iter().filter(|call| call.removes).count();
    for removal in 1..=removals {
        let behind = |child: &Child| {
            let mut seen = 0;
            while seen < removal {
                let Some(call) = child.to_change() else { return false };
                seen += usize::from(call.removes);
            }
            true
        };
        if kill(format!("killed after removal {removal} of {removals}"), &behind) {
            return;
        }
    }
    for &call in &kills {
        let to_call = |child: &Child| (0..call).all(|_| child.to_change().is_some());
        if kill(format!("killed after call {call} of {calls}"), &to_call) {
            return;
        }
    }
    if !tally.quick {
        println!(
            "{:44} {calls:4} calls that change something, {:3} kills",
            operation.name,
            kills.len() + removals
        );
    }
}
