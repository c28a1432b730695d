//! `PoolSegments`: the segments of one pool, held by its owner.

use super::backend::{Backend, SegmentFacts};
use super::ended::{self, Ended};
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

/// Whether a start finds objects of an earlier start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Cold start: the pool is empty.
    Init,
    /// Hot start: the pool, closed or crashed, has every committed object.
    Resume,
}

/// The segments of one pool, and the right to write to them.
///
/// Dropping it detaches the segments and then releases the owner lock; it removes nothing. The
/// fields are in the order in which they are dropped.
pub(crate) struct PoolSegments {
    /// Key and shmid or inode of every attached segment.
    watched: Vec<(Key, u64)>,
    blocks: Vec<(Key, Segment)>,
    base: Segment,
    /// Segments that this start has created, while they may be removed again.
    made: Vec<Made>,
    found: Facts,
    /// Facts about the blocks that it found, before it attached them.
    found_blocks: Vec<SegmentFacts>,
    start_mode: StartMode,
    pool_id: [u64; 2],
    ground: Ground,
}

impl fmt::Debug for PoolSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSegments")
            .field("key", &self.ground.key)
            .field("backend", &self.ground.backend.kind())
            .field("start_mode", &self.start_mode)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl PoolSegments {
    /// Creates the manager of a pool whose base is attached, without blocks; `made` if the base is
    /// new.
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
        let (blocks, found_blocks) = Default::default();
        PoolSegments { watched, blocks, base, made, found, found_blocks, start_mode, pool_id, ground }
    }

    /// Returns whether the start is cold or hot.
    pub(crate) fn start_mode(&self) -> StartMode {
        self.start_mode
    }

    /// Returns the facts about the base before the first store.
    #[cfg(test)]
    pub(super) fn found(&self) -> &Facts {
        &self.found
    }

    /// Returns when the owner with this pid, which died, left the segments, in seconds of the wall
    /// clock; `None` if that is unknown.
    ///
    /// Complete after all blocks were kept.
    pub(crate) fn left_at(&self, pid: u64) -> Option<u64> {
        match ended::detached(pid, self.found.segment.iter().chain(&self.found_blocks))? {
            Ended::At(at) => Some(at),
            Ended::Before(_) => None,
        }
    }

    /// Returns the identity of the pool, which is the same in all its segments.
    pub(crate) fn pool_id(&self) -> [u64; 2] {
        self.pool_id
    }

    /// Returns the memory of the base.
    pub(crate) fn base(&self) -> Region {
        self.base.region()
    }

    /// Judges the segment under a key that a pool which began in this start has not used yet.
    pub(crate) fn judge_new(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        self.ground.judge_new(want)
    }

    /// Makes the backend search for removed segments only once while new keys are judged.
    pub(crate) fn list_once(&self, once: bool) {
        self.ground.backend.list_once(once);
    }

    /// Judges a block that the pool names.
    #[cfg(test)]
    pub(super) fn judge_block(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        self.ground.judge_block(want)
    }

    /// Keeps a block that was judged complete.
    pub(crate) fn keep_block(&mut self, judged: Judged) -> Result<Region, ShareError> {
        let (key, id) = (judged.facts.key, judged.facts.segment.as_ref().map(|found| found.id));
        self.found_blocks.extend(judged.facts.segment.clone());
        let segment = self.ground.keep(judged, BLOCK_KIND)?;
        Ok(self.keep(key, id, segment))
    }

    /// Keeps a judged block, or creates it.
    ///
    /// A created block may be removed again until [`settle_blocks`](Self::settle_blocks).
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

    /// Makes the segments that this start has created permanent.
    pub(crate) fn settle_blocks(&mut self) {
        self.made.clear();
    }

    /// Undoes the creations of this start, and releases the lock without a trace.
    pub(crate) fn take_back(self) {
        let PoolSegments { mut blocks, base, made, mut ground, .. } = self;
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

    /// Judges the segment under the key of a part of this pool's copy.
    pub(crate) fn judge_copy(
        &self,
        key: Key,
        block: Option<u32>,
        bytes: u64,
    ) -> Result<Standing, ShareError> {
        let (want, kind) = ground::copy_want(self.pool_id, key, block, bytes);
        Ok(self.ground.judge_copy(&want, kind)?.standing)
    }

    /// Creates a segment under `key` that is part of a copy of this pool; `fill` writes all but its
    /// frozen bytes.
    ///
    /// A segment that an earlier attempt has left is created again; any other is refused. The first
    /// `populated` bytes are populated before `fill` is called. The segment may be removed again
    /// until [`settle_blocks`](Self::settle_blocks).
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

    /// Empties the pool and begins a new one in its base.
    ///
    /// Its blocks in `kept` are emptied, its other `blocks` are removed. The old objects are lost.
    /// A kill meanwhile leaves what the caller has marked as moved, or the beginning of a creation.
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
            let facts = facts.map_err(system(key, 0, "inspect"))?;
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

    /// Keeps a block; `id` is its shmid or inode, if known.
    fn keep(&mut self, key: Key, id: Option<u64>, segment: Segment) -> Region {
        self.watched.extend(id.or_else(|| ground::number_of(&*self.ground.backend, key)).map(|id| (key, id)));
        let region = segment.region();
        self.blocks.push((key, segment));
        region
    }

    /// Populates and locks the attached segments as configured, and reports the result.
    pub(crate) fn settle(&self) -> Result<MemoryReport, ShareError> {
        let blocks = self.blocks.iter().map(|(key, segment)| (*key, segment));
        let segments: Vec<_> = std::iter::once((self.ground.key, &self.base)).chain(blocks).collect();
        Ok(residence::settle(&self.ground.setting, &segments)?)
    }

    /// Returns the parts of the pool that were removed while it is attached.
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

    /// Removes the pool: marks the base, then removes the blocks, the base and the semaphores.
    ///
    /// The mark comes first, so that an interrupted removal is never taken for a pool. A segment
    /// under one of `block_keys` that belongs to another pool stays.
    pub(crate) fn destroy(self, block_keys: &[Key]) -> Result<(), ShareError> {
        let PoolSegments { blocks, base, mut ground, pool_id, .. } = self;
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

/// Removes the segment under `key` if `ours` accepts its head; an absent one is no error.
pub(super) fn remove_if(
    backend: &dyn Backend,
    key: Key,
    ours: impl Fn(&Head) -> bool,
) -> Result<bool, ShareError> {
    let unknown = |call| system(key, 0, call);
    let facts = Facts::collect(backend, key, Want::default(), LockFacts::None).map_err(unknown("inspect"))?;
    match (&facts.segment, facts.head()) {
        (Some(segment), Some(head)) if !segment.removed && head.is_hotpool() && ours(head) => {
            backend.remove(key, segment).map_err(unknown("remove"))?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
