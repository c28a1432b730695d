//! The parent: writes the journal, kills the child, starts the next one, and compares.

use crate::Options;
use crate::journal::Journal;
use crate::market::State;
use crate::trader::Report;
use anyhow::{Context, Result};
use hotpool::conf::ProcessConf;
use serde::Serialize;
use std::fmt;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Number of pending messages when a child begins.
const PENDING: usize = 20_000;
/// The longest time between the report of a child and its kill. A debug build needs longer for as
/// many messages.
const LONGEST_LIFE: Duration = Duration::from_micros(if cfg!(debug_assertions) { 1000 } else { 250 });
/// One of this many kills hits the child while it starts.
const KILLS_DURING_START: u32 = 5;
const LONGEST_START: Duration = Duration::from_millis(2);
const SIGKILL: i32 = signal_hook::consts::SIGKILL;

/// The results of a run.
#[derive(Serialize)]
pub(crate) struct Outcome {
    kills: u64,
    messages: u64,
    sales: u64,
    /// Kills during a transaction, which the next start rolled back or finished.
    cut: u64,
    compared: u64,
    seconds: f64,
    kills_per_second: f64,
    seed: u64,
    pub(crate) fault: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { kills, messages, sales, cut, compared, seconds, kills_per_second, .. } = self;
        writeln!(
            f,
            "{kills} kills in {seconds:.1} s, {kills_per_second:.0} a second; {cut} interrupted a transaction"
        )?;
        writeln!(f, "{messages} messages, {sales} sales; compared {compared} times")?;
        match &self.fault {
            None => write!(f, "one item with one player, no gold lost, each message carried out once"),
            Some(fault) => write!(f, "WRONG: {fault}"),
        }
    }
}

struct Parent<'a> {
    conf: &'a ProcessConf,
    options: &'a Options,
    path: PathBuf,
    journal: Journal,
    dice: fastrand::Rng,
    /// The expected state after the messages up to the last one that a child reported.
    model: State,
    /// The last message that a child acknowledged.
    acknowledged: u64,
    cut: u64,
    compared: u64,
}

/// A child that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(
    conf: &ProcessConf,
    dir: &Path,
    options: &Options,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let path = dir.join("journal");
    let mut parent = Parent {
        conf,
        options,
        journal: Journal::create(&path)?,
        path,
        dice: fastrand::Rng::with_seed(seed),
        model: State::new(),
        acknowledged: 0,
        cut: 0,
        compared: 0,
    };
    let began = Instant::now();
    let (mut kills, mut fault) = (0, None);
    while kills < options.kills && fault.is_none() && !stop.load(Ordering::Relaxed) {
        fault = parent.start_and_kill()?;
        kills += 1;
    }
    if fault.is_none() {
        fault = parent.start_and_leave()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(Outcome {
        kills,
        messages: parent.model.last_committed,
        sales: parent.model.sales,
        cut: parent.cut,
        compared: parent.compared,
        seconds,
        kills_per_second: kills as f64 / seconds,
        seed,
        fault,
    })
}

impl Parent<'_> {
    fn start(&mut self) -> Result<Running> {
        self.journal.fill(PENDING, &mut self.dice)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--journal").arg(&self.path).arg(format!("--key={}", self.conf.base_key));
        if let Some(mistake) = self.options.plant {
            command.arg(format!("--plant={mistake:?}").to_lowercase());
        }
        // Put the child into its own process group: Ctrl-C is for the parent, which ends the child
        // and removes the pool.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Running(command.spawn().context("cannot start a process")?))
    }

    /// Runs one child until its kill. Some children are killed while they start; whatever they
    /// reported by then is compared too.
    fn start_and_kill(&mut self) -> Result<Option<String>> {
        let mut child = self.start()?;
        let mut voice = child.0.stdout.take().context("no standard output")?;
        let mut said = Vec::new();
        if self.dice.u32(0..KILLS_DURING_START) == 0 {
            std::thread::sleep(LONGEST_START.mul_f64(self.dice.f64()));
        } else {
            (&mut voice).take(size_of::<Report>() as u64).read_to_end(&mut said)?;
            std::thread::sleep(LONGEST_LIFE.mul_f64(self.dice.f64()));
        }
        child.0.kill().context("kill")?;
        let status = child.0.wait().context("wait")?;
        voice.read_to_end(&mut said)?;
        if status.signal() != Some(SIGKILL) {
            return Ok(Some(format!("the process ended with {status}, not by the kill")));
        }
        Ok(self.compare(&said))
    }

    /// Runs the last child, which carries out the remaining messages and closes the pool.
    fn start_and_leave(&mut self) -> Result<Option<String>> {
        let mut child = self.start()?;
        let mut said = Vec::new();
        child.0.stdin.take();
        child.0.stdout.take().context("no standard output")?.read_to_end(&mut said)?;
        let status = child.0.wait()?;
        let fault = self.compare(&said);
        Ok(fault.or_else(|| (!status.success()).then(|| format!("the last process ended with {status}"))))
    }

    /// Compares what a child found with the model. Returns the first difference.
    fn compare(&mut self, said: &[u8]) -> Option<String> {
        let (report, numbers) = said.split_at_checked(size_of::<Report>())?;
        let Report { state, cut, sound } = bytemuck::pod_read_unaligned(report);
        self.compared += 1;
        self.cut += cut;
        if sound != 1 {
            return Some("verify finds the pool unsound".into());
        }
        if state.last_committed < self.acknowledged {
            let Self { acknowledged, .. } = self;
            return Some(format!("message {acknowledged} was acknowledged, but the pool holds {state:?}"));
        }
        while self.model.last_committed < state.last_committed {
            match self.journal.next() {
                Ok(message) => self.model.apply(message),
                Err(error) => return Some(format!("{error}: {state:?}")),
            }
        }
        if state != self.model {
            return Some(format!("found {state:?}, expected {:?}", self.model));
        }
        let last = numbers.as_chunks().0.last();
        self.acknowledged = last.map_or(state.last_committed, |bytes| u32::from_ne_bytes(*bytes).into());
        None
    }
}
