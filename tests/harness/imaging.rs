//! Images of a pool that changes while they are taken, compared with its bytes when they began.

use super::content::{Keyed, Late, Plain, add_types, words};
use super::image::{self, Mapped};
use super::keys::Keys;
use super::migration;
use super::run::Tally;
use super::scenario::{ALL, Scenario, What};
use hotpool::__internal::layout::{BaseHeader, Geometry, LaneHead};
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{Budget, ImagePiece};
use hotpool::snapshot::{CHUNK, Chain};
use std::convert::Infallible;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What the names of these tests begin with.
pub const PREFIX: &str = "image during: ";

/// The bytes of all segments, the base first.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<Vec<u8>>);

impl Bytes {
    /// Copies mapped segments, which nothing writes meanwhile.
    pub fn of(segments: &[Mapped]) -> Self {
        // SAFETY: the whole of a mapping, whose only writer is this thread.
        let copy = |one: &Mapped| unsafe { std::slice::from_raw_parts(one.base, one.len) }.to_vec();
        Bytes(segments.iter().map(copy).collect())
    }

    /// Returns zeros of the same lengths, to be filled by the pieces of an image.
    pub fn zeros(segments: &[Mapped]) -> Self {
        Bytes(segments.iter().map(|one| vec![0; one.len]).collect())
    }

    /// Reads the set in a folder, with those that it builds on, for segments of these lengths.
    pub fn of_set(path: &Path, segments: &[Mapped]) -> Self {
        let chain = Chain::open(path).unwrap();
        let (mut found, mut buffer) = (Bytes::zeros(segments), Vec::new());
        for (segment, bytes) in (0..).zip(&mut found.0) {
            for (number, chunk) in (0..).zip(bytes.chunks_mut(CHUNK as usize)) {
                if let Some(len) = chain.read(segment, number, &mut buffer).unwrap() {
                    chunk.copy_from_slice(&buffer[..len]);
                }
            }
        }
        found
    }

