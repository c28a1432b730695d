//! Sends frames of a camera between processes: `cargo run --release --example frames`.
//!
//! A camera paints frames of 1280x720 pixels of 3 bytes directly into shared memory. A screen and a
//! recorder check each frame in place, so no process ever copies one. The parent kills the recorder
//! with SIGKILL at random moments and launches the next one. That one continues with the frame at
//! which its predecessor died.
//!
//! Both consumers report each frame through a second queue. The exit code is 0 if each consumer has
//! reported every frame, whole and in order. It is 1 if one has not, and 2 if the run could not
//! find out.
//!
//! | file | contents |
//! |---|---|
//! | `frame` | the contents of a frame |
//! | `roles` | the camera and its consumers |
//! | `parent` | the process that kills the recorder, and counts the reports |

mod frame;
mod parent;
mod roles;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::observe;
use hotpool::units::{Bytes, Key};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sends frames from one process to two others, one of which is killed, and checks each frame.
#[derive(Parser)]
struct Options {
    /// Number of frames
    #[arg(long, default_value_t = 2000)]
    frames: u64,
    /// Number of kills of the recorder
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// Key of the queue of frames; the queue of reports uses the next key
    #[arg(long, default_value = "0x48500e00", value_parser = parse_key)]
    key: Key,
    /// Seed of the moments of the kills [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Prints one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Plants a mistake, to check that the count finds it
    #[arg(long)]
    plant: Option<roles::Mistake>,
    /// Runs as one of the processes; used by the example itself
    #[arg(long, hide = true)]
    role: Option<String>,
}

/// The two queues, as all processes open them.
struct Queues {
    frames: QueueConf,
    reports: QueueConf,
}

impl Queues {
    fn new(key: Key) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
        let size = Bytes(frame::BYTES as u64);
        let mut frames = QueueConf::new("frames", key, QueueKind::Channel, 4, size);
        (frames.writers, frames.readers) = (names(&["camera"]), names(&["screen", "recorder"]));
        let size = Bytes(size_of::<roles::Report>() as u64);
        let mut reports = QueueConf::new("reports", Key(key.0 + 1), QueueKind::Channel, 64, size);
        (reports.writers, reports.readers) = (names(&["screen", "recorder"]), names(&["parent"]));
        Queues { frames, reports }
    }
}

/// Removes both queues when it is dropped.
struct Removed<'a>(&'a Queues);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        for conf in [&self.0.frames, &self.0.reports] {
            if let Err(error) = hotpool::sync::remove(conf.key) {
                eprintln!("{error}");
            }
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let queues = Queues::new(options.key);
    let done = match options.role.as_deref() {
        Some(role) => roles::run(&queues, role, &options).map(|()| ExitCode::SUCCESS),
        None => supervise(&queues, &options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{}: {error:#}", options.role.as_deref().unwrap_or("frames"));
        ExitCode::from(2)
    })
}

fn supervise(queues: &Queues, options: &Options) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    for key in [queues.frames.key, queues.reports.key] {
        let found = observe(key).with_context(|| format!("cannot inspect {key}"))?;
        ensure!(
            found.is_none(),
            "{key} already has a queue; remove it with `hotpool queues --rm {key}`, or use other keys \
             with `--key`"
        );
    }
    let _removed = Removed(queues);
    let outcome = parent::run(queues, options, &stop)?;
    ensure!(!stop.load(Ordering::Relaxed), "stopped by a signal; the queues are removed");
    println!("{outcome}");
    if options.json {
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(if outcome.faults() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse_key(text: &str) -> Result<Key, String> {
    let hex = text.strip_prefix("0x").ok_or("a key begins with 0x")?;
    u32::from_str_radix(hex, 16).map(Key).map_err(|error| error.to_string())
}
