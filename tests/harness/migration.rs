//! The steps of a migration, each killed after every instruction that changes a segment.
//!
//! After a kill, the old build and the new one are started in turn, in both orders. Each finds every
//! object in its own form, with its handle and user key. Only once `ready()` of the new build has
//! decided may the old build be refused, and then the new one goes on.

use super::image::{self, Image};
use super::keys::Keys;
use super::reach;
use super::run::{Tally, walk};
use super::stepper::{self, Child};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::inspect::verify_pool;
use hotpool::object::{FixedStr, FixedVec, Maybe, Schema};
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
        pub x: f32,
        pub y: f32,
        pub guild: u32,
        pub scores: [u16; 2],
        pub tags: FixedVec<u8, 6>,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub enum Class {
        Mage,
        Knight { armour: u32 },
    }
}

/// The structs of the second build: a field was renamed and widened, one is new, one gone, one optional,
/// two have moved into a struct; the order is another. An enum has one more variant, a text and an array
/// have more room, a list has less.
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
        #[pool(default = [9; 3])]
        pub scores: [u16; 3],
        pub tags: FixedVec<u8, 4>,
        pub guild: Maybe<u32>,
        #[pool(was(x = "x", y = "y"))]
        pub pos: Pos,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub struct Pos {
        pub y: f64,
        pub x: f32,
    }

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub enum Class {
        Mage,
        Thief { caught: u8 },
        Knight { armour: u64 },
    }
}

/// The struct of a second build that fills it by a function.
pub mod by_function {
    use super::old::Hero as OldHero;
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed)]
    pub struct Hero {
        pub share: f64,
        pub title: FixedStr<12>,
    }

    hotpool::migration! {
        Hero: from OldHero => |old| Hero {
            share: f64::from(old.hp) / 100.0,
            title: FixedStr::try_from(&*old.name).unwrap_or_default(),
        }
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

const HEROES: u64 = 6;
/// The hero in quarantine, and the one that was freed.
const PARKED: u64 = 4;
const FREED: u64 = 5;
const ITEM: Item = Item { count: 77, bytes: [1; 15] };

fn old_hero(number: u64) -> old::Hero {
    let class = match number % 2 {
        0 => old::Class::Mage,
        _ => old::Class::Knight { armour: number as u32 + 1000 },
    };
    let name = FixedStr::try_from(&*format!("h {number}")).unwrap();
    let (hp, level, guild) = (number as u32 * 3, number as u8, number as u32 + 50);
    let (x, y, scores) = (number as f32, -(number as f32), [number as u16, 3]);
    old::Hero { hp, level, class, gone: 7, name, x, y, guild, scores, tags: tags(number) }
}

fn tags<const N: usize>(number: u64) -> FixedVec<u8, N> {
    FixedVec::try_from_iter((0..number % 4).map(|tag| tag as u8)).unwrap()
}

fn hero_by_function(number: u64) -> by_function::Hero {
    let title = FixedStr::try_from(&*format!("h {number}")).unwrap();
    by_function::Hero { share: number as f64 * 3.0 / 100.0, title }
}

fn new_hero(number: u64) -> new::Hero {
    let class = match number % 2 {
        0 => new::Class::Mage,
        _ => new::Class::Knight { armour: number + 1000 },
    };
    let name = FixedStr::try_from(&*format!("h {number}")).unwrap();
    let (health, level, guild) = (number * 3, number as u16, Maybe::from(Some(number as u32 + 50)));
    let pos = new::Pos { x: number as f32, y: -(number as f64) };
    let (scores, tags, bag) = ([number as u16, 3, 9], tags(number), FixedVec::new());
    new::Hero { class, health, level, mana: 50, name, bag, scores, tags, guild, pos }
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
    by: By,
}

/// What a new build converts the heroes by.
#[derive(Clone, Copy)]
enum By {
    Attributes,
    Function,
}

impl By {
    fn add(self, pool: &mut MemoryPoolMgr) -> Result<(), PoolError> {
        match self {
            By::Attributes => pool.add_type::<new::Hero>(),
            By::Function => pool.add_type::<by_function::Hero>(),
        }
    }

    fn finds(self, pool: &MemoryPoolMgr, heroes: &[Handle]) -> Result<(), String> {
        match self {
            By::Attributes => finds(pool, heroes, new_hero),
            By::Function => finds(pool, heroes, hero_by_function),
        }
    }
}

const fn step(name: &'static str, before: Before, act: Act) -> Step {
    Step { name, before, act, by: By::Attributes }
}

/// All steps.
pub const ALL: &[Step] = &[
    step("migrate", Before::Served, Act::Migrate),
    step("migrate after a kill in a migration", Before::Half, Act::Migrate),
    step("ready of a migrated type", Before::Served, Act::Ready),
    step("open after a kill in ready", Before::Decided, Act::Open),
    step("back to the old form", Before::Tried, Act::GoBack),
    step("grow into the memory of an old form", Before::Decided, Act::Grow),
    Step { by: By::Function, ..step("with a function", Before::Served, Act::Migrate) },
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
            Act::Ready => self.by.add(&mut pool).unwrap(),
            Act::Grow => {
                self.by.add(&mut pool).unwrap();
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
            Act::Migrate => self.by.add(pool).unwrap(),
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
    let walked = catch_unwind(AssertUnwindSafe(|| walk(&conf, step.child(&conf, tally))));
    let Ok(path) = walked else {
        tally.note(step.name, "not killed", Err("the step fails by itself".into()));
        return;
    };
    let log = reach::log();
    let (mut old_starts, mut refused) = (0, 0);
    for (number, place) in std::iter::once(&0).chain(&path.changes).enumerate() {
        if tally.is_over() {
            return;
        }
        start.restore_sysv(&conf);
        let child = step.child(&conf, tally);
        child.run_to(&path, *place);
        child.kill();
        tally.reached.kill(step.name, &log, reach::begun());
        tally.arm(true);
        let result = judge(&conf, &heroes, number % 2 == 0, step);
        tally.arm(false);
        let result = result.map(|was_refused| {
            old_starts += 1;
            refused += u64::from(was_refused);
        });
        tally.note(step.name, &format!("killed after change {number} of {}", path.changes.len()), result);
    }
    if !tally.quick {
        println!("{:40} {old_starts} kills, the old build was refused after {refused}", step.name);
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
            false => {
                let changed = changed && refused.is_none() && !old_first;
                new_build(conf, heroes, step.by, changed, false)?;
            }
        }
    }
    let refused = refused.unwrap_or(false);
    if refused && matches!(step.act, Act::Migrate | Act::GoBack) {
        return Err("the old build was refused, and no build was ready".into());
    }
    new_build(conf, heroes, step.by, false, true)?;
    new_build(conf, heroes, step.by, false, false)?;
    match old_build(conf, heroes)? {
        true => Ok(refused),
        false => Err("the old build was not refused after the new one was ready".into()),
    }
}

fn open(conf: &ProcessConf) -> Result<MemoryPoolMgr, String> {
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
fn new_build(
    conf: &ProcessConf,
    heroes: &[Handle],
    by: By,
    changed: bool,
    ready: bool,
) -> Result<(), String> {
    let mut pool = open(conf)?;
    by.add(&mut pool).map_err(|error| error.to_string())?;
    if !changed {
        by.finds(&pool, heroes)?;
    }
    pool.add_type::<Item>().map_err(|error| error.to_string())?;
    if ready {
        pool.ready().map_err(|error| error.to_string())?;
        by.finds(&pool, heroes)?;
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
    let report = pool.verify();
    if report.is_sound() { Ok(()) } else { Err(report.to_string()) }
}
