//! Kills and resumes a whole deployment: `cargo run --release --example hot_restart`.
//!
//! The example runs the three processes of `config/memorypool.ini`. Each creates, writes and frees
//! objects as fast as it can. The supervisor kills each process with SIGKILL at random moments and
//! restarts it at once. It then compares every acknowledged operation with the objects in the pool.
//!
//! Meanwhile the processes write letters to each other, through the queues of the same ini. Each
//! letter is to be received once by each reader, in the order of its writer.
//!
//! The exit code is 0 only if no object and no letter was lost, torn, duplicated or resurrected,
//! and 2 if the run could not find out. The pools and queues are removed at the end.
//!
//! | file | contents |
//! |---|---|
//! | `types` | the objects |
//! | `stock`, `process` | one process of the deployment: its traffic and its start |
//! | `letters` | what the processes write to each other, and the count of it |
//! | `journal`, `message` | what a process acknowledges, and what it finds in its pool |
//! | `supervisor`, `model` | the part that kills the processes, and the objects it expects |
//! | `outcome` | the printed table |

mod journal;
mod letters;
mod message;
mod model;
mod outcome;
mod process;
mod stock;
mod supervisor;
mod types;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use hotpool::ConfMgr;
use hotpool::conf::{ProcessConf, QueueConf};
use hotpool::share::{Home, observe, remove_pool};
use hotpool::units::Key;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use supervisor::{Outcome, Plan};

/// Kills the processes of an ini with SIGKILL, restarts them, and compares their objects with what
/// they acknowledged.
#[derive(Parser)]
struct Options {
    /// Ini with the processes zone, world and match
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/config/memorypool.ini"))]
    conf: PathBuf,
    /// Number of kills for each process
    #[arg(long, default_value_t = 40)]
    kills: u64,
    /// Number of objects of all processes together
    #[arg(long, default_value_t = 120_000)]
    objects: usize,
    /// Ends the run after this many seconds, even if kills are left
    #[arg(long, default_value_t = 50)]
    seconds: u64,
    /// Seed of the traffic and of the moments of the kills [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Prints one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Keeps the pools and queues
    #[arg(long)]
    keep: bool,
    /// Offset added to every segment key of the ini, so that several runs can coexist
    #[arg(long, default_value = "0", value_parser = parse_offset)]
    key_offset: u32,
    /// Plants a bug in every start, to check that the comparison finds it
    #[arg(long)]
    plant: Option<stock::Bug>,
    /// Runs as one of the processes; used by the example itself
    #[arg(long, hide = true, requires = "journal")]
    role: Option<String>,
    #[arg(long, hide = true)]
    journal: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(&options).unwrap_or_else(|error| {
        eprintln!("{}: {error:#}", options.role.as_deref().unwrap_or("hot_restart"));
        ExitCode::from(2)
    })
}

fn run(options: &Options) -> Result<ExitCode> {
    let conf = ConfMgr::load(&options.conf)?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let queues: Vec<QueueConf> =
        conf.queues().iter().map(|queue| moved_queue(queue, options.key_offset)).collect();
    if let (Some(role), Some(journal)) = (&options.role, &options.journal) {
        let conf = moved(conf.process(role)?, options.key_offset);
        let task =
            process::Task { journal: journal.clone(), objects: options.objects, seed, bug: options.plant };
        process::run(&conf, &queues, &task)?;
        return Ok(ExitCode::SUCCESS);
    }
    let confs = ["zone", "world", "match"].map(|name| Ok(moved(conf.process(name)?, options.key_offset)));
    supervise(&confs.into_iter().collect::<Result<Vec<_>>>()?, &queues, options, seed)
}

