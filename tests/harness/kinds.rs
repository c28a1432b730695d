//! Kinds of migrations of a few objects, each killed after every instruction that changes a segment.
//!
//! [`migration`](super::migration) has the steps around a migration, with one kind of change. Here are
//! more kinds: the migration alone, and what both builds find after it.

use super::image::Image;
use super::keys::Keys;
use super::migration::{Judge, kill_after_changes, open};
use super::run::Tally;
use super::stepper::{self, Child};
use super::{migration, reach};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::{FixedStr, FixedVec, Maybe, Schema};
use hotpool::{Handle, MemoryPoolMgr, PoolObject};
use std::fmt::Debug;

/// The structs of the first build.
mod old {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "beast", keyed)]
    pub struct Beast {
        pub hp: u32,
        pub x: f32,
        pub y: f32,
        pub owner: u32,
        pub scores: [u16; 2],
        pub tags: FixedVec<u8, 6>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "rock", keyed)]
    pub struct Rock {
        pub weight: u64,
        pub shape: [u64; 31],
    }
}

/// The structs of the second build. Of a beast, two fields have moved into a struct, one is optional; an
/// array has more room, a list has less.
mod new {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "beast", keyed)]
    pub struct Beast {
        #[pool(default = [9; 3])]
        pub scores: [u16; 3],
        pub tags: FixedVec<u8, 4>,
        pub owner: Maybe<u32>,
        pub hp: u32,
        #[pool(was(x = "x", y = "y"))]
        pub pos: Pos,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub struct Pos {
        pub y: f64,
        pub x: f32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "rock", keyed)]
    pub struct Rock {
        pub shape: [u64; 31],
        pub weight: u64,
        #[pool(default = 1)]
        pub age: u64,
    }
}

/// The struct of a second build that fills it by a function.
mod by_function {
    use super::old::Beast as OldBeast;
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "beast", keyed)]
    pub struct Beast {
        pub share: f64,
        pub title: FixedStr<12>,
    }

    hotpool::migration! {
        Beast: from OldBeast => |old| Beast {
            share: f64::from(old.hp) / 100.0,
            title: super::title(old.owner.into()),
        }
    }
}

fn title(number: u64) -> FixedStr<12> {
    FixedStr::try_from(&*format!("of {number}")).unwrap_or_default()
}

fn tags<const N: usize>(number: u64) -> FixedVec<u8, N> {
    FixedVec::try_from_iter((0..number % 3 + 1).map(|tag| tag as u8)).unwrap()
}

/// A struct of one of the builds.
trait Built: PoolObject + PartialEq + Debug {
    /// The object with this number.
    fn numbered(number: u64) -> Self;
}

impl Built for old::Beast {
    fn numbered(number: u64) -> Self {
        let (hp, owner) = (number as u32 * 3, number as u32 + 50);
        let (x, y, scores) = (number as f32, -(number as f32), [number as u16, 3]);
        old::Beast { hp, x, y, owner, scores, tags: tags(number) }
    }
}

impl Built for new::Beast {
    fn numbered(number: u64) -> Self {
        let (hp, owner) = (number as u32 * 3, Maybe::from(Some(number as u32 + 50)));
        let pos = new::Pos { x: number as f32, y: -(number as f64) };
        new::Beast { scores: [number as u16, 3, 9], tags: tags(number), owner, hp, pos }
    }
}

impl Built for by_function::Beast {
    fn numbered(number: u64) -> Self {
        by_function::Beast { share: number as f64 * 3.0 / 100.0, title: title(number + 50) }
    }
}

impl Built for old::Rock {
    fn numbered(number: u64) -> Self {
        old::Rock { weight: number, shape: [number + 1; 31] }
    }
}

impl Built for new::Rock {
    fn numbered(number: u64) -> Self {
        new::Rock { weight: number, shape: [number + 1; 31], age: 1 }
    }
}

/// A kind of migration.
pub struct Kind {
    pub name: &'static str,
    kill: fn(&Kind, &mut Tally),
    /// How many objects there are at first.
    made: u64,
    /// How many of them, the first ones, are not freed.
    kept: u64,
}

