//! A server killed at random moments, thousands of times, loses nothing that it acknowledged (G1,
//! G2, G6, G7, G8).
//!
//! A child works on a pool. It writes to a journal what it is about to do and what it has done. The
//! journal is in shared memory that outlives the child, so at most one operation is undecided. A
//! kernel timer kills the child. The parent then opens the pool and compares every object, every
//! key and every handle ever freed, and runs `verify`. The next child continues with the same pool.
//!
//! `HOTPOOL_ROUNDS` sets the number of rounds, `HOTPOOL_SEED` the seed.

mod harness;

use fastrand::Rng;
use harness::content::{Content, Plain, add_types, words};
use harness::journal::Journal;
use harness::keys::Keys;
use harness::model::{self, FULL, Model, NOTHING, Op, Step};
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, OnTorn, ProcessConf};
use hotpool::inspect::verify_pool;
use hotpool::share::Home;
use std::time::{Duration, Instant};

/// The exit code of a child that panicked.
const PANICKED: i32 = 101;
const ROUNDS: u64 = if cfg!(debug_assertions) { 200 } else { 2000 };
const BLOCKS: u32 = 24;
const OBJECTS: usize = 700;
const KEYS: u64 = 600;

fn main() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = variable("HOTPOOL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let rounds = variable("HOTPOOL_ROUNDS").unwrap_or(ROUNDS);
    println!("crash_random: seed {seed}, {rounds} rounds");
    let began = Instant::now();
    let keys = Keys::take(BLOCKS + 1);
    let mut world = World::new(&keys, seed);
    for round in 0..rounds {
        if let Err(what) = world.round() {
            drop(world);
            drop(keys);
            eprintln!("FAILED in round {round} of HOTPOOL_SEED={seed}: {what}");
            std::process::exit(1);
        }
    }
    let used = keys.in_use().len();
    drop(keys);
    let counts = &world.counts;
    println!(
        "crash_random: {rounds} kills, {} operations acknowledged, {} interrupted ({} of them had happened), {} transactions \
         finished or rolled back, {} objects named as half written, {} quarantined, {} deaths by panic, \
         {} segments; \
         lost 0, leaked 0, resurrected 0, torn 0; {:.1} s, seed {seed}",
        counts.acknowledged,
        counts.cut,
        counts.happened,
        counts.transactions,
        counts.named,
        counts.parked,
        counts.panicked,
        used,
        began.elapsed().as_secs_f64()
    );
    assert!(world.keys_are_free(), "segments or semaphores were left behind");
}

#[derive(Default)]
struct Counts {
    acknowledged: u64,
    cut: u64,
    happened: u64,
    transactions: u64,
    named: u64,
    parked: u64,
    panicked: u64,
}

struct World {
    conf: ProcessConf,
    all: Vec<hotpool::units::Key>,
    journal: Journal,
    model: Model,
    rng: Rng,
    counts: Counts,
}

impl World {
    fn new(keys: &Keys, seed: u64) -> Self {
        let mut conf = keys.conf(BackendKind::Sysv, 256 << 10, BLOCKS);
        let all = conf.shm_keys.clone();
        conf.shm_keys.truncate(1);
        let rng = Rng::with_seed(seed);
        World { conf, all, journal: Journal::new(), model: Model::default(), rng, counts: Counts::default() }
    }

    fn keys_are_free(&self) -> bool {
        self.all.iter().chain([&self.conf.base_key]).all(|key| harness::keys::shmid(*key).is_none())
    }

    fn round(&mut self) -> Result<(), String> {
        self.journal.clear();
        let seed = self.rng.u64(..);
        let panics = self.rng.u8(..10) == 0;
        self.conf.resume.on_torn = if self.rng.bool() { OnTorn::Quarantine } else { OnTorn::Report };
        let status = Victim::fork(|| self.work(seed, panics)).wait();
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        let panicked = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == PANICKED;
        match (killed, panicked, panics) {
            (true, _, false) | (_, true, true) => self.compare(panicked),
            _ => Err(format!("the child did not end as it should: status {status:#x}")),
        }
    }

