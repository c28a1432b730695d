//! The values of a deployment: `config/deploy.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// A fleet of worlds, each with zones, each with the same processes.
///
/// The key plan checks the numbers, and the rendered ini the sizes, so that each rule stands in one place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deploy {
    pub(crate) fleet: FleetSize,
    #[serde(rename = "process")]
    pub(crate) processes: Vec<Process>,
    #[serde(rename = "queue", default)]
    pub(crate) queues: Vec<Queue>,
}

/// The numbers of worlds and zones.
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
    /// Its number in the key plan. Explicit, so that adding, removing or moving another process does not
    /// change the segment keys of this one.
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
    pub(crate) snapshot_dir: Option<String>,
    pub(crate) snapshot_every_sec: Option<u64>,
    pub(crate) snapshot_keep: Option<u64>,
    pub(crate) snapshot_on_close: Option<bool>,
    pub(crate) on_missing: Option<String>,
    #[serde(default)]
    pub(crate) types: BTreeMap<String, TypeSize>,
}

/// One queue of every zone, between its processes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// Its number in the key plan, like that of a process.
    pub(crate) number: u32,
    pub(crate) kind: String,
    pub(crate) capacity: u64,
    pub(crate) message_size: String,
    /// Bytes of each writer for larger messages.
    pub(crate) payload_bytes: Option<String>,
    pub(crate) writers: Vec<String>,
    pub(crate) readers: Vec<String>,
    pub(crate) on_dead: Option<String>,
    pub(crate) on_slow: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) wait_ms: Option<u64>,
}

/// Capacity and size of a type of objects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypeSize {
    pub(crate) capacity: u32,
    /// Size of one object.
    pub(crate) bytes: Option<String>,
}

impl FleetSize {
    /// Returns the numbers of the worlds. The key plan refuses numbers that are too large.
    pub(crate) fn worlds(&self) -> impl Iterator<Item = u32> {
        (0..self.worlds).map(|n| self.first_world.saturating_add(n))
    }

    /// Returns the numbers of the zones of a world.
    pub(crate) fn zones(&self) -> Range<u32> {
        0..self.zones_per_world
    }
}
