//! The program of the README: a pool that survives its process.
//!
//! Run `cargo run --example hello` twice in the root of the repository: the second run resumes the pool.
//! `hotpool rm --key 0x48500100` removes the pool.

use hotpool::{ConfMgr, MemoryPoolMgr, PoolObject, StartMode};

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 900)]
struct Hero {
    uid: u64,
    hp: i32,
    level: u32,
    x: f32,
    y: f32,
}

fn main() -> anyhow::Result<()> {
    let conf = ConfMgr::load("config/memorypool.ini")?;
    let mut pool = MemoryPoolMgr::open(conf.process("zone")?)?;
    pool.add_type::<Hero>()?;

    match pool.start_mode() {
        StartMode::Init => println!("{}", pool.alloc(Hero { uid: 7, hp: 100, level: 1, x: 0.0, y: 0.0 })?),
        StartMode::Resume => println!("{}", pool.resume_report()),
    }
    pool.ready()?; // serving now: from here the restart counts as successful

    pool.for_each::<Hero>(|id, hero| {
        hero.level += 1;
        println!("{id}: hero {} has reached level {}", hero.uid, hero.level);
    });
    Ok(()) // or `kill -9`: the next run finds the hero either way
}
