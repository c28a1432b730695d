//! The code that people write first, without views, compared with slotmap and hashbrown in one run.
//!
//! ```console
//! $ cargo run --profile thin --example natural             # a table; --json for an array of rows
//! $ cargo run --profile thin --example natural -- --rounds 9 --ops get,mixed --objects 1000
//! ```
//!
//! Both sides take turns, in short rounds over the same objects of 64 B in the same random order. A
//! ratio is the median of the ratios of the rounds, so load on the machine hits both sides. The
//! mixed step is one get, every fourth time a write by user key, and every tenth time a free and an
//! alloc.
//!
//! `--huge-pages` shows how much of a time is the page tables': both sides get pages of 2 MiB. The pool
//! needs reserved ones (`sysctl -w vm.nr_hugepages=900` for 10^7 objects).

use bytemuck::{Pod, Zeroable};
use clap::Parser;
use comfy_table::{CellAlignment, Table};
use hashbrown::HashMap;
use hotpool::conf::{HugePages, ProcessConf};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use serde::Serialize;
use slotmap::{DefaultKey, SlotMap};
use std::hint::black_box;
use std::ops::{Deref, DerefMut, Range};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// Which rows to measure.
#[derive(Parser)]
struct Args {
    /// Print an array of rows as JSON.
    #[arg(long)]
    json: bool,
    /// Rounds of each side.
    #[arg(long, default_value_t = 41)]
    rounds: usize,
    /// Milliseconds of a round.
    #[arg(long, default_value_t = 4)]
    millis: u64,
    /// Numbers of objects; by default 1000, 100000 and 1000000, and for batches 10000000.
    #[arg(long, value_delimiter = ',')]
    objects: Vec<usize>,
    /// Operations: get, pair, get_key, mixed, iter_mut, get_many, find_many; by default all.
    #[arg(long, value_delimiter = ',')]
    ops: Vec<String>,
    /// Use pages of 2 MiB on both sides: reserved ones, and transparent ones for slotmap.
    #[arg(long)]
    huge_pages: bool,
    /// Segment key of the pool; the next key is that of its block.
    #[arg(long)]
    key: Option<Key>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Item {
    words: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
struct Player {
    words: [u64; 8],
}

/// A measured row: medians of nanoseconds for one object or step, and of the ratios.
#[derive(Serialize)]
struct Row {
    op: &'static str,
    n: usize,
    hotpool_ns: f64,
    slotmap_ns: f64,
    ratio: f64,
}

/// A pool that is removed when it is dropped.
struct Pool(Option<MemoryPoolMgr>);

impl Pool {
    fn open(args: &Args, objects: usize) -> anyhow::Result<Self> {
        let key = args.key.unwrap_or(Key(0x7c00_0000 | (std::process::id() & 0xf_ffff) << 1));
        let bytes = (objects as u64 * 120 + (4 << 20)).next_multiple_of(1 << 20);
        let mut conf = ProcessConf::new("natural", key, Bytes(bytes), &[Key(key.0 + 1)]);
        if args.huge_pages {
            conf.memory.huge_pages = HugePages::On;
        }
        Ok(Pool(Some(MemoryPoolMgr::open(&conf)?)))
    }
}

impl Deref for Pool {
    type Target = MemoryPoolMgr;
    fn deref(&self) -> &MemoryPoolMgr {
        self.0.as_ref().expect("it is there until the drop")
    }
}

impl DerefMut for Pool {
    fn deref_mut(&mut self) -> &mut MemoryPoolMgr {
        self.0.as_mut().expect("it is there until the drop")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(MemoryPoolMgr::destroy) {
            eprintln!("{error}");
        }
    }
}

/// What is measured, and the rows so far.
struct Bench {
    args: Args,
    rows: Vec<Row>,
}

impl Bench {
    /// Returns whether an operation is to be measured with `n` objects.
    fn wants(&self, op: &str, n: usize) -> bool {
        let default: &[usize] =
            if op.ends_with("_many") { &[10_000_000] } else { &[1000, 100_000, 1_000_000] };
        let numbers = if self.args.objects.is_empty() { default } else { &self.args.objects };
        numbers.contains(&n) && (self.args.ops.is_empty() || self.args.ops.iter().any(|wanted| wanted == op))
    }

    /// Measures both sides in turn. Each processes a range of the `n` objects in its order.
    fn duel(
        &mut self,
        op: &'static str,
        n: usize,
        mut ours: impl FnMut(Range<usize>) -> u64,
        mut theirs: impl FnMut(Range<usize>) -> u64,
    ) {
        if !self.wants(op, n) {
            return;
        }
        let piece = if op == "iter_mut" { n } else { n.min(20_000) };
        let target = Duration::from_millis(self.args.millis);
        let mut pieces = 1;
        while lap(&mut theirs, n, piece, 0, pieces) < target && pieces < 1 << 20 {
            pieces *= 2;
        }
        lap(&mut ours, n, piece, 0, pieces);
        let (mut hotpool, mut slotmap, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..self.args.rounds {
            let at = round * pieces;
            let mut times = [0.0; 2];
            for side in [round % 2, 1 - round % 2] {
                let time = match side {
                    0 => lap(&mut ours, n, piece, at, pieces),
                    _ => lap(&mut theirs, n, piece, at, pieces),
                };
                times[side] = time.as_nanos() as f64 / (piece * pieces) as f64;
            }
            hotpool.push(times[0]);
            slotmap.push(times[1]);
            ratios.push(times[0] / times[1]);
        }
        let (hotpool_ns, slotmap_ns, ratio) = (median(hotpool), median(slotmap), median(ratios));
        self.rows.push(Row { op, n, hotpool_ns, slotmap_ns, ratio });
    }

    /// Objects by handle.
    fn items(&mut self, n: usize) -> anyhow::Result<()> {
        if !["get", "pair", "iter_mut", "get_many"].iter().any(|op| self.wants(op, n)) {
            return Ok(());
        }
        let mut owned = Pool::open(&self.args, n)?;
        let pool: &mut MemoryPoolMgr = &mut owned;
        pool.add_type::<Item>()?;
        let mut slots = SlotMap::new();
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        for number in 0..n as u64 {
            ids.push(pool.alloc(Item { words: [number; 8] })?);
            keys.push(slots.insert(Item { words: [number; 8] }));
        }
        pool.ready()?;
        shuffle(&mut ids);
        shuffle(&mut keys);
        self.duel(
            "get",
            n,
            |range| ids[range].iter().map(|id| pool.get(*id).map_or(0, |item| item.words[0])).sum(),
            |range| keys[range].iter().map(|key| slots.get(*key).map_or(0, |item| item.words[0])).sum(),
        );
        self.duel(
            "get_many",
            n,
            |range| pool.get_many(&ids[range]).map(|item| item.map_or(0, |item| item.words[0])).sum(),
            |range| keys[range].iter().map(|key| slots.get(*key).map_or(0, |item| item.words[0])).sum(),
        );
        let our_pair = |range: Range<usize>| {
            for number in range {
                let id = pool.alloc(Item { words: [number as u64; 8] }).expect("a slot is free");
                pool.free(black_box(id));
            }
            0
        };
        let their_pair = |range: Range<usize>| {
            for number in range {
                let key = slots.insert(Item { words: [number as u64; 8] });
                slots.remove(black_box(key));
            }
            0
        };
        self.duel("pair", n, our_pair, their_pair);
        let our_walk = |_: Range<usize>| {
            for (_, mut item) in pool.iter_mut::<Item>() {
                item.words[0] += 1;
            }
            0
        };
        let their_walk = |_: Range<usize>| {
            for (_, item) in slots.iter_mut() {
                item.words[0] += 1;
            }
            0
        };
        self.duel("iter_mut", n, our_walk, their_walk);
        Ok(())
    }

    /// Objects by user key.
    fn players(&mut self, n: usize) -> anyhow::Result<()> {
        if !["get_key", "mixed", "find_many"].iter().any(|op| self.wants(op, n)) {
            return Ok(());
        }
        let mut owned = Pool::open(&self.args, n)?;
        let pool: &mut MemoryPoolMgr = &mut owned;
        pool.add_type::<Player>()?;
        let mut theirs = Indexed::default();
        let mut keys: Vec<u64> =
            (0..n as u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let mut ours = Vec::new();
        for &key in &keys {
            let player = Player { words: [key >> 40; 8] };
            ours.push((pool.alloc_keyed(key, player)?, key));
            theirs.insert(key, player);
        }
        pool.ready()?;
        let mut slots: Vec<(DefaultKey, u64)> = keys.iter().map(|key| (theirs.index[key], *key)).collect();
        shuffle(&mut ours);
        shuffle(&mut slots);
        keys.reverse();
        shuffle(&mut keys);
        let get = |key: &u64| pool.get_by_key::<Player>(*key).map_or(0, |player| player.words[0]);
        let their_get = |key: &u64| theirs.get(*key).map_or(0, |player| player.words[0]);
        self.duel(
            "get_key",
            n,
            |range| keys[range].iter().map(get).sum(),
            |range| keys[range].iter().map(their_get).sum(),
        );
        self.duel(
            "find_many",
            n,
            |range| {
                let found = pool.find_many::<Player>(&keys[range]);
                found.map(|found| found.map_or(0, |(_, player)| player.words[0])).sum()
            },
            |range| keys[range].iter().map(their_get).sum(),
        );
        self.duel(
            "mixed",
            n,
            |range| our_steps(pool, &mut ours, &keys, range),
            |range| theirs.steps(&mut slots, &keys, range),
        );
        Ok(())
    }
}

/// Mixed steps of hotpool.
fn our_steps(
    pool: &mut MemoryPoolMgr,
    players: &mut [(Id<Player>, u64)],
    keys: &[u64],
    range: Range<usize>,
) -> u64 {
    let (mut sum, n) = (0, players.len());
    for step in range {
        sum += pool.get(players[step].0).map_or(0, |player| player.words[0]);
        if step % 4 == 0
            && let Some(mut player) = pool.get_mut_by_key::<Player>(keys[step])
        {
            player.words[1] += 1;
        }
        if step % 10 == 0 {
            let (id, key) = players[n - 1 - step];
            pool.free(id);
            let new = pool.alloc_keyed(key, Player { words: [key >> 40; 8] }).expect("a slot is free");
            players[n - 1 - step].0 = new;
        }
    }
    sum
}

/// A slotmap with a hash map from user key to handle.
#[derive(Default)]
struct Indexed {
    slots: SlotMap<DefaultKey, Player>,
    index: HashMap<u64, DefaultKey>,
}

impl Indexed {
    #[inline(always)]
    fn insert(&mut self, key: u64, player: Player) -> DefaultKey {
        let handle = self.slots.insert(player);
        self.index.insert(key, handle);
        handle
    }

    #[inline(always)]
    fn get(&self, key: u64) -> Option<&Player> {
        self.slots.get(*self.index.get(&key)?)
    }

    #[inline(always)]
    fn get_mut(&mut self, key: u64) -> Option<&mut Player> {
        self.slots.get_mut(*self.index.get(&key)?)
    }

    /// Mixed steps of slotmap and hashbrown.
    fn steps(&mut self, players: &mut [(DefaultKey, u64)], keys: &[u64], range: Range<usize>) -> u64 {
        let (mut sum, n) = (0, players.len());
        for step in range {
            sum += self.slots.get(players[step].0).map_or(0, |player| player.words[0]);
            if step % 4 == 0
                && let Some(player) = self.get_mut(keys[step])
            {
                player.words[1] += 1;
            }
            if step % 10 == 0 {
                let (handle, key) = players[n - 1 - step];
                self.slots.remove(handle);
                self.index.remove(&key);
                players[n - 1 - step].0 = self.insert(key, Player { words: [key >> 40; 8] });
            }
        }
        sum
    }
}

/// Returns the time of `pieces` pieces of the objects, from piece `at` on, in turn.
///
/// Each loop is a function of its own, so that the registers it gets do not depend on the others.
#[inline(never)]
fn lap(
    side: &mut impl FnMut(Range<usize>) -> u64,
    n: usize,
    piece: usize,
    at: usize,
    pieces: usize,
) -> Duration {
    let (start, whole) = (Instant::now(), n / piece);
    for number in at..at + pieces {
        let first = number % whole * piece;
        black_box(side(first..first + piece));
    }
    start.elapsed()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Shuffles in the same order for both sides.
fn shuffle<T>(items: &mut [T]) {
    let mut random = fastrand::Rng::with_seed(1);
    random.shuffle(items);
}

/// Makes the allocator of glibc ask for transparent pages of 2 MiB, which it decides when a program
/// begins.
fn begin_with_huge_pages() -> anyhow::Result<()> {
    const TUNABLES: &str = "GLIBC_TUNABLES";
    if std::env::var_os(TUNABLES).is_some() {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env(TUNABLES, "glibc.malloc.hugetlb=1");
    Err(again.exec().into())
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.huge_pages {
        begin_with_huge_pages()?;
    }
    let mut numbers = args.objects.clone();
    if numbers.is_empty() {
        numbers = vec![1000, 100_000, 1_000_000, 10_000_000];
    }
    let mut bench = Bench { args, rows: Vec::new() };
    for n in numbers {
        bench.items(n)?;
        bench.players(n)?;
    }
    if bench.args.json {
        println!("{}", serde_json::to_string(&bench.rows)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.set_header(["op", "n", "hotpool ns", "slotmap ns", "ratio"]);
    for row in &bench.rows {
        let (ours, theirs) = (format!("{:.2}", row.hotpool_ns), format!("{:.2}", row.slotmap_ns));
        table.add_row([row.op.into(), row.n.to_string(), ours, theirs, format!("{:.2}", row.ratio)]);
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    println!("{table}");
    Ok(())
}
