//! The camera, and the screen and recorder that receive its frames.

use crate::{Options, Queues, frame};
use anyhow::{Result, bail};
use bytemuck::{Pod, Zeroable};
use hotpool::object::Schema;
use hotpool::queue::{Receiver, Sender};
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

/// The report of a consumer about one frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, Schema)]
pub(crate) struct Report {
    pub(crate) frame: u64,
    /// Nanoseconds from the commit of the frame until the consumer saw it.
    pub(crate) late: u64,
    /// 1 if every pixel had the colour of the frame.
    pub(crate) whole: u32,
    /// 1 if a predecessor of the consumer had already been given the frame.
    pub(crate) again: u32,
}

/// Mistakes that can be planted, to check that the count finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mistake {
    /// The camera paints one row of a frame with another colour.
    Torn,
    /// The screen does not report one frame.
    Lost,
    /// The screen reports one frame twice.
    Repeated,
}

/// Number of the frame with the planted mistake.
const PLANTED: u64 = 5;

pub(crate) fn run(queues: &Queues, role: &str, options: &Options) -> Result<()> {
    end_with_parent();
    match role {
        "camera" => film(queues, options),
        "screen" | "recorder" => consume(queues, role, options),
        other => bail!("this example has no process `{other}`"),
    }
}

/// Ends this process if its parent closes the standard input, or dies.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

fn film(queues: &Queues, options: &Options) -> Result<()> {
    let mut frames: Sender<[u8]> = Sender::open(&queues.frames, "camera")?;
    while frames.sent() < options.frames {
        let number = frames.sent();
        let mut loan = frames.loan(frame::BYTES)?;
        frame::paint(loan.bytes(), number);
        if options.plant == Some(Mistake::Torn) && number == PLANTED {
            loan.bytes()[frame::BYTES / 2] ^= 1;
        }
        loan.commit()?;
    }
    Ok(())
}

fn consume(queues: &Queues, me: &str, options: &Options) -> Result<()> {
    let mut frames: Receiver<[u8]> = Receiver::open(&queues.frames, me)?;
    let mut reports: Sender<Report> = Sender::open(&queues.reports, me)?;
    while frames.next_id() < options.frames {
        let view = frames.recv_ref()?;
        let late = wall_nanos().saturating_sub(view.meta.time);
        let whole = frame::is_whole(&view, view.meta.id).into();
        let report = Report { frame: view.meta.id, late, whole, again: view.meta.redelivered.into() };
        let planted = options.plant.filter(|_| me == "screen" && report.frame == PLANTED);
        if planted != Some(Mistake::Lost) {
            reports.send(&report)?;
        }
        if planted == Some(Mistake::Repeated) {
            reports.send(&report)?;
        }
        // From here on no successor receives the frame again.
        frames.ack();
    }
    Ok(())
}

fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}
