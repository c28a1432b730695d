//! Every instruction of one thread, with the other one after each of its stores. The two threads
//! change no common cache line of the pool, so they do not slow each other down.

use super::stepper::{self, Pair};
use crate::harness::content::{Content, Plain, add_types, words};
use crate::harness::image::{self, Image, Mapped};
use crate::harness::keys::Keys;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::verify_pool;
use hotpool::pool::{Lane, Portion};
use hotpool::share::Home;
use hotpool::{Id, MemoryPoolMgr, TxError};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Instant;

/// What a thread does to its object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Update,
    Fail,
    Guard,
    Walk,
}

use Act::{Fail, Guard, Update, Walk};

/// The operations of the thread that is stepped, and of the one that is parked.
const PAIRS: [[Act; 2]; 8] = [
    [Update, Update],
    [Guard, Update],
    [Update, Fail],
    [Fail, Update],
    [Update, Guard],
    [Guard, Guard],
    [Walk, Update],
    [Walk, Walk],
];

/// In a debug build only this many.
const FEW: usize = if cfg!(debug_assertions) { 1 } else { PAIRS.len() };

/// Bytes of a cache line. The watched parts of a segment begin and end at one.
const LINE: usize = 64;

/// Slots: a word of the map for the portion of the first thread, and a few for that of the other.
const OBJECTS: u64 = 70;

/// The values that the two threads write.
const VALUES: [u64; 2] = [0x501, 0x502];

pub(crate) fn run() -> [u64; 2] {
    let mut counts = [0; 2];
    for acts in PAIRS.into_iter().take(FEW) {
        let began = Instant::now();
        let [kills, violations] = pair(acts);
        println!("{acts:?}: {kills} kills, {violations} violations, {:.1} s", began.elapsed().as_secs_f64());
        counts[0] += kills;
        counts[1] += violations;
    }
    counts
}

/// What one thread does from the beginning to the end of its operation.
struct Path {
    /// Number of instructions.
    count: usize,
    /// The places after those that changed a segment, the beginning too.
    changes: Vec<usize>,
    /// The cache lines that they changed: the segment, and the number in its copy.
    lines: BTreeSet<(usize, usize)>,
}

/// The pool of a pair of operations.
struct Site {
    conf: ProcessConf,
    keys: Keys,
    start: Image,
    before: Content,
    objects: [Id<Plain>; 2],
}

/// The name of `common_lines` in docs/mutants.md.
#[cfg(feature = "__internal_mutants")]
pub(crate) const LINES: &str = "threads, the cache lines of two guards";

/// Returns which cache lines two threads change, each of which writes through a guard.
#[cfg(feature = "__internal_mutants")]
pub(crate) fn common_lines() -> Option<String> {
    let site = Site::new();
    let acts = [Guard, Guard];
    let found = site.common_lines(acts, &site.path(acts, 0, 0));
    site.keys.remove();
    found
}

fn pair(acts: [Act; 2]) -> [u64; 2] {
    let site = Site::new();
    let paths = [0, 1].map(|side| site.path(acts, side, 0));
    let mut counts = [0; 2];
    if let Some(lines) = site.common_lines(acts, &paths[0]) {
        counts[1] += 1;
        println!("VIOLATION {acts:?}: {lines}");
    }
    let every = std::env::var("HOTPOOL_EVERY").map_or(1, |every| every.parse().unwrap());
    let places = |side: usize| {
        let mut places = paths[side].changes.clone();
        if side == 0 && !cfg!(debug_assertions) {
            places.extend((0..paths[side].count).step_by(every));
        }
        places.push(paths[side].count);
        places.sort_unstable();
        places.dedup();
        places
    };
    for parked in places(1) {
        for stepped in places(0) {
            site.start.restore_sysv(&site.conf);
            let child = site.child(acts);
            (0..parked).for_each(|_| child.step(1));
            (0..stepped).for_each(|_| child.step(0));
            let done = [0, 1].map(|side| child.is_done(side));
            drop(child);
            counts[0] += 1;
            let Err(what) = site.judge(acts, done) else { continue };
            counts[1] += 1;
            if counts[1] <= 3 {
                println!(
                    "VIOLATION {acts:?}, killed after instruction {stepped}, the other after {parked}: {what}"
                );
            }
        }
    }
    site.keys.remove();
    counts
}

