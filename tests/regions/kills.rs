//! The operations that are killed, and the states that a kill may leave.
#![allow(unreachable_pub, reason = "a module of one test")]

use super::regions::{Bench, SHARED};
use super::stepper::{self, Child, Moment, Path};
use hotpool::conf::BackendKind;
use hotpool::share::{Region, RegionError};
use hotpool::units::{Bytes, Key};
use std::time::{Duration, Instant};

/// Bytes of the region before and after a growth.
const SMALL: u64 = 4096;
const LARGE: u64 = 8192;
const HEAD: usize = 72;
/// Steps from one kill to the next. Another run of a debug build kills at other steps.
const EVERY: usize = if cfg!(debug_assertions) { 16 } else { 1 };

/// An operation that is killed.
pub struct Operation {
    pub name: &'static str,
    /// Generation of the region before the operation; 0 if the region is absent.
    before: u64,
    run: fn(&Bench, Option<Region>),
    /// Returns whether the region may be in a state: its generation, or `None` if it is absent.
    may_be: fn(Option<u64>) -> bool,
}

pub const ALL: &[Operation] = &[
    Operation {
        name: "create",
        before: 0,
        run: |bench, _| drop(bench.shared.create(bench.keys, Bytes(SMALL)).unwrap()),
        may_be: |found| matches!(found, None | Some(1)),
    },
    Operation {
        name: "grow",
        before: 1,
        run: |bench, region| bench.shared.grow(&mut region.unwrap(), Bytes(LARGE)).unwrap(),
        may_be: |found| matches!(found, Some(1 | 2)),
    },
    Operation {
        name: "grow back",
        before: 2,
        run: |bench, region| bench.shared.grow(&mut region.unwrap(), Bytes(LARGE)).unwrap(),
        may_be: |found| matches!(found, Some(2 | 3)),
    },
    Operation {
        name: "remove",
        before: 2,
        run: |bench, region| {
            drop(region);
            assert!(bench.shared.remove(bench.keys).unwrap());
        },
        may_be: |found| matches!(found, None | Some(2)),
    },
];

fn pattern(at: u64) -> u64 {
    at.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// Creates the state before the operation.
fn prepare(bench: &Bench, generation: u64) -> Option<Region> {
    if generation == 0 {
        return None;
    }
    let mut region = bench.shared.create(bench.keys, Bytes(SMALL)).unwrap();
    (0..SMALL).step_by(8).for_each(|at| region.store(at, &pattern(at)).unwrap());
    for _ in 1..generation {
        bench.shared.grow(&mut region, Bytes(SMALL)).unwrap();
    }
    Some(region)
}

fn child(bench: &Bench, operation: &Operation) -> Child {
    Child::start(|| {
        // Forked children do not inherit a named region, so the child opens it.
        let region = (operation.before != 0).then(|| bench.shared.open(bench.keys).unwrap());
        stepper::begin();
        (operation.run)(bench, region);
        stepper::end();
    })
}

/// Kills the operation at all its steps; returns the number of kills, and the violations.
///
/// A file gets its name from a draft with a random name, so two runs take different paths through
/// the code of `file`. Its operations are killed after system calls alone; its stores are those of
/// `posix`.
pub fn kill(operation: &Operation, backend: BackendKind) -> (usize, Vec<String>) {
    let (mut kills, mut violations) = (0, Vec::new());
    // Every run is forked from the same bench, so all take the same path.
    let bench = Bench::of(backend);
    let mut at = |place: String, reach: &dyn Fn(&Child) -> bool| -> bool {
        // A violation may have left segments or files.
        bench.clear();
        drop(prepare(&bench, operation.before));
        let child = child(&bench, operation);
        let reached = reach(&child);
        child.kill();
        kills += usize::from(reached);
        match judge(&bench, operation) {
            Err(why) if reached => violations.push(format!("{place}: {why}")),
            _ => {}
        }
        reached
    };
    let mut calls = std::process::id() as usize % EVERY;
    while at(format!("after system call {}", calls + 1), &|child| {
        (0..=calls).all(|_| child.to_call().is_some())
    }) {
        calls += EVERY;
    }
    // Single steps take most of the time. `.ci/run` runs all of them in a release build.
    let is_stepped = match backend {
        BackendKind::Sysv => !cfg!(debug_assertions) || operation.name != "grow back",
        BackendKind::Posix => !cfg!(debug_assertions),
        _ => false,
    };
    if is_stepped {
        let path = std::cell::RefCell::new(None);
        at("at the end".into(), &|child| {
            *path.borrow_mut() = Some(walk(child, &bench));
            true
        });
        let path = path.into_inner().unwrap();
        let (mut missed, places) = (0, path.changes.iter().skip(std::process::id() as usize % EVERY));
        let places: Vec<usize> = places.step_by(EVERY).copied().collect();
        for &place in &places {
            let reached = at(format!("after instruction {place}"), &|child| child.run_to(&path, place));
            missed += usize::from(!reached);
        }
        assert!(missed * 10 <= places.len(), "{missed} of {} places were missed", places.len());
    }
    (kills, violations)
}

/// Steps an operation to its end, and records where it enters the kernel or changes a head.
fn walk(child: &Child, bench: &Bench) -> Path {
    let mut seen = [Watch::of(bench, bench.keys.0), Watch::of(bench, bench.keys.1)];
    let mut entered = true;
    Path::walk(child, |moment| {
        if moment == Moment::BeforeKernel {
            entered = true;
            return false;
        }
        let mut changed = false;
        for watch in &mut seen {
            if entered {
                watch.look_again(bench);
            }
            changed |= watch.has_changed();
        }
        entered = false;
        changed
    })
}

/// The head of the segment under a key, as this process sees it.
struct Watch {
    key: Key,
    mapped: Option<Mapped>,
    last: [u8; HEAD],
}

struct Mapped {
    start: *mut libc::c_void,
    is_sysv: bool,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.is_sysv {
            // SAFETY: the address came from `shmat`.
            unsafe { libc::shmdt(self.start) };
        } else {
            // SAFETY: the address came from `mmap`, for one page.
            unsafe { libc::munmap(self.start, 4096) };
        }
    }
}

