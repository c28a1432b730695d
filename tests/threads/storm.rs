//! Four threads under load, killed after a random time, and a journal of what they did.

use super::Shared;
use crate::harness::content::{Content, Keyed, Plain, add_types, words};
use crate::harness::keys::Keys;
use fastrand::Rng;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{Lane, Portion};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolObject, TxError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const THREADS: usize = 4;
/// Objects of each thread: a word of the map.
const OBJECTS: usize = 64;
/// Operations of a job.
const OPERATIONS: usize = 40;

const UPDATE: u64 = 1;
const FAIL: u64 = 2;
const GUARD: u64 = 3;
const WALK: u64 = 4;

/// What outlives the threads.
struct Journal {
    /// The last scope that began, and the last one that returned.
    began: AtomicU64,
    returned: AtomicU64,
    /// For each thread: object + 1, value, kind of the operation that it is in.
    intents: [[AtomicU64; 3]; THREADS],
    /// The last value of each object that an operation has acknowledged.
    values: [AtomicU64; THREADS * OBJECTS],
}

impl Journal {
    fn intend(&self, thread: usize, object: usize, value: u64, kind: u64) {
        let [of, to, is] = &self.intents[thread];
        of.store(0, Ordering::SeqCst);
        to.store(value, Ordering::SeqCst);
        is.store(kind, Ordering::SeqCst);
        of.store(object as u64 + 1, Ordering::SeqCst);
    }

    fn acknowledge(&self, thread: usize, object: usize, value: u64) {
        self.values[object].store(value, Ordering::SeqCst);
        self.intents[thread][0].store(0, Ordering::SeqCst);
    }

    /// Returns value and kind of the operation that a thread is in with an object.
    fn intent(&self, thread: usize, object: usize) -> Option<(u64, u64)> {
        let [of, to, is] = &self.intents[thread];
        let is_this = of.load(Ordering::SeqCst) == object as u64 + 1;
        is_this.then(|| (to.load(Ordering::SeqCst), is.load(Ordering::SeqCst)))
    }
}

pub(crate) fn run() -> [u64; 2] {
    let default = if cfg!(debug_assertions) { 60 } else { 1000 };
    let rounds = std::env::var("HOTPOOL_ROUNDS").map_or(default, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("HOTPOOL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("HOTPOOL_SEED={seed}");
    let (mut rng, began) = (Rng::with_seed(seed), Instant::now());
    let keys = Keys::take(3);
    let conf = keys.conf(BackendKind::Sysv, 256 << 10, 2);
    let journal: Shared<Journal> = Shared::new();
    let objects = fill(&conf, &journal);
    let (mut violations, mut torn) = (0, 0);
    for round in 0..rounds {
        let child = Child::start(|| work(&conf, &journal, &objects, round));
        let scopes = journal.began.load(Ordering::SeqCst);
        while journal.began.load(Ordering::SeqCst) == scopes {
            std::thread::sleep(Duration::from_micros(50));
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..1500)));
        drop(child);
        match judge(&conf, &journal, &objects) {
            Ok(named) => torn += named,
            Err(what) => {
                violations += 1;
                println!("VIOLATION round {round}: {what}");
                // The pool cannot be compared with the journal any more.
                break;
            }
        }
    }
    println!("{torn} objects were torn and named, {:.1} s", began.elapsed().as_secs_f64());
    keys.remove();
    [rounds, violations]
}

/// A process that is killed when this value is dropped.
struct Child(i32);

impl Child {
    fn start(run: impl FnOnce()) -> Child {
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                // SAFETY: exits without running destructors or handlers of the parent.
                unsafe { libc::_exit(101) }
            }
            pid => Child(pid),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the pid is a child of this process that is not reaped yet.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: a valid pointer for the status.
        while unsafe { libc::waitpid(self.0, &raw mut status, 0) } != self.0 {}
        assert!(libc::WIFSIGNALED(status), "the child ended before it was killed: status {status:#x}");
    }
}

