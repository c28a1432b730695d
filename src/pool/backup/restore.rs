//! Makes a pool from a set.

use super::crew::{self, Job, Progress};
use super::image::Image;
use super::room::{self, Need, NoRoom};
use super::seats::{self, Seat};
use super::words;
use crate::conf::{ConfError, Place, ProcessConf};
use crate::layout::{BLOCK_VACANT, BaseHeader, Frozen, LAYOUT_VERSION, fill_text};
use crate::limits;
use crate::region::Region;
use crate::share::{
    BlockWant, Home, Judged, Prospect, Restoring, Segment, ShareError, observe, observe_pool, remove_pool,
    scratch,
};
use crate::snapshot::{Chain, SetError, SetInfo};
use crate::sys::mem;
use crate::units::{Bytes, Key, plural};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What happens to a pool that exists under the keys of the one that is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Existing {
    /// The restore is refused.
    #[default]
    Refuse,
    /// It is removed, after every byte of the set was checked, and before the first segment is made.
    Replace,
}

/// How a pool is restored.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct RestoreOptions<'a> {
    /// What happens to a pool that exists.
    pub existing: Existing,
    /// Whether the set may be that of a process with another name.
    pub other_process: bool,
    /// Number of threads; 0 stands for one for each processor.
    pub threads: usize,
    /// Is told of the progress, by any of the threads.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl fmt::Debug for RestoreOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreOptions").field("existing", &self.existing).finish_non_exhaustive()
    }
}

impl<'a> RestoreOptions<'a> {
    /// Sets what happens to a pool that exists.
    #[must_use]
    pub fn existing(self, existing: Existing) -> Self {
        RestoreOptions { existing, ..self }
    }

    /// Sets whether the set may be that of a process with another name.
    #[must_use]
    pub fn other_process(self, other_process: bool) -> Self {
        RestoreOptions { other_process, ..self }
    }

    /// Sets the number of threads.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        RestoreOptions { threads, ..self }
    }

    /// Sets the function that is told of the progress.
    #[must_use]
    pub fn progress(self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        RestoreOptions { progress: Some(progress), ..self }
    }
}

/// A pool that was restored, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Process of the pool.
    pub process: String,
    /// Key of the base.
    pub base: Key,
    /// Keys of the blocks that have a segment.
    pub blocks: Vec<Key>,
    /// What the set is an image of.
    pub info: SetInfo,
    /// Bytes that were written.
    pub bytes: Bytes,
    /// Whether an existing pool was replaced.
    pub replaced: bool,
    /// Time that it took.
    pub took: Duration,
}

/// The reason why a set was not restored. Whatever the restore had created was removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The segments cannot be created, or another process owns the pool.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The set is damaged or cannot be read.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The configuration is not valid.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The host has no room for the pool.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// A pool exists under the base key.
    #[error("{found}; start it, restore with `--replace`, or restore to other keys with `--as`")]
    Exists {
        /// Base key.
        key: Key,
        /// The sentence about it.
        found: String,
    },
    /// The set is that of another process.
    #[error(
        "{} is a snapshot of {process}, and {place} is {wanted}; to make it the pool of {wanted}, restore with \
         `--as {wanted}`",
        set.display()
    )]
    OtherProcess {
        /// The set.
        set: PathBuf,
        /// Process of the set.
        process: String,
        /// Position of the section in the ini.
        place: Place,
        /// Process of the ini.
        wanted: String,
    },
    /// The set has the layout of another version.
    #[error(
        "{} has layout version {found}, but this build needs version {wanted}; restore it with the version that \
         wrote it",
        set.display()
    )]
    Layout {
        /// The set.
        set: PathBuf,
        /// Its layout version.
        found: u32,
        /// Layout version of this build.
        wanted: u32,
    },
    /// The ini has another size of blocks.
    #[error("{place}: the blocks of {} have {found}, but the ini requires {wanted}; set BlockSize = {found}", set.display())]
    BlockSize {
        /// The set.
        set: PathBuf,
        /// Position in the ini.
        place: Place,
        /// Size of a block in the set.
        found: Bytes,
        /// Size of a block in the ini.
        wanted: Bytes,
    },
    /// The ini names fewer blocks than the set has.
    #[error(
        "{place}: {} has objects in {}, but the ini names {}; add keys to ShmKeys",
        set.display(),
        plural(*needed as u64, "block"),
        plural(*named as u64, "key")
    )]
    TooFewKeys {
        /// The set.
        set: PathBuf,
        /// Position in the ini.
        place: Place,
        /// Blocks with objects.
        needed: usize,
        /// Keys in the ini.
        named: usize,
    },
    /// The pool in the set is damaged, although the set is not.
    #[error("the pool in {} is damaged: {what}; take another set", set.display())]
    Damaged {
        /// The set.
        set: PathBuf,
        /// What is wrong with the pool.
        what: String,
    },
}

