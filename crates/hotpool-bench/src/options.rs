//! The command line.

use crate::measure::Effort;
use crate::op::Op;
use crate::pages::Pages;
use crate::peer::Peer;
use crate::profile::Profile;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measures hotpool and its peers in the same run, in turn, and prints the ratios.
#[derive(Parser, Debug)]
#[command(name = "hotpool-bench", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What to measure instead of objects
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Only 64-byte objects, with few and short rounds: less than a minute
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// All sizes and populations, with longer rounds: a quarter of an hour for slotmap alone, hours
    /// for all peers
    #[arg(long)]
    pub full: bool,
    /// Operations to measure, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "OP")]
    pub only: Vec<Op>,
    /// Peers to compare with, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "PEER")]
    pub peer: Vec<Peer>,
    /// Object sizes: 64, 256, 1024, 4096
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    pub size: Vec<usize>,
    /// Numbers of objects
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub objects: Vec<usize>,
    /// Rounds for each of the two subjects
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Duration of a round in milliseconds
    #[arg(long)]
    pub round_ms: Option<u64>,
    /// Writes the rows to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draws the charts as SVG into this folder [default in a full run: docs/img]
    #[arg(long, value_name = "DIR")]
    pub charts: Option<PathBuf>,
    /// Page size of the pools
    #[arg(long, value_enum, default_value = "small")]
    pub pages: Pages,
    /// Runs a whole zone instead
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
    /// Compares the ticks of the zone with and without images for snapshots beside them
    #[arg(long, requires = "profile")]
    pub images: bool,
    /// Measures instead how an attach grows with objects, types and blocks, and how much memory an
    /// object takes
    #[arg(long)]
    pub growth: bool,
    /// Number of ticks of the zone
    #[arg(long, default_value_t = 3000)]
    pub ticks: usize,
    /// Number of players in the zone that fresh processes resume
    #[arg(long)]
    pub players: Option<usize>,
    /// Size in GiB of the pool whose owner is killed [default in a full run: 8]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub gib: Option<u64>,
    /// Processor to run on [default: the last one]
    #[arg(long)]
    pub cpu: Option<usize>,
}

/// What can be measured instead of objects.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Measures messages between two processes
    Messaging(crate::messaging::Options),
    /// Measures how fast a pool is saved and restored
    Snapshots(crate::snapshots::Options),
}

/// Maximum number of bytes of all objects in a population.
const MOST_BYTES: usize = 8 << 30;

impl Options {
    /// Returns the operations to measure.
    pub fn ops(&self) -> Vec<Op> {
        match self.only.is_empty() {
            true => Op::value_variants().to_vec(),
            false => self.only.clone(),
        }
    }

    /// Returns the peers to measure.
    pub fn peers(&self) -> Vec<Peer> {
        match self.peer.is_empty() {
            true => Peer::value_variants().to_vec(),
            false => self.peer.clone(),
        }
    }

    /// Returns the sizes and populations to measure.
    pub fn populations(&self) -> Vec<(usize, usize)> {
        let sizes = match self.size.as_slice() {
            [] if self.full => &[64, 256, 1024, 4096][..],
            [] if self.quick => &[64][..],
            [] => &[64, 256][..],
            sizes => sizes,
        };
        let counts = match self.objects.as_slice() {
            [] if self.full => &[1_000, 100_000, 1_000_000, 10_000_000][..],
            [] if self.quick => &[1_000, 100_000][..],
            [] => &[1_000, 100_000, 1_000_000][..],
            counts => counts,
        };
        let all = sizes.iter().flat_map(|&size| counts.iter().map(move |&count| (size, count)));
        all.filter(|(size, count)| size * count <= MOST_BYTES).collect()
    }

    /// Returns the bytes of the pool whose owner is killed.
    pub fn take_over_bytes(&self) -> u64 {
        let mebibytes = match self.gib {
            Some(gib) => gib << 10,
            None if self.full => 8 << 10,
            None if self.quick => 32,
            None => 1 << 10,
        };
        mebibytes << 20
    }

    /// Returns the number of players in the zone that fresh processes resume.
    pub fn players(&self) -> usize {
        self.players.unwrap_or(if self.quick { 200 } else { 2000 })
    }

    /// Returns the folder for the charts.
    pub fn charts(&self) -> Option<PathBuf> {
        self.charts.clone().or_else(|| self.full.then(|| "docs/img".into()))
    }

    /// Returns the duration and number of rounds.
    pub fn effort(&self) -> Effort {
        let (rounds, millis) = match (self.quick, self.full) {
            (true, _) => (5, 2),
            (_, true) => (9, 20),
            _ => (9, 10),
        };
        Effort {
            rounds: self.rounds.unwrap_or(rounds).max(1),
            round: Duration::from_millis(self.round_ms.unwrap_or(millis)),
        }
    }
}
