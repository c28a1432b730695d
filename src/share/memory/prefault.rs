//! Prefault: populates every page of a pool before the server is ready, with all processors and
//! progress messages.

use crate::region::Region;
use crate::share::memory::error::MemoryError;
use crate::share::memory::populate::populate;
use crate::share::memory::setting::Setting;
use crate::share::segment::Segment;
use crate::units::{Bytes, Key};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that one thread populates at once.
///
/// This takes some milliseconds, so that all threads end together and progress messages are never
/// late.
const PIECE: u64 = 16 << 20;
/// Time between two progress messages.
const PAUSE: Duration = Duration::from_secs(1);

/// The result of populating every page of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefaulted {
    /// Bytes of all segments.
    pub bytes: Bytes,
    /// Wall time.
    pub took: Duration,
    /// Number of threads.
    pub threads: usize,
}

impl fmt::Display for Prefaulted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "populated {} in {} ms", self.bytes, self.took.as_millis())
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

/// The state that the threads share.
#[derive(Default)]
struct Progress {
    next: AtomicUsize,
    done: AtomicU64,
    short: Mutex<Option<Short>>,
}

impl Progress {
    /// Locks the first failure, which is consistent after every statement.
    fn short(&self) -> MutexGuard<'_, Option<Short>> {
        self.short.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The piece for which the kernel had no memory.
struct Short {
    piece: Piece,
    source: io::Error,
}

/// Populates every page of all segments. Errors and messages name `key`, the ini key that requires
/// it.
pub(crate) fn all(
    setting: &Setting,
    key: &str,
    segments: &[(Key, &Segment)],
) -> Result<Prefaulted, MemoryError> {
    let began = Instant::now();
    let pieces: Vec<Piece> = segments.iter().flat_map(|(key, segment)| cut(*key, segment.region())).collect();
    let all: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(pieces.len()).max(1);
    let progress = Progress::default();
    thread::scope(|scope| {
        for _ in 1..threads {
            let (pieces, progress) = (pieces.clone(), &progress);
            // A thread that cannot be created is not needed.
            let _ = thread::Builder::new().spawn_scoped(scope, move || work(&pieces, progress, &mut || ()));
        }
        let mut words = Words { last: began, place: setting.place(key).to_string(), all };
        work(&pieces, &progress, &mut || words.say(progress.done.load(Ordering::Relaxed)));
    });
    match progress.short().take() {
        None => Ok(Prefaulted { bytes: Bytes(all), took: began.elapsed(), threads }),
        Some(Short { piece, source }) => Err(MemoryError::Prefault {
            place: setting.place(key),
            key: piece.key,
            bytes: Bytes(piece.region.len()),
            done: Bytes(progress.done.load(Ordering::Relaxed)),
            all: Bytes(all),
            source,
        }),
    }
}

fn cut(key: Key, region: Region) -> impl Iterator<Item = Piece> {
    let starts = (0..region.len()).step_by(PIECE as usize);
    starts.map(move |offset| Piece { key, region, offset, bytes: PIECE.min(region.len() - offset) })
}

/// Populates pieces until none is left, or until one of the threads has failed.
fn work(pieces: &[Piece], progress: &Progress, after_each: &mut dyn FnMut()) {
    while progress.short().is_none() {
        let Some(&piece) = pieces.get(progress.next.fetch_add(1, Ordering::Relaxed)) else { return };
        if let Err(source) = populate(&piece.region, piece.offset, piece.bytes) {
            progress.short().get_or_insert(Short { piece, source });
            return;
        }
        progress.done.fetch_add(piece.bytes, Ordering::Relaxed);
        after_each();
    }
}

/// The progress messages, at most one per second.
struct Words {
    last: Instant,
    place: String,
    all: u64,
}

impl Words {
    fn say(&mut self, done: u64) {
        if let Some(word) = self.word(done, Instant::now()) {
            log::info!("{word}");
        }
    }

    fn word(&mut self, done: u64, now: Instant) -> Option<String> {
        if now.duration_since(self.last) < PAUSE {
            return None;
        }
        self.last = now;
        let percent = (u128::from(done) * 100 / u128::from(self.all.max(1))) as u64;
        Some(format!("{}: {percent} % of {} populated", self.place, Bytes(self.all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::testing::Bench;

    #[test]
    fn a_word_is_said_at_most_once_a_second() {
        let began = Instant::now();
        let mut words = Words { last: began, place: "a.ini:3: [zone] Prefault".into(), all: 8 << 30 };
        let mut at = |ms, done| words.word(done, began + Duration::from_millis(ms));
        assert_eq!(at(999, 1 << 30), None);
        assert_eq!(at(1000, 2 << 30).unwrap(), "a.ini:3: [zone] Prefault: 25 % of 8G populated");
        assert_eq!(at(1999, 3 << 30), None);
        assert!(at(2000, 8 << 30).unwrap().contains("100 %"));
    }

    #[test]
    fn every_byte_belongs_to_one_piece() {
        let bench = Bench::new();
        let bytes = 2 * PIECE + 12_288;
        let segment = bench.home.open().create(bench.base(), bytes, 0o600).unwrap();
        let mut end = 0;
        for piece in cut(bench.base(), segment.region()) {
            assert_eq!(piece.offset, end);
            end += piece.bytes;
        }
        assert_eq!(end, bytes);
    }
}