    /// Writes the bytes to the segments, which no pool uses.
    pub fn restore(&self, segments: &[Mapped]) {
        for (one, bytes) in segments.iter().zip(&self.0) {
            assert_eq!(one.len, bytes.len());
            // SAFETY: the whole of a mapping, which nothing else uses.
            unsafe { one.base.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
    }

    /// Takes a piece of an image.
    pub fn take(&mut self, piece: ImagePiece<'_>) -> Result<(), Infallible> {
        let at = piece.offset as usize;
        self.0[piece.segment as usize][at..at + piece.bytes.len()].copy_from_slice(piece.bytes);
        Ok(())
    }

    /// Returns the first difference, other than in the undo log, which means nothing between two
    /// operations.
    pub fn compare(&self, expected: &Bytes) -> Result<(), String> {
        for (number, (found, expected)) in self.0.iter().zip(&expected.0).enumerate() {
            let (mut found, mut expected) = (found.as_slice(), expected.as_slice());
            let mut at = 0;
            if number == 0 {
                let [log, end] = log_of(expected);
                same(number, 0, &found[..log], &expected[..log])?;
                (found, expected, at) = (&found[end..], &expected[end..], end);
            }
            same(number, at, found, expected)?;
        }
        Ok(())
    }
}

fn same(segment: usize, at: usize, found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let first = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(0);
    let word = first & !7;
    let (old, new) = (&expected[word..word + 8], &found[word..word + 8]);
    Err(format!("segment {segment}, byte {:#x}: the image has {new:x?}, the pool had {old:x?}", at + word))
}

/// Returns where the undo log of a base begins and ends.
fn log_of(base: &[u8]) -> [usize; 2] {
    let word = |at: usize| u64::from_le_bytes(base[at..at + 8].try_into().unwrap()) as usize;
    let geometry = offset_of!(BaseHeader, geometry);
    let lanes = word(geometry + offset_of!(Geometry, lanes_off));
    [lanes + size_of::<LaneHead>(), lanes + word(geometry + offset_of!(Geometry, lanes_bytes))]
}

/// Takes an image of a pool while `run` changes it, and compares it.
fn around(
    conf: &ProcessConf,
    pool: &mut Option<MemoryPoolMgr>,
    run: impl FnOnce(&mut Option<MemoryPoolMgr>),
) -> Result<(), String> {
    let segments = image::find_heap(conf);
    let expected = Bytes::of(&segments);
    pool.as_mut().expect("it is open").image_begin(false, false);
    run(pool);
    let Some(pool) = pool else { return Ok(()) };
    let mut found = Bytes::zeros(&segments);
    while !pool.image_step(Budget::Bytes(8 << 10), |piece| found.take(piece)).unwrap() {}
    pool.image_end();
    found.compare(&expected)
}

/// Takes an image while the operation of a scenario runs.
fn during_scenario(scenario: &Scenario, keys: &Keys, tally: &mut Tally) -> Option<Result<(), String>> {
    let (What::Call(..) | What::Panic(..)) = scenario.what else { return None };
    tally.arm(false);
    let (built, conf) = scenario.confs(keys, BackendKind::Heap);
    let world = scenario.build(&built);
    let (mut pool, world) = scenario.warm(&conf, &world);
    tally.arm(true);
    let result = around(&conf, &mut pool, |pool| match scenario.what {
        What::Panic(_, run) => {
            let pool = pool.as_mut().expect("it is open");
            let unwound = catch_unwind(AssertUnwindSafe(|| run(pool, &world)));
            assert!(unwound.is_err(), "the operation did not panic");
        }
        _ => scenario.run(pool, &conf, &world),
    });
    tally.arm(false);
    drop(pool);
    MemoryPoolMgr::open(&built).and_then(MemoryPoolMgr::destroy).unwrap();
    Some(result)
}

/// Takes an image of a pool under these keys, and compares it.
type Test = fn(&Keys, &mut Tally) -> Result<(), String>;

/// The scenarios that only images have.
const MORE: &[(&str, Test)] = &[("add_type of types that a dead owner used", adds_types)];

/// A type that is added while an image is taken is recovered first, then changed.
fn adds_types(keys: &Keys, tally: &mut Tally) -> Result<(), String> {
    tally.arm(false);
    let conf = keys.conf(BackendKind::Heap, 256 << 10, 2);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    add_types(&mut pool).unwrap();
    pool.add_type::<Late>().unwrap();
    let plain: Vec<_> = (0..200).map(|n| pool.alloc(Plain { words: words(n) }).unwrap()).collect();
    let keyed: Vec<_> = (0..200).map(|n| pool.alloc_keyed(n, Keyed { words: words(n) }).unwrap()).collect();
    pool.alloc(Late { words: words(1) }).unwrap();
    pool.free(plain[70]);
    pool.free(keyed[70]);
    drop(pool);
    let mut pool = Some(MemoryPoolMgr::open(&conf).unwrap());
    tally.arm(true);
    let result = around(&conf, &mut pool, |pool| {
        let pool = pool.as_mut().expect("it is open");
        add_types(pool).unwrap();
        pool.get_mut(plain[150]).unwrap().words[0] = 1;
        pool.free(keyed[3]);
        pool.add_type::<Late>().unwrap();
        pool.alloc(Late { words: words(2) }).unwrap();
    });
    tally.arm(false);
    pool.unwrap().destroy().unwrap();
    result
}

/// Takes an image during each operation whose name `chosen` accepts, which begins with [`PREFIX`].
///
/// Returns the name of the first one whose image is wrong.
pub fn images(tally: &mut Tally, chosen: impl Fn(&str) -> bool) -> Option<String> {
    // These take or end the image themselves.
    let ends =
        |name: &str| ["step", "end"].iter().any(|end| name == format!("while an image is taken: {end}"));
    let during = ALL.iter().filter(|one| !ends(one.name));
    let names = during.map(|one| one.name).chain(MORE.iter().map(|one| one.0));
    let names = names.chain(migration::ALL.iter().map(|one| one.name));
    // One test after the other removes its pool.
    let keys = Keys::take(8);
    let mut wrong = None;
    for name in names {
        let test = format!("{PREFIX}{name}");
        if tally.is_over() || !chosen(&test) {
            continue;
        }
        let before = tally.violations;
        if let Some(result) = image_during(name, &keys, tally) {
            tally.note(&test, "at its end", result);
        }
        if tally.violations != before {
            wrong.get_or_insert(test);
        }
    }
    wrong
}

/// Takes an image during one operation; `None` if it begins or ends without a pool.
fn image_during(name: &str, keys: &Keys, tally: &mut Tally) -> Option<Result<(), String>> {
    if let Some(scenario) = ALL.iter().find(|scenario| scenario.name == name) {
        return during_scenario(scenario, keys, tally);
    }
    if let Some((_, run)) = MORE.iter().find(|more| more.0 == name) {
        return Some(run(keys, tally));
    }
    let step = migration::ALL.iter().find(|step| step.name == name)?;
    tally.arm(false);
    let conf = keys.conf(BackendKind::Heap, 64 << 10, 2);
    let (mut pool, run) = step.without_kill(&conf)?;
    tally.arm(true);
    let result = around(&conf, &mut pool, run);
    tally.arm(false);
    pool?.destroy().ok()?;
    Some(result)
}
