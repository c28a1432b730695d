//! hotpool against each peer, operation by operation.

use crate::goals::goal;
use crate::measure::{Effort, duel};
use crate::op::{Kind, Op};
use crate::peer::Peer;
use crate::row::Row;
use indicatif::{ProgressBar, ProgressStyle};

/// What is compared.
pub struct Plan {
    /// Operations.
    pub ops: Vec<Op>,
    /// Peers.
    pub peers: Vec<Peer>,
    /// Size of an object and number of objects.
    pub populations: Vec<(usize, usize)>,
    /// How long and how often.
    pub effort: Effort,
}

/// Measures all of it.
pub fn compare(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let style = "{bar:30} {pos}/{len} {elapsed} {msg}";
    let bar = ProgressBar::new((plan.populations.len() * plan.peers.len() * 3) as u64);
    bar.set_style(ProgressStyle::with_template(style)?);
    let mut rows = Vec::new();
    for &(size, count) in &plan.populations {
        for &peer in &plan.peers {
            for kind in [Kind::Fill, Kind::Slots, Kind::Keyed] {
                bar.set_message(format!("{} {count} x {size} B", peer.name()));
                rows.extend(versus(plan, peer, kind, size, count)?);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// One kind of operations against one peer.
fn versus(plan: &Plan, peer: Peer, kind: Kind, size: usize, count: usize) -> anyhow::Result<Vec<Row>> {
    let ops: Vec<Op> = plan.ops.iter().copied().filter(|op| op.kind() == kind).collect();
    if ops.is_empty() {
        return Ok(Vec::new());
    }
    let Some(mut theirs) = peer.subject(kind, size, count)? else { return Ok(Vec::new()) };
    let Some(mut ours) = Peer::Hotpool.subject(kind, size, count)? else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
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
    Ok(rows)
}
