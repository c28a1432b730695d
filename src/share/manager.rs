//! ShareMgr: the segments of one pool, in the hands of their one owner.

use super::backend::Backend;
use super::error::{ShareError, system};
use super::facts::{Facts, Want};
use super::head::Head;

use super::ground::{self, BlockWant, Ground, Judged, Made, Making, Standing};
use super::lock_facts::LockFacts;
use super::loss::Loss;
use super::making::{self, Filling, Identity};
use super::memory::MemoryReport;
use super::memory::residence;
use super::memory::setting::Setting;
use super::owner::OwnerLock;
use super::segment::Segment;
use crate::layout::{BASE_KIND, BLOCK_KIND, MAGIC_GONE};
use crate::mutants::{Mutant, planted};
use crate::region::Region;
use crate::sys;
use crate::sys::mem;
use crate::units::{Bytes, Key};
use std::fmt;

/// Whether a pool begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// There was none: it is empty.
    Init,
    /// It was there, closed or crashed: every committed object is.
    Resume,
}

/// The segments of one pool and the right to write to them.
///
/// Dropping it detaches the segments and then gives the owner lock back; nothing is removed. The
/// fields are in the order in which they are dropped.
pub struct ShareMgr {
    /// Key and number, shmid or inode, of every attached segment.
    watched: Vec<(Key, u64)>,
    blocks: Vec<(Key, Segment)>,
    base: Segment,
    /// What this start has made, as long as that may be taken back.
    made: Vec<Made>,
    found: Facts,
    start_mode: StartMode,
    pool_id: [u64; 2],
    ground: Ground,
}

