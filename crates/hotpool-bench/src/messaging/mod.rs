//! Messages between two processes: hotpool and other ways, in the same run, in turn.
//!
//! A second process has the other end of each way. Both processes are pinned, to different
//! processors if there are two. For each operation, all ways take turns in short rounds, and a round
//! reports the median of many short spans, so that other work on the machine disturbs few of them.

mod answer;
mod goals;
mod jobs;
mod link;
mod op;
mod options;
mod partner;
mod peer;
mod shared;

pub use answer::{WORD, answer};
pub use options::Options;

use crate::pin::Pin;
use crate::report;
use crate::row::Row;
use crate::stats::Spread;
use goals::goal;
use indicatif::{ProgressBar, ProgressStyle};
use op::Op;
use partner::Partner;
use peer::Peer;

/// Measures, prints the rows and writes them.
pub fn run(options: &Options, pin: Pin) -> anyhow::Result<()> {
    let mut peers = options.peers();
    peers.retain(|peer| match peer.missing() {
        None => true,
        Some(why) => {
            eprintln!("!!! SKIPPED: {}: {why}", peer.name());
            false
        }
    });
    let cases = options.cases();
    let bar = ProgressBar::new((cases.len() * (options.rounds() + 1)) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?);
    let mut rows = Vec::new();
    for (op, size) in cases {
        bar.set_message(format!("{} {size} B", op.name()));
        let theirs: Vec<Peer> = peers.iter().copied().filter(|peer| peer.takes_part(op)).collect();
        rows.extend(case(op, size, &theirs, options.rounds(), pin, &bar)?);
    }
    bar.finish_and_clear();
    report::print(&rows);
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

/// Measures one operation with messages of one size.
fn case(
    op: Op,
    size: usize,
    peers: &[Peer],
    rounds: usize,
    pin: Pin,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Row>> {
    let all = [Peer::Hotpool].into_iter().chain(peers.iter().copied());
    let mut partners =
        all.map(|peer| Partner::start(peer, op, size, pin)).collect::<anyhow::Result<Vec<_>>>()?;
    // The first round warms up.
    let mut times = vec![Vec::with_capacity(rounds); partners.len()];
    for round in 0..=rounds {
        for n in 0..partners.len() {
            // Every way is the first in its turn.
            let n = (n + round) % partners.len();
            let nanos = partners[n].round()?;
            if round > 0 {
                times[n].push(nanos);
            }
        }
        bar.inc(1);
    }
    let (ours, theirs) = times.split_first().map_or((&[][..], &[][..]), |(ours, theirs)| (ours, theirs));
    let row = |(peer, theirs): (&Peer, &Vec<f64>)| {
        let ratio = Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
        Row {
            op: op.name(),
            size,
            n: op.capacity() as usize,
            hotpool_ns: Spread::of(ours.iter().copied()).median,
            peer: peer.name(),
            peer_ns: Spread::of(theirs.iter().copied()).median,
            ratio: ratio.median,
            ratio_low: ratio.low,
            ratio_high: ratio.high,
            goal: goal(op, *peer, size),
        }
    };
    Ok(peers.iter().zip(theirs).map(row).collect())
}
