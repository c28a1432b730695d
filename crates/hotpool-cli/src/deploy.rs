//! The values of a deployment: `config/deploy.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// A fleet of worlds, each with zones, each with the same processes.
///
/// Numbers are checked by the key plan and sizes by the ini that they are rendered into,
/// so that there is one place that knows what is right.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deploy {
    pub(crate) fleet: FleetSize,
    #[serde(rename = "process")]
    pub(crate) processes: Vec<Process>,
}

/// How many worlds and zones there are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetSize {
    /// Number of the first world; the others follow.
    pub(crate) first_world: u32,
    pub(crate) worlds: u32,
    /// Zones are numbered from 0.
    pub(crate) zones_per_world: u32,
}

/// One process of every zone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) name: String,
    /// Its number in the key plan. Explicit, so that the keys of a process stay when another
    /// one is added, removed or moved.
    pub(crate) number: u32,
    pub(crate) block_size: String,
    pub(crate) blocks: u32,
    pub(crate) backend: Option<String>,
    pub(crate) dir: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) owner_wait_ms: Option<u64>,
    pub(crate) core_dump: Option<String>,
    pub(crate) undo_size: Option<String>,
    pub(crate) huge_pages: Option<String>,
    pub(crate) prefault: Option<bool>,
    pub(crate) lock_memory: Option<bool>,
    pub(crate) max_crash_resumes: Option<u64>,
    pub(crate) crash_window_sec: Option<u64>,
    pub(crate) on_crash_loop: Option<String>,
    pub(crate) on_torn: Option<String>,
    pub(crate) must_be_hot: Option<bool>,
    #[serde(default)]
    pub(crate) types: BTreeMap<String, TypeSize>,
}

/// What is known of a type of objects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypeSize {
    pub(crate) capacity: u32,
    /// Size of one object.
    pub(crate) bytes: Option<String>,
}

impl FleetSize {
    /// Numbers of the worlds. A number beyond all is kept, for the key plan to refuse.
    pub(crate) fn worlds(&self) -> impl Iterator<Item = u32> {
        (0..self.worlds).map(|n| self.first_world.saturating_add(n))
    }

    /// Numbers of the zones of a world.
    pub(crate) fn zones(&self) -> Range<u32> {
        0..self.zones_per_world
    }
}
