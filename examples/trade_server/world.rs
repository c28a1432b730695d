//! What the trade server keeps: players and items.

use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolError, PoolObject};

/// Players, each with a connection.
pub(crate) const PLAYERS: u64 = 10;
/// Items in the world: there are never more or fewer.
pub(crate) const ITEMS: u64 = 60;
/// Gold of each player at first.
pub(crate) const GOLD: i64 = 1000;

/// A player, by its number.
#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1, keyed)]
pub(crate) struct Player {
    pub(crate) gold: i64,
    /// Number of the last trade of this player that took effect.
    pub(crate) last_trade: u64,
}

/// An item, by its number.
#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2, keyed)]
pub(crate) struct Item {
    /// The player who has it.
    pub(crate) owner: u64,
    /// How often it was traded, and by which trade of its owner it was bought.
    pub(crate) trades: u64,
    pub(crate) bought_by: u64,
}

pub(crate) fn conf(key: Key) -> ProcessConf {
    ProcessConf::new("trade_server", key, Bytes(1 << 20), &[Key(key.0 + 1)])
}

/// Opens the pool.
pub(crate) fn open(key: Key) -> Result<MemoryPoolMgr, PoolError> {
    let mut pool = MemoryPoolMgr::open(&conf(key))?;
    pool.add_type::<Player>()?;
    pool.add_type::<Item>()?;
    Ok(pool)
}