fn fill(conf: &ProcessConf, journal: &Journal) -> Vec<Id<Plain>> {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    add_types(&mut pool).unwrap();
    let objects = (0..THREADS * OBJECTS).map(|n| {
        journal.values[n].store(n as u64, Ordering::SeqCst);
        let id = pool.alloc(Plain { words: words(n as u64) }).unwrap();
        assert_eq!(id.index() as usize, n, "the objects are in the order of their slots");
        id
    });
    let objects = objects.collect();
    pool.ready().unwrap();
    objects
}

/// The child: scopes without an end.
fn work(conf: &ProcessConf, journal: &Journal, objects: &[Id<Plain>], seed: u64) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    add_types(&mut pool).unwrap();
    pool.set_threads(THREADS);
    loop {
        let scope = journal.returned.load(Ordering::SeqCst) + 1;
        journal.began.store(scope, Ordering::SeqCst);
        let done = pool.scope::<(Plain,), _>(|s, (plain,)| {
            for (thread, portion) in plain.par_chunks(OBJECTS as u32).take(THREADS).enumerate() {
                s.spawn(move |lane| {
                    let rng = Rng::with_seed(seed << 32 | scope << 8 | thread as u64);
                    job(journal, objects, thread, portion, lane, rng);
                    lane.free_by_key::<Keyed>(thread as u64);
                    lane.alloc_keyed(thread as u64, Keyed { words: words(value_of(scope, thread)) });
                });
            }
        });
        drop(done);
        journal.returned.store(scope, Ordering::SeqCst);
    }
}

fn value_of(scope: u64, thread: usize) -> u64 {
    scope << 3 | thread as u64
}

fn job(
    journal: &Journal,
    objects: &[Id<Plain>],
    thread: usize,
    mut portion: Portion<'_, Plain>,
    lane: &mut Lane<'_>,
    mut rng: Rng,
) {
    for _ in 0..OPERATIONS {
        let object = thread * OBJECTS + rng.usize(..OBJECTS);
        let (id, value) = (objects[object], rng.u64(..1 << 48));
        let way = rng.u8(..16);
        if way == 15 {
            // A walk names its first object before it calls the closure.
            journal.intents[thread][2].store(WALK, Ordering::SeqCst);
        }
        match way {
            0..=5 => {
                journal.intend(thread, object, value, UPDATE);
                portion.update(lane, id, |object| object.words = words(value)).unwrap();
                journal.acknowledge(thread, object, value);
            }
            6..=7 => {
                journal.intend(thread, object, value, FAIL);
                let failed: Result<(), TxError> = portion.try_update(lane, id, |object| {
                    object.words = words(value);
                    Err(TxError::Stale(id.handle()))
                });
                assert!(failed.is_err());
                journal.intents[thread][0].store(0, Ordering::SeqCst);
            }
            8..=14 => {
                journal.intend(thread, object, value, GUARD);
                portion.get_mut(lane, id).unwrap().words = words(value);
                journal.acknowledge(thread, object, value);
            }
            _ => portion.for_each(|id, object| {
                let number = id.index() as usize;
                journal.intend(thread, number, value, WALK);
                object.words = words(value);
                journal.acknowledge(thread, number, value);
            }),
        }
    }
}

