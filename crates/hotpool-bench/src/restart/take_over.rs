//! Measures the time from the kill of a process that has touched every page of a large pool to the
//! first object of the next process. Also measures how long the kernel takes to tear such a process
//! down.

use super::child::now;
use crate::goals::goal;
use crate::object::{Object, Plain4K};
use crate::op::Op;
use crate::peer::Peer;
use crate::pin::Pin;
use crate::row::Row;
use crate::stats::Spread;
use crate::{pages, segments};
use anyhow::{Context, bail, ensure};
use hotpool::conf::ProcessConf;
use hotpool::limits::HUGE_PAGE;
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, MemoryPoolMgr};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// The role of the process to kill, as an argument before a key and a size.
pub const OWNER: &str = "owner";
/// The role of the next process.
pub const SUCCESSOR: &str = "successor";

fn conf(base: u32, bytes: u64) -> ProcessConf {
    let bytes = Bytes(bytes.next_multiple_of(HUGE_PAGE));
    ProcessConf::new("bench", Key(base), bytes, &[Key(base + 1)]).memory(pages::memory())
}

/// Kills owners of a pool of `bytes` bytes: `rounds` times with a next process, and as often for
/// the kernel alone.
pub fn measure(bytes: u64, rounds: usize, pin: Pin) -> anyhow::Result<Row> {
    let base = segments::keys(2)[0].0;
    let objects = fill(&conf(base, bytes))?;
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        pairs.push((next_object(base, bytes, pin)?, tear_down(base, bytes, pin)?));
    }
    MemoryPoolMgr::open(&conf(base, bytes))?.destroy()?;
    let ratio = Spread::of(pairs.iter().map(|(ours, theirs)| ours / theirs));
    Ok(Row {
        op: Op::TakeOver.name(),
        size: size_of::<Plain4K>(),
        n: objects,
        hotpool_ns: Spread::of(pairs.iter().map(|(ours, _)| *ours)).median,
        peer: Peer::TearDown.name(),
        peer_ns: Spread::of(pairs.iter().map(|(_, theirs)| *theirs)).median,
        ratio: ratio.median,
        ratio_low: ratio.low,
        ratio_high: ratio.high,
        goal: goal(Op::TakeOver, Peer::TearDown, size_of::<Plain4K>(), objects),
    })
}

/// Creates a pool full of objects. Returns their number.
fn fill(conf: &ProcessConf) -> anyhow::Result<usize> {
    let mut pool = MemoryPoolMgr::open(conf)?;
    pool.add_type::<Plain4K>()?;
    loop {
        match pool.alloc(Plain4K::new(7)) {
            Ok(_) => {}
            Err(AllocError::Full { .. }) => break,
            Err(error) => bail!(error),
        }
    }
    let objects = pool.len::<Plain4K>();
    pool.close()?;
    Ok(objects)
}

/// Returns the nanoseconds from the kill to the first object of the next process.
fn next_object(base: u32, bytes: u64, pin: Pin) -> anyhow::Result<f64> {
    let mut owner = owner(base, bytes, pin)?;
    let mut next = child(SUCCESSOR, base, bytes)?;
    let start = now();
    owner.kill()?;
    let mut next = next.stdout(Stdio::piped()).spawn()?;
    owner.wait()?;
    let mut answer = String::new();
    next.stdout.take().context("no standard output")?.read_to_string(&mut answer)?;
    ensure!(next.wait()?.success(), "the next owner failed");
    Ok(answer.trim().parse::<f64>()? - start)
}

/// Returns the nanoseconds from the kill until the kernel has torn the process down.
fn tear_down(base: u32, bytes: u64, pin: Pin) -> anyhow::Result<f64> {
    let mut owner = owner(base, bytes, pin)?;
    let start = now();
    owner.kill()?;
    owner.wait()?;
    Ok(now() - start)
}

fn child(role: &str, base: u32, bytes: u64) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--child", role, &base.to_string(), &bytes.to_string()]);
    Ok(command)
}

/// Launches a process that has every page of the pool mapped.
fn owner(base: u32, bytes: u64, pin: Pin) -> anyhow::Result<Child> {
    let mut command = child(OWNER, base, bytes)?;
    let mut owner = pin.beside(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut answer = String::new();
    BufReader::new(owner.stdout.take().context("no standard output")?).read_line(&mut answer)?;
    ensure!(answer.trim() == "ready", "the owner failed");
    Ok(owner)
}

/// Runs a child in one of the two roles.
pub fn run(role: &str, base: u32, bytes: u64) -> anyhow::Result<()> {
    let mut conf = conf(base, bytes);
    conf.memory.prefault = role == OWNER;
    let mut pool = MemoryPoolMgr::open(&conf)?;
    pool.add_type::<Plain4K>()?;
    let (_, first) = pool.iter::<Plain4K>().next().context("no object")?;
    black_box(first.value());
    if role == SUCCESSOR {
        println!("{}", now());
        return Ok(pool.close()?);
    }
    println!("ready");
    // Wait to be killed.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