impl Watch {
    fn of(bench: &Bench, key: Key) -> Watch {
        let mut watch = Watch { key, mapped: None, last: [0; HEAD] };
        watch.look_again(bench);
        watch.has_changed();
        watch
    }

    /// Maps a segment that has appeared.
    fn look_again(&mut self, bench: &Bench) {
        if self.mapped.is_some() {
            return;
        }
        let Some(path) = bench.file_of(self.key) else {
            // SAFETY: integers only.
            let shmid = unsafe { libc::shmget(self.key.raw(), 0, 0) };
            if shmid != -1 {
                // SAFETY: the kernel chooses the address.
                let start = unsafe { libc::shmat(shmid, std::ptr::null(), libc::SHM_RDONLY) };
                self.mapped = (start.addr() != usize::MAX).then_some(Mapped { start, is_sysv: true });
            }
            return;
        };
        let Ok(file) = std::fs::File::open(path) else { return };
        // A read of a page that the file does not have yet would be a SIGBUS.
        if file.metadata().is_ok_and(|found| found.len() >= 4096) {
            let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
            // SAFETY: an open descriptor; the kernel chooses the address.
            let start =
                unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
            assert_ne!(start, libc::MAP_FAILED);
            self.mapped = Some(Mapped { start, is_sysv: false });
        }
    }

    fn has_changed(&mut self) -> bool {
        let Some(mapped) = &self.mapped else { return false };
        // SAFETY: a mapped page; the child, which writes to it, is stopped.
        let now = unsafe { mapped.start.cast::<[u8; HEAD]>().read_volatile() };
        std::mem::replace(&mut self.last, now) != now
    }
}

