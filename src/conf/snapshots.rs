//! When and where a running pool writes snapshots.

use crate::limits;
use std::path::PathBuf;

/// What a start does if the pool does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Begins with an empty pool.
    #[default]
    Cold,
    /// Restores the latest snapshot of the process, if there is one.
    Restore,
}

impl OnMissing {
    /// All values, in the order in which they are documented.
    pub const ALL: [Self; 2] = [Self::Cold, Self::Restore];

    /// Returns the word for this value in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Restore => "restore",
        }
    }
}

/// Settings for the snapshots of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotConf {
    /// Folder of the sets; empty if there is none, and then no snapshot is written.
    pub dir: PathBuf,
    /// Seconds from one snapshot to the next; 0 leaves it to the program.
    pub every_sec: u64,
    /// Number of full sets that are kept, with the sets that build on them.
    pub keep: u32,
    /// Whether [`close`](crate::MemoryPoolMgr::close) writes a last snapshot.
    pub on_close: bool,
    /// What a start does if the pool does not exist.
    pub on_missing: OnMissing,
}

impl Default for SnapshotConf {
    fn default() -> Self {
        SnapshotConf {
            dir: PathBuf::new(),
            every_sec: 0,
            keep: limits::SNAPSHOTS_KEPT,
            on_close: false,
            on_missing: OnMissing::Cold,
        }
    }
}

impl SnapshotConf {
    /// Creates the settings for snapshots into a folder, each at the request of the program.
    pub fn into_dir(dir: impl Into<PathBuf>) -> Self {
        SnapshotConf { dir: dir.into(), ..SnapshotConf::default() }
    }

    /// Returns whether there is a folder.
    pub fn has_dir(&self) -> bool {
        !self.dir.as_os_str().is_empty()
    }
}
