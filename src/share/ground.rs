//! The context of a start, by which it judges, creates and attaches segments: lock, backend and
//! settings.

use super::backend::{Access, Backend};
use super::blank;
use super::error::{ShareError, refused, system};
use super::facts::{self, Facts, Want};
use super::fence;
use super::lock_facts::LockFacts;
use super::making::{self, Filling, Identity};
use super::memory::pages;
use super::memory::setting::Setting;
use super::owner::{self, OwnerLock};
use super::owner_set::Whose;
use super::segment::Segment;
use super::verdict::Verdict;
use super::wait::Wait;
use crate::conf::{BackendKind, CoreDump, HugePages, MemoryConf};
use crate::layout::{BASE_KIND, BLOCK_KIND, Frozen};
use crate::limits::{self, PAGE};
use crate::region::Region;
use crate::sys::mem::{self, Advice};
use crate::sys::{self, sparse};
use crate::units::Key;

/// The lock, the backend and the settings of a start.
pub(super) struct Ground {
    pub(super) backend: Box<dyn Backend>,
    pub(super) key: Key,
    pub(super) mode: u32,
    pub(super) core_dump: CoreDump,
    pub(super) setting: Setting,
    /// Held until the pool is destroyed.
    pub(super) lock: Option<OwnerLock>,
    /// Whether the start has begun to store. Before that, dropping it releases the lock without a
    /// trace.
    pub(super) is_adopted: bool,
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let (false, Some(lock)) = (self.is_adopted, self.lock.take()) {
            lock.abandon();
        }
    }
}

/// A segment that was judged and not stored to: complete and attached, or to be created.
pub(crate) struct Judged {
    pub(super) facts: Facts,
    pub(super) segment: Option<Segment>,
    pub(super) standing: Standing,
}

/// What happens to a judged segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is part of the pool as it is.
    Complete,
    /// It exists and holds nothing: the start creates it again in the same place.
    Begun,
    /// It does not exist.
    Absent,
}

/// The properties that a block must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockWant {
    pub(crate) key: Key,
    pub(crate) index: u32,
    pub(crate) bytes: u64,
    /// Zero if there is no pool yet: a block of any pool is then foreign.
    pub(crate) pool_id: [u64; 2],
}

/// A segment that this start has created, while the creation may be undone.
pub(super) struct Made {
    pub(super) key: Key,
    /// Shmid or inode, if the segment did not exist before; `None` if it was found unfinished.
    pub(super) id: Option<u64>,
}

impl Judged {
    /// Returns what happens to the segment.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Returns the facts that were found.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns the memory of a complete segment.
    pub(crate) fn region(&self) -> Option<Region> {
        self.segment.as_ref().filter(|_| self.standing == Standing::Complete).map(Segment::region)
    }
}

impl Ground {
    /// Reads the facts about the segment under `key`, and attaches it if permitted.
    fn look(&self, key: Key, mut want: Want) -> Result<(Facts, Option<Segment>), ShareError> {
        want.is_first = self.lock.as_ref().is_some_and(OwnerLock::was_made);
        let bytes = want.bytes.map_or(0, |bytes| bytes.0);
        let lock = || Ok(self.lock.as_ref().map_or(LockFacts::None, OwnerLock::facts));
        let looked = Facts::attach(&*self.backend, key, want, &lock, Access::Write);
        looked.map_err(system(key, bytes, "inspect"))
    }

    /// Judges the base as complete or to be created. Any other verdict is refused.
    pub(super) fn judge_base(&self, bytes: u64) -> Result<Judged, ShareError> {
        let (facts, segment) = self.look(self.key, facts::want(bytes, self.mode, BASE_KIND))?;
        let complete = [Verdict::Clean, Verdict::Crashed];
        self.stand(facts, segment, |verdict| complete.contains(verdict))
    }

