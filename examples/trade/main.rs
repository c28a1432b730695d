//! A trade that `kill -9` cannot halve, lose or repeat: `cargo run --release --example trade`.
//!
//! Two players sell one item to each other, as the messages in a journal request. A child process
//! carries out each message in a transaction that ends with `commit_with(number)`. The parent kills
//! the child with SIGKILL at random moments and starts the next one, which continues after
//! `last_committed()`.
//!
//! After every kill the parent computes the expected state from the messages up to that number. It
//! compares the owner of the item, all the gold, and an ordered hash of all messages. The exit code
//! is 0 if they agree, 1 if they do not, and 2 if the run could not find out.
//!
//! | file | contents |
//! |---|---|
//! | `market` | the objects, and the trade |
//! | `journal` | the messages, in a file |
//! | `trader` | the child |
//! | `parent` | the part that kills the child, and the state it expects |

mod journal;
mod market;
mod parent;
mod trader;

use anyhow::{Result, ensure};
use clap::Parser;
use hotpool::conf::ProcessConf;
use hotpool::share::{Home, observe, remove_pool};
use hotpool::units::{Bytes, Key};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Kills a process during trades, restarts it, and checks its state.
#[derive(Parser)]
struct Options {
    /// Number of kills
    #[arg(long, default_value_t = 1000)]
    kills: u64,
    /// Segment key of the pool; its block uses the next key
    #[arg(long, default_value = "0x48500f00", value_parser = parse_key)]
    key: Key,
    /// Seed of the prices and of the moments of the kills [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Prints one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Plants a bug in one trade, to check that the comparison finds it
    #[arg(long)]
    plant: Option<market::Mistake>,
    /// Runs as the process that trades by this journal; used by the example itself
    #[arg(long, hide = true)]
    journal: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut conf = ProcessConf::new("trade", options.key, Bytes(64 << 10), &[Key(options.key.0 + 1)]);
    conf.owner_wait_ms = 20_000;
    let done = match &options.journal {
        Some(journal) => trader::run(&conf, journal, options.plant).map(|()| ExitCode::SUCCESS),
        None => supervise(&conf, &options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("trade: {error:#}");
        ExitCode::from(2)
    })
}

fn supervise(conf: &ProcessConf, options: &Options) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    refuse_if_there(conf)?;
    let dir = tempfile::tempdir()?;
    let _pool = Pool(conf);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("killing a process during trades, {} times; seed {seed}", options.kills);
    let outcome = parent::run(conf, dir.path(), options, seed, &stop)?;
    ensure!(!stop.load(Ordering::Relaxed), "stopped by a signal; the pool is removed");
    println!("{outcome}");
    if options.json {
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(if outcome.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Removes the pool when it is dropped.
struct Pool<'a>(&'a ProcessConf);

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_pool(self.0.base_key, &Home::of(self.0), false) {
            eprintln!("cannot remove the pool: {error}");
        }
    }
}

/// Fails if the segment key is in use: the segment may belong to another program.
fn refuse_if_there(conf: &ProcessConf) -> Result<()> {
    for key in [conf.base_key].iter().chain(&conf.shm_keys) {
        ensure!(
            observe(*key, &Home::of(conf))?.segment.is_none(),
            "{key} already has a segment; this example removes its pool at the end, so it does not touch an \
             existing one: choose another key with `--key`, or remove that pool with `hotpool rm --key {}`",
            conf.base_key
        );
    }
    Ok(())
}

fn parse_key(text: &str) -> Result<Key, std::num::ParseIntError> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map(Key)
}
