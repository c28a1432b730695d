//! The goals: the largest ratio allowed for an operation and a peer.

use super::op::Op;
use super::peer::Peer;

/// Returns the goal for a ratio, if there is one.
pub fn goal(op: Op, peer: Peer, size: usize) -> Option<f64> {
    Some(match (op, peer) {
        (Op::LatencySpin, Peer::Ring) => 1.8,
        (Op::LatencySpin, Peer::Iceoryx2) => 0.5,
        (Op::LatencyBlock, Peer::Futex) => 1.3,
        (Op::LatencyBlock, Peer::Iceoryx2) => 0.65,
        (Op::Throughput, Peer::Iceoryx2) if size == 1024 => 1.0 / 3.0,
        (Op::Throughput, Peer::UnixSocket) if size == 1024 => 0.1,
        (Op::Frames, Peer::Iceoryx2 | Peer::UnixSocket) => 1.0,
        _ => return None,
    })
}
