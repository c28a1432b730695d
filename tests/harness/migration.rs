//! The steps of a migration, each killed after every instruction that changes a segment.
//!
//! After a kill, the old build and the new one are started in turn, in both orders. Each finds every
//! object in its own form, with its handle and user key. Only once `ready()` of the new build has
//! decided may the old build be refused, and then the new one goes on.

use super::image::{self, Image};
use super::keys::Keys;
use super::reach;
use super::run::{Tally, walk, walk_telling};
use super::stepper::{self, Child};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::verify_pool;
use hotpool::object::{FixedStr, FixedVec, Schema};
use hotpool::share::Home;
use hotpool::{Handle, MemoryPoolMgr, PoolError, PoolObject};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The structs of the first build.
pub mod old {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed)]
    pub struct Hero {
        pub hp: u32,
        pub level: u8,
        pub class: Class,
        pub gone: u16,
        pub name: FixedStr<8>,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub enum Class {
        Mage,
        Knight { armour: u32 },
    }
}

/// The structs of the second build: a field was renamed and widened, one is new, one gone, the order
/// is another; an enum has one more variant, a text more room.
pub mod new {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed, removed = "gone")]
    pub struct Hero {
        pub class: Class,
        #[pool(was = "hp")]
        pub health: u64,
        pub level: u16,
        #[pool(default = 50)]
        pub mana: u32,
        pub name: FixedStr<20>,
        #[pool(default)]
        pub bag: FixedVec<u16, 4>,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub enum Class {
        Mage,
        Thief { caught: u8 },
        Knight { armour: u64 },
    }
}

/// A type that does not change.
#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 2, name = "item")]
pub struct Item {
    pub count: u64,
    pub bytes: [u64; 15],
}

const HEROES: u64 = 12;
/// The hero in quarantine, and the one that was freed.
const PARKED: u64 = 4;
const FREED: u64 = 7;
const ITEM: Item = Item { count: 77, bytes: [1; 15] };

fn old_hero(number: u64) -> old::Hero {
    let class = match number % 2 {
        0 => old::Class::Mage,
        _ => old::Class::Knight { armour: number as u32 + 1000 },
    };
    let name = FixedStr::try_from(&*format!("h {number}")).unwrap();
    old::Hero { hp: number as u32 * 3, level: number as u8, class, gone: 7, name }
}

fn new_hero(number: u64) -> new::Hero {
    let class = match number % 2 {
        0 => new::Class::Mage,
        _ => new::Class::Knight { armour: number + 1000 },
    };
    let name = FixedStr::try_from(&*format!("h {number}")).unwrap();
    let (health, level) = (number * 3, number as u16);
    new::Hero { class, health, level, mana: 50, name, bag: FixedVec::new() }
}

/// What happens before the killed step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The old build was ready and ended.
    Served,
    /// A new build has migrated the heroes, changed some of them, and ended before it was ready.
    Tried,
    /// A new build was killed while it migrated.
    Half,
    /// A new build was killed when it had just decided for the new form.
    Decided,
}

/// The killed step.
#[derive(Clone, Copy)]
enum Act {
    Migrate,
    /// `ready()` after a migration.
    Ready,
    /// An old build adds its type.
    GoBack,
    Open,
    /// A type grows into the memory of an old form.
    Grow,
}

/// Does the step.
pub type Run<'a> = Box<dyn FnOnce(&mut Option<MemoryPoolMgr>) + 'a>;

/// A step of a migration.
pub struct Step {
    pub name: &'static str,
    before: Before,
    act: Act,
}

/// All steps.
pub const ALL: &[Step] = &[
    Step { name: "migrate", before: Before::Served, act: Act::Migrate },
    Step { name: "migrate after a kill in a migration", before: Before::Half, act: Act::Migrate },
    Step { name: "ready of a migrated type", before: Before::Served, act: Act::Ready },
    Step { name: "open after a kill in ready", before: Before::Decided, act: Act::Open },
    Step { name: "back to the old form", before: Before::Tried, act: Act::GoBack },
    Step { name: "grow into the memory of an old form", before: Before::Decided, act: Act::Grow },
];