/// Makes the pool of a process from a set.
///
/// The pool then is as it was when the set was taken: the next start resumes it, with its handles, user
/// keys, quarantine and clock. It may be that of another host, another backend or, if the options say
/// so, another process. The segments get the keys of `conf`.
///
/// It is all or nothing. Until the last byte is in place, the segments are drafts, and a start or
/// restore that finds such drafts after a kill removes them. The owner lock is held meanwhile.
///
/// # Errors
///
/// Fails if the set is damaged or does not fit the configuration, if a pool exists under the base key
/// and the options do not replace it, if the host has no room, or if another process owns the pool or
/// is about to. What it has created is removed then.
pub fn restore_pool(
    chain: &Chain,
    conf: &ProcessConf,
    options: &RestoreOptions<'_>,
) -> Result<Restored, RestoreError> {
    let began = Instant::now();
    let plan = Plan::of(chain, conf, options)?;
    let replaced = plan.make_way(options)?;
    plan.make(options)?;
    let restored = Restored { replaced, took: began.elapsed(), ..plan.restored() };
    log::info!(
        "{}: restored {} under {} from {}",
        restored.process,
        restored.bytes,
        restored.base,
        plan.set().display()
    );
    Ok(restored)
}

/// Checks whether [`restore_pool`] can restore a set, and changes nothing.
///
/// It does not read the chunks of blocks: [`Chain::verify`] does.
///
/// # Errors
///
/// Fails as [`restore_pool`] does before its first change.
pub fn check_restore(
    chain: &Chain,
    conf: &ProcessConf,
    options: &RestoreOptions<'_>,
) -> Result<Restored, RestoreError> {
    let plan = Plan::of(chain, conf, options)?;
    let replaced = plan.look(options)?;
    Ok(Restored { replaced, ..plan.restored() })
}

/// A restore before its first change.
struct Plan<'a> {
    chain: &'a Chain,
    conf: ProcessConf,
    home: Home,
    /// The base as it will be, but for its frozen bytes.
    base: Segment,
    seats: Vec<Seat>,
    /// Chunks of the blocks.
    jobs: Vec<Job>,
    need: Need,
}

impl<'a> Plan<'a> {
    fn of(chain: &'a Chain, conf: &ProcessConf, options: &RestoreOptions<'_>) -> Result<Self, RestoreError> {
        conf.validate()?;
        let (info, set) = (chain.info(), path(chain));
        let is_own = info.process == conf.name || conf.former_name.as_ref() == Some(&info.process);
        if !is_own && !options.other_process {
            let (process, wanted) = (info.process.clone(), conf.name.clone());
            return Err(RestoreError::OtherProcess {
                set,
                process,
                place: conf.places.section.clone(),
                wanted,
            });
        }
        if info.layout != LAYOUT_VERSION {
            return Err(RestoreError::Layout { set, found: info.layout, wanted: LAYOUT_VERSION });
        }
        if info.block_size != conf.block_size {
            let place = conf.places.block_size.clone();
            let (found, wanted) = (info.block_size, conf.block_size);
            return Err(RestoreError::BlockSize { set, place, found, wanted });
        }
        let base = read_base(chain)?;
        let image = image_of(chain, base.region())?;
        let seats = seats::seats(&image.blocks, conf).map_err(|few| RestoreError::TooFewKeys {
            set: set.clone(),
            place: conf.places.shm_keys.clone(),
            needed: few.needed,
            named: conf.shm_keys.len(),
        })?;
        let jobs = jobs(chain, &image, &seats);
        adapt(&image, &seats, &conf.name);
        let mut conf = conf.clone();
        conf.resume.must_be_hot = false;
        let mut plan = Plan { chain, home: Home::of(&conf), conf, base, seats, jobs, need: Need::default() };
        plan.need = plan.needs(options);
        room::check(&plan.conf, &plan.need)?;
        Ok(plan)
    }

