//! Step 7 of docs/tutorial.md: moves all players to a struct with one more field.

use hotpool::{ConfMgr, Id, MemoryPoolMgr, PoolObject, TxError};

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2, keyed, name = "player")]
struct OldPlayer {
    gold: u64,
    logins: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 3, keyed, name = "player_v2")]
struct Player {
    gold: u64,
    logins: u64,
    level: u64,
}

fn main() -> anyhow::Result<()> {
    let conf = ConfMgr::load("memorypool.ini")?;
    let mut pool = MemoryPoolMgr::open(conf.process("game")?)?;
    pool.add_type::<OldPlayer>()?;
    pool.add_type::<Player>()?;
    pool.ready()?;

    let view = pool.view::<OldPlayer>();
    let old = view.iter().filter_map(|(id, player)| Some((id, view.key(id)?, *player)));
    let old: Vec<(Id<OldPlayer>, u64, OldPlayer)> = old.collect();
    for (id, uid, OldPlayer { gold, logins }) in old {
        pool.tx(|tx| -> Result<(), TxError> {
            tx.alloc_keyed(uid, Player { gold, logins, level: 1 })?;
            tx.free(id)
        })?;
    }
    println!("{} players, {} to move", pool.len::<Player>(), pool.len::<OldPlayer>());
    Ok(pool.close()?)
}
