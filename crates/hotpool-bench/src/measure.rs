//! Two subjects, one operation, rounds in turn.

use crate::op::Op;
use crate::stats::Spread;
use crate::subject::Subject;
use std::time::Duration;

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds of each of the two.
    pub rounds: usize,
    /// What a round is to take.
    pub round: Duration,
}

/// What the rounds gave.
#[derive(Clone, Copy, Debug)]
pub struct Duel {
    /// Nanoseconds of hotpool.
    pub hotpool: Spread,
    /// Nanoseconds of the peer.
    pub peer: Spread,
    /// Of each round the one through the other.
    pub ratio: Spread,
}

/// Measures an operation; `None` if one of the two does not have it.
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

/// How often an operation is done in `target`; warms up on the way.
fn calibrate(subject: &mut dyn Subject, op: Op, target: Duration) -> anyhow::Result<usize> {
    let mut count = 16;
    loop {
        let mut lap = subject.run(op, count)?;
        if op != Op::Fill {
            // One lap may have been interrupted: the faster of two counts.
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
        // An operation that does less than it is asked for has no more to do.
        if lap.count < count {
            return Ok(lap.count.max(1));
        }
        count = lap.count.max(count).saturating_mul(4);
    }
}
