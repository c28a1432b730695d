//! Runs a whole zone, tick by tick: the load of a server at 30 ticks a second, as fast as possible.

use crate::report::time;
use crate::restart::population::{Item, Monster, Part, Player, Session, Timer, Visitor, each_type};
use crate::rng::{Rng, mix};
use crate::segments;
use crate::stats::quantile;
use bytemuck::{Pod, Zeroable};
use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hotpool::conf::{Place, ProcessConf, TypeConf};
use hotpool::pool::Sweep;
use hotpool::units::Bytes;
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant;

/// The operations of a tick: a thirtieth of what an MMO zone does in a second.
const GETS: usize = 9_167;
const STALE_ONE_IN: usize = 20;
const GETS_BY_KEY: usize = 2_500;
const PAIRS: usize = 167;
const FORCED: usize = 117;
const FORCED_MISS_ONE_IN: usize = 50;
const MONSTERS: usize = 1_000;
/// Number of ticks between two walks over all items.
const SCAN: usize = 150;

/// The zone to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// One MMO zone: 2,000 players, 18,000 monsters, 160,000 of 900,000 items.
    M,
    /// A large zone: 5,000 players, 100,000 monsters, 210,000 of 2,100,000 items.
    L,
}

/// A keyed type: the accounts.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 120, keyed)]
struct Account {
    words: [u64; 32],
}

impl Profile {
    fn players(self) -> usize {
        match self {
            Profile::M => 2_000,
            Profile::L => 5_000,
        }
    }

    /// Returns the number of live objects of a type, and of slots that were ever used.
    fn count<P: Part>(self) -> (usize, usize) {
        let (monsters, items, slots, timers) = match self {
            Profile::M => (18_000, 160_000, 900_000, 30_000),
            Profile::L => (100_000, 210_000, 2_100_000, 200_000),
        };
        match P::TYPE_ID {
            Monster::TYPE_ID => (monsters, monsters + monsters / 10),
            Item::TYPE_ID => (items, slots),
            Timer::TYPE_ID => (timers, timers * 2),
            Session::TYPE_ID => (self.players() * 10, self.players() * 10),
            _ => (self.players(), self.players() + self.players() / 4),
        }
    }

    fn accounts(self) -> usize {
        self.players() * 10
    }

    fn conf(self) -> ProcessConf {
        struct Sum(Profile, usize);
        impl Visitor for Sum {
            fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
                self.1 += self.0.count::<P>().1 * (size_of::<P>() + 16);
                Ok(())
            }
        }
        let mut sum = Sum(self, self.accounts() * 400 + (64 << 20));
        // The sum cannot fail.
        _ = each_type(&mut sum);
        let keys = segments::keys(2);
        let bytes = Bytes((sum.1 as u64 * 9 / 8).next_multiple_of(1 << 20));
        let mut conf = ProcessConf::new("zone", keys[0], bytes, &keys[1..]);
        conf.memory = crate::pages::memory();
        let capacity = self.accounts() as u32 * 5 / 4;
        let place = Place::default();
        conf.types = vec![TypeConf { name: Account::NAME.into(), capacity, object_bytes: None, place }];
        conf
    }
}

/// A zone that runs.
pub struct Zone {
    pub pool: MemoryPoolMgr,
    profile: Profile,
    players: Vec<Id<Player>>,
    monsters: Vec<Id<Monster>>,
    items: VecDeque<Id<Item>>,
    stale: Vec<Id<Item>>,
    sweep: Sweep,
    rng: Rng,
    sum: u64,
    objects: usize,
    object_bytes: usize,
}

impl Visitor for Zone {
    /// Fills a type up to the used slots, then frees random objects down to the live ones.
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        self.pool.add_type::<P>()?;
        let (live, slots) = self.profile.count::<P>();
        let mut ids: Vec<Id<P>> = Vec::with_capacity(slots);
        for number in 0..slots {
            ids.push(self.pool.alloc(P::new(number as u64))?);
        }
        self.rng.shuffle(&mut ids);
        for &id in &ids[live..] {
            self.pool.free(id);
        }
        self.objects += live;
        self.object_bytes += live * size_of::<P>();
        Ok(())
    }
}

/// Visits every part of every player.
struct VisitPlayers<'a> {
    pool: &'a mut MemoryPoolMgr,
    sum: u64,
}

impl Visitor for VisitPlayers<'_> {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        if P::FOR_TEN == 10 {
            let sum = &mut self.sum;
            self.pool.for_each::<P>(|_, part| *sum = sum.wrapping_add(part.touch()));
        }
        Ok(())
    }
}

