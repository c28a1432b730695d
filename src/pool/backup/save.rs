//! Writes a set of a pool that no process has open.

use super::crew::{self, Job, Progress};
use super::image::Image;
use super::words;
use crate::conf::BackendKind;
use crate::layout::{BLOCK_KIND, MAGIC_READY};
use crate::limits;
use crate::region::Region;
use crate::share::{Head, Home, Idle, ShareError};
use crate::snapshot::{CHUNK, Compression, Set, SetError, SetInfo, SetWriter};
use crate::sys::{mem, sparse};
use crate::units::{Bytes, Key};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How a pool is saved.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct SaveOptions<'a> {
    /// Compression of the chunks.
    pub compression: Compression,
    /// Number of threads; 0 stands for one for each processor.
    pub threads: usize,
    /// Milliseconds to wait for a live owner.
    pub owner_wait_ms: u64,
    /// Is told of the progress, by any of the threads.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl fmt::Debug for SaveOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveOptions").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl<'a> SaveOptions<'a> {
    /// Sets the compression.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        SaveOptions { compression, ..self }
    }

    /// Sets the number of threads.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        SaveOptions { threads, ..self }
    }

    /// Sets how many milliseconds a live owner is waited for.
    #[must_use]
    pub fn owner_wait_ms(self, owner_wait_ms: u64) -> Self {
        SaveOptions { owner_wait_ms, ..self }
    }

    /// Sets the function that is told of the progress.
    #[must_use]
    pub fn progress(self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        SaveOptions { progress: Some(progress), ..self }
    }
}

/// A set that was written, or would be.
#[derive(Debug)]
#[non_exhaustive]
pub struct Saved {
    /// What it is an image of.
    pub info: SetInfo,
    /// The set; `None` if it was only checked whether it can be written.
    pub set: Option<Set>,
    /// Bytes of the pool that were read.
    pub bytes: Bytes,
    /// After [`check_save`], the bytes that are free where the set would be, if the system tells them.
    pub free: Option<Bytes>,
    /// Time that it took.
    pub took: Duration,
}

/// The reason why a pool was not saved. There is no set then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// There is no pool, it has a live owner, or it may not be read.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The set cannot be written.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The pool is damaged or holds nothing.
    #[error("cannot save the pool under {key}: {what}; run `hotpool verify --key {key}`")]
    Pool {
        /// Base key.
        key: Key,
        /// What is wrong with it.
        what: String,
    },
}

/// Writes a set of the pool whose base is under `key` into the folder `shelf`.
///
/// The pool must have no owner: it was closed, or its owner died. The function holds the owner lock
/// meanwhile, so a start waits, up to its `OwnerWaitMs`. It stores nothing in the pool.
///
/// # Errors
///
/// Fails if there is no pool under the key, if it has a live owner, if it is damaged, or if the set
/// cannot be written. There is no set then.
pub fn save_pool(key: Key, home: &Home, shelf: &Path, options: &SaveOptions<'_>) -> Result<Saved, SaveError> {
    let began = Instant::now();
    let pool = Source::open(key, home, options.owner_wait_ms)?;
    let writer = SetWriter::begin(shelf, pool.info.clone(), options.compression, None)?;
    let regions = &pool.regions;
    crew::work(&pool.jobs, options.threads, options.progress, |job, buffer| {
        let Some(region) = regions.get(job.segment as usize) else { return Ok(()) };
        buffer.resize(job.bytes as usize, 0);
        mem::map_for_reading(region, job.offset, job.bytes);
        words::read(region, job.offset, buffer);
        writer.chunk(job.segment, job.number, buffer)
    })?;
    let set = writer.finish()?;
    Ok(Saved { set: Some(set), took: began.elapsed(), ..pool.saved() })
}

/// Checks whether [`save_pool`] can save a pool into the folder `shelf`, without a set.
///
/// A set takes no more than [`Saved::bytes`] and its manifest: chunks of zeros take nothing, and others
/// may be compressed. Compare that with [`Saved::free`].
///
/// # Errors
///
/// Fails as [`save_pool`] does before it writes.
pub fn check_save(
    key: Key,
    home: &Home,
    shelf: &Path,
    options: &SaveOptions<'_>,
) -> Result<Saved, SaveError> {
    let saved = Source::open(key, home, options.owner_wait_ms)?.saved();
    let free = |folder| sparse::free_bytes(folder).ok();
    // The folders that are absent will be created on the file system of the first that exists.
    let shelf = std::path::absolute(shelf).unwrap_or_else(|_| shelf.into());
    Ok(Saved { free: shelf.ancestors().find_map(free).map(Bytes), ..saved })
}

/// A pool without an owner, found and checked. The fields are in the order in which they are dropped.
struct Source {
    info: SetInfo,
    jobs: Vec<Job>,
    /// The base, then the blocks; a block without bytes has that of the base.
    regions: Vec<Region>,
    _idle: Idle,
}

impl Source {
    fn open(key: Key, home: &Home, owner_wait_ms: u64) -> Result<Source, SaveError> {
        let wrong = |what: String| SaveError::Pool { key, what };
        let mut idle = Idle::hold(key, home, owner_wait_ms)?;
        let region = idle.observed.base();
        let image = Image::of(region).map_err(wrong)?;
        let mut jobs: Vec<Job> = crew::jobs(0, region.len(), region.len(), CHUNK).collect();
        let mut regions = vec![region];
        for (number, block) in (0..).zip(&image.blocks) {
            let mut found = region;
            if block.used > limits::PAGE {
                let refused = |what| wrong(format!("its block {} {what}", block.key));
                found = idle.observed.block(block.key).map_err(|error| refused(error.to_string()))?;
                let head = Head::read(&found).filter(|head| head.magic == MAGIC_READY && head.sound);
                let id = image.base.header.frozen.pool_id.each_ref().map(crate::word::Word::load);
                let is_it = head
                    .is_some_and(|head| (head.kind, head.index, head.pool_id) == (BLOCK_KIND, number, id));
                if !is_it || found.len() != image.base.block_bytes() {
                    return Err(refused("is not the one that its base names".into()));
                }
                jobs.extend(crew::jobs(number + 1, found.len(), block.used, CHUNK));
            }
            regions.push(found);
        }
        let info = info(key, home.backend, &image, &regions);
        Ok(Source { info, jobs, regions, _idle: idle })
    }

    fn saved(self) -> Saved {
        let bytes = Bytes(self.jobs.iter().map(|job| job.bytes).sum());
        Saved { info: self.info, set: None, bytes, free: None, took: Duration::ZERO }
    }
}

fn info(key: Key, backend: BackendKind, image: &Image, regions: &[Region]) -> SetInfo {
    let header = &image.base.header;
    let process = crate::layout::text(&header.geometry.process);
    let keys: Vec<Key> = image.blocks.iter().map(|block| block.key).collect();
    let base = (key, Bytes(image.base.region.len()));
    let mut info = SetInfo::new(&process, backend, base, &keys, Bytes(image.base.block_bytes()));
    info.epoch = header.epoch.load();
    info.layout = header.frozen.layout.load();
    info.types = image.types(regions);
    info
}