    fn needs(&self, options: &RestoreOptions<'_>) -> Need {
        let (base, block) = (self.base.region().len(), self.chain.info().block_size.0);
        let blocks = self.seats.iter().filter(|seat| !seat.is_vacant).count() as u64;
        let mut need = Need {
            used: base + self.jobs.iter().map(|job| job.bytes).sum::<u64>(),
            segments: base + blocks * block,
            largest: base.max(if blocks == 0 { 0 } else { block }),
            given_back: 0,
        };
        if options.existing == Existing::Replace
            && let Ok(pool) = observe_pool(self.conf.base_key, &self.home)
        {
            let segments: Vec<_> = pool.segments().cloned().collect();
            need.given_back = room::resident(&self.home, &segments);
        }
        need
    }

    fn set(&self) -> &Path {
        self.chain.sets().first().map_or(Path::new(""), |set| set.path())
    }

    fn restored(&self) -> Restored {
        Restored {
            process: self.conf.name.clone(),
            base: self.conf.base_key,
            blocks: self.seats.iter().filter(|seat| !seat.is_vacant).map(|seat| seat.key).collect(),
            info: self.chain.info().clone(),
            bytes: Bytes(self.need.used),
            replaced: false,
            took: Duration::ZERO,
        }
    }

    /// Returns whether a pool exists that would be replaced, without a change.
    fn look(&self, options: &RestoreOptions<'_>) -> Result<bool, RestoreError> {
        let key = self.conf.base_key;
        if options.existing == Existing::Replace {
            return Ok(!remove_pool(key, &self.home, true)?.removed.is_empty());
        }
        let facts = observe(key, &self.home);
        let facts = facts.map_err(|source| ShareError::of_inspection(key, source))?;
        match facts.head().is_some_and(|head| head.is_hotpool() && !head.is_incomplete()) {
            true => Err(RestoreError::Exists { key, found: facts.verdict().reason(&facts) }),
            false => Ok(false),
        }
    }

    /// Removes an existing pool if the options say so, after every byte of the set was checked.
    fn make_way(&self, options: &RestoreOptions<'_>) -> Result<bool, RestoreError> {
        if options.existing == Existing::Refuse || !self.look(options)? {
            return Ok(false);
        }
        let chain = self.chain;
        crew::work(&self.jobs, options.threads, None, |job, buffer| {
            chain.read(job.segment, job.number, buffer).map(drop)
        })?;
        Ok(!remove_pool(self.conf.base_key, &self.home, false)?.removed.is_empty())
    }