impl Site {
    fn new() -> Self {
        let keys = Keys::take(2);
        let conf = keys.conf(BackendKind::Sysv, 128 << 10, 1);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        add_types(&mut pool).unwrap();
        let all: Vec<_> = (0..OBJECTS).map(|n| pool.alloc(Plain { words: words(n) }).unwrap()).collect();
        // A walk of the first thread is short, too.
        all[6..64].iter().for_each(|id| assert!(pool.free(*id)));
        pool.ready().unwrap();
        let before = Content::read(&pool).unwrap();
        drop(pool);
        let start = Image::of_sysv(&conf);
        Site { conf, keys, start, before, objects: [all[3], all[67]] }
    }

    /// Returns a child whose two threads are about to begin.
    fn child(&self, acts: [Act; 2]) -> Pair {
        let (conf, objects) = (&self.conf, self.objects);
        Pair::start(|| {
            let mut pool = MemoryPoolMgr::open(conf).unwrap();
            add_types(&mut pool).unwrap();
            pool.set_threads(2);
            let meet = Barrier::new(2);
            let _ = pool.scope::<(Plain,), _>(|s, (plain,)| {
                let (low, high) = plain.split_at(64);
                for (side, mut portion) in [low, high].into_iter().enumerate() {
                    let meet = &meet;
                    s.spawn(move |lane| {
                        meet.wait();
                        stepper::begin(side);
                        act(acts[side], &mut portion, lane, objects[side], VALUES[side]);
                        stepper::end(side);
                    });
                }
            });
        })
    }

    /// Steps one thread to the end of its operation, after some instructions of the other.
    fn path(&self, acts: [Act; 2], side: usize, of_other: usize) -> Path {
        self.start.restore_sysv(&self.conf);
        let child = self.child(acts);
        (0..of_other).for_each(|_| child.step(1 - side));
        let attached: Vec<Mapped> =
            (0..2).map(|n| image::attach(image::keys_of(&self.conf)[n], n == 0, false).unwrap()).collect();
        let mut copies: Vec<_> = attached.iter().map(Mapped::copy).collect();
        let mut path = Path { count: 0, changes: vec![0], lines: BTreeSet::new() };
        while !child.is_done(side) {
            child.step(side);
            path.count += 1;
            if attached.iter().zip(&copies).all(|(segment, copy)| segment.equals(copy)) {
                continue;
            }
            path.changes.push(path.count);
            for (number, (segment, before)) in attached.iter().zip(&mut copies).enumerate() {
                let after = segment.copy();
                let lines = before.chunks(LINE).zip(after.chunks(LINE)).enumerate();
                let changed = lines.filter(|(_, (before, after))| before != after);
                path.lines.extend(changed.map(|(line, _)| (number, line)));
                *before = after;
            }
        }
        path
    }

    /// Returns which cache lines both threads change, if there is one. The second thread makes its operation
    /// while the first is in the middle of its own: a walk alone may take the same lane as the other.
    fn common_lines(&self, acts: [Act; 2], first: &Path) -> Option<String> {
        let beside = self.path(acts, 1, first.changes[first.changes.len() / 2]);
        assert!([first, &beside].iter().all(|path| path.lines.len() >= 2), "{acts:?} change too few lines");
        let common: Vec<_> = first.lines.intersection(&beside.lines).collect();
        (!common.is_empty()).then(|| format!("both threads change the cache lines {common:?}"))
    }