/// Checks that the state after a kill is a permitted one, and that the region can be used and
/// removed.
fn judge(bench: &Bench, operation: &Operation) -> Result<(), String> {
    let error = |what: &str, error: RegionError| format!("{what}: {error}");
    let stat = bench.shared.stat(bench.keys).map_err(|found| error("stat", found))?;
    let found = match bench.shared.open(bench.keys) {
        Ok(region) => Some(region),
        Err(RegionError::NotFound { .. }) => None,
        Err(other) => return Err(error("open", other)),
    };
    let generation = found.as_ref().map(|region| region.generation());
    if stat.as_ref().map(|facts| facts.generation) != generation {
        return Err(format!("stat says {stat:?}, open found {generation:?}"));
    }
    if !(operation.may_be)(generation) {
        return Err(format!("the region is in generation {generation:?}"));
    }
    let mut region = match found {
        Some(region) => {
            let again = bench.shared.create(bench.keys, Bytes(SMALL));
            if !matches!(again, Err(RegionError::Exists { .. })) {
                return Err(format!("create beside it: {again:?}"));
            }
            check(&region, operation.before != 0)?;
            region
        }
        None => {
            let region = bench.shared.create(bench.keys, Bytes(SMALL));
            let region = region.map_err(|found| error("create", found))?;
            check(&region, false)?;
            region
        }
    };
    let had_data = region.load::<u64>(0).map_err(|found| error("load", found))? != 0;
    bench.shared.grow(&mut region, Bytes(2 * LARGE)).map_err(|found| error("grow", found))?;
    check(&region, had_data)?;
    if !bench.shared.remove(bench.keys).map_err(|found| error("remove", found))? {
        return Err("there was nothing to remove".into());
    }
    drop(region);
    match bench.leftovers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left: {left:?}")),
    }
}

/// Checks that a region has its size, and either the data from before the operation or none.
fn check(region: &Region, has_data: bool) -> Result<(), String> {
    if region.len() < SMALL {
        return Err(format!("it has {} bytes", region.len()));
    }
    for at in (0..region.len()).step_by(8) {
        let wanted = if has_data && at < SMALL { pattern(at) } else { 0 };
        let found = region.load::<u64>(at).unwrap();
        if found != wanted {
            return Err(format!("generation {}: {found:#x} at {at}", region.generation()));
        }
    }
    Ok(())
}

/// Checks that a process that is stopped during a creation is not taken for dead.
pub fn stopped() {
    for backend in SHARED {
        let bench = Bench::of(backend);
        let child = child(&bench, &ALL[0]);
        // The child has created the segment.
        while bench.leftovers().len() < 2 {
            assert!(child.to_call().is_some());
        }
        let began = Instant::now();
        for answer in [
            bench.shared.create(bench.keys, Bytes(SMALL)).map(drop),
            bench.shared.remove(bench.keys).map(drop),
        ] {
            assert!(matches!(answer, Err(RegionError::Busy { pid, .. }) if pid != 0), "{answer:?}");
        }
        assert!(began.elapsed() >= Duration::from_secs(4), "each waits for two seconds");
        // The child continues undisturbed.
        while child.to_call().is_some() {}
        assert_eq!(bench.shared.open(bench.keys).unwrap().generation(), 1);
        child.kill();
    }
    println!("stopped: a stopped creator keeps its turn");
}

/// Runs rounds of create, kill at a random moment, remove. Checks that nothing is left at the end.
pub fn rounds(count: u32) {
    let benches: Vec<Bench> = SHARED.into_iter().map(Bench::of).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let (mut whole, mut absent) = (0, 0);
    for round in 0..count {
        let bench = &benches[round as usize % benches.len()];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // SAFETY: this process has one thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            loop {
                let region = bench.shared.create(bench.keys, Bytes(SMALL));
                let Ok(mut region) = region else { std::process::abort() };
                if bench.shared.grow(&mut region, Bytes(LARGE)).is_err() {
                    std::process::abort();
                }
                drop(region);
                if bench.shared.remove(bench.keys).is_err() {
                    std::process::abort();
                }
            }
        }
        let (began, moment) = (Instant::now(), Duration::from_micros(500 + random % 3000));
        while began.elapsed() < moment {
            std::hint::spin_loop();
        }
        let mut status = 0;
        // SAFETY: a child of this process that is not reaped yet.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        // SAFETY: as above, with a valid pointer for its status.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "round {round}");
        match bench.shared.open(bench.keys) {
            Ok(region) => {
                assert!([SMALL, LARGE].contains(&region.len()), "round {round}");
                check(&region, false).unwrap();
                whole += 1;
            }
            Err(RegionError::NotFound { .. }) => absent += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
        bench.shared.remove(bench.keys).unwrap();
        assert_eq!(bench.leftovers(), [""; 0], "round {round}");
    }
    println!("rounds: {count} kills at random moments, {whole} left a whole region, {absent} none");
    assert!(whole > count / 20 && absent > count / 20, "the kills came too early or too late");
}