    fn make(&self, options: &RestoreOptions<'_>) -> Result<(), RestoreError> {
        let bytes = self.base.region().len();
        let prospect = Prospect::look(&self.conf, bytes)?;
        if prospect.base().is_some() {
            let facts = prospect.facts();
            let (key, found) = (facts.key, facts.verdict().reason(facts));
            return Err(RestoreError::Exists { key, found });
        }
        let mut judged = Vec::new();
        for (number, seat) in (0..).zip(&self.seats).filter(|(_, seat)| !seat.is_vacant) {
            let bytes = self.chain.info().block_size.0;
            let want = BlockWant { key: seat.key, index: number, bytes, pool_id: prospect.pool_id() };
            judged.push((prospect.judge_new(&want)?, want));
        }
        let mut restoring = Restoring::begin(prospect, &mut |to| copy_base(&self.base.region(), to))?;
        match self.fill(&mut restoring, judged, options) {
            Ok(()) => restoring.commit(),
            Err(RestoreError::Share(error)) => return Err(restoring.at_home(error).into()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Creates the blocks and writes their bytes.
    fn fill(
        &self,
        restoring: &mut Restoring,
        judged: Vec<(Judged, BlockWant)>,
        options: &RestoreOptions<'_>,
    ) -> Result<(), RestoreError> {
        let mut regions: Vec<Option<Region>> = vec![None; self.seats.len() + 1];
        for (judged, want) in judged {
            let region = restoring.block(judged, &want)?;
            if let Some(place) = regions.get_mut(want.index as usize + 1) {
                *place = Some(region);
            }
        }
        let (chain, seats) = (self.chain, &self.seats);
        crew::work(&self.jobs, options.threads, options.progress, |job, buffer| {
            let Some(Some(region)) = regions.get(job.segment as usize) else { return Ok(()) };
            let key = seats.get(job.segment as usize - 1).map_or(Key(0), |seat| seat.key);
            write(chain, region, key, job, buffer)
        })
    }
}

/// Writes a chunk of a block. All its pages get their memory, because bytes that a pool has allocated
/// have no holes.
fn write(chain: &Chain, to: &Region, key: Key, job: &Job, buffer: &mut Vec<u8>) -> Result<(), RestoreError> {
    mem::populate(to, job.offset, job.bytes)
        .map_err(|source| ShareError::of_populating(key, Bytes(job.bytes), source))?;
    let Some(len) = chain.read(job.segment, job.number, buffer)? else { return Ok(()) };
    let skipped = if job.offset == 0 { size_of::<Frozen>() } else { 0 };
    if let Some(bytes) = buffer.get(skipped..len) {
        words::write(to, job.offset + skipped as u64, bytes);
    }
    Ok(())
}

fn path(chain: &Chain) -> PathBuf {
    chain.sets().first().map_or_else(PathBuf::new, |set| set.path().to_path_buf())
}

/// Reads the base of a set into memory of the process.
fn read_base(chain: &Chain) -> Result<Segment, RestoreError> {
    let bytes = chain.info().base.1.0;
    let damaged = |what: String| RestoreError::Damaged { set: path(chain), what };
    let most = limits::MAX_UNDO_BYTES + limits::MAX_UNDO_BYTES;
    if !bytes.is_multiple_of(limits::PAGE) || !(BaseHeader::BYTES..=most).contains(&bytes) {
        return Err(damaged(format!("no base has {bytes} bytes")));
    }
    let base = scratch(bytes).map_err(|error| damaged(format!("its base cannot be read: {error}")))?;
    let mut buffer = Vec::new();
    for number in chain.chunks(0) {
        if let Some(len) = chain.read(0, number, &mut buffer)? {
            let offset = u64::from(number) * u64::from(chain.chunk_bytes());
            words::write(&base.region(), offset, buffer.get(..len).unwrap_or_default());
        }
    }
    Ok(base)
}

/// Checks the base of a set, and that it is the one that the manifest describes.
fn image_of(chain: &Chain, base: Region) -> Result<Image, RestoreError> {
    let (info, damaged) = (chain.info(), |what: String| RestoreError::Damaged { set: path(chain), what });
    let image = Image::of(base).map_err(damaged)?;
    if image.base.block_bytes() != info.block_size.0 || image.blocks.len() != info.blocks.len() {
        return Err(damaged("its base has other blocks than its manifest".into()));
    }
    Ok(image)
}

/// Returns the chunks of the blocks: up to the end of their extents, or of the bytes of the set.
fn jobs(chain: &Chain, image: &Image, seats: &[Seat]) -> Vec<Job> {
    let (bytes, chunk) = (image.base.block_bytes(), chain.chunk_bytes());
    let blocks = (1..).zip(image.blocks.iter().zip(seats)).filter(|(_, (_, seat))| !seat.is_vacant);
    let of_block = |(segment, (block, _)): (u32, (&super::image::Block, &Seat))| {
        let used = if block.used > limits::PAGE { block.used } else { 0 };
        let last = chain.chunks(segment).last().map_or(0, |last| (u64::from(*last) + 1) * u64::from(chunk));
        crew::jobs(segment, bytes, used.max(last), chunk)
    };
    blocks.flat_map(of_block).collect()
}

/// Writes the process and the keys of the blocks into the base.
fn adapt(image: &Image, seats: &[Seat], process: &str) {
    let geometry = &image.base.header.geometry;
    if crate::layout::text(&geometry.process) != process {
        fill_text(&geometry.process, process);
        geometry.check.fill(geometry.sum());
    }
    for (number, seat) in seats.iter().enumerate() {
        let Some(block) = image.base.blocks.get(number) else { break };
        block.key.fill(seat.key.0);
        if seat.is_vacant {
            block.state.fill(BLOCK_VACANT);
        }
    }
}

/// Copies all of a base but its frozen bytes.
fn copy_base(from: &Region, to: &Region) {
    const STEP: u64 = 64 << 10;
    let mut buffer = Vec::new();
    let first = size_of::<Frozen>() as u64;
    for offset in (0..from.len()).step_by(STEP as usize) {
        let start = offset.max(first);
        buffer.resize((offset + STEP).min(from.len()).saturating_sub(start) as usize, 0);
        words::read(from, start, &mut buffer);
        words::write(to, start, &buffer);
    }
}