impl fmt::Debug for ShareMgr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareMgr")
            .field("key", &self.ground.key)
            .field("backend", &self.ground.backend.kind())
            .field("start_mode", &self.start_mode)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl ShareMgr {
    /// The pool whose base is attached, and no block yet; `made` if the base was made for it.
    pub(super) fn new(
        ground: Ground,
        base: Segment,
        found: Facts,
        start_mode: StartMode,
        pool_id: [u64; 2],
        made: Option<Made>,
    ) -> Self {
        let key = ground.key;
        let known = found.segment.as_ref().map(|found| found.id).filter(|_| made.is_none());
        let id = known.or_else(|| ground::number_of(&*ground.backend, key));
        let watched = id.map(|id| (key, id)).into_iter().collect();
        let made = made.into_iter().collect();
        ShareMgr { watched, blocks: Vec::new(), base, made, found, start_mode, pool_id, ground }
    }

    /// Whether the pool begins or goes on.
    pub fn start_mode(&self) -> StartMode {
        self.start_mode
    }

    /// What was found under the base key before anything was done.
    pub fn found(&self) -> &Facts {
        &self.found
    }

    /// Identity of the pool, the same in all its segments.
    pub fn pool_id(&self) -> [u64; 2] {
        self.pool_id
    }

    /// Memory of the base segment.
    pub(crate) fn base(&self) -> Region {
        self.base.region()
    }

    /// Judges what is under a key that the pool has not used yet: for a pool that began in this start.
    pub(crate) fn judge_new(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        self.ground.judge_new(want)
    }

    /// Looks once for what was removed under processes, while new keys are judged.
    pub(crate) fn list_once(&self, once: bool) {
        self.ground.backend.list_once(once);
    }

    /// Judges a block that the pool has.
    #[cfg(test)]
    pub(super) fn judge_block(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        self.ground.judge_block(want)
    }

    /// Keeps a block that was judged complete.
    pub(crate) fn keep_block(&mut self, judged: Judged) -> Result<Region, ShareError> {
        let (key, id) = (judged.facts.key, judged.facts.segment.as_ref().map(|found| found.id));
        let segment = self.ground.keep(judged, BLOCK_KIND)?;
        Ok(self.keep(key, id, segment))
    }

    /// Has the block that was judged: as it is, or made.
    ///
    /// Until [`settle_blocks`](Self::settle_blocks) it can be taken back.
    pub(crate) fn have_block(&mut self, judged: Judged, want: &BlockWant) -> Result<Region, ShareError> {
        if judged.standing == Standing::Complete {
            return self.keep_block(judged);
        }
        let (key, index, bytes) = (want.key, want.index, want.bytes);
        let identity = Identity { key, pool_id: self.pool_id, kind: BLOCK_KIND, index, bytes };
        let making = Making::block(&self.ground.setting);
        let (segment, made) = self.ground.make(judged, &identity, &making, &mut |_| ())?;
        self.made.push(made);
        Ok(self.keep(key, None, segment))
    }

    /// Says that what this start has made stays.
    pub(crate) fn settle_blocks(&mut self) {
        self.made.clear();
    }

    /// Takes back what this start has made, and gives the lock back with no trace left.
    pub(crate) fn take_back(self) {
        let ShareMgr { mut blocks, base, made, mut ground, .. } = self;
        for made in made.iter().filter(|made| made.key != ground.key) {
            let at = blocks.iter().position(|(key, _)| *key == made.key);
            ground.take_back(at.map(|at| blocks.swap_remove(at).1), made);
        }
        drop(blocks);
        match made.iter().find(|made| made.key == ground.key) {
            Some(made) => ground.take_back(Some(base), made),
            None => drop(base),
        }
        ground.is_adopted = false;
    }

    /// Judges what is under the key of a part of the copy of this pool.
    pub(crate) fn judge_copy(
        &self,
        key: Key,
        block: Option<u32>,
        bytes: u64,
    ) -> Result<Standing, ShareError> {
        let (want, kind) = ground::copy_want(self.pool_id, key, block, bytes);
        Ok(self.ground.judge_copy(&want, kind)?.standing)
    }

    /// Makes a segment under `key` that is part of a copy of this pool, and lets `fill` write its bytes behind the
    /// frozen ones. One that an earlier try has left is made again; anything else is refused.
    /// Memory is there for the first `populated` bytes when `fill` is called.
    ///
    /// Until [`settle_blocks`](Self::settle_blocks) it can be taken back.
    pub(crate) fn copy_aside(
        &mut self,
        key: Key,
        block: Option<u32>,
        bytes: Bytes,
        populated: u64,
        fill: &mut dyn FnMut(&Region),
    ) -> Result<(), ShareError> {
        let (want, kind) = ground::copy_want(self.pool_id, key, block, bytes.0);
        let mut judged = self.ground.judge_copy(&want, kind)?;
        if judged.standing == Standing::Complete {
            judged.standing = Standing::Begun;
        }
        let identity = Identity { key, pool_id: want.pool_id, kind, index: want.index, bytes: bytes.0 };
        let making = Making { setting: &Setting::default(), populated, filling: Filling::Copy };
        let (_, made) = self.ground.make(judged, &identity, &making, fill)?;
        self.made.push(made);
        Ok(())
    }

    /// Empties the pool and begins a new one in its base: of its `blocks`, the ones that are in `kept` are emptied, the
    /// others removed. The old objects are lost. A kill in here leaves what the caller has marked as moved, or the
    /// beginning of a creation.
    pub(crate) fn begin_again(
        &mut self,
        blocks: &[Key],
        kept: &[Key],
        make: &mut dyn FnMut(&Region),
    ) -> Result<(), ShareError> {
        self.blocks.clear();
        self.watched.truncate(1);
        if planted(Mutant::MoveMarksBaseFirst) {
            making::begin_to_empty(&self.base.region());
        }
        let (pool_id, backend) = (self.pool_id, &*self.ground.backend);
        let ours = |head: &Head| head.pool_id == pool_id && head.kind == BLOCK_KIND && head.sound;
        for &key in blocks {
            if !kept.contains(&key) {
                remove_if(backend, key, ours)?;
                continue;
            }
            let facts = Facts::collect(backend, key, Want::default(), LockFacts::None);
            let facts = facts.map_err(system(key, 0, "look at"))?;
            if facts.head().is_some_and(|head| head.is_hotpool() && ours(head)) {
                making::empty(&ground::attach(backend, &facts)?);
            }
        }
        let region = self.base.region();
        let (key, bytes) = (self.ground.key, region.len());
        let pool_id = sys::random_id().map_err(system(key, bytes, "name"))?;
        making::empty(&self.base);
        mem::populate(&region, 0, bytes).map_err(system(key, bytes, "populate"))?;
        let identity = Identity { key, pool_id, kind: BASE_KIND, index: 0, bytes };
        making::fill(&region, &identity, Filling::Head, make);
        self.pool_id = pool_id;
        self.start_mode = StartMode::Init;
        Ok(())
    }

    /// Keeps a block; `id` is its shmid or inode, if that is known already.
    fn keep(&mut self, key: Key, id: Option<u64>, segment: Segment) -> Region {
        self.watched.extend(id.or_else(|| ground::number_of(&*self.ground.backend, key)).map(|id| (key, id)));
        let region = segment.region();
        self.blocks.push((key, segment));
        region
    }

    /// Populates and locks what is attached, as configured; says what came of it.
    pub(crate) fn settle(&self) -> Result<MemoryReport, ShareError> {
        let blocks = self.blocks.iter().map(|(key, segment)| (*key, segment));
        let segments: Vec<_> = std::iter::once((self.ground.key, &self.base)).chain(blocks).collect();
        Ok(residence::settle(&self.ground.setting, &segments)?)
    }

    /// What of the pool was taken away while it is attached.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        let backend = &*self.ground.backend;
        let segments = self.watched.iter().filter_map(|&(key, id)| match backend.stat(key) {
            Ok(Some(facts)) if facts.id == id && !facts.removed => None,
            Ok(Some(facts)) if facts.id != id => Some(Loss::SegmentReplaced { key }),
            Ok(_) => Some(Loss::SegmentRemoved { key }),
            Err(error) => Some(Loss::Unknown { key, why: error.to_string() }),
        });
        let key = self.ground.key;
        let lock = match self.ground.lock.as_ref().map_or(Ok(None), OwnerLock::successor) {
            Ok(None) => match self.ground.lock.as_ref().map_or(Ok(true), OwnerLock::is_held) {
                Ok(true) => None,
                Ok(false) => Some(Loss::LockReleased { key }),
                Err(error) => Some(Loss::Unknown { key, why: error.to_string() }),
            },
            Ok(Some(None)) => Some(Loss::SemaphoresRemoved { key }),
            Ok(Some(Some(_))) => Some(Loss::SemaphoresReplaced { key }),
            Err(error) => Some(Loss::Unknown { key, why: error.to_string() }),
        };
        segments.chain(lock).collect()
    }

    /// Removes the pool: the base is marked first, so that a removal that is cut is never
    /// taken for a pool; then go the blocks, the base and the semaphores. A segment under one of
    /// `block_keys` that is not this pool's stays.
    pub(crate) fn destroy(self, block_keys: &[Key]) -> Result<(), ShareError> {
        let ShareMgr { blocks, base, mut ground, pool_id, .. } = self;
        let key = ground.key;
        if !planted(Mutant::DestroyWithoutMark) {
            making::mark_gone(&base.region());
        }
        drop(blocks);
        drop(base);
        for &block in block_keys {
            remove_if(&*ground.backend, block, |head| head.pool_id == pool_id && head.kind == BLOCK_KIND)?;
        }
        remove_if(&*ground.backend, key, |head| head.pool_id == pool_id && head.magic == MAGIC_GONE)?;
        if let Some(lock) = ground.lock.take() {
            lock.remove();
        }
        Ok(())
    }
}

/// Removes the segment under `key` if its head says so; one that is absent is no error.
pub(super) fn remove_if(
    backend: &dyn Backend,
    key: Key,
    ours: impl Fn(&Head) -> bool,
) -> Result<bool, ShareError> {
    let unknown = |call| system(key, 0, call);
    let facts = Facts::collect(backend, key, Want::default(), LockFacts::None).map_err(unknown("look at"))?;
    match (&facts.segment, facts.head()) {
        (Some(segment), Some(head)) if !segment.removed && head.is_hotpool() && ours(head) => {
            backend.remove(key, segment).map_err(unknown("remove"))?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
