//! ShareMgr: the segments of one pool, in the hands of their one owner.

use super::backend::{Access, Backend, Home};
use super::facts::{self, Facts, Head, Want};
use super::fence;
use super::loss::Loss;
use super::making::{self, Identity};
use super::owner::{OwnerError, OwnerLock, Wait, Whose};
use super::pages;
use super::residence::{self, MemoryError, MemoryReport, Setting};
use super::segment::Segment;
use super::verdict::Verdict;
use crate::conf::{BackendKind, CoreDump, HugePages, MemoryConf, ProcessConf};
use crate::layout::{BASE_KIND, BLOCK_KIND, MAGIC_GONE};
use crate::limits::PAGE;
use crate::mutants::{Mutant, planted};
use crate::region::Region;
use crate::sys;
use crate::sys::mem::{self, Advice};
use crate::units::{Bytes, Key};
use std::fmt;
use std::io;

/// Whether a pool begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// There was none: it is empty.
    Init,
    /// It was there, closed or crashed: every committed object is.
    Resume,
}

/// Why a pool's segments are not had.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The owner lock was not had.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// What was found under the key is not what can be used.
    #[error("{}; {}", verdict.reason(facts), verdict.next(facts))]
    Refused {
        /// What it is.
        verdict: Verdict,
        /// What is known of it.
        facts: Box<Facts>,
    },
    /// There is no pool to resume, and the configuration refuses to begin one.
    #[error("{}, and MustBeHot = yes refuses to make a new pool", verdict.reason(facts))]
    Cold {
        /// What is there.
        verdict: Verdict,
        /// What is known of it.
        facts: Box<Facts>,
    },
    /// Another start made new semaphores or took these over while this one attached: one of the two has
    /// to leave.
    #[error(
        "the owner semaphores under {key} were removed or changed while this process attached; find who runs \
         `ipcrm`, or what else in this process opens the pool, then start again"
    )]
    Overtaken {
        /// Key of the base segment.
        key: Key,
    },
    /// The memory of the pool is not had as the ini asks for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The system refused.
    #[error("cannot {call} the segment under {key} of size {bytes}: {source}; {}", system_next(source))]
    System {
        /// Key of the segment.
        key: Key,
        /// Its size, 0 where it is not known.
        bytes: Bytes,
        /// What was asked for.
        call: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

/// What an answer of the system means to whoever reads it.
fn system_next(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => {
            "there is not enough memory: see `free -m` and the cgroup's limit, or run `hotpool doctor`"
        }
        Some(libc::ENOSPC) => {
            "the limit SHMMNI, SHMALL or the size of the file system is reached: run `hotpool doctor`"
        }
        Some(libc::ENOENT) => {
            "is the folder there that Dir names? If it is, somebody removed the segment: run `hotpool ls`"
        }
        Some(libc::EINVAL) => "the size is below SHMMIN or above SHMMAX: run `hotpool doctor`",
        Some(libc::EACCES | libc::EPERM) => "run `hotpool ls` to see whose it is",
        Some(libc::EEXIST) => "somebody made it this moment: run `hotpool ls`",
        _ => "run `hotpool doctor`",
    }
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
    backend: Box<dyn Backend>,
    key: Key,
    mode: u32,
    core_dump: CoreDump,
    setting: Setting,
    found: Facts,
    start_mode: StartMode,
    pool_id: [u64; 2],
    lock: OwnerLock,
}

