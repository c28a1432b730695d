//! An inspected pool: a start holds its lock and has judged its segments, but stored nothing.

use super::error::{ShareError, system};
use super::facts::Facts;
use super::fence;
use super::ground::{self, BlockWant, Ground, Judged, Making, Standing};
use super::home::Home;
use super::making::Identity;
use super::manager::{PoolSegments, StartMode};
use super::memory::setting::Setting;
use super::owner::OwnerLock;
use super::owner_set::Whose;
use super::place;
use super::remains;
use super::segment::Segment;
use super::wait::Wait;
use crate::conf::{BackendKind, ProcessConf};
use crate::layout::BASE_KIND;
use crate::limits::PAGE;
use crate::region::Region;
use crate::sys;
use crate::units::Key;

/// A pool whose owner this process may become. Dropping it leaves everything as it was.
///
/// The fields are in the order in which they are dropped: the lock is released last.
pub(crate) struct Prospect {
    base: Judged,
    ground: Ground,
    base_bytes: u64,
}

impl Prospect {
    /// Takes the owner lock, waits until no rival has the base attached, and judges the base.
    ///
    /// A segment that is neither a base of hotpool nor the beginning of one is refused. A base that
    /// must be created gets `base_bytes` bytes.
    pub(crate) fn look(conf: &ProcessConf, base_bytes: u64) -> Result<Prospect, ShareError> {
        let wait = Wait::ms(conf.owner_wait_ms);
        let lock = OwnerLock::take_of(conf.backend, conf.base_key, conf.mode, Whose::Own, wait)?;
        let backend = Home::of(conf).open();
        let waited = fence::wait_for_rivals(&*backend, conf.base_key, &lock, wait);
        let ground = Ground {
            backend,
            key: conf.base_key,
            mode: conf.mode,
            core_dump: conf.core_dump,
            setting: Setting::of(conf, base_bytes),
            lock: Some(lock),
            is_adopted: false,
        };
        waited?;
        let base = Self::judge(&ground, base_bytes, wait)?;
        if conf.resume.must_be_hot && base.standing() != Standing::Complete {
            let verdict = base.facts.verdict();
            return Err(ShareError::Cold { verdict, facts: Box::new(base.facts) });
        }
        ground.backend.list_once(true);
        Ok(Prospect { base, ground, base_bytes })
    }

    /// Judges the base, after it has removed what a killed restore has left under its key.
    fn judge(ground: &Ground, base_bytes: u64, wait: Wait) -> Result<Judged, ShareError> {
        let judged = ground.judge_locked_base(base_bytes, wait);
        let left = match &judged {
            Ok(judged) => remains::remains(&judged.facts),
            Err(ShareError::Refused { facts, .. }) => remains::remains(facts),
            Err(_) => None,
        };
        let Some(head) = left.cloned() else { return judged };
        drop(judged);
        remains::sweep(ground, &head)?;
        ground.judge_locked_base(base_bytes, wait)
    }

    /// Returns the judged base, the ground, and the size of a base that must be created.
    #[cfg(feature = "snapshots")]
    pub(super) fn into_parts(self) -> (Judged, Ground, u64) {
        self.ground.backend.list_once(false);
        (self.base, self.ground, self.base_bytes)
    }

    /// Returns the memory of a complete base; `None` if there is none.
    pub(crate) fn base(&self) -> Option<Region> {
        self.base.region()
    }

    /// Returns the facts about the base.
    pub(crate) fn facts(&self) -> &Facts {
        &self.base.facts
    }

    /// Returns the page size of the base in bytes; that of a small page if there is no base.
    pub(crate) fn page(&self) -> u64 {
        self.base.segment.as_ref().map_or(PAGE, Segment::page)
    }

    /// Returns whether only the semaphores of an earlier owner exist under the base key.
    pub(crate) fn is_after_an_owner(&self) -> bool {
        let found = self.ground.lock.as_ref().is_some_and(OwnerLock::was_found);
        found && self.base.facts.segment.is_none()
    }

