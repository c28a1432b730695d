//! Step 3 of docs/tutorial.md: a counter that survives its process.

use hotpool::{ConfMgr, MemoryPoolMgr, PoolObject};

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1, keyed)]
struct Counter {
    runs: u64,
}

fn main() -> anyhow::Result<()> {
    let conf = ConfMgr::load("memorypool.ini")?;
    let mut pool = MemoryPoolMgr::open(conf.process("game")?)?;
    pool.add_type::<Counter>()?;
    println!("{}", pool.resume_report());

    let id = pool.force_get(7, Counter { runs: 0 })?.into_inner();
    pool.ready()?;

    pool.update(id, |counter| counter.runs += 1)?;
    println!("run {}", pool.get(id).unwrap().runs);
    std::process::abort(); // the worst end there is
}