impl fmt::Debug for ShareMgr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareMgr")
            .field("key", &self.key)
            .field("backend", &self.backend.kind())
            .field("start_mode", &self.start_mode)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl ShareMgr {
    /// Becomes the owner of the pool under `conf.base_key` and attaches its base segment, or
    /// makes one of `base_bytes` bytes.
    ///
    /// `make` fills everything behind the frozen bytes of a new base, whose bytes are
    /// zero when it is called. The base counts as made when it returns.
    pub(crate) fn open(
        conf: &ProcessConf,
        base_bytes: u64,
        make: &mut dyn FnMut(&Region),
    ) -> Result<ShareMgr, ShareError> {
        let wait = Wait::ms(conf.owner_wait_ms);
        let lock = match conf.backend {
            BackendKind::Heap => OwnerLock::take_heap(conf.base_key)?,
            _ => OwnerLock::take(conf.base_key, conf.mode, Whose::Own, wait)?,
        };
        let backend = Home::of(conf).open();
        let setting = Setting::of(conf, base_bytes);
        match open_base(conf, base_bytes, &*backend, &lock, wait, &setting, make) {
            Ok(Opened { base, id, found, start_mode, pool_id }) => Ok(ShareMgr {
                watched: id.map(|id| (conf.base_key, id)).into_iter().collect(),
                blocks: Vec::new(),
                base,
                backend,
                key: conf.base_key,
                mode: conf.mode,
                core_dump: conf.core_dump,
                setting,
                found,
                start_mode,
                pool_id,
                lock,
            }),
            Err(error) => {
                lock.abandon();
                Err(error)
            }
        }
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

    /// What is known of the segment under the key of block `index`, and the segment, attached if it may be.
    fn look_at_block(
        &self,
        key: Key,
        index: u32,
        bytes: u64,
        access: Access,
    ) -> Result<(Facts, Option<Segment>), ShareError> {
        let want = Want {
            pool_id: Some(self.pool_id),
            index: Some(index),
            ..facts::want(bytes, self.mode, BLOCK_KIND)
        };
        let looked = Facts::attach(&*self.backend, key, want, self.lock.facts(), access);
        looked.map_err(system(key, bytes, "look at"))
    }

    /// Attaches a block of the pool, which has to be there and complete.
    pub(crate) fn attach_block(&mut self, key: Key, index: u32, bytes: u64) -> Result<Region, ShareError> {
        let (facts, segment) = self.look_at_block(key, index, bytes, Access::Write)?;
        match facts.verdict() {
            Verdict::Clean => self.keep_judged(&facts, segment),
            verdict => Err(refused(verdict, facts)),
        }
    }

    /// Makes a block, or takes what a growth of this pool left that was cut: a block that
    /// is complete and in no table yet, or the beginning of one.
    pub(crate) fn add_block(&mut self, key: Key, index: u32, bytes: u64) -> Result<Region, ShareError> {
        let (facts, segment) = self.look_at_block(key, index, bytes, Access::Write)?;
        let verdict = facts.verdict();
        if verdict == Verdict::Clean {
            return self.keep_judged(&facts, segment);
        }
        drop(segment);
        let identity = Identity { key, pool_id: self.pool_id, kind: BLOCK_KIND, index, bytes };
        let segment = begin(&*self.backend, &facts, verdict, bytes, self.mode, &self.setting)?;
        advise(&segment, self.core_dump, self.setting.conf, BLOCK_KIND);
        // The rest gets its memory extent by extent, when a type grows into it.
        making::wipe(&segment);
        mem::populate(&segment.region(), 0, PAGE).map_err(system(key, bytes, "populate"))?;
        making::fill(&segment.region(), &identity, &mut |_| ());
        Ok(self.keep(key, None, segment))
    }

    /// Whether a complete copy of this pool's base is under `key`. What is neither that nor the beginning of one is refused.
    pub(crate) fn side_is_complete(&self, key: Key, bytes: u64) -> Result<bool, ShareError> {
        let facts = self.judge_side(key, None, bytes)?;
        match facts.verdict() {
            Verdict::Clean | Verdict::Crashed => Ok(true),
            Verdict::Absent | Verdict::Unfinished => Ok(false),
            verdict => Err(refused(verdict, facts)),
        }
    }

    fn judge_side(&self, key: Key, block: Option<u32>, bytes: u64) -> Result<Facts, ShareError> {
        let kind = if block.is_some() { BLOCK_KIND } else { BASE_KIND };
        let want = Want {
            pool_id: Some(side_id(self.pool_id)),
            index: block.or(Some(0)),
            ..facts::want(bytes, self.mode, kind)
        };
        let lock =
            super::owner::look(key, super::owner::Whose::Own).map_err(system(key, bytes, "look at"))?;
        Facts::collect(&*self.backend, key, want, lock).map_err(system(key, bytes, "look at"))
    }

    /// Makes a segment under `key` that is part of a copy of this pool, and lets `fill` write its bytes behind the
    /// frozen ones. One that an earlier try has left is made again; anything else is refused.
    /// Memory is there for the first `populated` bytes when `fill` is called.
    pub(crate) fn copy_aside(
        &self,
        key: Key,
        block: Option<u32>,
        bytes: Bytes,
        populated: u64,
        fill: &mut dyn FnMut(&Region),
    ) -> Result<(), ShareError> {
        let facts = self.judge_side(key, block, bytes.0)?;
        let segment = match facts.verdict() {
            Verdict::Clean | Verdict::Crashed => attach(&*self.backend, &facts)?,
            verdict => begin(&*self.backend, &facts, verdict, bytes.0, self.mode, &Setting::default())?,
        };
        let kind = if block.is_some() { BLOCK_KIND } else { BASE_KIND };
        let index = block.unwrap_or(0);
        let identity = Identity { key, pool_id: side_id(self.pool_id), kind, index, bytes: bytes.0 };
        advise(&segment, self.core_dump, MemoryConf::default(), kind);
        making::mark_unfinished(&segment.region());
        making::wipe(&segment);
        mem::populate(&segment.region(), 0, populated).map_err(system(key, bytes.0, "populate"))?;
        making::fill(&segment.region(), &identity, fill);
        Ok(())
    }

    /// Empties the pool and begins a new one in its segments: `blocks` are those it has, of which the ones that are
    /// not in `kept` are removed. The old objects are lost. A kill in here leaves what the caller has marked as moved,
    /// or the beginning of a creation.
    pub(crate) fn begin_again(
        &mut self,
        blocks: &[Key],
        kept: &[Key],
        make: &mut dyn FnMut(&Region),
    ) -> Result<(), ShareError> {
        self.blocks.clear();
        self.watched.truncate(1);
        if planted(Mutant::MoveMarksBaseFirst) {
            making::mark_unfinished(&self.base.region());
        }
        let pool_id = self.pool_id;
        let ours = |head: &Head| head.pool_id == pool_id && head.kind == BLOCK_KIND && head.sound;
        for &key in blocks {
            if !kept.contains(&key) {
                remove_if(&*self.backend, key, ours)?;
                continue;
            }
            let none = super::LockFacts::None;
            let facts = Facts::collect(&*self.backend, key, Want::default(), none);
            let facts = facts.map_err(system(key, 0, "look at"))?;
            if facts.head().is_some_and(|head| head.is_hotpool() && ours(head)) {
                making::mark_unfinished(&attach(&*self.backend, &facts)?.region());
            }
        }
        let region = self.base.region();
        let (key, bytes) = (self.key, region.len());
        let pool_id = sys::random_id().map_err(system(key, bytes, "name"))?;
        making::mark_unfinished(&region);
        making::wipe(&self.base);
        mem::populate(&region, 0, bytes).map_err(system(key, bytes, "populate"))?;
        making::fill(&region, &Identity { key, pool_id, kind: BASE_KIND, index: 0, bytes }, make);
        self.pool_id = pool_id;
        self.start_mode = StartMode::Init;
        Ok(())
    }

    /// Keeps the block that was attached to be judged.
    fn keep_judged(&mut self, facts: &Facts, segment: Option<Segment>) -> Result<Region, ShareError> {
        let segment = segment.map_or_else(|| attach(&*self.backend, facts), Ok)?;
        advise(&segment, self.core_dump, self.setting.conf, BLOCK_KIND);
        Ok(self.keep(facts.key, facts.segment.as_ref().map(|found| found.id), segment))
    }

    /// Keeps a block; `id` is its shmid or inode, if that is known already.
    fn keep(&mut self, key: Key, id: Option<u64>, segment: Segment) -> Region {
        self.watched.extend(id.or_else(|| number_of(&*self.backend, key)).map(|id| (key, id)));
        let region = segment.region();
        self.blocks.push((key, segment));
        region
    }

    /// Populates and locks what is attached, as configured; says what came of it.
    pub(crate) fn settle(&self) -> Result<MemoryReport, ShareError> {
        let blocks = self.blocks.iter().map(|(key, segment)| (*key, segment));
        let segments: Vec<_> = std::iter::once((self.key, &self.base)).chain(blocks).collect();
        Ok(residence::settle(&self.setting, &segments)?)
    }

    /// What of the pool was taken away while it is attached.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        let segments = self.watched.iter().filter_map(|&(key, id)| match self.backend.stat(key) {
            Ok(Some(facts)) if facts.id == id && !facts.removed => None,
            Ok(Some(facts)) if facts.id != id => Some(Loss::SegmentReplaced { key }),
            Ok(_) => Some(Loss::SegmentRemoved { key }),
            Err(error) => Some(Loss::Unknown { key, why: error.to_string() }),
        });
        let key = self.key;
        let lock = match self.lock.successor() {
            Ok(None) => None,
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
        let ShareMgr { blocks, base, backend, key, pool_id, lock, .. } = self;
        if !planted(Mutant::DestroyWithoutMark) {
            making::mark_gone(&base.region());
        }
        drop(blocks);
        drop(base);
        for &block in block_keys {
            remove_if(&*backend, block, |head| head.pool_id == pool_id && head.kind == BLOCK_KIND)?;
        }
        remove_if(&*backend, key, |head| head.pool_id == pool_id && head.magic == MAGIC_GONE)?;
        lock.remove();
        Ok(())
    }
}

