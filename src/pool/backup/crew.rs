//! Several threads that share a list of chunks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How far a save or a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of chunks that are done.
    pub done: u64,
    /// Bytes of all chunks.
    pub all: u64,
}

/// A function that is told of the progress, by any thread.
pub(super) type Told<'a> = Option<&'a (dyn Fn(Progress) + Sync)>;

/// A chunk of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// 0 for the base, else the number of the block + 1.
    pub(super) segment: u32,
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Returns the chunks of the first `end` bytes of a segment that is `len` long.
pub(super) fn jobs(segment: u32, len: u64, end: u64, chunk: u32) -> impl Iterator<Item = Job> {
    let chunk = u64::from(chunk.max(1));
    (0..end.min(len).div_ceil(chunk)).map(move |number| {
        let offset = number * chunk;
        Job { segment, number: number as u32, offset, bytes: chunk.min(len - offset) }
    })
}

/// The jobs of one segment.
struct Lane<'a> {
    jobs: &'a [Job],
    /// Number of the next one that no thread has taken.
    next: AtomicUsize,
}

/// Does all jobs, by as many threads as asked for; 0 stands for one for each processor.
///
/// The jobs of a segment follow one another. Each thread begins with a segment of its own, because
/// writes to one file exclude each other; a thread that finds none helps the others. Each thread has a
/// buffer of its own. The first error ends the work of all.
pub(super) fn work<E: Send>(
    jobs: &[Job],
    threads: usize,
    told: Told<'_>,
    work: impl Fn(&Job, &mut Vec<u8>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let threads = match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let all = jobs.iter().map(|job| job.bytes).sum();
    let lanes = jobs.chunk_by(|one, other| one.segment == other.segment);
    let lanes: Vec<Lane<'_>> = lanes.map(|jobs| Lane { jobs, next: AtomicUsize::new(0) }).collect();
    let (free, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let failed = Mutex::new(None);
    let has_failed = || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let run = || {
        let mut buffer = Vec::new();
        let own = std::iter::from_fn(|| lanes.get(free.fetch_add(1, Ordering::Relaxed)));
        let jobs = own.chain(&lanes).flat_map(|lane| {
            std::iter::from_fn(move || lane.jobs.get(lane.next.fetch_add(1, Ordering::Relaxed)))
        });
        for job in jobs.take_while(|_| !has_failed()) {
            if let Err(error) = work(job, &mut buffer) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                break;
            }
            let done = done.fetch_add(job.bytes, Ordering::Relaxed) + job.bytes;
            if let Some(told) = told {
                told(Progress { done, all });
            }
        }
    };
    thread::scope(|scope| {
        // Without another thread, this one does the work alone.
        let others = (1..threads.min(jobs.len()))
            .map(|_| thread::Builder::new().name("hotpool-set".into()).spawn_scoped(scope, run));
        others.take_while(Result::is_ok).for_each(drop);
        run();
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