impl Zone {
    /// Fills a zone.
    pub fn new(profile: Profile) -> anyhow::Result<Self> {
        let mut zone = Zone {
            pool: MemoryPoolMgr::open(&profile.conf())?,
            profile,
            players: Vec::new(),
            monsters: Vec::new(),
            items: VecDeque::new(),
            stale: Vec::new(),
            sweep: Sweep::default(),
            rng: Rng::new(3),
            sum: 0,
            objects: profile.accounts(),
            object_bytes: profile.accounts() * size_of::<Account>(),
        };
        zone.pool.add_type::<Account>()?;
        for number in 0..profile.accounts() {
            zone.pool.alloc_keyed(mix(number as u64), Account { words: [number as u64; 32] })?;
        }
        each_type(&mut zone)?;
        zone.players = zone.pool.iter().map(|(id, _)| id).collect();
        zone.monsters = zone.pool.iter().map(|(id, _)| id).collect();
        let mut items: Vec<_> = zone.pool.iter().map(|(id, _)| id).collect();
        zone.rng.shuffle(&mut items);
        zone.items = items.into();
        for _ in 0..1000 {
            let id = zone.pool.alloc(Item::new(0))?;
            zone.pool.free(id);
            zone.stale.push(id);
        }
        Ok(zone)
    }

    /// Runs one tick.
    pub fn tick(&mut self, number: usize) -> anyhow::Result<()> {
        for step in 0..GETS {
            let at = self.rng.next() as usize;
            let value = match step % STALE_ONE_IN {
                0 => self.pool.get(self.stale[at % self.stale.len()]).map(value),
                1..5 => self.pool.get(self.players[at % self.players.len()]).map(value),
                5..10 => self.pool.get(self.monsters[at % self.monsters.len()]).map(value),
                _ => self.pool.get(self.items[at % self.items.len()]).map(value),
            };
            self.sum = self.sum.wrapping_add(value.unwrap_or(0));
        }
        for step in 0..GETS_BY_KEY + FORCED {
            let known = mix(self.rng.below(self.profile.accounts()) as u64);
            let found = match step {
                0..GETS_BY_KEY => {
                    self.pool.get_by_key::<Account>(known).map_or(0, |account| account.words[0])
                }
                _ if step % FORCED_MISS_ONE_IN == 0 => self.new_account()?,
                _ => self.pool.force_get(known, Account::zeroed())?.into_inner().to_bits(),
            };
            self.sum = self.sum.wrapping_add(found);
        }
        for _ in 0..PAIRS {
            self.items.push_back(self.pool.alloc(Item::new(self.sum))?);
        }
        for id in self.items.drain(..PAIRS) {
            self.pool.free(id);
        }
        let mut players = VisitPlayers { pool: &mut self.pool, sum: 0 };
        each_type(&mut players)?;
        self.sum = self.sum.wrapping_add(players.sum);
        let sum = &mut self.sum;
        self.pool
            .sweep::<Monster>(&mut self.sweep, MONSTERS, |_, part| *sum = sum.wrapping_add(part.touch()));
        if number % SCAN == SCAN - 1 {
            self.sum =
                self.pool.iter::<Item>().fold(self.sum, |sum, (_, item)| sum.wrapping_add(value(item)));
        }
        Ok(())
    }

    /// Logs in a new account, and out again.
    fn new_account(&mut self) -> anyhow::Result<u64> {
        let key = mix(self.rng.next() | 1 << 63);
        let id = self.pool.force_get(key, Account::zeroed())?.into_inner();
        self.pool.free(id);
        Ok(id.to_bits())
    }

    /// Returns how many bytes the pool uses for an object beyond the object's own.
    fn overhead(&self) -> f64 {
        let conf = self.pool.conf();
        let held = conf.block_size.0 * conf.shm_keys.len() as u64 - self.pool.bytes_free().0;
        (held as f64 - self.object_bytes as f64) / self.objects as f64
    }
}

fn value<P: Part>(part: &P) -> u64 {
    bytemuck::bytes_of(part)[..8].try_into().map_or(0, u64::from_le_bytes)
}

/// Runs a zone for this many ticks and prints how long they took.
pub fn run(profile: Profile, ticks: usize) -> anyhow::Result<()> {
    let mut zone = Zone::new(profile)?;
    zone.tick(0)?;
    let mut times = Vec::with_capacity(ticks);
    for number in 0..ticks {
        let start = Instant::now();
        zone.tick(number)?;
        times.push(start.elapsed().as_nanos() as f64);
    }
    black_box(zone.sum);
    let a_second = ticks as f64 * 1e9 / times.iter().sum::<f64>();
    times.sort_by(f64::total_cmp);
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header([
        "profile",
        "objects",
        "ticks/s",
        "p50",
        "p99",
        "p99.9",
        "slowest",
        "overhead of the pool",
    ]);
    let at = |place| time(quantile(&times, place));
    table.add_row([
        format!("{profile:?}"),
        zone.objects.to_string(),
        format!("{a_second:.0}"),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        format!("{:.1} B for each object", zone.overhead()),
    ]);
    println!("{table}");
    println!("the overhead includes the holes of freed items and timers");
    Ok(zone.pool.destroy()?)
}
