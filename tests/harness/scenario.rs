//! The operations that are killed, each with the pool it starts from.

use super::content::{Content, Keyed, Late, Plain, Worn, add_types, words};
use super::image;
use super::judge::Leaves;
use hotpool::conf::ProcessConf;
use hotpool::{Id, MemoryPoolMgr, TxError};

/// What an operation is given.
#[derive(Clone, Default)]
pub struct World {
    pub plain: Vec<Id<Plain>>,
    pub keyed: Vec<Id<Keyed>>,
    pub worn: Vec<Id<Worn>>,
    /// The key that the operation uses.
    pub key: u64,
    /// Handles that were freed.
    pub dead: Vec<u64>,
}

type Build = fn(&mut MemoryPoolMgr, &mut World);
type Warm = fn(&mut MemoryPoolMgr, &mut World);
type Run = fn(&mut Option<MemoryPoolMgr>, &World);

/// What is killed.
#[derive(Clone, Copy)]
pub enum What {
    /// An operation on a pool that this process has opened and used before.
    Call(Warm, Run),
    /// The open of what a process has left that closed the pool, or died.
    Open {
        /// It called `close`.
        closed: bool,
    },
    /// The open where nothing is.
    Cold,
}

pub struct Scenario {
    pub name: &'static str,
    pub block_bytes: u64,
    pub blocks: u32,
    /// Blocks that the ini names in addition when the pool is opened again.
    pub more_blocks: u32,
    pub build: Build,
    pub what: What,
    pub leaves: Leaves,
    /// Killed for real; the others are resumed from images alone, because it is long and enters the kernel
    /// where a like one does.
    pub real: bool,
}

const fn call(name: &'static str, build: Build, warm: Warm, run: Run) -> Scenario {
    let what = What::Call(warm, run);
    Scenario {
        name,
        block_bytes: 128 << 10,
        blocks: 2,
        more_blocks: 0,
        build,
        what,
        leaves: Leaves::Either,
        real: true,
    }
}

const fn opens(name: &'static str, build: Build, closed: bool) -> Scenario {
    Scenario { blocks: 1, what: What::Open { closed }, ..call(name, build, cold, nothing) }
}

const fn writing(scenario: Scenario) -> Scenario {
    Scenario { leaves: Leaves::HalfWritten, ..scenario }
}

const fn large(scenario: Scenario) -> Scenario {
    Scenario { block_bytes: 256 << 10, blocks: 1, ..scenario }
}