    /// Judges the base while its lock is held.
    ///
    /// A start in another namespace may have created or removed a base that is a file since the
    /// base was locked. The base is then locked again first.
    pub(super) fn judge_locked_base(&self, bytes: u64, wait: Wait) -> Result<Judged, ShareError> {
        // A refused base without its lock, such as that of another user, is read again a few times:
        // the other start may be creating it.
        const REFUSALS: u32 = 3;
        let mut refusals = 0;
        for _ in 0..limits::OWNER_ROUNDS {
            let judged = self.judge_base(bytes);
            match &judged {
                Ok(judged) if !self.is_locked(&judged.facts) => {}
                Err(ShareError::Refused { facts, .. }) if refusals < REFUSALS && !self.is_locked(facts) => {
                    refusals += 1;
                }
                _ => return judged,
            }
            drop(judged);
            if let Some(lock) = &self.lock {
                fence::wait_for_rivals(&*self.backend, self.key, lock, wait)?;
            }
        }
        Err(ShareError::Outrun { key: self.key })
    }

    /// Returns whether the lock covers the base that was found, for backends that lock bases.
    pub(super) fn is_locked(&self, found: &Facts) -> bool {
        self.lock.as_ref().is_none_or(|lock| lock.is_on(&*self.backend, found.segment.as_ref()))
    }

    /// Checks that the key still leads to the lock, before the first store.
    pub(super) fn check_lock(&self, found: &Facts) -> Result<(), ShareError> {
        let key = self.key;
        match &self.lock {
            Some(lock) if !lock.is_named()? => Err(ShareError::Overtaken { key }),
            _ if !self.is_locked(found) => Err(ShareError::Outrun { key }),
            _ => Ok(()),
        }
    }

    /// Creates an absent segment. A base is locked before the first store to it.
    fn create(&self, identity: &Identity, setting: &Setting) -> Result<Segment, ShareError> {
        let (key, bytes) = (identity.key, identity.bytes);
        let made = pages::create(&*self.backend, setting, key, bytes, self.mode);
        let (Some(lock), true) = (&self.lock, key == self.key && self.backend.path(key).is_some()) else {
            return made;
        };
        let locked = made.and_then(|made| {
            fence::lock_made(&*self.backend, key, lock, made).map_err(system(key, bytes, "create"))
        });
        locked.map_err(|error| match error {
            ShareError::System { source, .. } if fence::is_outrun(&source) => ShareError::Outrun { key },
            other => other,
        })
    }

    /// Judges a block that the pool names: complete, or to be created.
    pub(super) fn judge_block(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        let (facts, segment) = self.look(want.key, self.want_of(want, Some(want.index)))?;
        self.stand(facts, segment, |verdict| *verdict == Verdict::Clean)
    }

    /// Judges the segment under a key that the pool has not used yet.
    ///
    /// It may be absent, unfinished, or a block that an interrupted growth of this pool has created
    /// and not counted. Such a block holds nothing.
    pub(super) fn judge_new(&self, want: &BlockWant) -> Result<Judged, ShareError> {
        let (facts, segment) = self.look(want.key, self.want_of(want, None))?;
        let mut judged = self.stand(facts, segment, |verdict| *verdict == Verdict::Clean)?;
        if judged.standing != Standing::Complete {
            return Ok(judged);
        }
        let (Some(found), Some(segment)) = (&judged.facts.segment, &judged.segment) else {
            return Ok(judged);
        };
        let from = size_of::<Frozen>() as u64;
        if let Some(at) = blank::first_byte(&*self.backend, want.key, found, segment, from) {
            let why = format!(
                "it is a block of this pool that its base does not name, but its word at {at:#x} is not zero"
            );
            return Err(refused(Verdict::Foreign { why }, judged.facts));
        }
        if judged.facts.head().is_some_and(|head| head.index != want.index) {
            judged.standing = Standing::Begun;
        }
        Ok(judged)
    }

    fn want_of(&self, want: &BlockWant, index: Option<u32>) -> Want {
        Want { pool_id: Some(want.pool_id), index, ..facts::want(want.bytes, self.mode, BLOCK_KIND) }
    }

