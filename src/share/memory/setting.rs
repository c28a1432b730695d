//! What the ini asks for of a pool's memory, and where it says so.

use crate::conf::{MemoryConf, Place, ProcessConf};
use crate::limits::HUGE_PAGE;

/// What the ini asks for, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) conf: MemoryConf,
    /// Pages of 2 MiB that all segments of the pool take.
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

    /// A key of the process, at the line of its section.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place { key: key.into(), ..self.section.clone() }
    }
}

/// Pages of 2 MiB that all segments of a pool take.
fn huge_needed(conf: &ProcessConf, base_bytes: u64) -> u64 {
    base_bytes.div_ceil(HUGE_PAGE) + conf.block_size.0.div_ceil(HUGE_PAGE) * conf.shm_keys.len() as u64
}