/// Builds the pool that every step begins with, and returns the handles of the heroes.
fn build(conf: &ProcessConf) -> Vec<Handle> {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<old::Hero>().unwrap();
    pool.add_type::<Item>().unwrap();
    let ids: Vec<_> = (0..HEROES).map(|n| pool.alloc_keyed(n, old_hero(n)).unwrap()).collect();
    pool.free(ids[FREED as usize]);
    pool.quarantine(ids[PARKED as usize].handle()).unwrap();
    pool.alloc(ITEM).unwrap();
    pool.ready().unwrap();
    ids.into_iter().map(|id| id.handle()).collect()
}

/// Runs a new build that changes heroes and ends before it is ready.
fn tried(conf: &ProcessConf, heroes: &[Handle]) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<new::Hero>().unwrap();
    pool.update(heroes[1].typed::<new::Hero>().unwrap(), |hero| hero.health = 1_000_000).unwrap();
    pool.free(heroes[2].typed::<new::Hero>().unwrap());
    pool.drop_quarantined(heroes[PARKED as usize]).unwrap();
    pool.quarantine(heroes[3]).unwrap();
    for key in 100..110 {
        pool.alloc_keyed(key, new_hero(key)).unwrap();
    }
}

impl Step {
    /// Opens and prepares the pool in the child, up to the killed step.
    fn warm(&self, conf: &ProcessConf) -> Option<MemoryPoolMgr> {
        if let Act::Open = self.act {
            return None;
        }
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        match self.act {
            Act::Ready => pool.add_type::<new::Hero>().unwrap(),
            Act::Grow => {
                pool.add_type::<new::Hero>().unwrap();
                pool.add_type::<Item>().unwrap();
                pool.ready().unwrap();
                // The next item needs an extent.
                while pool.len::<Item>() < pool.capacity::<Item>() {
                    pool.alloc(ITEM).unwrap();
                }
            }
            Act::Migrate | Act::GoBack | Act::Open => {}
        }
        Some(pool)
    }

    fn run(&self, pool: &mut Option<MemoryPoolMgr>, conf: &ProcessConf) {
        if let Act::Open = self.act {
            *pool = Some(MemoryPoolMgr::open(conf).unwrap());
            return;
        }
        let pool = pool.as_mut().expect("it was opened before");
        match self.act {
            Act::Migrate => pool.add_type::<new::Hero>().unwrap(),
            Act::Ready => pool.ready().unwrap(),
            Act::GoBack => pool.add_type::<old::Hero>().unwrap(),
            Act::Grow => _ = pool.alloc(ITEM).unwrap(),
            Act::Open => {}
        }
    }

    /// Prepares a step in this process; returns the open pool and what does the step. `None` if the
    /// step begins with a kill or an open.
    pub fn without_kill<'a>(&'a self, conf: &'a ProcessConf) -> Option<(Option<MemoryPoolMgr>, Run<'a>)> {
        if matches!(self.act, Act::Open) || self.before == Before::Half {
            return None;
        }
        let heroes = build(conf);
        if self.before == Before::Tried {
            tried(conf, &heroes);
        }
        Some((self.warm(conf), Box::new(|pool| self.run(pool, conf))))
    }

    /// Starts a child that stops before the step.
    fn child(&self, conf: &ProcessConf, tally: &Tally) -> Child {
        Child::start(|| {
            // A backtrace, step by step, would take hours.
            std::panic::set_hook(Box::new(|_| std::process::abort()));
            tally.arm(false);
            let mut pool = self.warm(conf);
            tally.arm(true);
            reach::reset();
            stepper::begin();
            self.run(&mut pool, conf);
            stepper::end();
        })
    }
}

