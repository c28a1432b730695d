//! The parent: launches the processes, kills the recorder, and counts the reports of both
//! consumers.

use crate::roles::Report;
use crate::{Options, Queues, frame};
use anyhow::{Context, Result, bail, ensure};
use hotpool::queue::{Receiver, RecvError};
use serde::Serialize;
use std::fmt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the parent waits before it checks for signals and dead processes.
const LOOK: Duration = Duration::from_millis(100);
/// The longest time between a report of the recorder and its kill: about the time of three frames.
const LONGEST_WAIT: Duration = Duration::from_millis(3);
const CONSUMERS: [&str; 2] = ["screen", "recorder"];
const RECORDER: usize = 1;

/// The results of a run.
#[derive(Default, Serialize)]
pub(crate) struct Outcome {
    frames: u64,
    frame_bytes: usize,
    kills: u64,
    /// Frames that a recorder received again because its predecessor died with them.
    redelivered: u64,
    lost: u64,
    repeated: u64,
    torn: u64,
    seconds: f64,
    frames_per_second: f64,
    late_us_p50: u64,
    seed: u64,
}

impl Outcome {
    pub(crate) fn faults(&self) -> u64 {
        self.lost + self.repeated + self.torn
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { frames, kills, redelivered, lost, repeated, torn, seconds, .. } = self;
        writeln!(f, "{frames} frames of {} bytes to two processes in {seconds:.1} s", self.frame_bytes)?;
        writeln!(
            f,
            "{:.0} frames a second; seen {} us after the commit (p50)",
            self.frames_per_second, self.late_us_p50
        )?;
        writeln!(f, "the recorder was killed {kills} times, and got {redelivered} frames again")?;
        write!(f, "{lost} lost, {repeated} repeated, {torn} torn")
    }
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(role: &str, options: &Options) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--role", role]).arg(format!("--frames={}", options.frames));
        command.arg(format!("--key={}", options.key));
        if let Some(mistake) = options.plant {
            command.arg(format!("--plant={mistake:?}").to_lowercase());
        }
        // Ctrl-C reaches only the parent, which ends the processes and removes the queues.
        command.process_group(0).stdin(Stdio::piped());
        Ok(Running(command.spawn().with_context(|| format!("cannot start the {role}"))?))
    }

    fn kill(&mut self) -> Result<bool> {
        self.0.kill().context("kill")?;
        Ok(self.0.wait().context("wait")?.signal() == Some(signal_hook::consts::SIGKILL))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The reports of one consumer so far.
#[derive(Default)]
struct Seen {
    /// Number of the frame that the consumer reports next.
    next: u64,
}

impl Seen {
    fn count(&mut self, report: &Report, outcome: &mut Outcome) {
        outcome.torn += u64::from(report.whole == 0);
        outcome.redelivered += u64::from(report.again);
        if report.frame >= self.next {
            outcome.lost += report.frame - self.next;
            self.next = report.frame + 1;
        } else if report.again == 0 || report.frame + 1 != self.next {
            outcome.repeated += 1;
        }
    }
}

pub(crate) fn run(queues: &Queues, options: &Options, stop: &AtomicBool) -> Result<Outcome> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("sending {} frames, killing the recorder {} times; seed {seed}", options.frames, options.kills);
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut reports: Receiver<Report> = Receiver::open(&queues.reports, "parent")?;
    let began = Instant::now();
    let mut consumers =
        CONSUMERS.map(|role| Running::start(role, options)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut camera = Running::start("camera", options)?;
    let mut outcome =
        Outcome { frames: options.frames, frame_bytes: frame::BYTES, seed, ..Outcome::default() };
    let (mut seen, mut late) = ([Seen::default(), Seen::default()], Vec::new());
    let every = options.frames / (options.kills + 1);
    while seen.iter().any(|seen| seen.next < options.frames) && !stop.load(Ordering::Relaxed) {
        let report = match reports.recv_timeout(LOOK) {
            Ok(report) => report,
            Err(RecvError::TimedOut) => {
                refuse_dead(&mut consumers, &mut camera)?;
                continue;
            }
            Err(error) => bail!(error),
        };
        let consumer = report.meta.writer as usize;
        seen[consumer].count(&report.value, &mut outcome);
        late.push(report.value.late);
        let due = outcome.kills < options.kills && seen[RECORDER].next >= (outcome.kills + 1) * every;
        if due && consumer == RECORDER {
            std::thread::sleep(LONGEST_WAIT.mul_f64(dice.f64()));
            outcome.kills += u64::from(consumers[RECORDER].kill()?);
            consumers[RECORDER] = Running::start(CONSUMERS[RECORDER], options)?;
        }
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.frames_per_second = options.frames as f64 / outcome.seconds;
    late.sort_unstable();
    outcome.late_us_p50 = late.get(late.len() / 2).copied().unwrap_or(0) / 1000;
    Ok(outcome)
}

/// Fails if a process has ended with an error, because no further reports would come.
fn refuse_dead(consumers: &mut [Running], camera: &mut Running) -> Result<()> {
    for (running, role) in consumers.iter_mut().chain([camera]).zip(["screen", "recorder", "camera"]) {
        let status = running.0.try_wait().context("wait")?;
        ensure!(
            status.is_none_or(|status| status.success()),
            "the {role} ended with {}",
            status.unwrap_or_default()
        );
    }
    Ok(())
}