/// All of them.
pub const ALL: &[Scenario] = &[
    call("alloc, the first of its type", empty, cold, |p, _| alloc(p)),
    call("alloc", few, warm, |p, _| alloc(p)),
    call("alloc, the first after an open", few, cold, |p, _| alloc(p)),
    call("alloc into a hole", holes, cold, |p, _| alloc(p)),
    call("alloc of the slot at hand", few, frees, |p, _| alloc(p)),
    call("alloc_keyed of the slot at hand", few, frees, alloc_keyed),
    call("alloc that fills a word of the map", |p, w| some(p, w, 62), warm, |p, _| alloc(p)),
    call("alloc behind a full word", |p, w| some(p, w, 64), cold, |p, _| alloc(p)),
    call("alloc that takes an extent", |p, w| some(p, w, 127), warm, |p, _| alloc(p)),
    call("alloc that goes to the next block", |p, w| some(p, w, 7 * 128 - 1), warm, |p, _| alloc(p)),
    call("alloc_keyed, the first of its type", empty, cold, alloc_keyed),
    call("alloc_keyed", few, warm, alloc_keyed),
    large(call("alloc_keyed into a second group", |p, w| fill_index(p, w, 1200, 2), cold, alloc_keyed)),
    large(call("alloc_keyed that moves an entry", |p, w| fill_index(p, w, 1240, 3), cold, alloc_keyed)),
    large(call("alloc_keyed that splits groups", splitting, cold, alloc_keyed)),
    large(call("alloc_keyed, more splits", splitting, splits, alloc_keyed)),
    call("force_get, found", few, cold, |p, w| force_get(p, w, 3)),
    call("force_get, made", few, cold, |p, w| force_get(p, w, w.key)),
    call("free", few, cold, |p, w| free(p, w, 2)),
    call("free, warm", few, warm, |p, w| free(p, w, 2)),
    call("free in a full word", |p, w| some(p, w, 100), warm, |p, w| free(p, w, 3)),
    call("free in a full extent", |p, w| some(p, w, 127), fill_extent, |p, w| free(p, w, 70)),
    call("free in an extent that was found full", |p, w| some(p, w, 300), cold, |p, w| free(p, w, 70)),
    call("free with another slot at hand", few, frees, |p, w| free(p, w, 2)),
    call("free with one at hand of a full extent", |p, w| some(p, w, 300), frees, |p, w| free(p, w, 70)),
    call("free with one at hand that an earlier owner left", holes, cold, |p, w| free(p, w, 2)),
    call("free in the last generation with one at hand", few, frees, |p, w| {
        assert!(pool(p).free(w.worn[1]));
    }),
    call("free, keyed", few, cold, |p, w| free_keyed(p, w, 1)),
    large(call(
        "free, keyed, in its second group",
        |p, w| fill_index(p, w, 1200, 2),
        add_key,
        |p, w| free_key(p, w.key),
    )),
    call("free in the last generation", few, cold, |p, w| {
        assert!(pool(p).free(w.worn[1]));
    }),
    call("free_by_key", few, cold, |p, _| free_key(p, 2)),
    writing(call("get_mut", few, cold, |p, w| {
        let mut object = pool(p).get_mut(w.plain[1]).unwrap();
        object.words = words(91);
    })),
    writing(call("get_mut, twice in a row", few, warm, |p, w| {
        pool(p).get_mut(w.plain[1]).unwrap().words[3] = 95;
        pool(p).get_mut(w.plain[2]).unwrap().words[0] = 96;
    })),
    writing(call("get_several_mut", few, cold, |p, w| {
        let [mut a, mut b] = pool(p).get_several_mut([w.plain[0], w.plain[3]]).unwrap();
        a.words[0] = 81;
        b.words[3] = 82;
        a.words[1] = 83;
    })),
    writing(call("views_mut", few, cold, |p, w| {
        let (mut plain, mut keyed) = pool(p).views_mut::<(Plain, Keyed)>();
        let (mut a, mut b) = (plain.get_mut(w.plain[0]).unwrap(), keyed.get_mut(w.keyed[1]).unwrap());
        a.words[2] = 71;
        b.words[2] = 72;
    })),
    writing(call("iter_mut", few, cold, |p, _| {
        for (_, mut object) in pool(p).iter_mut::<Plain>().take(3) {
            object.words[1] = 61;
            object.words[2] = 62;
        }
    })),
    writing(call("for_each", few, cold, |p, _| pool(p).for_each::<Keyed>(|_, object| object.words[0] += 50))),
    writing(call("sweep", few, cold, |p, _| {
        let mut sweep = hotpool::pool::Sweep(1);
        pool(p).sweep::<Plain>(&mut sweep, 2, |_, object| object.words[0] = 51);
    })),
    call("update", few, cold, |p, w| pool(p).update(w.plain[1], |object| object.words = words(201)).unwrap()),
    call("update, keyed and warm", few, warm, |p, w| {
        pool(p).update(w.keyed[1], |object| object.words[12] = 202).unwrap();
    }),
    call("update that fails", few, cold, |p, w| {
        let failed: Result<(), TxError> = pool(p).try_update(w.plain[1], |object| {
            object.words = words(203);
            Err(TxError::TooLarge { capacity: 0, undo_size: 0, needs: 0 })
        });
        assert!(failed.is_err());
    }),
    call("tx over two objects, with a tag", few, cold, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.plain[0])?.words[0] = 211;
            tx.get_mut(w.keyed[0])?.words[5] = 212;
            tx.get_mut(w.plain[0])?.words[13] = 213;
            tx.commit_with(99)
        });
        done.unwrap();
    }),
    call("tx that makes, changes and frees", few, cold, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            let made = tx.alloc(Plain { words: words(221) })?;
            tx.get_mut(made)?.words[3] = 222;
            tx.free(w.plain[2])?;
            tx.free(w.worn[1])?;
            tx.commit_with(100)
        });
        done.unwrap();
    }),
    call("tx that gives a key to another object", few, cold, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.keyed[2])?.words[0] = 231;
            tx.free(w.keyed[2])?;
            tx.alloc_keyed(2, Keyed { words: words(232) })?;
            tx.free(w.keyed[3])
        });
        done.unwrap();
    }),
    call("tx that is rolled back", few, cold, |p, w| {
        let failed: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.plain[0])?.words = words(241);
            let made = tx.alloc_keyed(900, Keyed { words: words(242) })?;
            tx.get_mut(made)?.words[0] = 243;
            tx.alloc_keyed(901, Worn { words: words(244) })?;
            tx.free(w.plain[1])?;
            tx.commit_with(101)?;
            Err(TxError::Stale(w.plain[1].handle()))
        });
        assert!(failed.is_err());
    }),
    call("quarantine", few, cold, |p, w| pool(p).quarantine(w.plain[1].handle()).unwrap()),
    call("quarantine, keyed", few, warm, |p, w| pool(p).quarantine(w.keyed[1].handle()).unwrap()),
    call("release", parked, cold, |p, w| pool(p).release(w.plain[1].handle()).unwrap()),
    call("release, keyed", parked, cold, |p, w| pool(p).release(w.keyed[1].handle()).unwrap()),
    call("drop_quarantined", parked, cold, |p, w| pool(p).drop_quarantined(w.plain[1].handle()).unwrap()),
    call("drop_quarantined, keyed", parked, cold, |p, w| {
        pool(p).drop_quarantined(w.keyed[1].handle()).unwrap()
    }),
    call("drop_quarantined in the last generation", parked, cold, |p, w| {
        pool(p).drop_quarantined(w.worn[1].handle()).unwrap();
    }),
    call("note", few, cold, |p, w| pool(p).note(w.plain.len() as u32, 1, 2)),
    call("add_type, new", few, cold, |p, _| pool(p).add_type::<Late>().unwrap()),
    call("add_type, again", few, cold, |p, _| pool(p).add_type::<Plain>().unwrap()),
    call("ready", few, cold, |p, _| pool(p).ready().unwrap()),
    call("close", few, cold, |p, _| p.take().unwrap().close().unwrap()),
    Scenario {
        leaves: Leaves::Ruins,
        ..call("destroy", few, cold, |p, _| p.take().unwrap().destroy().unwrap())
    },
    Scenario {
        blocks: 1,
        what: What::Cold,
        leaves: Leaves::Nothing,
        ..call("open, cold", empty, cold, nothing)
    },
    Scenario { real: false, ..opens("open, hot, after a close", few, true) },
    opens("open, hot, after a death", few, false),
    Scenario { real: false, ..opens("open with objects in quarantine", parked, false) },
    Scenario { more_blocks: 1, ..opens("open with one more block", few, true) },
    Scenario {
        real: false,
        ..opens(
            "open with a mark left behind",
            |p, w| {
                few(p, w);
                std::mem::forget(p.get_mut(w.plain[0]));
            },
            false,
        )
    },
];

