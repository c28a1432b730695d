//! What a thread has inside a scope: a mark, an undo log, and commands for later.

use crate::object::{Id, PoolObject};
use crate::pool::change::tx::{Tx, TxError};
use crate::pool::change::undo::{LogFull, Undo};
use crate::pool::forensics::black_box::LIBRARY_TAGS;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::par::lanes::{Loan, Taken};
use crate::pool::par::shared::{Command, Shared};
use crate::sys;
use std::fmt;
use std::mem::take;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What a thread may do to a pool inside a [`Scope`](crate::pool::Scope) besides reading.
///
/// It writes objects of the portions that the thread has, one at a time: through a guard
/// ([`Portion::get_mut`](crate::pool::Portion::get_mut)), or all or nothing
/// ([`Portion::update`](crate::pool::Portion::update)). If the process dies meanwhile, the next start
/// names the object, or restores it.
///
/// It cannot allocate or free, which would change what other threads read. The methods here note
/// such changes as *commands*. They are made after all threads of the scope are done, in the order
/// of the jobs and, within a job, of the calls. Each command is all or nothing under a kill, the
/// sequence is not. None is made if a job panics.
#[must_use = "a lane does nothing by itself"]
pub struct Lane<'a> {
    taken: Taken<'a>,
    log: Option<Log>,
    later: Vec<Command>,
    job: usize,
    shared: Arc<Shared>,
}

/// The undo log of a lane.
struct Log {
    undo: Undo,
    number: u32,
}

impl<'a> Lane<'a> {
    pub(crate) fn new(taken: Taken<'a>, shared: &Arc<Shared>, job: usize) -> Self {
        let log = shared.take_log().map(|(number, undo)| Log { undo, number });
        Lane { taken, log, later: Vec::new(), job, shared: Arc::clone(shared) }
    }

    /// Begins to write objects, one at a time.
    pub(crate) fn loan(&mut self) -> Loan<'_> {
        self.taken.loan()
    }

    /// Returns the undo log, if the log of the pool has room for one for each thread.
    pub(crate) fn undo(&mut self) -> Option<&mut Undo> {
        self.log.as_mut().map(|log| &mut log.undo)
    }

    /// Returns the error of an object of `bytes` bytes that does not fit into the undo log.
    #[cold]
    pub(crate) fn too_large(&self, bytes: usize, _: LogFull) -> TxError {
        let (capacity, needs) = match &self.log {
            Some(log) => (log.undo.capacity(), log.undo.with_another(bytes)),
            None => (0, bytes as u64),
        };
        self.shared.too_large(capacity, needs)
    }

    /// Writes a note to the black box, as [`MemoryPoolMgr::note`] does.
    pub fn note(&self, tag: u32, a: u64, b: u64) {
        self.taken.lanes().note(tag & !LIBRARY_TAGS, a, b, sys::clock::coarse_nanos());
    }

    /// Allocates an object after the scope, as [`MemoryPoolMgr::alloc`] does.
    pub fn alloc<T: PoolObject + Send>(&mut self, value: T) {
        self.command(move |pool| Ok(pool.alloc(value).map(drop)?));
    }

    /// Allocates an object with a user key after the scope, as [`MemoryPoolMgr::alloc_keyed`] does.
    pub fn alloc_keyed<T: PoolObject + Send>(&mut self, key: u64, value: T) {
        self.command(move |pool| Ok(pool.alloc_keyed(key, value).map(drop)?));
    }

    /// Frees an object after the scope.
    pub fn free<T: PoolObject>(&mut self, id: Id<T>) {
        let handle = id.handle();
        self.command(move |pool| match handle.typed::<T>() {
            Some(id) if pool.free(id) => Ok(()),
            _ => Err(TxError::Stale(handle)),
        });
    }

    /// Frees the object with a user key after the scope.
    pub fn free_by_key<T: PoolObject>(&mut self, key: u64) {
        self.command(move |pool| match pool.free_by_key::<T>(key) {
            true => Ok(()),
            false => Err(TxError::NoSuchKey { type_name: T::NAME, key }),
        });
    }

    /// Runs a transaction after the scope, as [`MemoryPoolMgr::tx`] does.
    pub fn tx(&mut self, f: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static) {
        self.command(move |pool| pool.tx(f));
    }

    fn command(&mut self, f: impl FnOnce(&mut MemoryPoolMgr) -> Result<(), TxError> + Send + 'static) {
        self.later.push(Box::new(f));
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if !self.later.is_empty() {
            self.shared.order(self.job, take(&mut self.later));
        }
        if let Some(log) = &self.log {
            self.shared.give_log(log.number);
        }
    }
}

impl fmt::Debug for Lane<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("job", &self.job).finish_non_exhaustive()
    }
}

/// A guard of a thread: an exclusive reference to an object that the thread's lane names.
///
/// It means what [`RefMut`](crate::RefMut) means for a pool with one thread.
#[must_use = "the object is marked as being written for as long as the guard lives"]
pub struct LaneMut<'a, T> {
    object: &'a mut T,
    _loan: Loan<'a>,
}

impl<'a, T> LaneMut<'a, T> {
    pub(crate) fn new(object: &'a mut T, loan: Loan<'a>) -> Self {
        LaneMut { object, _loan: loan }
    }
}

impl<T> Deref for LaneMut<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.object
    }
}

impl<T> DerefMut for LaneMut<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.object
    }
}

impl<T: fmt::Debug> fmt::Debug for LaneMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
    }
}
