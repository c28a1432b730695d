//! A fresh process that gets its objects back.

use super::population::{Part, Population, Visitor, each_type, key};
use super::store;
use super::{Moments, take_over};
use crate::peer::Peer;
use crate::peer::redis::Client;
use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use hotpool::MemoryPoolMgr;
use rusqlite::{Connection, OpenFlags};
use slotmap::{DefaultKey, SlotMap};
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// Number of keys requested from a server in one message.
const PIPE: usize = 100;
/// Bytes of the largest object of the zone.
const LARGEST: usize = 32 << 10;

/// Returns the nanoseconds of a clock that all processes share.
pub fn now() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    read_clock(&mut time);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

#[allow(unsafe_code)]
fn read_clock(time: &mut libc::timespec) {
    // SAFETY: the pointer leads to a `timespec`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time) };
}

/// Runs a child with the arguments of `Store::arguments`. Prints the moments as JSON.
pub fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let [peer, place, players] = arguments else {
        bail!("a child needs a peer, a place and a number of players")
    };
    if [take_over::OWNER, take_over::SUCCESSOR].contains(&peer.as_str()) {
        take_over::run(peer, place.parse()?, players.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let population = Population { players: players.parse()? };
    let moments = match peer.as_str() {
        "hotpool" => from_pool(place.parse()?, population)?,
        name => from_peer(
            Peer::from_str(name, true).map_err(|error| anyhow!(error))?,
            Path::new(place),
            population,
        )?,
    };
    println!("{}", serde_json::to_string(&moments)?);
    Ok(ExitCode::SUCCESS)
}

fn from_pool(base: u32, population: Population) -> anyhow::Result<Moments> {
    let mut zone =
        PoolZone { pool: MemoryPoolMgr::open(&store::conf(base, population))?, first: None, sum: 0 };
    each_type(&mut zone)?;
    black_box(zone.sum);
    let moments = Moments { first_object: zone.first.context("no object")?, first_tick: now() };
    zone.pool.close()?;
    Ok(moments)
}

/// Attaches type by type. Visits all parts of a player at once, and other objects as a tick would.
struct PoolZone {
    pool: MemoryPoolMgr,
    first: Option<f64>,
    sum: u64,
}

impl Visitor for PoolZone {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        self.pool.add_type::<P>()?;
        if self.first.is_none() {
            let (_, object) = self.pool.iter::<P>().next().context("no object")?;
            black_box(bytemuck::bytes_of(object)[0]);
            self.first = Some(now());
        }
        let mut left = ticked::<P>();
        let mut sum = 0;
        let mut sweep = hotpool::pool::Sweep::default();
        left = left.min(self.pool.len::<P>());
        self.pool.sweep::<P>(&mut sweep, left, |_, object| sum += object.touch());
        self.sum += sum;
        Ok(())
    }
}

/// Returns how many objects of a type one tick visits: every part of every player, others in
/// slices.
fn ticked<P: Part>() -> usize {
    if P::FOR_TEN == 10 { usize::MAX } else { 1000 }
}

fn from_peer(peer: Peer, place: &Path, population: Population) -> anyhow::Result<Moments> {
    let first_object;
    let mut sum = 0;
    match peer {
        Peer::EmptyProgram => first_object = now(),
        Peer::File => {
            let mut file = File::open(place)?;
            let mut bytes = Vec::new();
            file.by_ref().take(LARGEST as u64).read_to_end(&mut bytes)?;
            first_object = now();
            file.read_to_end(&mut bytes)?;
            let mut at = 0;
            let next = |_: u64, size: usize, f: &mut dyn FnMut(&[u8])| {
                f(&bytes[at..at + size]);
                at += size;
                Ok(())
            };
            each_type(&mut Reload { next, population, sum: &mut sum })?;
        }
        Peer::Sqlite => {
            let connection = Connection::open_with_flags(place, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let first: Vec<u8> =
                connection.query_row("SELECT object FROM objects LIMIT 1", [], |row| row.get(0))?;
            black_box(first[0]);
            first_object = now();
            let mut all = connection.prepare("SELECT object FROM objects ORDER BY key")?;
            let mut rows = all.query([])?;
            let next = |_: u64, _: usize, f: &mut dyn FnMut(&[u8])| {
                f(rows.next()?.context("an object is missing")?.get_ref(0)?.as_blob()?);
                Ok(())
            };
            each_type(&mut Reload { next, population, sum: &mut sum })?;
        }
        Peer::Redis => {
            let mut client = Client::connect(place, LARGEST, PIPE)?;
            black_box(client.get(key::<super::population::Player>(0))?);
            first_object = now();
            each_type(&mut ReloadRedis { client, population, sum: &mut sum })?;
        }
        _ => bail!("{} does not keep objects for the next process", peer.name()),
    }
    black_box(sum);
    Ok(Moments { first_object, first_tick: now() })
}

/// Puts what `next` reads into a slotmap for each type, and runs a tick.
struct Reload<'a, F> {
    next: F,
    population: Population,
    sum: &'a mut u64,
}

impl<F: FnMut(u64, usize, &mut dyn FnMut(&[u8])) -> anyhow::Result<()>> Visitor for Reload<'_, F> {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        let count = self.population.count::<P>();
        let mut objects: SlotMap<DefaultKey, P> = SlotMap::with_capacity(count);
        for number in 0..count {
            (self.next)(key::<P>(number), size_of::<P>(), &mut |bytes| {
                objects.insert(bytemuck::pod_read_unaligned(bytes));
            })?;
        }
        *self.sum += tick(&mut objects);
        // The process would keep the objects.
        std::mem::forget(objects);
        Ok(())
    }
}

fn tick<P: Part>(objects: &mut SlotMap<DefaultKey, P>) -> u64 {
    objects.values_mut().take(ticked::<P>()).map(P::touch).sum()
}

/// Reloads from a server, with many objects in each request.
struct ReloadRedis<'a> {
    client: Client,
    population: Population,
    sum: &'a mut u64,
}

impl Visitor for ReloadRedis<'_> {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        let count = self.population.count::<P>();
        let mut objects: SlotMap<DefaultKey, P> = SlotMap::with_capacity(count);
        let keys: Vec<u64> = (0..count).map(key::<P>).collect();
        for part in keys.chunks(PIPE) {
            self.client.get_all(part, |bytes| _ = objects.insert(bytemuck::pod_read_unaligned(bytes)))?;
        }
        *self.sum += tick(&mut objects);
        std::mem::forget(objects);
        Ok(())
    }
}