/// Compares the pool that a kill left with the journal, and brings both to one state. Returns how
/// many objects were half written.
fn judge(conf: &ProcessConf, journal: &Journal, objects: &[Id<Plain>]) -> Result<u64, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let mut pool = MemoryPoolMgr::open(conf).map_err(|error| failed(&error))?;
    add_types(&mut pool).map_err(|error| failed(&error))?;
    let report = pool.verify();
    if !report.is_sound() {
        return Err(report.to_string());
    }
    let content = Content::read(&pool)?;
    let named = pool.resume_report().being_written.clone();
    if !pool.resume_report().types_being_written.is_empty() {
        return Err("a type is named".into());
    }
    let mut torn = 0;
    for (thread, objects) in objects.chunks(OBJECTS).enumerate() {
        let its: Vec<&Handle> = named.iter().filter(|h| h.index() as usize / OBJECTS == thread).collect();
        if its.len() > 1 || its.iter().any(|handle| handle.type_id() != Plain::TYPE_ID) {
            return Err(format!("thread {thread}: {its:?} are named"));
        }
        for id in objects {
            let is_named = its.iter().any(|handle| **handle == id.handle());
            torn += object(journal, thread, *id, &content.objects[&id.to_bits()].words, is_named)?;
        }
    }
    keyed(journal, &content)?;
    // What the last scope has begun becomes complete.
    let scope = journal.began.load(Ordering::SeqCst);
    for thread in 0..THREADS {
        pool.free_by_key::<Keyed>(thread as u64);
        let value = Keyed { words: words(value_of(scope, thread)) };
        pool.alloc_keyed(thread as u64, value).map_err(|error| failed(&error))?;
    }
    journal.returned.store(scope, Ordering::SeqCst);
    for id in objects {
        let value = journal.values[id.index() as usize].load(Ordering::SeqCst);
        pool.update(*id, |object| object.words = words(value)).map_err(|error| failed(&error))?;
    }
    pool.ready().map_err(|error| failed(&error))?;
    Ok(torn)
}

/// Checks one object, and acknowledges what its thread has done to it. Returns 1 if it is half
/// written.
fn object(
    journal: &Journal,
    thread: usize,
    id: Id<Plain>,
    now: &[u64],
    is_named: bool,
) -> Result<u64, String> {
    let number = id.index() as usize;
    let old: [u64; 14] = words(journal.values[number].load(Ordering::SeqCst));
    let intent = journal.intent(thread, number);
    let wrong = |what: &str| {
        Err(format!("object {id} of thread {thread}: {what}; intent {intent:x?}, {now:x?}, was {old:x?}"))
    };
    let walks = journal.intents[thread][2].load(Ordering::SeqCst) == WALK;
    if is_named && !walks && !matches!(intent, Some((_, GUARD))) {
        return wrong("it is named, and no thread was writing it");
    }
    if now == old {
        return Ok(0);
    }
    let Some((value, kind)) = intent else { return wrong("it has not its value") };
    let new: [u64; 14] = words(value);
    if now == new && kind != FAIL {
        journal.acknowledge(thread, number, value);
        return Ok(0);
    }
    let mixed = now.iter().zip(old.iter().zip(&new)).all(|(now, (old, new))| now == old || now == new);
    match kind {
        GUARD | WALK if mixed && is_named => Ok(1),
        GUARD | WALK if mixed => wrong("it is half written, and not named"),
        _ => wrong("it is neither as before nor as after"),
    }
}

/// Checks that the commands of the last scope took effect from the first to some.
fn keyed(journal: &Journal, content: &Content) -> Result<(), String> {
    let found: BTreeMap<u64, Vec<u64>> =
        content.objects.values().filter_map(|object| Some((object.key?, object.words.clone()))).collect();
    let (began, returned) = (journal.began.load(Ordering::SeqCst), journal.returned.load(Ordering::SeqCst));
    let mut model = BTreeMap::new();
    let put = |model: &mut BTreeMap<u64, Vec<u64>>, scope, thread| {
        model.insert(thread as u64, words::<13>(value_of(scope, thread)).to_vec());
    };
    (0..THREADS).filter(|_| returned != 0).for_each(|thread| put(&mut model, returned, thread));
    let mut fits = model == found;
    for thread in (0..THREADS).filter(|_| began != returned) {
        model.remove(&(thread as u64));
        fits |= model == found;
        put(&mut model, began, thread);
        fits |= model == found;
    }
    if !fits {
        return Err(format!("after scope {returned}, in scope {began}: {found:x?}"));
    }
    Ok(())
}
