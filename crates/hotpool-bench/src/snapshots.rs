//! Measures how fast a pool becomes a set, against `write` of the same bytes, and how fast a set becomes
//! a pool, against `memcpy` from the page cache. Both in turn, in the same run.
//!
//! # What the unsafe code here relies on
//!
//! The mapped files are in a folder of this process, and no other process changes them.
#![allow(unsafe_code)]

use crate::object::{Object, Plain4K};
use crate::{pages, scratch, segments};
use anyhow::{Context, ensure};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::pool::{RestoreOptions, SaveOptions, restore_pool, save_pool};
use hotpool::share::{Home, remove_pool};
use hotpool::snapshot::{Chain, latest};
use hotpool::units::Bytes;
use memmap2::{Mmap, MmapMut};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is measured, and how often.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// A pool of 256 MiB and 3 rounds
    #[arg(long)]
    quick: bool,
    /// Size of the pool in MiB [default: 1024; with --quick: 256]
    #[arg(long, value_parser = clap::value_parser!(u64).range(64..=65536))]
    mib: Option<u64>,
    /// Rounds, of which the median counts [default: 5; with --quick: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// A folder on a disk [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
    /// Writes the rows to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One comparison: the medians of the rounds, in bytes a second.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    against: &'static str,
    bytes: u64,
    ours: f64,
    theirs: f64,
    ratio: f64,
    goal: f64,
}

/// Rounds of one comparison, in seconds.
#[derive(Default)]
struct Times {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Times {
    fn row(mut self, what: String, against: &'static str, bytes: u64, goal: f64) -> Row {
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            bytes as f64 / times[times.len() / 2]
        };
        let (ours, theirs) = (median(&mut self.ours), median(&mut self.theirs));
        Row { what, against, bytes, ours, theirs, ratio: ours / theirs, goal }
    }
}

fn timed<T>(times: &mut Vec<f64>, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    let done = work()?;
    times.push(began.elapsed().as_secs_f64());
    Ok(done)
}

/// Runs all comparisons and prints them.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mib = options.mib.unwrap_or(if options.quick { 256 } else { 1024 });
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 5 });
    let conf = fill(mib << 20)?;
    let disk = match &options.disk {
        Some(disk) => tempfile::tempdir_in(disk)?,
        None => tempfile::tempdir()?,
    };
    let memory = scratch::folder()?;
    let mut rows = Vec::new();
    for (name, folder) in [("tmpfs", memory.path()), ("disk", disk.path())] {
        rows.push(save(&conf, name, folder, rounds)?);
    }
    let shelf = memory.path().join("last");
    save_pool(conf.base_key, &Home::of(&conf), &shelf, &SaveOptions::default())?;
    remove_pool(conf.base_key, &Home::of(&conf), false)?;
    rows.push(restore(&conf, &shelf, memory.path(), rounds)?);
    print(&rows);
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

/// Creates a pool whose blocks are full, and closes it.
fn fill(bytes: u64) -> anyhow::Result<ProcessConf> {
    const BLOCK: u64 = 64 << 20;
    let keys = segments::keys((bytes / BLOCK) as u32 + 1);
    let conf = ProcessConf::new("bench", keys[0], Bytes(BLOCK), &keys[1..]).memory(pages::memory());
    let mut pool = MemoryPoolMgr::open(&conf)?;
    pool.add_type::<Plain4K>()?;
    let mut number = 0;
    while pool.alloc(Plain4K::new(number)).is_ok() {
        number += 1;
    }
    pool.ready()?;
    pool.close()?;
    Ok(conf)
}

/// Saves the pool, and writes the bytes of the set to one file, both until the disk has them.
fn save(conf: &ProcessConf, name: &str, folder: &Path, rounds: usize) -> anyhow::Result<Row> {
    let (shelf, file) = (folder.join("sets"), folder.join("plain"));
    let mut times = Times::default();
    let mut plain: Vec<Vec<u8>> = Vec::new();
    for _ in 0..rounds + 1 {
        let saved = timed(&mut times.ours, || {
            Ok(save_pool(conf.base_key, &Home::of(conf), &shelf, &SaveOptions::default())?)
        })?;
        let set = saved.set.context("a save without a set")?;
        if plain.is_empty() {
            plain = parts(set.path())?.iter().map(fs::read).collect::<Result<_, _>>()?;
        }
        fs::remove_dir_all(&shelf)?;
        timed(&mut times.theirs, || {
            let mut file = File::create(&file)?;
            for bytes in plain.iter().flat_map(|part| part.chunks(1 << 20)) {
                file.write_all(bytes)?;
            }
            Ok(file.sync_all()?)
        })?;
        fs::remove_file(&file)?;
    }
    // The first round warms up.
    times.ours.remove(0);
    times.theirs.remove(0);
    let bytes = plain.iter().map(|part| part.len() as u64).sum();
    Ok(times.row(format!("save to {name}"), "write and fsync", bytes, 0.8))
}

/// Returns the parts of a set.
fn parts(set: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(set)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "part")).collect())
}

/// Restores the pool, and copies the bytes of its set from the page cache to new shared memory.
fn restore(conf: &ProcessConf, shelf: &Path, folder: &Path, rounds: usize) -> anyhow::Result<Row> {
    let set = latest(shelf, "bench")?.context("no set was written")?;
    let parts = parts(&set)?;
    let (mut times, mut bytes) = (Times::default(), 0);
    for _ in 0..rounds + 1 {
        let restored = timed(&mut times.ours, || {
            let chain = Chain::open(&set)?;
            Ok(restore_pool(&chain, conf, &RestoreOptions::default())?)
        })?;
        ensure!(restored.blocks.len() == conf.shm_keys.len(), "a block is missing");
        remove_pool(conf.base_key, &Home::of(conf), false)?;
        bytes = timed(&mut times.theirs, || copy(&parts, folder))?;
    }
    times.ours.remove(0);
    times.theirs.remove(0);
    Ok(times.row("restore".into(), "memcpy from the page cache to new memory", bytes, 0.7))
}

/// Copies files to new shared memory; returns their bytes.
fn copy(files: &[PathBuf], folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let mut kept = Vec::new();
    for (number, path) in files.iter().enumerate() {
        let from = File::open(path)?;
        let to = folder.join(format!("copy-{number}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&to)?;
        fs::remove_file(&to)?;
        file.set_len(from.metadata()?.len())?;
        // SAFETY: no other process has these files.
        let from = unsafe { Mmap::map(&from)? };
        // SAFETY: as above.
        let mut to = unsafe { MmapMut::map_mut(&file)? };
        to.copy_from_slice(&from);
        bytes += to.len() as u64;
        kept.push(to);
    }
    Ok(bytes)
}

fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["", "MB", "GB/s", "against", "GB/s", "ratio", "goal"]);
    for row in rows {
        table.add_row([
            row.what.clone(),
            (row.bytes / 1_000_000).to_string(),
            format!("{:.2}", row.ours / 1e9),
            row.against.into(),
            format!("{:.2}", row.theirs / 1e9),
            format!("{:.2}", row.ratio),
            format!("{:.1}", row.goal),
        ]);
    }
    println!("{}", table.trim_fmt());
}
