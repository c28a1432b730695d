//! Runs one process of the deployment, kills it, restarts it at once, and compares.

use crate::journal::{self, Said};
use crate::letters::Count;
use crate::message::{Message, Row};
use crate::model::{Faults, Model};
use crate::stock::Bug;
use crate::wall_nanos;
use anyhow::{Context, Result, ensure};
use hotpool::conf::ProcessConf;
use indicatif::ProgressBar;
use signal_hook::consts::SIGKILL;
use std::collections::HashSet;
use std::io::BufReader;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest time between a start and the next kill.
const LONGEST_LIFE: Duration = Duration::from_millis(150);
/// One of this many kills hits the process while it starts.
const KILLS_DURING_START: u32 = 5;
const LONGEST_START: Duration = Duration::from_millis(4);

/// The settings of a supervisor.
pub(crate) struct Plan<'a> {
    pub(crate) ini: &'a Path,
    pub(crate) key_offset: u32,
    pub(crate) dir: &'a Path,
    pub(crate) kills: u64,
    pub(crate) until: Instant,
    pub(crate) objects: usize,
    pub(crate) seed: u64,
    pub(crate) bug: Option<Bug>,
    pub(crate) stop: &'a AtomicBool,
}

/// The results of a supervisor.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) process: String,
    pub(crate) kills: u64,
    pub(crate) objects: u64,
    pub(crate) compared: u64,
    pub(crate) acknowledged: u64,
    /// What it wrote to the others, and what it got from them.
    pub(crate) letters: Count,
    pub(crate) faults: Faults,
    /// Kills during a write: the resume report names the object.
    pub(crate) named: u64,
    /// Kills during an alloc or a free: the resume finished it.
    pub(crate) cut: u64,
    /// The resume times of hot starts that found the pool free, from their resume reports.
    pub(crate) resumes: Vec<Duration>,
    /// The times from a kill to ready, for hot starts while the old process was still dying.
    pub(crate) gaps: Vec<Duration>,
}

/// A process that is killed when this is dropped.
struct Running {
    child: Child,
    voice: BufReader<ChildStdout>,
    journal: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Supervisor<'a> {
    plan: &'a Plan<'a>,
    model: Model,
    dice: fastrand::Rng,
    /// Objects named by resume reports since the last comparison.
    named: HashSet<u64>,
    starts: u64,
    last_kill: Option<u64>,
    /// Whether the last start began before the previous process had ended.
    at_once: bool,
    outcome: Outcome,
}

/// Kills one process of the deployment as often as the plan requires.
pub(crate) fn run(conf: &ProcessConf, plan: &Plan, progress: &ProgressBar) -> Result<Outcome> {
    let mut supervisor = Supervisor {
        plan,
        model: Model::default(),
        dice: fastrand::Rng::with_seed(plan.seed ^ u64::from(conf.base_key.0)),
        named: HashSet::new(),
        starts: 0,
        last_kill: None,
        at_once: false,
        outcome: Outcome { process: conf.name.clone(), ..Outcome::default() },
    };
    supervisor.run(progress).with_context(|| format!("process {}", conf.name))?;
    Ok(supervisor.outcome)
}

impl Supervisor<'_> {
    fn run(&mut self, progress: &ProgressBar) -> Result<()> {
        let mut running = self.start()?;
        while self.outcome.kills < self.plan.kills && Instant::now() < self.plan.until {
            if self.plan.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            running = self.kill_and_restart(running)?;
            progress.set_position(self.outcome.kills);
            progress.set_message(format!("{} objects, {}", self.model.len(), self.outcome.faults));
        }
        ensure!(self.listen(&mut running)?, "the process died without being killed");
        let status = running.child.wait().context("wait")?; // closes its standard input, which ends it
        ensure!(status.success(), "the process ended with {status}");
        self.apply(journal::read(&running.journal)?);
        self.outcome.objects = self.model.len() as u64;
        self.outcome.acknowledged = self.model.acknowledged;
        progress.finish();
        Ok(())
    }

    fn start(&mut self) -> Result<Running> {
        self.starts += 1;
        let Plan { ini, key_offset, dir, objects, seed, bug, .. } = self.plan;
        let journal = dir.join(format!("{}.{}", self.outcome.process, self.starts));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--role").arg(&self.outcome.process).arg("--conf").arg(ini);
        command.arg("--journal").arg(&journal);
        command.arg(format!("--key-offset={key_offset}"));
        command.arg(format!("--objects={objects}")).arg(format!("--seed={seed}"));
        if let Some(bug) = bug {
            command.arg(format!("--plant={bug:?}").to_lowercase());
        }
        // Put the child into its own process group: Ctrl-C is for the parent, which ends the
        // processes and removes the pools.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a process")?;
        let voice = BufReader::with_capacity(1 << 16, child.stdout.take().context("no standard output")?);
        Ok(Running { child, voice, journal })
    }

    /// Kills the process and starts the next one. Every other time the next process starts while
    /// the old one is still dying, to test the owner lock. The other times it finds the pool free,
    /// and its resume report shows how long a resume takes.
    fn kill_and_restart(&mut self, mut old: Running) -> Result<Running> {
        if self.dice.u32(0..KILLS_DURING_START) == 0 {
            self.sleep(LONGEST_START);
        } else {
            ensure!(self.listen(&mut old)?, "the process died without being killed");
            self.sleep(LONGEST_LIFE);
        }
        let killed_at = wall_nanos();
        old.child.kill().context("kill")?;
        self.outcome.kills += 1;
        let at_once = self.dice.bool();
        let early = if at_once { Some(self.start()?) } else { None };
        let status = old.child.wait().context("wait")?;
        let new = early.map_or_else(|| self.start(), Ok)?;
        ensure!(status.signal() == Some(SIGKILL), "the process ended with {status}, not by the kill");
        self.listen(&mut old)?;
        self.apply(journal::read(&old.journal)?);
        std::fs::remove_file(&old.journal).or_else(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(e),
        })?;
        self.last_kill = Some(killed_at);
        self.at_once = at_once;
        Ok(new)
    }

    /// Applies what a process acknowledged before it died.
    fn apply(&mut self, said: Said) {
        self.outcome.letters.apply(&said);
        self.model.apply(said);
    }

    fn sleep(&mut self, longest: Duration) {
        std::thread::sleep(longest.mul_f64(self.dice.f64()));
    }

    /// Reads the messages of a process until it has listed its objects, and compares them. Returns
    /// false if the process died before that.
    fn listen(&mut self, running: &mut Running) -> Result<bool> {
        let mut rows: Vec<Row> = Vec::new();
        let mut hot = false;
        while let Some(message) = Message::receive(&mut running.voice)? {
            match message {
                Message::Open { hot: is_hot, nanos, cut } => {
                    hot = is_hot;
                    self.outcome.cut += u64::from(cut);
                    let alone = hot && !self.at_once;
                    self.outcome.resumes.extend(alone.then_some(Duration::from_nanos(nanos)));
                }
                Message::Named(handle) => self.outcome.named += u64::from(self.named.insert(handle)),
                Message::Ready { wall_nanos } => {
                    let gap = self.last_kill.map(|kill| wall_nanos.saturating_sub(kill));
                    let counts = hot && self.at_once;
                    self.outcome.gaps.extend(gap.filter(|_| counts).map(Duration::from_nanos));
                }
                Message::Row(row) => rows.push(row),
                Message::Listed => {
                    self.outcome.faults.add(self.model.compare(&rows, &self.named));
                    self.outcome.compared += rows.len() as u64;
                    self.named.clear();
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