    /// Returns the identity of a pool whose base is complete; zero if there is none.
    pub(crate) fn pool_id(&self) -> [u64; 2] {
        let complete = self.base.facts.head().filter(|_| self.base.standing == Standing::Complete);
        complete.map_or([0; 2], |head| head.pool_id)
    }

    /// Returns whether a start in another namespace has created or replaced the base since it was
    /// judged.
    pub(crate) fn is_outrun(&self) -> bool {
        let backend = &*self.ground.backend;
        let now = backend.find(self.ground.key).ok().flatten();
        self.ground.lock.as_ref().is_some_and(|lock| !lock.is_on(backend, now.as_ref()))
    }

    /// Judges a block that the pool names.
    pub(crate) fn judge_block(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        self.ground.judge_block(want)
    }

    /// Judges the segment under a key that the pool has not used yet.
    pub(crate) fn judge_new(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        self.ground.judge_new(want)
    }

    /// Returns offset and length of the first hole in a complete base that is a file and was fully
    /// populated.
    pub(crate) fn hole_in_base(&self) -> Option<(u64, u64)> {
        self.ground.hole(&self.base, self.base.region()?.len())
    }

    /// Returns offset and length of the first hole before `end` in a complete block.
    pub(crate) fn hole_in(&self, block: &Judged, end: u64) -> Option<(u64, u64)> {
        self.ground.hole(block, end)
    }

    /// Judges the segment under the key of a part of this pool's copy.
    pub(crate) fn judge_copy(
        &self,
        key: Key,
        block: Option<u32>,
        bytes: u64,
    ) -> Result<Standing, ShareError> {
        let (want, kind) = ground::copy_want(self.pool_id(), key, block, bytes);
        Ok(self.ground.judge_copy(&want, kind)?.standing)
    }

    /// Ends the inspection: the start stores from here on. `blocks` are the complete blocks of the
    /// pool.
    ///
    /// An absent base is created; `make` fills all but its frozen bytes, which are zero when it is
    /// called. Nothing is stored until it is certain that the key still leads to this lock. A start
    /// that a newer set has let in has checked for this attach, or this start sees the newer set.
    pub(crate) fn take(
        self,
        blocks: Vec<Judged>,
        make: &mut dyn FnMut(&Region),
    ) -> Result<PoolSegments, ShareError> {
        let Prospect { base, mut ground, base_bytes } = self;
        ground.backend.list_once(false);
        let found = base.facts.clone();
        let key = ground.key;
        ground.check_lock(&found)?;
        if let Some(lock) = &ground.lock {
            lock.note_place(place::number(&*ground.backend, key));
        }
        let Standing::Complete = base.standing else {
            warn_of_removal(&ground);
            let pool_id = sys::random_id().map_err(system(key, base_bytes, "name"))?;
            let identity = Identity { key, pool_id, kind: BASE_KIND, index: 0, bytes: base_bytes };
            let making = Making::base(&ground.setting, base_bytes);
            let (base, made) = ground.make(base, &identity, &making, make)?;
            ground.is_adopted = true;
            return Ok(PoolSegments::new(ground, base, found, StartMode::Init, pool_id, Some(made)));
        };
        let pool_id = found.head().map_or([0; 2], |head| head.pool_id);
        let base = ground.keep(base, BASE_KIND)?;
        ground.is_adopted = true;
        let mut share = PoolSegments::new(ground, base, found, StartMode::Resume, pool_id, None);
        for block in blocks {
            share.keep_block(block)?;
        }
        Ok(share)
    }
}

fn warn_of_removal(ground: &Ground) {
    if ground.backend.kind() == BackendKind::Sysv && sys::proc::removes_at_last_detach() {
        log::warn!(
            "kernel.shm_rmid_forced is 1: the kernel removes the pool under {} as soon as this process ends, and \
             every start is cold; run `sysctl kernel.shm_rmid_forced=0`",
            ground.key
        );
    }
}