    /// Checks the pool that a kill left. `done` tells whose operation had returned.
    fn judge(&self, acts: [Act; 2], done: [bool; 2]) -> Result<(), String> {
        let found =
            verify_pool(self.conf.base_key, &Home::of(&self.conf)).map_err(|error| error.to_string())?;
        if !found.is_sound() {
            return Err(format!("before it was opened: {found}"));
        }
        let opened = MemoryPoolMgr::open(&self.conf);
        let mut pool = opened.map_err(|error| format!("the pool is refused: {error}"))?;
        add_types(&mut pool).map_err(|error| error.to_string())?;
        let content = Content::read(&pool)?;
        let report = pool.resume_report();
        let named: BTreeSet<u64> = report.being_written.iter().map(|object| object.to_bits()).collect();
        if !report.types_being_written.is_empty() {
            return Err(format!("the types {:?} are named", report.types_being_written));
        }
        for side in 0..2 {
            self.side(acts[side], side, done[side], &content, &named)?;
        }
        let others = |content: &Content| {
            let mut others = content.objects.clone();
            self.objects.iter().for_each(|object| _ = others.remove(&object.to_bits()));
            others
        };
        if others(&content) != others(&self.before) {
            return Err("another object has changed".into());
        }
        pool.ready().map_err(|error| error.to_string())?;
        let id = pool.alloc(Plain { words: words(1) }).map_err(|error| error.to_string())?;
        pool.update(id, |object| object.words[0] = 5).map_err(|error| error.to_string())?;
        let report = pool.verify();
        if !report.is_sound() || !pool.free(id) || !pool.torn().is_empty() {
            return Err(format!("afterwards: {report}"));
        }
        Ok(())
    }

    /// Checks what the operation of one thread left.
    fn side(
        &self,
        act: Act,
        side: usize,
        is_done: bool,
        content: &Content,
        named: &BTreeSet<u64>,
    ) -> Result<(), String> {
        let bits = self.objects[side].to_bits();
        let of_side = |handle: &&u64| (**handle >> 38 >= 64) == (side == 1);
        let its: Vec<u64> = named.iter().filter(of_side).copied().collect();
        let (old, now) = (&self.before.objects[&bits].words, &content.objects[&bits].words);
        let new = words_after(act, old, VALUES[side]);
        let wrong =
            |what: &str| Err(format!("{act:?} of thread {side}: {what}; named {its:x?}, words {now:x?}"));
        let is_whole = now == old || *now == new;
        match act {
            _ if is_done && *now != new => wrong("it has returned, and is not there"),
            _ if is_done && !its.is_empty() => wrong("it has returned, and its object is named"),
            Update | Fail if !is_whole => wrong("it is half done"),
            Update | Fail if !its.is_empty() => wrong("it names an object"),
            Guard | Walk if its.len() > 1 => wrong("several objects are named"),
            Guard if its.iter().any(|name| *name != bits) => wrong("another object is named"),
            Guard | Walk if !is_whole && its != [bits] => wrong("the object is half written, and not named"),
            _ => Ok(()),
        }
    }
}

fn act(act: Act, portion: &mut Portion<'_, Plain>, lane: &mut Lane<'_>, id: Id<Plain>, value: u64) {
    match act {
        Update => portion.update(lane, id, |object| object.words = words(value)).unwrap(),
        Fail => {
            let failed: Result<(), TxError> = portion.try_update(lane, id, |object| {
                object.words = words(value);
                Err(TxError::Stale(id.handle()))
            });
            assert!(failed.is_err());
        }
        Guard => {
            let mut object = portion.get_mut(lane, id).unwrap();
            object.words[0] = value;
            object.words[5] = value;
            object.words[13] = value;
        }
        Walk => portion.for_each(|found, object| {
            if found == id {
                object.words[0] = value;
                object.words[5] = value;
                object.words[13] = value;
            }
        }),
    }
}

fn words_after(act: Act, old: &[u64], value: u64) -> Vec<u64> {
    match act {
        Update => words::<14>(value).to_vec(),
        Fail => old.to_vec(),
        Guard | Walk => {
            let mut new = old.to_vec();
            [0, 5, 13].into_iter().for_each(|at| new[at] = value);
            new
        }
    }
}
