//! What the lanes of a scope share: the parts of the undo log, and the commands for its end.

use crate::pool::change::lane_logs;
use crate::pool::change::tx::TxError;
use crate::pool::change::undo::Undo;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::par::protocol::LaneSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A change that is made after all threads of a scope are done.
pub(crate) type Command = Box<dyn FnOnce(&mut MemoryPoolMgr) -> Result<(), TxError> + Send>;

/// What the lanes of a scope share.
pub(crate) struct Shared {
    logs: LaneSet,
    parts: lane_logs::Parts,
    undo_size: usize,
    jobs: AtomicUsize,
    /// The commands of each job that is done.
    orders: Mutex<Vec<(usize, Vec<Command>)>>,
}

impl Shared {
    pub(crate) fn new(pool: &MemoryPoolMgr, parts: lane_logs::Parts) -> Self {
        Shared {
            logs: LaneSet::new(),
            parts,
            undo_size: pool.conf.undo_size.0 as usize,
            jobs: AtomicUsize::new(0),
            orders: Mutex::default(),
        }
    }

    /// Takes a part of the undo log.
    pub(crate) fn take_log(&self) -> Option<(u32, Undo)> {
        let number = self.logs.take(self.parts.count())?;
        Some((number, self.parts.part(number)?))
    }

    pub(crate) fn give_log(&self, number: u32) {
        self.logs.give(number);
    }

    /// Keeps the commands of a job until all jobs are done.
    pub(crate) fn order(&self, job: usize, commands: Vec<Command>) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push((job, commands));
    }

    /// Returns the error of a record that does not fit into a part of the log.
    pub(crate) fn too_large(&self, capacity: usize, needs: u64) -> TxError {
        let parts = u64::from(self.parts.count()).max(1);
        // Each part has a head, and ends at a cache line.
        let needs = needs.saturating_add(128).saturating_mul(parts);
        TxError::TooLarge { capacity, undo_size: self.undo_size, needs }
    }

    /// Returns the number of the next job.
    pub(crate) fn next_job(&self) -> usize {
        self.jobs.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the commands in the order of their jobs.
    pub(crate) fn take_orders(&self) -> Vec<(usize, Vec<Command>)> {
        let mut orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        orders.sort_by_key(|(job, _)| *job);
        orders
    }
}