/// Kills a step before its first instruction and after each one that changes a segment, and judges what
/// is left.
pub fn kill_at_changes(step: &Step, tally: &mut Tally) {
    tally.arm(false);
    let keys = Keys::take(4);
    let conf = keys.conf(BackendKind::Sysv, 64 << 10, 2);
    let heroes = build(&conf);
    match step.before {
        Before::Served => {}
        Before::Tried => tried(&conf, &heroes),
        Before::Half => stop_in(&ALL[0], &conf, |base| base.draft),
        Before::Decided => stop_in(&ALL[2], &conf, |base| base.decided),
    }
    let start = Image::of_sysv(&conf);
    let begin = |tally: &Tally| step.child(&conf, tally);
    let judge: Judge<'_> = &|old_first| judge(&conf, &heroes, old_first, step);
    kill_after_changes(step.name, &conf, &start, &begin, judge, tally);
}

/// Judges what a kill has left; the argument tells which build starts first. Returns whether the old one
/// was refused.
pub type Judge<'a> = &'a dyn Fn(bool) -> Result<bool, String>;

/// Kills a child of `begin` before its first instruction and after each one that changes a segment. Each
/// begins with the pool `start`.
pub fn kill_after_changes(
    name: &str,
    conf: &ProcessConf,
    start: &Image,
    begin: &dyn Fn(&Tally) -> Child,
    judge: Judge<'_>,
    tally: &mut Tally,
) {
    // How many commit stores were begun before each instruction.
    let mut begun = vec![0];
    let mut at_step = || begun.push(reach::begun());
    let Ok(path) = catch_unwind(AssertUnwindSafe(|| walk_telling(conf, begin(tally), &mut at_step))) else {
        tally.note(name, "not killed", Err("the step fails by itself".into()));
        return;
    };
    let log = reach::log();
    let (mut old_starts, mut refused) = (0, 0);
    let mut places: Vec<usize> = std::iter::once(0).chain(path.changes.iter().copied()).collect();
    if tally.commits_only {
        places.dedup_by_key(|place| begun[*place]);
    }
    for (number, place) in places.into_iter().enumerate() {
        if tally.is_over() {
            return;
        }
        start.restore_sysv(conf);
        let child = begin(tally);
        child.run_to(&path, place);
        child.kill();
        tally.reached.kill(name, &log, reach::begun());
        tally.arm(true);
        let result = judge(number % 2 == 0);
        tally.arm(false);
        let result = result.map(|was_refused| {
            old_starts += 1;
            refused += u64::from(was_refused);
        });
        tally.note(name, &format!("killed after instruction {place} of {}", path.len()), result);
    }
    if !tally.quick {
        println!("{name:40} {old_starts} kills, the old build was refused after {refused}");
    }
}

/// Where a pool is in a migration.
struct State {
    draft: bool,
    decided: bool,
}

/// Kills a child at a place in the middle of a step where `is_there`.
fn stop_in(step: &Step, conf: &ProcessConf, is_there: fn(&State) -> bool) {
    let start = Image::of_sysv(conf);
    let path = walk(conf, step.child(conf, &Tally::default()));
    let (before, after) = path.changes.split_at(path.changes.len() / 3);
    for place in after.iter().chain(before.iter().rev()) {
        start.restore_sysv(conf);
        let child = step.child(conf, &Tally::default());
        child.run_to(&path, *place);
        child.kill();
        if is_there(&state(conf)) {
            return;
        }
    }
    panic!("{} never came to the place to be stopped at", step.name);
}

fn state(conf: &ProcessConf) -> State {
    use hotpool::__internal::layout::{BaseHeader, TypeInfo};
    let base = image::attach(conf.base_key, true, false).expect("the base exists");
    let word = |at: usize| {
        // SAFETY: inside the mapped header and table.
        let word = unsafe { base.base.add(at) }.cast::<u64>();
        // SAFETY: as above, aligned, and no process writes to it.
        unsafe { word.read() }
    };
    let first = size_of::<BaseHeader>() + size_of::<TypeInfo>();
    State {
        draft: word(first + std::mem::offset_of!(TypeInfo, filling)) != 0,
        decided: word(std::mem::offset_of!(BaseHeader, forms)) != 0,
    }
}

