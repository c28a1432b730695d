//! Compares hotpool with each peer, operation by operation.

use crate::goals::goal;
use crate::measure::{Effort, duel};
use crate::op::{Kind, Op};
use crate::peer::{Peer, Want};
use crate::pin::Pin;
use crate::row::Row;
use crate::subject::Subject;
use indicatif::{ProgressBar, ProgressStyle};

/// The comparisons to make.
pub struct Plan {
    /// The operations.
    pub ops: Vec<Op>,
    /// The peers.
    pub peers: Vec<Peer>,
    /// The size of an object and the number of objects.
    pub populations: Vec<(usize, usize)>,
    /// The duration and number of rounds.
    pub effort: Effort,
    /// The processor to run on.
    pub pin: Pin,
}

/// Measures all operations against all peers.
pub fn compare(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let bar = ProgressBar::new((plan.populations.len() * plan.peers.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?);
    let mut rows = Vec::new();
    for &(size, count) in &plan.populations {
        for &peer in &plan.peers {
            bar.set_message(format!("{} {count} x {size} B", peer.name()));
            rows.extend(versus(plan, peer, size, count)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    rows.sort_by_key(|row| (row.size, row.n, plan.ops.iter().position(|op| op.name() == row.op)));
    Ok(rows)
}

/// Measures all operations against one peer. A store outside the process has one population for all
/// operations; a store inside the process has one for each kind.
fn versus(plan: &Plan, peer: Peer, size: usize, count: usize) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut kept: Option<Box<dyn Subject>> = None;
    for kind in [Kind::Fill, Kind::Slots, Kind::Keyed] {
        let ops: Vec<Op> = plan.ops.iter().copied().filter(|op| op.kind() == kind).collect();
        let want = Want { kind, size, count, pin: plan.pin };
        if ops.is_empty() {
            continue;
        }
        let theirs = match kept.take() {
            Some(kept) => Some(kept),
            None => peer.subject(want)?,
        };
        let (Some(mut theirs), Some(mut ours)) = (theirs, Peer::Hotpool.subject(want)?) else { continue };
        for op in ops {
            let Some(duel) = duel(&mut *ours, &mut *theirs, op, plan.effort)? else { continue };
            rows.push(Row {
                op: op.name(),
                size,
                n: count,
                hotpool_ns: duel.hotpool.median,
                peer: peer.name(),
                peer_ns: duel.peer.median,
                ratio: duel.ratio.median,
                ratio_low: duel.ratio.low,
                ratio_high: duel.ratio.high,
                goal: goal(op, peer, size, count),
            });
        }
        kept = peer.has_one_population().then_some(theirs);
    }
    Ok(rows)
}