    /// Opens the pool, and releases every object that the start put into quarantine.
    fn open(&self) -> Result<(MemoryPoolMgr, u64), String> {
        let mut pool = MemoryPoolMgr::open(&self.conf).map_err(|error| error.to_string())?;
        add_types(&mut pool).map_err(|error| error.to_string())?;
        Content::read(&pool)?;
        let parked = pool.quarantined();
        for object in &parked {
            pool.release(*object).map_err(|error| error.to_string())?;
        }
        Ok((pool, parked.len() as u64))
    }

    /// Runs the child's work until the kill.
    fn work(&self, seed: u64, panics: bool) {
        let mut rng = Rng::with_seed(seed);
        // Build the model before the timer: a fork copies shared pages at the first store, and most
        // kills would hit that.
        let mut model = self.model.objects_only();
        let in_open = !panics && rng.u8(..5) == 0;
        let mut left = if panics { rng.usize(1..300) } else { usize::MAX };
        if in_open {
            kill_me_in(Duration::from_nanos(rng.u64(1..1_500_000)));
        }
        let (mut pool, _) = self.open().unwrap();
        if !in_open && !panics {
            kill_me_in(Duration::from_nanos(rng.u64(1..300_000)));
        }
        loop {
            // A reopen takes thousands of times as long as the other steps, and most kills would
            // hit it.
            let reopens = rng.u16(..20_000) == 0;
            left -= 1;
            if left == 0 {
                self.panic_over_an_object(pool, &model, &mut rng);
                return;
            }
            let step = match reopens {
                true => Step { op: Op::Reopen, operands: [0; 4] },
                false => model.random(&mut rng, OBJECTS, KEYS),
            };
            if !self.journal.intend(step.op as u64, step.operands) {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let result = match step.op {
                Op::Reopen => {
                    pool.close().unwrap();
                    pool = MemoryPoolMgr::open(&self.conf).unwrap();
                    add_types(&mut pool).unwrap();
                    NOTHING
                }
                _ => model::run(&mut pool, step),
            };
            self.journal.done(result);
            model.apply(step, result).unwrap();
        }
    }

    /// Half writes an object, if there is one, and panics. The unwinding drops the pool.
    fn panic_over_an_object(&self, mut pool: MemoryPoolMgr, model: &Model, rng: &mut Rng) {
        let plain = model.content.objects.iter().filter(|(_, object)| object.key.is_none());
        if let Some((bits, _)) = plain.min_by_key(|_| rng.u32(..)) {
            let value = rng.u64(..1 << 56);
            self.journal.intend(Op::Write as u64, [*bits, value, 0, 0]);
            let mut object = pool.get_mut(hotpool::Id::<Plain>::from_bits(*bits).unwrap()).unwrap();
            object.words[..7].copy_from_slice(&words::<7>(value));
            std::panic::resume_unwind(Box::new(()));
        }
        std::panic::resume_unwind(Box::new(()));
    }

    /// Opens the pool after the kill and compares everything.
    fn compare(&mut self, panicked: bool) -> Result<(), String> {
        let unadopted = verify_pool(self.conf.base_key, &Home::of(&self.conf));
        if let Ok(report) = unadopted
            && !report.is_sound()
        {
            return Err(format!("before it was opened: {report}"));
        }
        let (mut pool, parked) = self.open()?;
        self.counts.parked += parked;
        self.counts.panicked += u64::from(panicked);
        let report = pool.resume_report().clone();
        let found = Content::read(&pool)?;
        self.replay(&found, &|bits| {
            let one = report.being_written.iter().any(|handle| handle.to_bits() == bits);
            one || report.types_being_written.contains(&((bits >> 28) as u16 & 0x3ff))
        })?;
        if self.journal.entries().last().is_some_and(|last| panicked && last.result.is_none())
            && report.being_written.is_empty()
        {
            return Err("the object that was being written at the panic is not named".into());
        }
        let sound = pool.verify();
        if !sound.is_sound() || sound.objects() as usize != found.objects.len() {
            return Err(sound.to_string());
        }
        match self.model.resurrected(&pool) {
            0 => {}
            count => return Err(format!("{count} handles that were freed resolve")),
        }
        self.counts.transactions += u64::from(report.ended_transaction.is_some());
        self.counts.named += report.being_written.len() as u64;
        if self.rng.bool() {
            pool.ready().unwrap();
        }
        if self.rng.bool() {
            pool.close().unwrap();
        }
        Ok(())
    }

    /// Applies the journal to the model, and decides the interrupted operation by the state of the
    /// pool.
    fn replay(&mut self, found: &Content, named: &dyn Fn(u64) -> bool) -> Result<(), String> {
        let entries = self.journal.entries();
        let mut full = false;
        let mut cut = None;
        for entry in entries {
            let step = Step { op: Op::from_number(entry.op), operands: entry.operands };
            match entry.result {
                Some(result) => {
                    full |= result == FULL;
                    self.counts.acknowledged += 1;
                    self.model.apply(step, result)?;
                }
                None if cut.is_none() => cut = Some(step),
                None => return Err("two operations were interrupted".into()),
            }
        }
        if let Some(step) = cut {
            self.counts.cut += 1;
            self.counts.happened += u64::from(self.model.settle(step, found, named)?);
        }
        if *found != self.model.content {
            return Err(difference(&self.model.content, found));
        }
        if full && self.conf.shm_keys.len() < self.all.len() {
            self.conf.shm_keys = self.all[..self.conf.shm_keys.len() + 1].to_vec();
        }
        Ok(())
    }
}

fn difference(wanted: &Content, found: &Content) -> String {
    let lost: Vec<_> = wanted.objects.iter().filter(|(id, _)| !found.objects.contains_key(id)).collect();
    let more: Vec<_> = found.objects.iter().filter(|(id, _)| !wanted.objects.contains_key(id)).collect();
    let torn = wanted.objects.iter().filter(|(id, o)| found.objects.get(id).is_some_and(|f| f != *o)).count();
    let tags = (wanted.last_committed, found.last_committed);
    format!("lost {lost:x?}, unexpected {more:x?}, {torn} differ, last committed {tags:x?}")
}

/// A child that is always killed and reaped.
struct Victim {
    pid: i32,
}

impl Victim {
    fn fork(work: impl FnOnce()) -> Victim {
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: makes the kernel kill the child when its parent dies; it takes integers
                // only.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                // SAFETY: exits without running destructors or handlers of the parent.
                unsafe { libc::_exit(101) }
            }
            pid => Victim { pid },
        }
    }

    /// Waits for the end of the child.
    fn wait(self) -> i32 {
        let mut status = 0;
        loop {
            // SAFETY: waits for a child of this process, with a valid pointer for its status.
            if unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == self.pid {
                std::mem::forget(self);
                return status;
            }
        }
    }
}

/// Makes the kernel kill this process after `delay`, at a moment that does not depend on the
/// scheduler.
fn kill_me_in(delay: Duration) {
    // SAFETY: all zero is a valid value of this struct.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGKILL;
    let mut timer = std::ptr::null_mut();
    // SAFETY: both records outlive the call.
    let made = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    assert_eq!(made, 0, "timer_create: {}", std::io::Error::last_os_error());
    let once = libc::itimerspec {
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: libc::timespec { tv_sec: 0, tv_nsec: delay.as_nanos() as i64 },
    };
    // SAFETY: the timer belongs to this process; a null pointer means that the old setting is not
    // returned.
    let set = unsafe { libc::timer_settime(timer, 0, &raw const once, std::ptr::null_mut()) };
    assert_eq!(set, 0, "timer_settime: {}", std::io::Error::last_os_error());
}

impl Drop for Victim {
    fn drop(&mut self) {
        // SAFETY: the pid is a child of this process, and is not reused before it is reaped.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: a null pointer means that no status is returned.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}