/// Starts both builds in turn, and compares what they find. Returns whether the old one was refused.
fn judge(conf: &ProcessConf, heroes: &[Handle], old_first: bool, step: &Step) -> Result<bool, String> {
    let report = verify_pool(conf.base_key, &Home::sysv()).map_err(|error| error.to_string())?;
    if !report.is_sound() {
        return Err(format!("after the kill: {report}"));
    }
    let mut refused = None;
    let changed = step.before == Before::Tried;
    for is_old in [old_first, !old_first, old_first] {
        match is_old {
            true => {
                let now = old_build(conf, heroes)?;
                if refused.replace(now).is_some_and(|before| before != now) {
                    return Err("the old build was refused in one start and not in the other".into());
                }
            }
            false => new_build(conf, heroes, changed && refused.is_none() && !old_first, false)?,
        }
    }
    let refused = refused.unwrap_or(false);
    if refused && matches!(step.act, Act::Migrate | Act::GoBack) {
        return Err("the old build was refused, and no build was ready".into());
    }
    new_build(conf, heroes, false, true)?;
    new_build(conf, heroes, false, false)?;
    match old_build(conf, heroes)? {
        true => Ok(refused),
        false => Err("the old build was not refused after the new one was ready".into()),
    }
}

/// Opens the pool.
pub fn open(conf: &ProcessConf) -> Result<MemoryPoolMgr, String> {
    MemoryPoolMgr::open(conf).map_err(|error| error.to_string())
}

/// Runs the old build. Returns whether it was refused.
fn old_build(conf: &ProcessConf, heroes: &[Handle]) -> Result<bool, String> {
    let mut pool = open(conf)?;
    match pool.add_type::<old::Hero>() {
        Ok(()) => {}
        Err(PoolError::TypeChanged { .. }) => return Ok(true),
        Err(error) => return Err(error.to_string()),
    }
    finds(&pool, heroes, old_hero)?;
    Ok(false)
}

/// Runs the new build, and makes it ready if wanted. `changed`: an earlier run of it has changed
/// heroes, so only its form is compared.
fn new_build(conf: &ProcessConf, heroes: &[Handle], changed: bool, ready: bool) -> Result<(), String> {
    let mut pool = open(conf)?;
    pool.add_type::<new::Hero>().map_err(|error| error.to_string())?;
    if !changed {
        finds(&pool, heroes, new_hero)?;
    }
    pool.add_type::<Item>().map_err(|error| error.to_string())?;
    if ready {
        pool.ready().map_err(|error| error.to_string())?;
        finds(&pool, heroes, new_hero)?;
    }
    Ok(())
}

/// Compares all heroes, by handle and by key, and those in quarantine.
fn finds<T: PoolObject + PartialEq + std::fmt::Debug>(
    pool: &MemoryPoolMgr,
    heroes: &[Handle],
    expected: fn(u64) -> T,
) -> Result<(), String> {
    for (number, handle) in (0..).zip(heroes) {
        let id = handle.typed::<T>().ok_or("a handle of another type")?;
        let lives = ![FREED, PARKED].contains(&number);
        let expected = expected(number);
        let wanted = lives.then_some(&expected);
        let found = [pool.get(id), pool.get_by_key::<T>(number)];
        if found != [wanted; 2] {
            return Err(format!("hero {number}: found {found:?}, expected {wanted:?}"));
        }
        if number == PARKED && pool.quarantined_object(id) != Some(expected) {
            return Err(format!("hero {number} is not in quarantine"));
        }
    }
    if pool.len::<T>() as u64 != HEROES - 2 {
        return Err(format!("{} heroes", pool.len::<T>()));
    }
    if pool.quarantined() != [heroes[PARKED as usize]] {
        return Err(format!("in quarantine: {:?}", pool.quarantined()));
    }
    is_sound(pool)
}

/// Checks that a pool has no damage.
pub fn is_sound(pool: &MemoryPoolMgr) -> Result<(), String> {
    let report = pool.verify();
    if report.is_sound() { Ok(()) } else { Err(report.to_string()) }
}