impl Scenario {
    /// The configuration that the pool is built with.
    pub fn built(&self, conf: &ProcessConf) -> ProcessConf {
        let mut built = conf.clone();
        built.shm_keys.truncate(self.blocks as usize);
        built
    }

    /// Whether it makes or removes segments, of which there are no images.
    pub fn makes_segments(&self) -> bool {
        matches!(self.what, What::Cold) || self.leaves == Leaves::Ruins || self.more_blocks != 0
    }

    /// Builds the pool it starts from, and leaves it as it says.
    pub fn build(&self, conf: &ProcessConf) -> World {
        let mut world = World { key: 0x4b45_5901, ..World::default() };
        if let What::Cold = self.what {
            return world;
        }
        let mut pool = MemoryPoolMgr::open(&self.built(conf)).unwrap();
        add_types(&mut pool).unwrap();
        (self.build)(&mut pool, &mut world);
        if let What::Open { closed: true } = self.what {
            pool.close().unwrap();
        }
        world
    }

    /// Opens the pool and does what comes before the operation.
    pub fn warm(&self, conf: &ProcessConf, world: &World) -> (Option<MemoryPoolMgr>, World) {
        let mut world = world.clone();
        let What::Call(warm, _) = self.what else { return (None, world) };
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        add_types(&mut pool).unwrap();
        warm(&mut pool, &mut world);
        (Some(pool), world)
    }

    /// The operation that is killed.
    #[inline(always)]
    pub fn run(&self, pool: &mut Option<MemoryPoolMgr>, conf: &ProcessConf, world: &World) {
        match self.what {
            What::Call(_, run) => run(pool, world),
            What::Open { .. } | What::Cold => *pool = Some(MemoryPoolMgr::open(conf).unwrap()),
        }
    }

    /// The objects before and behind the operation; the pool is used up.
    pub fn around(&self, conf: &ProcessConf, world: &World) -> (Content, Content) {
        if let What::Cold = self.what {
            return <(Content, Content)>::default();
        }
        let (mut pool, world) = self.warm(conf, world);
        let before = match &pool {
            Some(pool) => Content::read(pool).unwrap(),
            None => {
                let mut pool = MemoryPoolMgr::open(&self.built(conf)).unwrap();
                add_types(&mut pool).unwrap();
                let before = Content::read(&pool).unwrap();
                return (before.clone(), before);
            }
        };
        self.run(&mut pool, conf, &world);
        let Some(pool) = pool else { return (before.clone(), before) };
        (before, Content::read(&pool).unwrap())
    }
}

