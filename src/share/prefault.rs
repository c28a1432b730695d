//! Every page of a pool gets its memory before the server serves: by all processors, with word of how far it is.

use super::residence::{MemoryError, Setting};
use super::segment::Segment;
use crate::limits::PAGE;
use crate::region::Region;
use crate::sync::Word;
use crate::sys::mem;
use crate::units::{Bytes, Key};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What one thread asks the kernel for at once: some milliseconds, so that all end together and a word is
/// never late.
const PIECE: u64 = 16 << 20;
/// Between two words.
const PAUSE: Duration = Duration::from_secs(1);

/// How every page of a pool got its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefaulted {
    /// Bytes of all segments.
    pub bytes: Bytes,
    /// Wall time.
    pub took: Duration,
    /// Threads that did it.
    pub threads: usize,
}

impl fmt::Display for Prefaulted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory for all of {} in {} ms", self.bytes, self.took.as_millis())
    }
}

/// A piece of a segment.
#[derive(Clone, Copy)]
struct Piece {
    key: Key,
    region: Region,
    offset: u64,
    bytes: u64,
}

/// What the threads share.
#[derive(Default)]
struct Progress {
    next: AtomicUsize,
    done: AtomicU64,
    failed: AtomicBool,
}

/// Why a thread has stopped.
struct Short {
    piece: Piece,
    source: io::Error,
}

/// Gives memory to every page of all segments. What `key` of the ini asks for it is named when there is too little.
pub(super) fn all(
    setting: &Setting,
    key: &str,
    segments: &[(Key, &Segment)],
) -> Result<Prefaulted, MemoryError> {
    let began = Instant::now();
    let pieces: Vec<Piece> = segments.iter().flat_map(|(key, segment)| cut(*key, segment.region())).collect();
    let all: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(pieces.len()).max(1);
    let progress = Progress::default();
    let short = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            .filter_map(|_| {
                let (pieces, progress) = (pieces.clone(), &progress);
                // A thread that cannot be had is done without.
                thread::Builder::new().spawn_scoped(scope, move || work(&pieces, progress, &mut || ())).ok()
            })
            .collect();
        let mut words = Words { last: began, place: setting.place(key).to_string(), all };
        let mine = work(&pieces, &progress, &mut || words.say(progress.done.load(Ordering::Relaxed)));
        helpers.into_iter().map(|helper| helper.join().unwrap_or(Ok(()))).fold(mine, Result::and)
    });
    match short {
        Ok(()) => Ok(Prefaulted { bytes: Bytes(all), took: began.elapsed(), threads }),
        Err(Short { piece, source }) => Err(MemoryError::Prefault {
            place: setting.place(key),
            key: piece.key,
            bytes: Bytes(piece.region.len()),
            done: Bytes(progress.done.into_inner()),
            all: Bytes(all),
            source,
        }),
    }
}

fn cut(key: Key, region: Region) -> impl Iterator<Item = Piece> {
    let starts = (0..region.len()).step_by(PIECE as usize);
    starts.map(move |offset| Piece { key, region, offset, bytes: PIECE.min(region.len() - offset) })
}

/// Takes piece after piece until there is none, or until one of the threads has failed.
fn work(pieces: &[Piece], progress: &Progress, after_each: &mut dyn FnMut()) -> Result<(), Short> {
    while !progress.failed.load(Ordering::Relaxed) {
        let Some(&piece) = pieces.get(progress.next.fetch_add(1, Ordering::Relaxed)) else { break };
        if let Err(source) = populate(&piece) {
            progress.failed.store(true, Ordering::Relaxed);
            return Err(Short { piece, source });
        }
        progress.done.fetch_add(piece.bytes, Ordering::Relaxed);
        after_each();
    }
    Ok(())
}

fn populate(piece: &Piece) -> io::Result<()> {
    if !mem::try_populate(&piece.region, piece.offset, piece.bytes)? {
        touch(piece);
    }
    Ok(())
}

/// For kernels before 5.14, which cannot be asked: a read gives a page of shared memory
/// its memory, too. Want of it is a SIGBUS there, as at any store.
fn touch(piece: &Piece) {
    for offset in (piece.offset..piece.offset + piece.bytes).step_by(PAGE as usize) {
        if let Ok(word) = piece.region.at::<Word>(offset) {
            std::hint::black_box(word.load());
        }
    }
}

/// How far it is, once a second.
struct Words {
    last: Instant,
    place: String,
    all: u64,
}

impl Words {
    fn say(&mut self, done: u64) {
        if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            let percent = done * 100 / self.all.max(1);
            log::info!("{}: {percent} % of {} have memory", self.place, Bytes(self.all));
        }
    }
}
