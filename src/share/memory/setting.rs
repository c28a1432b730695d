//! The memory settings of the ini, and their positions in the file.

use crate::conf::{MemoryConf, Place, ProcessConf};
use crate::limits::HUGE_PAGE;

/// The memory settings of the ini, with their position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) conf: MemoryConf,
    /// Number of pages of 2 MiB for all segments of the pool.
    pub(crate) huge_needed: u64,
    section: Place,
}

impl Setting {
    pub(crate) fn of(conf: &ProcessConf, base_bytes: u64) -> Self {
        Setting {
            conf: conf.memory,
            huge_needed: huge_needed(conf, base_bytes),
            section: conf.places.section.clone(),
        }
    }

    /// Returns the position of an ini key of the process, at the line of its section.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place { key: key.into(), ..self.section.clone() }
    }
}

/// Returns the number of pages of 2 MiB for all segments of a pool.
fn huge_needed(conf: &ProcessConf, base_bytes: u64) -> u64 {
    base_bytes.div_ceil(HUGE_PAGE) + conf.block_size.0.div_ceil(HUGE_PAGE) * conf.shm_keys.len() as u64
}
