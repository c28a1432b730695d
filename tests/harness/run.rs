//! Runs a scenario and kills it at every point.

use super::image::{self, Image, Mapped};
use super::judge::{self, Expected, Leaves};
use super::keys::Keys;
use super::reach::{self, Reached};
use super::scenario::{Scenario, What, World};
use super::stepper::{self, Child, Moment, Path};
use super::trap;
use hotpool::__internal::layout::BaseHeader;
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher};
use std::mem::offset_of;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

/// The number of kills, and the violations found.
#[derive(Default)]
pub struct Tally {
    pub points: u64,
    pub violations: u64,
    /// The first violation.
    pub first: Option<String>,
    /// Stops at the first violation, and prints nothing.
    pub quick: bool,
    /// Kills a migration only at the first of the places that have the same commit stores before them.
    pub commits_only: bool,
    /// The commit stores that kills came before and after, with the feature `__internal_mutants`.
    pub reached: Reached,
    /// Called with true before the operation under test, and with false before preparations.
    pub arm: Option<Box<dyn Fn(bool)>>,
}

/// Number of violations of a scenario that are printed in full.
const SAID: u64 = 3;

impl Tally {
    fn count(&mut self, scenario: &Scenario, place: &dyn Fn() -> String, result: Result<(), String>) {
        let place = if result.is_err() { place() } else { String::new() };
        self.note(scenario.name, &place, result);
    }

    /// Counts a kill, and the violation if there is one.
    pub fn note(&mut self, test: &str, place: &str, result: Result<(), String>) {
        self.points += 1;
        let Err(what) = result else { return };
        self.violations += 1;
        let said = format!("{test}, {place}: {what}");
        if !self.quick && self.violations <= SAID {
            println!("VIOLATION {said}");
        }
        self.first.get_or_insert(said);
    }

    pub fn arm(&self, on: bool) {
        if let Some(arm) = &self.arm {
            arm(on);
        }
    }

    pub fn is_over(&self) -> bool {
        self.quick && self.violations != 0
    }
}

/// Runs a scenario in children that are killed.
pub fn kill_for_real(scenario: &Scenario, every: usize, tally: &mut Tally) {
    if !scenario.real || cfg!(debug_assertions) && !matches!(scenario.what, What::Call(..)) {
        return;
    }
    let began = Instant::now();
    let (points, violations) = (tally.points, tally.violations);
    tally.arm(false);
    let keys = Keys::take(8);
    let (built, conf) = scenario.confs(&keys, BackendKind::Sysv);
    let world = scenario.build(&built);
    let start = Image::of_sysv(&conf);
    let expected = scenario.around(&built, &conf, &world, &|| start.restore_sysv(&conf));
    start.restore_sysv(&conf);
    let path = walk(&conf, start_child(scenario, &conf, &world, tally));
    let log = reach::log();
    let places: Vec<usize> = match path.len() {
        len if len <= every => (0..len).collect(),
        _ => path.changes.clone(),
    };
    let mut astray = 0;
    // The bytes judged so far. Between two stores a kill leaves the same bytes, so only the
    // kernel's part is checked.
    let mut judged = HashSet::new();
    for place in places {
        if tally.is_over() {
            return;
        }
        start.restore_sysv(&conf);
        if let What::Cold = scenario.what {
            keys.remove();
        }
        let child = start_child(scenario, &conf, &world, tally);
        astray += u64::from(!child.run_to(&path, place));
        child.kill();
        // A kill comes after an instruction that changed a segment, so every store begun by then is
        // done.
        tally.reached.kill(scenario.name, &log, reach::begun());
        tally.arm(true);
        let is_new = judged.insert(fingerprint(&Image::of_sysv(&conf), &OWNER));
        let result = match is_new || scenario.makes_segments() {
            true => judge::judge(&conf, &expected),
            false => keys.are_let_go(),
        };
        tally.count(scenario, &|| format!("killed after instruction {place} of {}", path.len()), result);
    }
    if scenario.leaves != Leaves::Ruins && !image::is_zero_elsewhere(&conf) {
        tally.count(
            scenario,
            &|| "at the end".into(),
            Err("a store hit a part of the base that is never written".into()),
        );
    }
    if !tally.quick {
        let points = tally.points - points;
        println!(
            "{:44} {:6} instructions, {:4} change a segment, {points:4} kills{}, {} violations, {:.1} s",
            scenario.name,
            path.len(),
            path.changes.len(),
            if astray == 0 { String::new() } else { format!(" ({astray} elsewhere)") },
            tally.violations - violations,
            began.elapsed().as_secs_f64()
        );
    }
}