fn supervise(confs: &[ProcessConf], queues: &[QueueConf], options: &Options, seed: u64) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    confs.iter().try_for_each(refuse_if_there)?;
    queues.iter().try_for_each(refuse_queue_if_there)?;
    let dir = tempfile::tempdir()?;
    let _pools = Pools { confs, queues, keep: options.keep };
    println!("killing {} processes, {} times each; seed {seed}", confs.len(), options.kills);
    let plan = Plan {
        ini: &options.conf,
        key_offset: options.key_offset,
        dir: dir.path(),
        kills: options.kills,
        until: Instant::now() + Duration::from_secs(options.seconds),
        objects: options.objects / confs.len(),
        seed,
        bug: options.plant,
        stop: &stop,
    };
    let mut outcomes = run_all(confs, &plan)?;
    ensure!(!stop.load(Ordering::Relaxed), "stopped by a signal; the pools and queues are removed");
    letters::settle(
        queues,
        outcomes.iter_mut().map(|outcome| (outcome.process.as_str(), &mut outcome.letters)),
    )?;
    outcomes.iter_mut().for_each(|outcome| outcome.faults.add(outcome.letters.faults));
    outcome::print(&outcomes, options.json)?;
    let sound = outcomes.iter().all(|outcome| outcome.faults.none());
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_all(confs: &[ProcessConf], plan: &Plan) -> Result<Vec<Outcome>> {
    let style = ProgressStyle::with_template("{prefix:5} {bar:30} {pos:>4}/{len} kills  {msg}")?;
    let bars = MultiProgress::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = confs
            .iter()
            .map(|conf| {
                let bar =
                    ProgressBar::new(plan.kills).with_style(style.clone()).with_prefix(conf.name.clone());
                let bar = bars.add(bar);
                scope.spawn(move || {
                    let outcome = supervisor::run(conf, plan, &bar);
                    // One supervisor's failure ends the others.
                    plan.stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    outcome
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a supervisor panicked"),
        });
        // Join every supervisor before returning the first error.
        joined.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Removes the pools and queues of the deployment when it is dropped.
struct Pools<'a> {
    confs: &'a [ProcessConf],
    queues: &'a [QueueConf],
    keep: bool,
}

impl Drop for Pools<'_> {
    fn drop(&mut self) {
        for conf in self.confs {
            if self.keep {
                println!("kept {}; remove it with `hotpool rm --key {}`", conf.name, conf.base_key);
            } else if let Err(error) = remove_pool(conf.base_key, &Home::of(conf), false) {
                eprintln!("cannot remove the pool of {}: {error}", conf.name);
            }
        }
        for conf in self.queues {
            if self.keep {
                println!("kept {}; remove it with `hotpool queues --rm {}`", conf.name, conf.key);
            } else if let Err(error) = hotpool::sync::remove(conf.key) {
                eprintln!("{error}");
            }
        }
    }
}

/// Fails if any segment key is in use: the segment may belong to a deployment that is running or is
/// to be resumed.
fn refuse_if_there(conf: &ProcessConf) -> Result<()> {
    for key in [conf.base_key].iter().chain(&conf.shm_keys) {
        let facts = observe(*key, &Home::of(conf)).with_context(|| format!("cannot inspect {key}"))?;
        ensure!(
            facts.segment.is_none(),
            "{key}, a key of `{}`, already has a segment; this example removes its pools at the end, so it \
             does not touch existing ones: remove that pool with `hotpool rm --key {}`, or use other \
             keys with `--key-offset 0x1000`",
            conf.name,
            conf.base_key
        );
    }
    Ok(())
}

/// Refuses to begin if the key of a queue already has one.
fn refuse_queue_if_there(conf: &QueueConf) -> Result<()> {
    let found = hotpool::queue::observe(conf.key).with_context(|| format!("cannot inspect {}", conf.key))?;
    ensure!(
        found.is_none(),
        "{}, the key of the queue `{}`, already has a queue; remove it with `hotpool queues --rm {}`, or \
         use other keys with `--key-offset 0x1000`",
        conf.key,
        conf.name,
        conf.key
    );
    Ok(())
}

/// Returns the same queue with its key moved by `offset`.
fn moved_queue(conf: &QueueConf, offset: u32) -> QueueConf {
    QueueConf { key: Key(conf.key.0.wrapping_add(offset)), ..conf.clone() }
}

/// Returns the same process with every segment key moved by `offset`.
fn moved(conf: &ProcessConf, offset: u32) -> ProcessConf {
    let mut conf = conf.clone();
    for key in conf.shm_keys.iter_mut().chain([&mut conf.base_key]) {
        *key = Key(key.0.wrapping_add(offset));
    }
    conf
}

fn parse_offset(text: &str) -> Result<u32, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}
