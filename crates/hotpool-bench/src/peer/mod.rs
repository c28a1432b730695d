//! The peers that hotpool is compared with.

mod boxes;
pub mod hotpool;
mod lmdb;
mod plain_reads;
mod program;
mod redb;
pub mod redis;
mod sharded_slab;
mod slab;
mod slotmap;
mod sqlite;

use crate::keeper::Keeper;
use crate::keyed::Keyed;
use crate::object::{self, Object};
use crate::op::Kind;
use crate::pin::Pin;
use crate::runner::{FillSlots, KeeperRunner, KeyedRunner, SlotsRunner};
use crate::slots::Slots;
use crate::subject::Subject;
use clap::ValueEnum;

/// Describes the subject to create.
#[derive(Clone, Copy)]
pub struct Want {
    /// What its operations need.
    pub kind: Kind,
    /// Bytes of an object.
    pub size: usize,
    /// Number of objects in the population.
    pub count: usize,
    /// The processor of the bench, which servers avoid.
    pub pin: Pin,
}

/// A peer, or hotpool itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Peer {
    /// hotpool, through views.
    #[value(skip)]
    Hotpool,
    /// hotpool, through `pool.get`, to show what a view saves.
    HotpoolPlain,
    /// slotmap, with a hashbrown map for keys.
    Slotmap,
    /// slab, with a hashbrown map for keys.
    Slab,
    /// sharded-slab.
    ShardedSlab,
    /// std's HashMap of boxed objects.
    Hashmap,
    /// hashbrown's HashMap of boxed objects.
    Hashbrown,
    /// LMDB.
    Lmdb,
    /// redb.
    Redb,
    /// SQLite.
    Sqlite,
    /// Redis over a Unix socket, one round trip for each operation.
    Redis,
    /// Redis over a Unix socket, in pipelines of 100.
    RedisPipe,
    /// Boost.Interprocess.
    Boost,
    /// PMDK's libpmemobj without flushes.
    Pmdk,
    /// Memory that is read sequentially.
    PlainReads,
    /// A program that does nothing.
    EmptyProgram,
    /// A file with all objects, read into memory.
    File,
    /// The kernel, tearing down a killed process.
    TearDown,
}

impl Peer {
    /// Returns its name in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(|| "hotpool".into(), |value| value.get_name().to_owned())
    }

    /// Returns whether it has one population for all kinds of operations.
    pub fn has_one_population(self) -> bool {
        matches!(self, Peer::Lmdb | Peer::Redb | Peer::Sqlite | Peer::Redis | Peer::RedisPipe)
    }

    /// Returns why it cannot be measured on this host, or `None` if it can.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Peer::Boost if program::BOOST.build().is_none() => Some("needs a C++ compiler and libboost-dev"),
            Peer::Pmdk if program::PMDK.build().is_none() => Some("needs a C++ compiler and libpmemobj-dev"),
            Peer::Redis | Peer::RedisPipe if !redis::Server::is_installed() => {
                Some("redis-server is not installed")
            }
            _ => None,
        }
    }

    /// Returns a subject with a population, or `None` if the peer does not support this kind of
    /// operation.
    pub fn subject(self, what: Want) -> anyhow::Result<Option<Box<dyn Subject>>> {
        let Want { kind, size, count, pin } = what;
        match self {
            Peer::Lmdb => return keeps(lmdb::Lmdb::new(size, count)?, count),
            Peer::Redb => return keeps(redb::Redb::new(size)?, count),
            Peer::Sqlite => return keeps(sqlite::Sqlite::new(size)?, count),
            Peer::Redis => return keeps(redis::Redis::new(size, 1, pin)?, count),
            Peer::RedisPipe => return keeps(redis::Redis::new(size, 100, pin)?, count),
            Peer::Boost => return runs(program::BOOST, what),
            Peer::Pmdk => return runs(program::PMDK, what),
            Peer::PlainReads if kind == Kind::Slots => {
                return Ok(Some(Box::new(plain_reads::PlainReads::new(size, count))));
            }
            _ => {}
        }
        match kind {
            Kind::Slots | Kind::Fill => match size {
                64 => self.slots::<object::Plain64>(kind, count),
                256 => self.slots::<object::Plain256>(kind, count),
                1024 => self.slots::<object::Plain1K>(kind, count),
                4096 => self.slots::<object::Plain4K>(kind, count),
                _ => anyhow::bail!("objects have 64, 256, 1024 or 4096 bytes, not {size}"),
            },
            Kind::Keyed => match size {
                64 => self.keyed::<object::Keyed64>(count),
                256 => self.keyed::<object::Keyed256>(count),
                1024 => self.keyed::<object::Keyed1K>(count),
                4096 => self.keyed::<object::Keyed4K>(count),
                _ => anyhow::bail!("objects have 64, 256, 1024 or 4096 bytes, not {size}"),
            },
            Kind::Restart | Kind::TakeOver => Ok(None),
        }
    }

    fn slots<O: Object + Send + Sync>(
        self,
        kind: Kind,
        count: usize,
    ) -> anyhow::Result<Option<Box<dyn Subject>>> {
        match self {
            Peer::Hotpool => by_handle::<hotpool::Pool<O>, O>(kind, count),
            Peer::HotpoolPlain => by_handle::<hotpool::PlainPool<O>, O>(kind, count),
            Peer::Slotmap => by_handle::<::slotmap::SlotMap<::slotmap::DefaultKey, O>, O>(kind, count),
            Peer::Slab => by_handle::<::slab::Slab<O>, O>(kind, count),
            Peer::ShardedSlab => by_handle::<::sharded_slab::Slab<O>, O>(kind, count),
            Peer::Hashmap => by_handle::<boxes::StdBoxes<O>, O>(kind, count),
            Peer::Hashbrown => by_handle::<boxes::HashbrownBoxes<O>, O>(kind, count),
            _ => Ok(None),
        }
    }

    fn keyed<O: Object>(self, count: usize) -> anyhow::Result<Option<Box<dyn Subject>>> {
        match self {
            Peer::Hotpool => by_key::<hotpool::Pool<O>, O>(count),
            Peer::Slotmap => by_key::<slotmap::SlotMapAndIndex<O>, O>(count),
            Peer::Slab => by_key::<slab::SlabAndIndex<O>, O>(count),
            Peer::Hashmap => by_key::<boxes::StdBoxes<O>, O>(count),
            Peer::Hashbrown => by_key::<boxes::HashbrownBoxes<O>, O>(count),
            _ => Ok(None),
        }
    }
}

fn by_handle<S: Slots<O> + 'static, O: Object>(
    kind: Kind,
    count: usize,
) -> anyhow::Result<Option<Box<dyn Subject>>> {
    Ok(Some(match kind {
        Kind::Fill => Box::new(FillSlots::<S, O>::new(count)),
        _ => Box::new(SlotsRunner::<S, O>::new(count)?),
    }))
}

fn by_key<K: Keyed<O> + 'static, O: Object>(count: usize) -> anyhow::Result<Option<Box<dyn Subject>>> {
    Ok(Some(Box::new(KeyedRunner::<K, O>::new(count)?)))
}

fn keeps<K: Keeper + 'static>(keeper: K, count: usize) -> anyhow::Result<Option<Box<dyn Subject>>> {
    Ok(Some(Box::new(KeeperRunner::new(keeper, count)?)))
}

fn runs(source: program::Source, what: Want) -> anyhow::Result<Option<Box<dyn Subject>>> {
    Ok(Some(Box::new(program::Program::start(source, what.kind, what.size, what.count)?)))
}