    /// Judges the segment under the key of a copy of this pool.
    pub(super) fn judge_copy(&self, want: &BlockWant, kind: u32) -> Result<Judged, ShareError> {
        let key = want.key;
        let lock = || owner::look_at(&*self.backend, key, Whose::Own);
        let expected = Want {
            pool_id: Some(want.pool_id),
            index: Some(want.index),
            ..facts::want(want.bytes, self.mode, kind)
        };
        let looked = Facts::attach(&*self.backend, key, expected, &lock, Access::Write);
        let (facts, segment) = looked.map_err(system(key, want.bytes, "inspect"))?;
        self.stand(facts, segment, |verdict| [Verdict::Clean, Verdict::Crashed].contains(verdict))
    }

    fn stand(
        &self,
        facts: Facts,
        segment: Option<Segment>,
        is_complete: impl Fn(&Verdict) -> bool,
    ) -> Result<Judged, ShareError> {
        let verdict = facts.verdict();
        let (standing, segment) = match verdict {
            Verdict::Absent => (Standing::Absent, None),
            Verdict::Unfinished => (Standing::Begun, segment),
            // A segment that could only be attached for reading is refused with the system's
            // reason.
            _ if is_complete(&verdict) => {
                (Standing::Complete, Some(segment.map_or_else(|| attach(&*self.backend, &facts), Ok)?))
            }
            _ => return Err(refused(verdict, facts)),
        };
        Ok(Judged { facts, segment, standing })
    }

    /// Returns offset and length of the first hole before `end`, in a file that had been fully
    /// populated.
    pub(super) fn hole(&self, judged: &Judged, end: u64) -> Option<(u64, u64)> {
        let file = self.backend.file(judged.facts.key, judged.facts.segment.as_ref()?)?;
        let at = sparse::next_hole(&file, 0).ok()?.filter(|at| *at < end)?;
        let to = sparse::next_bytes(&file, at).ok()?.unwrap_or(end).min(end);
        // An older kernel leaves pages unpopulated until the first store.
        sys::kernel_is_at_least(5, 14).then_some((at, to - at))
    }

    /// Attaches a segment that was judged complete, unless it is attached already.
    pub(super) fn keep(&self, judged: Judged, kind: u32) -> Result<Segment, ShareError> {
        let segment = match judged.segment {
            Some(segment) => segment,
            None => attach(&*self.backend, &judged.facts)?,
        };
        self.advise(&segment, self.setting.conf, kind);
        Ok(segment)
    }

    /// Creates a segment that is absent or unfinished, and lets `make` fill it after its first
    /// bytes.
    ///
    /// The first `populated` bytes are populated before that. If that fails, a segment that was
    /// created here is removed again.
    pub(super) fn make(
        &self,
        judged: Judged,
        identity: &Identity,
        plan: &Making<'_>,
        make: &mut dyn FnMut(&Region),
    ) -> Result<(Segment, Made), ShareError> {
        let (segment, made) = self.obtain(judged, identity, plan)?;
        making::fill(&segment.region(), identity, plan.filling, make);
        Ok((segment, made))
    }

    /// Creates a segment that is absent or unfinished, and marks it as one that is being created.
    #[cfg(feature = "snapshots")]
    pub(super) fn draft(
        &self,
        judged: Judged,
        identity: &Identity,
        plan: &Making<'_>,
    ) -> Result<(Segment, Made), ShareError> {
        let (segment, made) = self.obtain(judged, identity, plan)?;
        making::begin(&segment.region(), identity, plan.filling);
        Ok((segment, made))
    }

