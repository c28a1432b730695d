//! A whole deployment, killed and resumed: `cargo run --release --example hot_restart`.
//!
//! Starts the three processes of `config/memorypool.ini`, lets each make, write and free objects
//! as fast as it can, kills it with SIGKILL at random moments, starts it again at once, and compares
//! all that it had acknowledged with all that is there. Exits with 0 only if nothing was
//! lost, torn, duplicated or resurrected, with 2 if it could not find out, and leaves nothing behind.
//!
//! | file | is |
//! |---|---|
//! | `types` | the objects |
//! | `stock`, `process` | one process of the deployment: its traffic, its start |
//! | `journal`, `message` | what it acknowledges, and what it says is there |
//! | `supervisor`, `model` | who kills it, and knows what has to be there |
//! | `outcome` | the table |

mod journal;
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
use hotpool::conf::ProcessConf;
use hotpool::share::{Home, observe, remove_pool};
use hotpool::units::Key;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use supervisor::{Outcome, Plan};

/// Kills the processes of an ini with SIGKILL, restarts them, and compares what is there.
#[derive(Parser)]
struct Options {
    /// The ini with the processes zone, world and match.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/config/memorypool.ini"))]
    conf: PathBuf,
    /// Kills of each process.
    #[arg(long, default_value_t = 40)]
    kills: u64,
    /// Objects of all processes together.
    #[arg(long, default_value_t = 120_000)]
    objects: usize,
    /// Ends the run after so many seconds, however many kills there were.
    #[arg(long, default_value_t = 50)]
    seconds: u64,
    /// Seed of the traffic and of the moments of the kills; random if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Ends with one JSON object, on the last line.
    #[arg(long)]
    json: bool,
    /// Keeps the pools.
    #[arg(long)]
    keep: bool,
    /// Is added to every key of the ini, for runs side by side.
    #[arg(long, default_value = "0", value_parser = parse_offset)]
    key_offset: u32,
    /// Plants a mistake in every start, to see the comparison find it.
    #[arg(long)]
    plant: Option<stock::Bug>,
    /// Is one of the processes, started by the example itself.
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
    if let (Some(role), Some(journal)) = (&options.role, &options.journal) {
        let conf = moved(conf.process(role)?, options.key_offset);
        let task =
            process::Task { journal: journal.clone(), objects: options.objects, seed, bug: options.plant };
        process::run(&conf, &task)?;
        return Ok(ExitCode::SUCCESS);
    }
    let confs = ["zone", "world", "match"].map(|name| Ok(moved(conf.process(name)?, options.key_offset)));
    supervise(&confs.into_iter().collect::<Result<Vec<_>>>()?, options, seed)
}

fn supervise(confs: &[ProcessConf], options: &Options, seed: u64) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    confs.iter().try_for_each(refuse_if_there)?;
    let dir = tempfile::tempdir()?;
    let _pools = Pools { confs, keep: options.keep };
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
    let outcomes = run_all(confs, &plan)?;
    ensure!(!stop.load(Ordering::Relaxed), "stopped by a signal; the pools are removed");
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
                    // One that failed ends the others.
                    plan.stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    outcome
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a supervisor panicked"),
        });
        // All of them are joined before the first error is returned.
        joined.collect::<Vec<_>>().into_iter().collect()
    })
}

/// The pools of the deployment, removed when it is over, however it ends.
struct Pools<'a> {
    confs: &'a [ProcessConf],
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
    }
}

/// What is under a key is somebody's: a deployment that runs, or waits to be resumed.
fn refuse_if_there(conf: &ProcessConf) -> Result<()> {
    for key in [conf.base_key].iter().chain(&conf.shm_keys) {
        let facts = observe(*key, &Home::of(conf)).with_context(|| format!("cannot look at {key}"))?;
        ensure!(
            facts.segment.is_none(),
            "there is a segment under {key}, a key of `{}`; this example removes its pools at the end, so it \
             does not touch those that are there: remove that one with `hotpool rm --key {}`, or use other \
             keys with `--key-offset 0x1000`",
            conf.name,
            conf.base_key
        );
    }
    Ok(())
}

/// The same process under other keys.
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
