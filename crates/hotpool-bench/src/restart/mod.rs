//! Measures the time from the launch of a fresh process to its first object and its first tick.
//! hotpool is compared with loading the same objects from a server, a database or a file.

mod child;
pub mod population;
mod store;
pub mod take_over;

pub use child::run as run_child;

use crate::goals::goal;
use crate::op::Op;
use crate::peer::Peer;
use crate::pin::Pin;
use crate::row::Row;
use crate::stats::Spread;
use population::Population;
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use store::Store;

/// The size in a row of a restart: 0, because the objects have many sizes.
const MIXED: usize = 0;

/// The moments of a fresh process, in nanoseconds since its launch was requested.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Moments {
    /// The first object was read.
    pub first_object: f64,
    /// A tick over all players was done.
    pub first_tick: f64,
}

/// Measures fresh processes over `players` players and their objects.
pub fn measure(
    ops: &[Op],
    peers: &[Peer],
    players: usize,
    rounds: usize,
    pin: Pin,
) -> anyhow::Result<Vec<Row>> {
    let population = Population { players };
    let ours = Store::hotpool(population)?;
    let mut rows = Vec::new();
    for &peer in peers {
        let Some(theirs) = Store::of(peer, population, pin)? else { continue };
        let mut moments = Vec::new();
        for _ in 0..rounds {
            moments.push((spawn(&ours)?, spawn(&theirs)?));
        }
        for &op in ops {
            let pick = |moments: &Moments| match op {
                Op::FirstObject => moments.first_object,
                _ => moments.first_tick,
            };
            if peer == Peer::EmptyProgram && op == Op::FirstTick {
                continue;
            }
            let n = population.objects();
            let ratio = Spread::of(moments.iter().map(|(ours, theirs)| pick(ours) / pick(theirs)));
            rows.push(Row {
                op: op.name(),
                size: MIXED,
                n,
                hotpool_ns: Spread::of(moments.iter().map(|(ours, _)| pick(ours))).median,
                peer: peer.name(),
                peer_ns: Spread::of(moments.iter().map(|(_, theirs)| pick(theirs))).median,
                ratio: ratio.median,
                ratio_low: ratio.low,
                ratio_high: ratio.high,
                goal: goal(op, peer, MIXED, n),
            });
        }
    }
    Ok(rows)
}

/// Launches this program again as a child that reads from a store.
fn spawn(store: &Store) -> anyhow::Result<Moments> {
    let mut command = Command::new(std::env::current_exe()?);
    let start = child::now();
    let output = command.args(store.arguments()).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "a child ended with {}", output.status);
    let moments: Moments = serde_json::from_slice(&output.stdout)?;
    Ok(Moments { first_object: moments.first_object - start, first_tick: moments.first_tick - start })
}
