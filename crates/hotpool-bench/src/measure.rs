//! Measures two subjects in one operation, with alternating rounds.

use crate::op::Op;
use crate::stats::Spread;
use crate::subject::Subject;
use std::time::Duration;

/// The duration and number of rounds.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Number of rounds for each of the two subjects.
    pub rounds: usize,
    /// Target duration of a round.
    pub round: Duration,
}

/// The result of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Duel {
    /// Nanoseconds of hotpool.
    pub hotpool: Spread,
    /// Nanoseconds of the peer.
    pub peer: Spread,
    /// The ratio of hotpool to the peer in each round.
    pub ratio: Spread,
}

/// Measures an operation. Returns `None` if one of the two subjects does not support it.
pub fn duel(
    hotpool: &mut dyn Subject,
    peer: &mut dyn Subject,
    op: Op,
    effort: Effort,
) -> anyhow::Result<Option<Duel>> {
    if !hotpool.prepare(op)? || !peer.prepare(op)? {
        return Ok(None);
    }
    let counts = (calibrate(hotpool, op, effort.round)?, calibrate(peer, op, effort.round)?);
    let mut rounds = Vec::with_capacity(effort.rounds);
    for round in 0..effort.rounds {
        let (ours, theirs);
        if round % 2 == 0 {
            ours = hotpool.run(op, counts.0)?.nanos();
            theirs = peer.run(op, counts.1)?.nanos();
        } else {
            theirs = peer.run(op, counts.1)?.nanos();
            ours = hotpool.run(op, counts.0)?.nanos();
        }
        rounds.push((ours, theirs));
    }
    Ok(Some(Duel {
        hotpool: Spread::of(rounds.iter().map(|round| round.0)),
        peer: Spread::of(rounds.iter().map(|round| round.1)),
        ratio: Spread::of(rounds.iter().map(|round| round.0 / round.1)),
    }))
}

/// Returns how often an operation runs in `target`. Warms up on the way.
fn calibrate(subject: &mut dyn Subject, op: Op, target: Duration) -> anyhow::Result<usize> {
    let mut count = 16;
    loop {
        let mut lap = subject.run(op, count)?;
        if op != Op::Fill {
            // A lap may have been interrupted, so take the faster of two.
            let again = subject.run(op, count)?;
            lap = if again.nanos() < lap.nanos() { again } else { lap };
        }
        if lap.time * 4 >= target || lap.count > 1 << 30 {
            let wanted = target.as_secs_f64() / lap.time.as_secs_f64().max(1e-9);
            return Ok(((lap.count as f64 * wanted) as usize).max(1));
        }
        if op == Op::Fill {
            return Ok(1);
        }
        // An operation that returns a smaller count has no more elements.
        if lap.count < count {
            return Ok(lap.count.max(1));
        }
        count = lap.count.max(count).saturating_mul(4);
    }
}