fn pool(pool: &mut Option<MemoryPoolMgr>) -> &mut MemoryPoolMgr {
    pool.as_mut().expect("the operation is given a pool")
}

fn nothing(_: &mut Option<MemoryPoolMgr>, _: &World) {}

fn cold(_: &mut MemoryPoolMgr, _: &mut World) {}

fn empty(_: &mut MemoryPoolMgr, _: &mut World) {}

/// The current word of the map is known to the process.
fn warm(pool: &mut MemoryPoolMgr, world: &mut World) {
    world.plain.push(pool.alloc(Plain { words: words(7) }).unwrap());
    let id = pool.alloc_keyed(777, Keyed { words: words(8) }).unwrap();
    world.keyed.push(id);
}

/// A slot of each type is at hand.
fn frees(pool: &mut MemoryPoolMgr, world: &mut World) {
    let id = world.plain[1];
    assert!(pool.free(id));
    world.dead.push(id.to_bits());
    if let Some(&id) = world.keyed.first() {
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
    if let Some(&id) = world.worn.first() {
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
}

fn some(pool: &mut MemoryPoolMgr, world: &mut World, count: u64) {
    world.plain = (0..count).map(|n| pool.alloc(Plain { words: words(n) }).unwrap()).collect();
}

fn few(pool: &mut MemoryPoolMgr, world: &mut World) {
    some(pool, world, 5);
    world.keyed = (0..5).map(|n| pool.alloc_keyed(n, Keyed { words: words(n) }).unwrap()).collect();
    world.worn = (0..3).map(|n| pool.alloc_keyed(n, Worn { words: words(n) }).unwrap()).collect();
}

/// One object of each type in quarantine.
fn parked(pool: &mut MemoryPoolMgr, world: &mut World) {
    few(pool, world);
    for object in [world.plain[1].handle(), world.keyed[1].handle(), world.worn[1].handle()] {
        pool.quarantine(object).unwrap();
    }
}

fn holes(pool: &mut MemoryPoolMgr, world: &mut World) {
    some(pool, world, 12);
    for n in [3, 7] {
        let id = world.plain[n];
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
}

/// Fills the extent, and finds it full.
fn fill_extent(pool: &mut MemoryPoolMgr, world: &mut World) {
    for _ in 0..3 {
        warm(pool, world);
        world.keyed.pop();
        pool.free_by_key::<Keyed>(777);
    }
}

/// Fills the index until a key is met whose entry changes `stores` words of it, or more if 3.
fn fill_index(pool: &mut MemoryPoolMgr, world: &mut World, count: u64, stores: usize) {
    // Keys in a row are spread too evenly to fill a group.
    let mut random = fastrand::Rng::with_seed(count);
    for key in (0..count).map(|_| random.u64(1 << 32..)) {
        world.keyed.push(pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap());
    }
    for key in 1_000_000.. {
        let before = image::index_words(pool.conf(), 2);
        let id = pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap();
        let after = image::index_words(pool.conf(), 2);
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
        if changed == stores || stores > 2 && changed > stores {
            world.key = key;
            return;
        }
        assert!(key < 1_010_000, "no key changes {stores} words of the index");
    }
}

/// The next key makes the index grow.
fn splitting(pool: &mut MemoryPoolMgr, world: &mut World) {
    for key in 0..1254 {
        world.keyed.push(pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap());
    }
}

fn splits(pool: &mut MemoryPoolMgr, world: &mut World) {
    for key in 1254..1270 {
        world.keyed.push(pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap());
    }
}

fn add_key(pool: &mut MemoryPoolMgr, world: &mut World) {
    world.keyed.push(pool.alloc_keyed(world.key, Keyed { words: words(31) }).unwrap());
}

fn alloc(p: &mut Option<MemoryPoolMgr>) {
    pool(p).alloc(Plain { words: words(41) }).unwrap();
}

fn alloc_keyed(p: &mut Option<MemoryPoolMgr>, world: &World) {
    pool(p).alloc_keyed(world.key, Keyed { words: words(41) }).unwrap();
}

fn force_get(p: &mut Option<MemoryPoolMgr>, _: &World, key: u64) {
    pool(p).force_get(key, Keyed { words: words(45) }).unwrap();
}

fn free(p: &mut Option<MemoryPoolMgr>, world: &World, number: usize) {
    assert!(pool(p).free(world.plain[number]));
}

fn free_keyed(p: &mut Option<MemoryPoolMgr>, world: &World, number: usize) {
    assert!(pool(p).free(world.keyed[number]));
}

fn free_key(p: &mut Option<MemoryPoolMgr>, key: u64) {
    assert!(pool(p).free_by_key::<Keyed>(key));
}