/// Identity of the copy of a pool for the post-mortem. It follows from that of the pool, so that what a cut try has
/// left is known again, and nothing else is taken for it.
fn side_id(pool_id: [u64; 2]) -> [u64; 2] {
    const SIDE: u64 = u64::from_le_bytes(*b"POSTMORT");
    [pool_id[0] ^ SIDE, pool_id[1]]
}

/// Shmid or inode of a segment that was just made.
fn number_of(backend: &dyn Backend, key: Key) -> Option<u64> {
    Some(backend.stat(key).ok()??.id)
}

/// What an opening leads to.
struct Opened {
    base: Segment,
    /// Its shmid or inode.
    id: Option<u64>,
    found: Facts,
    start_mode: StartMode,
    pool_id: [u64; 2],
}

/// Looks, judges, attaches or begins. Nothing is stored before it is sure that the lock is still the one
/// that the key leads to: a start that was let in by a newer set has looked for this
/// attach, or this one sees the newer set.
fn open_base(
    conf: &ProcessConf,
    bytes: u64,
    backend: &dyn Backend,
    lock: &OwnerLock,
    wait: Wait,
    setting: &Setting,
    make: &mut dyn FnMut(&Region),
) -> Result<Opened, ShareError> {
    let key = conf.base_key;
    fence::wait_for_rivals(backend, key, lock, wait)?;
    let want = facts::want(bytes, conf.mode, BASE_KIND);
    let looked = Facts::attach(backend, key, want, lock.facts(), Access::Write);
    let (found, segment) = looked.map_err(system(key, bytes, "look at"))?;
    let verdict = found.verdict();
    let resumed = match (&verdict, found.head()) {
        (Verdict::Clean | Verdict::Crashed, Some(head)) => Some(head.pool_id),
        _ => None,
    };
    let base = match resumed {
        Some(_) => segment.map_or_else(|| attach(backend, &found), Ok)?,
        None if conf.resume.must_be_hot && matches!(verdict, Verdict::Absent | Verdict::Unfinished) => {
            return Err(ShareError::Cold { verdict, facts: Box::new(found) });
        }
        None => {
            drop(segment);
            begin(backend, &found, verdict, bytes, conf.mode, setting)?
        }
    };
    advise(&base, conf.core_dump, conf.memory, BASE_KIND);
    if !lock.is_named()? {
        return Err(ShareError::Overtaken { key });
    }
    if let Some(pool_id) = resumed {
        let id = found.segment.as_ref().map(|found| found.id);
        return Ok(Opened { base, id, found, start_mode: StartMode::Resume, pool_id });
    }
    if backend.kind() == BackendKind::Sysv && sys::proc::removes_at_last_detach() {
        log::warn!(
            "kernel.shm_rmid_forced is 1: the kernel removes the pool under {key} as soon as this process ends, and \
             every start is cold; run `sysctl kernel.shm_rmid_forced=0`"
        );
    }
    let pool_id = sys::random_id().map_err(system(key, bytes, "name"))?;
    making::wipe(&base);
    mem::populate(&base.region(), 0, bytes).map_err(system(key, bytes, "populate"))?;
    making::fill(&base.region(), &Identity { key, pool_id, kind: BASE_KIND, index: 0, bytes }, make);
    Ok(Opened { base, id: number_of(backend, key), found, start_mode: StartMode::Init, pool_id })
}

