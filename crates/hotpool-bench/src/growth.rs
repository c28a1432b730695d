//! Measures how the cost of an attach grows with the objects, types and blocks of a pool, and how
//! much memory an object takes.

use crate::many::{ADD, Add};
use crate::object::{Keyed64, Object, Plain64};
use crate::peer::hotpool::conf;
use crate::report::time;
use crate::rng::mix;
use crate::stats::Spread;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use std::time::Instant;

const OBJECTS: [usize; 4] = [1_000, 100_000, 1_000_000, 10_000_000];
/// The largest number of objects in a quick run.
const QUICK: usize = 100_000;
const SPREAD: usize = 1_000_000;
const TYPES: [usize; 4] = [1, 10, 100, 1_000];
const BLOCKS: [u32; 4] = [1, 4, 16, 64];

/// The time of an attach, by one quantity that grows.
pub struct Attach {
    /// The quantity.
    pub by: &'static str,
    /// Pairs of a count and nanoseconds.
    pub points: Vec<(f64, f64)>,
}

/// Measures and prints. Returns the points for a chart.
pub fn run(rounds: usize, quick: bool) -> anyhow::Result<Vec<Attach>> {
    let mut lines = Vec::new();
    let most = if quick { QUICK } else { usize::MAX };
    let spread = SPREAD.min(most);
    let by_objects = OBJECTS
        .iter()
        .filter(|&&count| count <= most)
        .map(|&count| point(count, attach(&conf(count, 64, 1), count, 0, rounds)));
    lines.push(Attach { by: "objects", points: by_objects.collect::<Result<_, _>>()? });
    let by_types = TYPES.iter().map(|&types| point(types, attach(&conf(100_000, 256, 1), 0, types, rounds)));
    lines.push(Attach { by: "types", points: by_types.collect::<Result<_, _>>()? });
    let by_blocks = BLOCKS
        .iter()
        .map(|&blocks| point(blocks as usize, attach(&conf(spread, 64, blocks), spread, 0, rounds)));
    lines.push(Attach { by: "blocks", points: by_blocks.collect::<Result<_, _>>()? });

    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["attach, by", "how many", "open and add_type"]);
    for line in &lines {
        for (count, nanos) in &line.points {
            table.add_row([line.by.to_owned(), format!("{count:.0}"), time(*nanos)]);
        }
    }
    println!("{table}");
    println!(
        "memory of 1,000,000 objects of 64 B / their own bytes: {:.2}, with keys {:.2}",
        plain()?,
        keyed()?
    );
    Ok(lines)
}

fn point(count: usize, nanos: anyhow::Result<f64>) -> anyhow::Result<(f64, f64)> {
    Ok((count as f64, nanos?))
}

/// Returns the median time to open a pool of `objects` objects and `types` more types with one
/// object each.
fn attach(conf: &ProcessConf, objects: usize, types: usize, rounds: usize) -> anyhow::Result<f64> {
    let adds: Vec<Add> = ADD.iter().flatten().copied().take(types).collect();
    let mut pool = MemoryPoolMgr::open(conf)?;
    match types {
        0 => pool.add_type::<Plain64>()?,
        _ => adds.iter().try_for_each(|add| add(&mut pool, true))?,
    }
    for number in 0..objects {
        pool.alloc(Plain64::new(number as u64))?;
    }
    pool.close()?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        let mut pool = MemoryPoolMgr::open(conf)?;
        match types {
            0 => pool.add_type::<Plain64>()?,
            _ => adds.iter().try_for_each(|add| add(&mut pool, false))?,
        }
        times.push(start.elapsed().as_nanos() as f64);
        pool.close()?;
    }
    MemoryPoolMgr::open(conf)?.destroy()?;
    Ok(Spread::of(times).median)
}

const MEMORY: usize = 1_000_000;

fn plain() -> anyhow::Result<f64> {
    let mut pool = MemoryPoolMgr::open(&conf(MEMORY, 64, 1))?;
    pool.add_type::<Plain64>()?;
    for number in 0..MEMORY {
        pool.alloc(Plain64::new(number as u64))?;
    }
    held(pool)
}

fn keyed() -> anyhow::Result<f64> {
    let mut pool = MemoryPoolMgr::open(&conf(MEMORY, 64, 1))?;
    pool.add_type::<Keyed64>()?;
    for number in 0..MEMORY {
        pool.alloc_keyed(mix(number as u64), Keyed64::new(number as u64))?;
    }
    held(pool)
}

/// Returns the bytes that a pool's types have allocated, for each byte of the objects. Removes the
/// pool.
fn held(pool: MemoryPoolMgr) -> anyhow::Result<f64> {
    let held = pool.conf().block_size.0 - pool.bytes_free().0;
    pool.destroy()?;
    Ok(held as f64 / (MEMORY * 64) as f64)
}
