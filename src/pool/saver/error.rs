//! The reasons why a snapshot of a running pool is absent.

use crate::conf::Place;
use crate::snapshot::SetError;
use crate::units::{Span, plural};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The reason why a snapshot of a running pool is absent. The pool goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The configuration names no folder.
    #[error(
        "{place}: there is no folder for the snapshots; write, for example, SnapshotDir = /var/lib/hotpool/snapshots"
    )]
    NoDir {
        /// Position of `SnapshotDir`.
        place: Place,
    },
    /// Another snapshot is under way.
    #[error("a snapshot is under way; call snapshot_step until it is whole, or snapshot_drop")]
    UnderWay,
    /// No snapshot is under way.
    #[error("no snapshot is under way; call snapshot_begin first")]
    NotBegun,
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes snapshots: {source}; the next snapshot tries again")]
    NoThread {
        /// Reason of the system.
        source: io::Error,
    },
    /// The thread that writes has panicked.
    #[error("the thread that writes snapshots has panicked: {what}; the next snapshot has a new one")]
    Died {
        /// Message of the panic.
        what: String,
    },
    /// The thread that writes does not go on.
    #[error(
        "the thread that writes snapshots has done nothing for {}: examine the disk of {}",
        Span(*time), .dir.display()
    )]
    Hangs {
        /// Folder of the sets.
        dir: PathBuf,
        /// Time since it did something.
        time: Duration,
    },
    /// The set could not be written.
    #[error(transparent)]
    Set(#[from] SetError),
}

/// Why the last snapshots of a running pool are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotTrouble {
    /// Folder of the sets.
    pub dir: PathBuf,
    /// Number of snapshots since the last whole one.
    pub failed: u32,
    /// Why the last of them failed, or what it waits for.
    pub why: String,
}

impl fmt::Display for SnapshotTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SnapshotTrouble { dir, failed, why } = self;
        write!(f, "no snapshot in {}", dir.display())?;
        if *failed != 0 {
            write!(f, " after {}", plural((*failed).into(), "attempt"))?;
        }
        write!(f, ": {why}; the objects are safe as long as the machine runs")
    }
}
