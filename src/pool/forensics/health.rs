//! Health: whether a restart will find the pool of this running process.

use crate::pool::manager::MemoryPoolMgr;
#[cfg(feature = "snapshots")]
use crate::pool::saver::SnapshotTrouble;
use crate::share::Loss;
use crate::units::Key;
use std::fmt;

/// The result of a check of a running pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Losses that were found; empty if the pool is healthy.
    pub losses: Vec<Loss>,
    /// Why the last snapshots are absent, if they are.
    #[cfg(feature = "snapshots")]
    pub snapshot: Option<SnapshotTrouble>,
}

impl Health {
    /// Returns whether there is no loss, and the last snapshot is whole.
    pub fn is_good(&self) -> bool {
        self.losses.is_empty() && self.snapshot().is_none()
    }

    fn snapshot(&self) -> Option<String> {
        #[cfg(feature = "snapshots")]
        return self.snapshot.as_ref().map(ToString::to_string);
        #[cfg(not(feature = "snapshots"))]
        None
    }

    /// Returns whether objects will be lost when this process ends.
    pub fn objects_at_risk(&self) -> bool {
        self.losses
            .iter()
            .any(|loss| matches!(loss, Loss::SegmentRemoved { .. } | Loss::SegmentReplaced { .. }))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.losses.iter().map(Loss::to_string).chain(self.snapshot()).collect();
        f.write_str(if texts.is_empty() { "good".into() } else { texts.join("\n") }.as_str())
    }
}

impl MemoryPoolMgr {
    /// Checks whether segments and semaphores still exist, in a few microseconds, and whether the last
    /// snapshot is whole. Call it every few seconds.
    ///
    /// They may be removed while the server runs: by `ipcrm`, by systemd-logind with
    /// `RemoveIPC=yes`, or by the end of a container's IPC namespace. The process does not notice:
    /// its objects stay until it ends, and then they are lost. Each [`Loss`] states what to do
    /// while there is time.
    pub fn health(&self) -> Health {
        let mut losses = self.share.losses();
        let epoch = self.base.header.epoch.load();
        if epoch != self.epoch() {
            losses.push(Loss::Overtaken { key: Key(self.base_key().0), epoch });
        }
        losses.extend(self.watches.ask().map(|why| Loss::Watched { why }));
        Health {
            losses,
            #[cfg(feature = "snapshots")]
            snapshot: self.snapshot_trouble(),
        }
    }

    /// Adds a question that [`health`](Self::health) asks, too. It answers with what is wrong and what
    /// to do, or with `None`.
    ///
    /// Each call of `health` asks it, so it returns at once, for example from a word that a thread
    /// sets. The fence of the crate `hotpool-snapshot-store` gives one, which tells that another host
    /// has taken over the pool.
    pub fn also_watch(&mut self, watch: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.watches.add(Box::new(watch));
    }
}
