//! The goals: the largest ratio allowed for an operation and a peer.

use crate::op::Op;
use crate::pages;
use crate::peer::Peer;

/// The populations that a goal applies to.
type Range = std::ops::RangeInclusive<usize>;

const SMALL: Range = 0..=10_000;
const LARGE: Range = 5_000_000..=usize::MAX;
const MANY: Range = 1_000_000..=usize::MAX;
const ALL: Range = 0..=usize::MAX;

/// Goals for objects of 64 bytes, and for restarts with the objects of the profile.
const GOALS: &[(Op, Peer, Range, f64)] = &[
    (Op::GetRand, Peer::Slotmap, SMALL, 1.1),
    (Op::GetRand, Peer::Slotmap, LARGE, 0.9),
    (Op::GetDep, Peer::Slotmap, LARGE, 0.95),
    (Op::PairHot, Peer::Slotmap, ALL, 1.15),
    (Op::PairHot, Peer::Boost, ALL, 0.4),
    (Op::PairHot, Peer::Pmdk, ALL, 0.01),
    (Op::PairHot, Peer::Lmdb, ALL, 0.003),
    (Op::ChurnRand, Peer::Slotmap, SMALL, 1.1),
    (Op::ChurnRand, Peer::Slotmap, LARGE, 1.0),
    (Op::Batch, Peer::Slotmap, MANY, 0.65),
    (Op::GetKey, Peer::Slotmap, LARGE, 0.75),
    (Op::GetKey, Peer::Boost, LARGE, 0.2),
    (Op::GetKey, Peer::Lmdb, LARGE, 0.08),
    (Op::GetKey, Peer::Redis, LARGE, 0.005),
    (Op::GetKey, Peer::RedisPipe, LARGE, 0.06),
    (Op::Tick, Peer::Slotmap, SMALL, 1.2),
    (Op::Tick, Peer::Slotmap, LARGE, 0.5),
    (Op::Iter100, Peer::Slotmap, SMALL, 1.0),
    (Op::Iter100, Peer::Slotmap, MANY, 1.0),
    (Op::Iter50, Peer::Slotmap, SMALL, 0.66),
    (Op::Iter50, Peer::Slotmap, MANY, 0.66),
    (Op::Iter10, Peer::Slotmap, SMALL, 0.35),
    (Op::Iter10, Peer::Slotmap, MANY, 0.35),
    (Op::ReadAll, Peer::PlainReads, MANY, 1.11),
    (Op::TakeOver, Peer::TearDown, MANY, 1.24),
    (Op::FirstObject, Peer::EmptyProgram, ALL, 1.1),
    (Op::FirstTick, Peer::Redis, ALL, 0.1),
    (Op::FirstTick, Peer::Sqlite, ALL, 0.1),
    (Op::FirstTick, Peer::File, ALL, 0.1),
];

/// Goals on pages of 2 MiB, if they differ.
const HUGE: &[(Op, Peer, Range, f64)] = &[
    (Op::GetRand, Peer::Slotmap, LARGE, 0.5),
    (Op::GetDep, Peer::Slotmap, LARGE, 0.6),
    (Op::ChurnRand, Peer::Slotmap, LARGE, 0.7),
    (Op::GetKey, Peer::Slotmap, LARGE, 0.37),
    (Op::Tick, Peer::Slotmap, LARGE, 0.3),
    (Op::TakeOver, Peer::TearDown, MANY, 3.3),
];

/// Goals for larger objects.
const LONG: &[(Op, Peer, Range, f64)] = &[(Op::ReadAll, Peer::PlainReads, 100_000..=usize::MAX, 1.03)];

/// Returns the goal for a ratio, if there is one. No goal is set for populations that fit the
/// processor's last cache: there, the same loop differs by a factor of three from run to run.
pub fn goal(op: Op, peer: Peer, size: usize, n: usize) -> Option<f64> {
    let restart = matches!(op, Op::FirstObject | Op::FirstTick | Op::TakeOver);
    let fits = |goal: &&(Op, Peer, Range, f64)| (goal.0, goal.1) == (op, peer) && goal.2.contains(&n);
    let huge = HUGE.iter().filter(|_| pages::are_huge());
    let short = huge.chain(GOALS).filter(|_| restart || size == 64);
    let long = LONG.iter().filter(|_| size > 64);
    short.chain(long).find(fits).map(|goal| goal.3)
}
