//! The command line of `messaging`.

use super::op::Op;
use super::peer::Peer;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Measures messages between two processes.
#[derive(Args, Debug)]
pub struct Options {
    /// Few rounds: less than a minute
    #[arg(long)]
    pub quick: bool,
    /// Writes the rows to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Operations to measure, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "OP")]
    pub only: Vec<Op>,
    /// Peers to compare with, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "PEER")]
    pub peer: Vec<Peer>,
    /// Rounds for each way
    #[arg(long)]
    pub rounds: Option<usize>,
}

impl Options {
    /// Returns the peers to measure.
    pub fn peers(&self) -> Vec<Peer> {
        let named = match self.peer.is_empty() {
            true => Peer::value_variants().to_vec(),
            false => self.peer.clone(),
        };
        named.into_iter().filter(|peer| *peer != Peer::Hotpool).collect()
    }

    /// Returns the operations and sizes to measure.
    pub fn cases(&self) -> Vec<(Op, usize)> {
        let ops = Op::value_variants().iter().filter(|op| self.only.is_empty() || self.only.contains(op));
        ops.flat_map(|op| op.sizes().iter().map(|size| (*op, *size))).collect()
    }

    /// Returns the number of rounds.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 11 } else { 51 }).max(1)
    }
}