fn start_child(scenario: &Scenario, conf: &ProcessConf, world: &World, tally: &Tally) -> Child {
    let child = Child::start(|| {
        tally.arm(false);
        let (mut pool, world) = scenario.warm(conf, world);
        tally.arm(true);
        reach::reset();
        stepper::begin();
        scenario.run(&mut pool, conf, &world);
        stepper::end();
    });
    if let What::Cold = scenario.what {
        child.to_creation();
    }
    child
}

/// Steps a child through its operation and records which instructions change the segments.
///
/// This process attaches the segments to compare them. While the child is in the kernel they are
/// detached here, so that the child finds what it would find alone.
pub fn walk(conf: &ProcessConf, child: Child) -> Path {
    walk_telling(conf, child, &mut || {})
}

/// Walks, and calls `at_step` after each instruction.
pub fn walk_telling(conf: &ProcessConf, child: Child, at_step: &mut dyn FnMut()) -> Path {
    let attach = || -> Vec<Option<Mapped>> {
        let keys = image::keys_of(conf).into_iter().enumerate();
        keys.map(|(n, key)| image::attach(key, n == 0, false)).collect()
    };
    let mut segments = attach();
    let mut copies: Vec<Option<Vec<u8>>> = segments.iter().map(|s| s.as_ref().map(Mapped::copy)).collect();
    let path = Path::walk(&child, |moment| {
        if moment == Moment::BeforeKernel {
            segments.clear();
            return false;
        }
        at_step();
        if segments.is_empty() {
            segments = attach();
        }
        let mut changed = false;
        for (segment, copy) in segments.iter().zip(&mut copies) {
            let same = match (segment, &*copy) {
                (Some(segment), Some(copy)) => segment.equals(copy),
                (None, None) => true,
                _ => false,
            };
            if !same {
                *copy = segment.as_ref().map(Mapped::copy);
                changed = true;
            }
        }
        changed
    });
    drop(segments);
    child.kill();
    path
}

/// Resumes the bytes after every store of the operation, and after every store of these recoveries,
/// `depth` recoveries deep.
pub fn kill_by_images(scenario: &Scenario, depth: u32, tally: &mut Tally) {
    // Operations that create and remove segments are killed in children instead.
    if scenario.makes_segments() {
        return;
    }
    tally.arm(false);
    let keys = Keys::take(8);
    let (built, conf) = scenario.confs(&keys, BackendKind::Heap);
    let world = scenario.build(&built);
    let mut segments = image::find_heap(&conf);
    let mut start = Image::of(&segments);
    let expected = scenario.around(&built, &conf, &world, &|| start.restore(&segments));
    start.restore(&segments);
    if scenario.leaves == Leaves::Aside {
        // `around` created the copy; the operation begins without one.
        let copy = image::find_heap(&judge::aside(&conf));
        start = start.with_zeros(&copy);
        segments.extend(copy);
        start.restore(&segments);
    }
    let (mut pool, world) = scenario.warm(&conf, &world);
    let start = Image::of(&segments);
    tally.arm(true);
    reach::reset();
    let ((), stores) = trap::stores(&segments, || scenario.run(&mut pool, &conf, &world));
    let log = reach::log();
    drop(pool);
    let mut nest = Nest {
        scenario,
        conf: &conf,
        segments: &segments,
        expected,
        tally,
        seen: HashSet::new(),
        opening: Vec::new(),
    };
    nest.level(Cut::all(start.clone(), stores, log), depth, 1);
    nest.tally.arm(false);
    start.restore(&segments);
    if scenario.leaves == Leaves::Aside {
        // Complete the pool again, so that it can be removed.
        MemoryPoolMgr::open(&conf).and_then(MemoryPoolMgr::destroy).unwrap();
        MemoryPoolMgr::open(&judge::aside(&conf)).and_then(MemoryPoolMgr::destroy).unwrap();
        return;
    }
    MemoryPoolMgr::open(&built).and_then(MemoryPoolMgr::destroy).unwrap();
}