/// A new segment, or one whose creation was cut. Its bytes are as they were found.
fn begin(
    backend: &dyn Backend,
    facts: &Facts,
    verdict: Verdict,
    bytes: u64,
    mode: u32,
    setting: &Setting,
) -> Result<Segment, ShareError> {
    let empty = facts.segment.as_ref().is_none_or(|segment| segment.bytes.0 == 0);
    match verdict {
        Verdict::Absent => {}
        Verdict::Unfinished if empty => {}
        Verdict::Unfinished => return attach(backend, facts),
        verdict => return Err(refused(verdict, facts.clone())),
    }
    pages::create(backend, setting, facts.key, bytes, mode)
}

fn attach(backend: &dyn Backend, facts: &Facts) -> Result<Segment, ShareError> {
    let Some(segment) = &facts.segment else { return Err(refused(Verdict::Absent, facts.clone())) };
    backend.attach(facts.key, segment, Access::Write).map_err(system(facts.key, segment.bytes.0, "attach"))
}

/// Keeps the mapping out of core dumps and asks for larger pages, as configured.
/// Refused advice costs no promise that the owner lock does not keep, so it is said and not an error.
fn advise(segment: &Segment, dump: CoreDump, memory: MemoryConf, kind: u32) {
    if memory.huge_pages != HugePages::Off {
        pages::ask_for_transparent(segment);
    }
    let dumped = dump == CoreDump::Full || dump == CoreDump::Header && kind == BASE_KIND;
    if !dumped && let Err(error) = segment.advise(Advice::DontDump) {
        log::warn!("{:?} was refused: {error}", Advice::DontDump);
    }
}

/// Removes the segment under `key` if its head says so; one that is absent is no error.
pub(super) fn remove_if(
    backend: &dyn Backend,
    key: Key,
    ours: impl Fn(&Head) -> bool,
) -> Result<bool, ShareError> {
    let unknown = |call| system(key, 0, call);
    let facts =
        Facts::collect(backend, key, Want::default(), super::LockFacts::None).map_err(unknown("look at"))?;
    match (&facts.segment, facts.head()) {
        (Some(segment), Some(head)) if !segment.removed && head.is_hotpool() && ours(head) => {
            backend.remove(key, segment).map_err(unknown("remove"))?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

pub(super) fn refused(verdict: Verdict, facts: Facts) -> ShareError {
    ShareError::Refused { verdict, facts: Box::new(facts) }
}

pub(super) fn system(key: Key, bytes: u64, call: &'static str) -> impl FnOnce(io::Error) -> ShareError {
    move |source| ShareError::System { key, bytes: Bytes(bytes), call, source }
}
