//! Whether the pool of a running process is still the one that a restart will find.

use crate::pool::manager::MemoryPoolMgr;
use crate::share::Loss;
use crate::units::Key;
use std::fmt;

/// What a look at a running pool has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is wrong; nothing, if all is well.
    pub losses: Vec<Loss>,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.losses.is_empty()
    }

    /// Whether objects will be lost when this process ends.
    pub fn objects_at_risk(&self) -> bool {
        self.losses
            .iter()
            .any(|loss| matches!(loss, Loss::SegmentRemoved { .. } | Loss::SegmentReplaced { .. }))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.losses.as_slice() {
            [] => f.write_str("good"),
            losses => {
                let said: Vec<String> = losses.iter().map(Loss::to_string).collect();
                f.write_str(&said.join("\n"))
            }
        }
    }
}

impl MemoryPoolMgr {
    /// Looks whether segments and semaphores are still there: a few microseconds, to be called every
    /// few seconds.
    ///
    /// Somebody may remove them under a running server: `ipcrm`, systemd-logind with `RemoveIPC=yes`, the end of
    /// a container's IPC namespace. The process does not notice; its objects live on until it ends, and then they
    /// are gone. Each [`Loss`] says what to do while there is time.
    pub fn health(&self) -> Health {
        let mut losses = self.share.losses();
        let epoch = self.base.header.epoch.load();
        if epoch != self.epoch() {
            losses.push(Loss::Overtaken { key: Key(self.base_key().0), epoch });
        }
        Health { losses }
    }
}