    /// Creates a segment that is absent, or empties one that is unfinished, and populates its
    /// beginning.
    fn obtain(
        &self,
        judged: Judged,
        identity: &Identity,
        plan: &Making<'_>,
    ) -> Result<(Segment, Made), ShareError> {
        let (key, bytes) = (identity.key, identity.bytes);
        let is_empty = judged.facts.segment.as_ref().is_none_or(|segment| segment.bytes.0 == 0);
        let (segment, made) = match judged.standing {
            Standing::Begun if !is_empty => {
                let segment = judged.segment.map_or_else(|| attach(&*self.backend, &judged.facts), Ok)?;
                making::empty(&segment);
                (segment, Made { key, id: None })
            }
            _ => {
                if let (BackendKind::File, Some(found)) = (self.backend.kind(), &judged.facts.segment) {
                    self.backend.remove(key, found).map_err(system(key, 0, "replace"))?;
                }
                let segment = self.create(identity, plan.setting)?;
                (segment, Made { key, id: number_of(&*self.backend, key) })
            }
        };
        self.advise(&segment, plan.setting.conf, identity.kind);
        if let Err(source) = mem::populate(&segment.region(), 0, plan.populated) {
            let error = system(key, bytes, "populate")(source).at(&*self.backend);
            self.take_back(Some(segment), &made);
            return Err(error);
        }
        Ok((segment, made))
    }

    /// Undoes a creation of this start: removes the segment, or empties it if it was found
    /// unfinished.
    pub(super) fn take_back(&self, segment: Option<Segment>, made: &Made) {
        let Some(id) = made.id else {
            if let Some(segment) = segment {
                making::empty(&segment);
            }
            return;
        };
        drop(segment);
        let found =
            self.backend.stat(made.key).ok().flatten().filter(|found| found.id == id && !found.removed);
        if let Some(Err(error)) = found.map(|found| self.backend.remove(made.key, &found)) {
            log::warn!("cannot remove the segment under {}, which this start has created: {error}", made.key);
        }
    }

    /// Keeps the mapping out of core dumps and requests larger pages, as configured.
    ///
    /// Refused advice breaks no promise that the owner lock does not keep, so it is a warning, not
    /// an error.
    pub(super) fn advise(&self, segment: &Segment, memory: MemoryConf, kind: u32) {
        if memory.huge_pages != HugePages::Off {
            pages::ask_for_transparent(segment);
        }
        let dumped =
            self.core_dump == CoreDump::Full || self.core_dump == CoreDump::Header && kind == BASE_KIND;
        if !dumped && let Err(error) = segment.advise(Advice::DontDump) {
            log::warn!("{:?} was refused: {error}", Advice::DontDump);
        }
    }
}

/// How a segment is created.
pub(super) struct Making<'a> {
    pub(super) setting: &'a Setting,
    pub(super) populated: u64,
    pub(super) filling: Filling,
}

impl<'a> Making<'a> {
    /// Returns how a block is created. All pages but the first are populated when a type grows into
    /// them.
    pub(super) fn block(setting: &'a Setting) -> Self {
        Making { setting, populated: PAGE, filling: Filling::Head }
    }

    /// Returns how a base is created, which is populated as a whole.
    pub(super) fn base(setting: &'a Setting, bytes: u64) -> Self {
        Making { setting, populated: bytes, filling: Filling::Head }
    }
}

/// Attaches a segment that was judged.
pub(super) fn attach(backend: &dyn Backend, facts: &Facts) -> Result<Segment, ShareError> {
    let Some(segment) = &facts.segment else { return Err(refused(Verdict::Absent, facts.clone())) };
    backend.attach(facts.key, segment, Access::Write).map_err(system(facts.key, segment.bytes.0, "attach"))
}

/// Returns the shmid or inode of a segment that was just created.
pub(super) fn number_of(backend: &dyn Backend, key: Key) -> Option<u64> {
    Some(backend.stat(key).ok()??.id)
}

/// Returns the properties of a part of a pool's post-mortem copy.
///
/// Its identity derives from that of the pool. So a start recognises what an interrupted attempt
/// has left, and takes nothing else for it.
pub(super) fn copy_want(pool_id: [u64; 2], key: Key, block: Option<u32>, bytes: u64) -> (BlockWant, u32) {
    const COPY: u64 = u64::from_le_bytes(*b"POSTMORT");
    let kind = if block.is_some() { BLOCK_KIND } else { BASE_KIND };
    (BlockWant { key, index: block.unwrap_or(0), bytes, pool_id: [pool_id[0] ^ COPY, pool_id[1]] }, kind)
}
