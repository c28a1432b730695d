//! The stores in which the objects of a zone wait for the next process.

use super::population::{Part, Population, Visitor, each_type, key};
use crate::peer::Peer;
use crate::peer::redis::{self, Client};
use crate::pin::Pin;
use crate::{pages, scratch, segments};
use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::limits::HUGE_PAGE;
use hotpool::units::{Bytes, Key};
use rusqlite::Connection;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use tempfile::TempDir;

/// Bytes of the largest object of the zone.
const LARGEST: usize = 32 << 10;

/// A store with all objects, and the values that keep it alive.
pub struct Store {
    peer: Peer,
    place: PathBuf,
    population: Population,
    _folder: Option<TempDir>,
    _server: Option<redis::Server>,
    _pool: Option<Removed>,
}

/// A pool that is removed when this is dropped.
struct Removed(ProcessConf);

impl Drop for Removed {
    fn drop(&mut self) {
        let removed = MemoryPoolMgr::open(&self.0).and_then(MemoryPoolMgr::destroy);
        removed.expect("the bench can remove its own pool");
    }
}

/// Returns the configuration of the pool under given keys.
pub fn conf(base: u32, population: Population) -> ProcessConf {
    let bytes = (population.players * 3 * LARGEST + population.objects() * 128) as u64 + (16 << 20);
    let bytes = Bytes(bytes.next_multiple_of(HUGE_PAGE));
    ProcessConf::new("zone", Key(base), bytes, &[Key(base + 1)]).memory(pages::memory())
}

impl Store {
    /// Creates a pool with all objects.
    pub fn hotpool(population: Population) -> anyhow::Result<Self> {
        let conf = conf(segments::keys(2)[0].0, population);
        let mut fill = FillPool { pool: MemoryPoolMgr::open(&conf)?, population };
        each_type(&mut fill)?;
        fill.pool.ready()?;
        fill.pool.close()?;
        let place = PathBuf::from(conf.base_key.0.to_string());
        Ok(Store { _pool: Some(Removed(conf)), ..Store::empty(Peer::Hotpool, place, population) })
    }

    fn empty(peer: Peer, place: PathBuf, population: Population) -> Self {
        Store { peer, place, population, _folder: None, _server: None, _pool: None }
    }

    /// Creates the store that a peer reloads from. Returns `None` if the peer is not compared here.
    pub fn of(peer: Peer, population: Population, pin: Pin) -> anyhow::Result<Option<Self>> {
        let folder = scratch::folder()?;
        let place = folder.path().join("objects");
        Ok(Some(match peer {
            Peer::EmptyProgram => Store::empty(peer, place, population),
            Peer::File => {
                let mut fill = FillFile { file: BufWriter::new(File::create(&place)?), population };
                each_type(&mut fill)?;
                fill.file.flush()?;
                Store { _folder: Some(folder), ..Store::empty(peer, place, population) }
            }
            Peer::Sqlite => {
                let connection = Connection::open(&place)?;
                connection.pragma_update(None, "synchronous", "OFF")?;
                connection.execute("CREATE TABLE objects (key INTEGER PRIMARY KEY, object BLOB)", [])?;
                each_type(&mut FillSqlite { connection, population })?;
                Store { _folder: Some(folder), ..Store::empty(peer, place, population) }
            }
            Peer::Redis => {
                let server = redis::Server::start(pin)?;
                let client = Client::connect(&server.socket(), LARGEST, 1)?;
                each_type(&mut FillRedis { client, population })?;
                let place = server.socket();
                Store { _server: Some(server), ..Store::empty(peer, place, population) }
            }
            _ => return Ok(None),
        }))
    }

    /// Returns the arguments of a child.
    pub fn arguments(&self) -> [String; 4] {
        let place = self.place.display().to_string();
        ["--child".into(), self.peer.name(), place, self.population.players.to_string()]
    }
}

struct FillPool {
    pool: MemoryPoolMgr,
    population: Population,
}

impl Visitor for FillPool {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        self.pool.add_type::<P>()?;
        for number in 0..self.population.count::<P>() {
            self.pool.alloc(P::new(number as u64))?;
        }
        Ok(())
    }
}

struct FillFile {
    file: BufWriter<File>,
    population: Population,
}

impl Visitor for FillFile {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        for number in 0..self.population.count::<P>() {
            self.file.write_all(bytemuck::bytes_of(&P::new(number as u64)))?;
        }
        Ok(())
    }
}

struct FillSqlite {
    connection: Connection,
    population: Population,
}

impl Visitor for FillSqlite {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        let txn = self.connection.transaction()?;
        {
            let mut put = txn.prepare_cached("INSERT INTO objects VALUES (?, ?)")?;
            for number in 0..self.population.count::<P>() {
                put.execute((key::<P>(number) as i64, bytemuck::bytes_of(&P::new(number as u64))))?;
            }
        }
        Ok(txn.commit()?)
    }
}

struct FillRedis {
    client: Client,
    population: Population,
}

impl Visitor for FillRedis {
    fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
        for number in 0..self.population.count::<P>() {
            self.client.set(key::<P>(number), bytemuck::bytes_of(&P::new(number as u64)))?;
        }
        Ok(())
    }
}