/// The bytes that a kill leaves: those before the operation, and the stores of some instructions.
/// They are built only when needed, because all of them together take gigabytes.
struct Cut {
    start: Rc<Image>,
    stores: Rc<Vec<image::Store>>,
    /// The commit stores of the operation.
    log: Rc<Vec<usize>>,
    count: usize,
}

impl Cut {
    /// Returns the states before the first store and after each store.
    fn all(start: Image, stores: Vec<image::Store>, log: Vec<usize>) -> Vec<Cut> {
        let (start, stores, log) = (Rc::new(start), Rc::new(stores), Rc::new(log));
        let cut = |count| Cut { start: start.clone(), stores: stores.clone(), log: log.clone(), count };
        (0..=stores.len()).map(cut).collect()
    }

    /// Returns how many commit stores were done.
    fn done(&self) -> usize {
        self.count.checked_sub(1).map_or(0, |last| self.stores[last].begun)
    }

    fn image(&self) -> Image {
        let mut image = (*self.start).clone();
        self.stores[..self.count].iter().for_each(|store| image.apply(store));
        image
    }
}

struct Nest<'a> {
    scenario: &'a Scenario,
    conf: &'a ProcessConf,
    segments: &'a [Mapped],
    expected: Expected,
    tally: &'a mut Tally,
    seen: HashSet<u64>,
    /// The commit stores of the last open.
    opening: Vec<usize>,
}

/// Maximum number of images for one level of recoveries of one scenario. They are chosen evenly.
const LEVEL: usize = 120;

impl Nest<'_> {
    fn level(&mut self, cuts: Vec<Cut>, depth: u32, step: usize) {
        let mut next = Vec::new();
        for cut in cuts.iter().step_by(step) {
            let image = cut.image();
            if self.tally.is_over() {
                continue;
            }
            // The same bytes, apart from notes, are judged once.
            self.tally.reached.kill(self.scenario.name, &cut.log, cut.done());
            if !self.seen.insert(fingerprint(&image, &TIMES)) {
                continue;
            }
            reach::reset();
            let stores = self.resume(&image, depth);
            if depth != 0 {
                next.extend(Cut::all(image, stores, self.opening.clone()));
            }
        }
        if depth != 0 && !next.is_empty() {
            let step = next.len().div_ceil(LEVEL);
            self.level(next, depth - 1, step);
        }
    }

    /// Resumes an image and judges the pool. Returns the stores of the recovery.
    fn resume(&mut self, image: &Image, depth: u32) -> Vec<image::Store> {
        image.restore(self.segments);
        let mut result = judge::unadopted(self.conf, &self.expected);
        let (opened, stores) = trap::stores(self.segments, || judge::open(self.conf, &self.expected));
        self.opening = reach::log();
        match opened {
            Ok(mut pool) => result = result.and_then(|()| judge::opened(&mut pool, &self.expected)),
            Err(error) => result = result.and(Err(format!("the pool is refused: {error}"))),
        }
        self.tally.count(self.scenario, &|| format!("image, {depth} levels before the last"), result);
        stores
    }
}

/// Returns a hash of all bytes, except some parts of the base.
fn fingerprint(image: &Image, but: &[Range<usize>]) -> u64 {
    let mut hasher = BuildHasherDefault::<DefaultHasher>::default().build_hasher();
    for (number, copy) in image.numbered_copies() {
        hasher.write_usize(number);
        let mut at = 0;
        let notes = [image::notes_in_copy()];
        let is_base = number == 0 || copy.len() == image::base_copy_len();
        for part in but.iter().chain(&notes).filter(|_| is_base) {
            hasher.write(&copy[at..part.start]);
            at = part.end;
        }
        hasher.write(&copy[at..]);
    }
    hasher.finish()
}

/// The bytes of the base header that name the owner, and the time of its start.
const OWNER: [Range<usize>; 2] =
    [offset_of!(BaseHeader, owner_pid)..offset_of!(BaseHeader, boot_id), TIMES[1].start..TIMES[1].end];

/// The bytes of the base header that hold times.
const TIMES: [Range<usize>; 2] = [
    offset_of!(BaseHeader, owner_ticks)..offset_of!(BaseHeader, boot_id),
    offset_of!(BaseHeader, closed_wall)..offset_of!(BaseHeader, starts_clean),
];