/// All kinds.
pub const ALL: &[Kind] = &[
    Kind { name: "migrate more fields", kill: kill::<old::Beast, new::Beast>, made: 2, kept: 2 },
    Kind { name: "migrate by a function", kill: kill::<old::Beast, by_function::Beast>, made: 2, kept: 2 },
    // The rocks take several extents, and all but the first are empty again.
    Kind { name: "migrate beside empty extents", kill: kill::<old::Rock, new::Rock>, made: 100, kept: 2 },
];

impl Kind {
    /// Kills the migration before its first instruction and after each one that changes a segment, and
    /// judges what is left.
    pub fn kill(&self, tally: &mut Tally) {
        (self.kill)(self, tally);
    }
}

fn kill<Old: Built, New: Built>(kind: &Kind, tally: &mut Tally) {
    tally.arm(false);
    let keys = Keys::take(5);
    let conf = keys.conf(BackendKind::Sysv, 64 << 10, 4);
    let made = build::<Old>(&conf, kind);
    let start = Image::of_sysv(&conf);
    let begin = |tally: &Tally| child::<New>(&conf, tally);
    let judge: Judge<'_> = &|old_first| judge::<Old, New>(&conf, kind, &made, old_first).map(|()| false);
    kill_after_changes(kind.name, &conf, &start, &begin, judge, tally);
}

/// Builds the pool that the migration begins with, and returns the handles of all objects.
fn build<Old: Built>(conf: &ProcessConf, kind: &Kind) -> Vec<Handle> {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Old>().unwrap();
    let ids: Vec<_> = (0..kind.made).map(|n| pool.alloc_keyed(n, Old::numbered(n)).unwrap()).collect();
    ids.iter().skip(kind.kept as usize).for_each(|id| assert!(pool.free(*id)));
    pool.ready().unwrap();
    ids.into_iter().map(|id| id.handle()).collect()
}

/// Starts a child that stops before it migrates.
fn child<New: Built>(conf: &ProcessConf, tally: &Tally) -> Child {
    Child::start(|| {
        // A backtrace, step by step, would take hours.
        std::panic::set_hook(Box::new(|_| std::process::abort()));
        tally.arm(false);
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        tally.arm(true);
        reach::reset();
        stepper::begin();
        pool.add_type::<New>().unwrap();
        stepper::end();
    })
}

/// Starts both builds in turn, or the new one at once, and compares what they find. At the end no freed
/// handle resolves, even after its slot has a new object.
fn judge<Old: Built, New: Built>(
    conf: &ProcessConf,
    kind: &Kind,
    made: &[Handle],
    old_first: bool,
) -> Result<(), String> {
    // With empty extents the new build goes on at once: the old one would undo the migration.
    let turns = [old_first, !old_first, old_first];
    for is_old in turns.into_iter().take(if kind.made == kind.kept { 3 } else { 0 }) {
        match is_old {
            true => finds::<Old>(&mut open(conf)?, kind, made)?,
            false => finds::<New>(&mut open(conf)?, kind, made)?,
        }
    }
    let mut pool = open(conf)?;
    finds::<New>(&mut pool, kind, made)?;
    pool.ready().map_err(|error| error.to_string())?;
    // More than there were at first, so that every slot of a freed object has a new one.
    for number in kind.made..kind.made * 2 {
        pool.alloc_keyed(number, New::numbered(number)).map_err(|error| error.to_string())?;
    }
    let resolves = |handle: &&Handle| handle.typed::<New>().is_some_and(|id| pool.contains(id));
    let stale = made.iter().skip(kind.kept as usize).find(resolves);
    match stale {
        Some(handle) => Err(format!("{handle} resolves, and its object was freed before the migration")),
        None => migration::is_sound(&pool),
    }
}

/// Adds the type of a build, and compares all objects, by handle and by key.
fn finds<T: Built>(pool: &mut MemoryPoolMgr, kind: &Kind, made: &[Handle]) -> Result<(), String> {
    pool.add_type::<T>().map_err(|error| error.to_string())?;
    for (number, handle) in (0..).zip(made) {
        let id = handle.typed::<T>().ok_or("a handle of another type")?;
        let expected = T::numbered(number);
        let wanted = (number < kind.kept).then_some(&expected);
        let found = [pool.get(id), pool.get_by_key::<T>(number)];
        if found != [wanted; 2] {
            return Err(format!("object {number}: found {found:?}, expected {wanted:?}"));
        }
    }
    migration::is_sound(pool)
}
