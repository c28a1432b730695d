//! Copies the bytes of a pool out of its segments and back.
//!
//! A base segment has 3.7 MiB, nearly all of it zero. Only the parts that these tests can write are
//! copied. The tests check now and then that the rest is still zero.

use super::keys::{Keys, remove_segment, shmid};
use hotpool::__internal::layout::{BaseHeader, BlockBase, ExtentRec, Frozen, MAGIC_READY};
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::units::Key;
use std::fs::File;
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: usize = 4096;

/// Copies of the watched parts of each segment; `None` if the segment does not exist.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    segments: Vec<Option<Vec<u8>>>,
}

/// The parts of a base that these tests can write, at the offsets of this build.
pub struct Parts {
    /// Header and 15 types; 64 blocks; 128 extents; one page of the schemas, one of the queues; the
    /// undo log.
    kept: Vec<Range<usize>>,
    /// The ring of starts and the black box: evidence for people, different in each run.
    notes: Range<usize>,
    base_len: usize,
}

/// Returns the parts of a base.
pub fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let keys = Keys::take(2);
        let conf = keys.conf(BackendKind::Heap, 64 << 10, 1);
        let pool = MemoryPoolMgr::open(&conf).unwrap();
        let at = heap_address(&conf, conf.base_key);
        // SAFETY: the header of an open pool; its words are atomics.
        let header = unsafe { &*(at as *const BaseHeader) };
        let g = &header.geometry;
        let page = |at: &hotpool::__internal::word::Word| at.load() as usize..at.load() as usize + PAGE;
        let head = 0..g.types_off.load() as usize + PAGE;
        let kept = vec![
            head,
            page(&g.blocks_off),
            page(&g.extents_off),
            page(&g.schema_off),
            page(&g.queues_off),
            g.lanes_off.load() as usize..(g.lanes_off.load() + g.lanes_bytes.load()) as usize,
        ];
        let starts = g.starts_off.load() as usize;
        let end = (g.black_box_off.load() + g.black_box_bytes.load()) as usize;
        assert!(
            g.starts_off.load() + g.starts_bytes.load() == g.black_box_off.load(),
            "ring and black box are adjacent"
        );
        let base_len = header.frozen.bytes.load() as usize;
        pool.destroy().unwrap();
        Parts { kept, notes: starts..end, base_len }
    })
}

/// Returns the watched parts of a base, by address.
pub fn watched_base() -> Vec<Range<usize>> {
    let parts = parts();
    let mut all = parts.kept.clone();
    all.push(parts.notes.clone());
    all.sort_by_key(|range| range.start);
    all
}

/// Returns where in a copy of a base the ring of starts and the black box are.
pub fn notes_in_copy() -> Range<usize> {
    let notes = &parts().notes;
    let before: usize = watched_base().iter().filter(|r| r.start < notes.start).map(Range::len).sum();
    before..before + notes.len()
}

/// Returns the length of the copy of a base.
pub fn base_copy_len() -> usize {
    watched_base().iter().map(Range::len).sum()
}

/// Returns where in a copy of a base the table of blocks is.
fn blocks_in_copy() -> usize {
    let blocks = &parts().kept[1];
    watched_base().iter().filter(|r| r.start < blocks.start).map(Range::len).sum()
}

/// A segment of a pool, mapped in this process.
pub struct Mapped {
    pub base: *mut u8,
    pub len: usize,
    pub is_base: bool,
    detach: bool,
}

impl Mapped {
    /// Returns the watched parts.
    pub fn watched(&self) -> Vec<Range<usize>> {
        let all = std::iter::once(0..self.len);
        if self.is_base { watched_base() } else { all.collect() }
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(range.end <= self.len);
        // SAFETY: inside the mapping.
        let start = unsafe { self.base.add(range.start) };
        // SAFETY: inside the mapping; its writer is stopped, or is this thread.
        unsafe { std::slice::from_raw_parts(start, range.len()) }
    }

    pub fn copy(&self) -> Vec<u8> {
        self.watched().into_iter().flat_map(|range| self.bytes(range).iter().copied()).collect()
    }

    pub fn equals(&self, copy: &[u8]) -> bool {
        let mut rest = copy;
        self.watched().into_iter().all(|range| {
            let (part, tail) = rest.split_at(range.len());
            rest = tail;
            self.bytes(range) == part
        })
    }

    fn write(&self, copy: &[u8]) {
        let mut rest = copy;
        for range in self.watched() {
            let (part, tail) = rest.split_at(range.len());
            rest = tail;
            assert!(range.end <= self.len);
            // SAFETY: inside the mapping.
            let to = unsafe { self.base.add(range.start) };
            // SAFETY: inside a writable mapping; no other thread uses it.
            unsafe { to.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
        }
    }

    fn is_zero_elsewhere(&self) -> bool {
        let mut at = 0;
        self.watched().into_iter().chain(std::iter::once(self.len..self.len)).all(|range| {
            let between = at..range.start;
            at = range.end;
            self.bytes(between).iter().all(|byte| *byte == 0)
        })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.detach {
            // SAFETY: `shmat` returned the address, and this value is its only owner.
            unsafe { libc::shmdt(self.base.cast()) };
        }
    }
}

/// Returns the keys of a pool's segments, the base first.
pub fn keys_of(conf: &ProcessConf) -> Vec<Key> {
    std::iter::once(conf.base_key).chain(conf.shm_keys.iter().copied()).collect()
}

/// Attaches a System V segment, whether or not other processes have it attached.
pub fn attach(key: Key, is_base: bool, write: bool) -> Option<Mapped> {
    let id = shmid(key)?;
    let flags = if write { 0 } else { libc::SHM_RDONLY };
    // SAFETY: the kernel chooses a free address.
    let base = unsafe { libc::shmat(id, std::ptr::null(), flags) };
    if base.addr() == usize::MAX {
        return None;
    }
    // SAFETY: all zero is a valid value of this struct.
    let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT fills the record.
    unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
    Some(Mapped { base: base.cast(), len: stat.shm_segsz, is_base, detach: true })
}

/// Finds the segments of a `heap` pool by their first bytes. They stay at their addresses until the
/// pool is destroyed.
pub fn find_heap(conf: &ProcessConf) -> Vec<Mapped> {
    let find = |key: Key, is_base| {
        let len = if is_base { base_len() } else { conf.block_size.0 as usize };
        Mapped { base: heap_address(conf, key) as *mut u8, len, is_base, detach: false }
    };
    keys_of(conf).into_iter().enumerate().map(|(n, key)| find(key, n == 0)).collect()
}

/// The words of a pool's index, for repeated reading through the same mappings.
pub struct IndexLens {
    segments: Vec<Mapped>,
    type_id: u32,
}

impl IndexLens {
    pub fn new(conf: &ProcessConf, type_id: u32) -> Self {
        let keys = keys_of(conf).into_iter().enumerate();
        let segments = match conf.backend {
            BackendKind::Sysv => keys.filter_map(|(n, key)| attach(key, n == 0, true)).collect(),
            _ => find_heap(conf),
        };
        IndexLens { segments, type_id }
    }

    /// Returns all words: groups of eight, the first of each being the overflow word.
    pub fn words(&self) -> Vec<u64> {
        self.places().into_iter().map(|place| place.load(Ordering::Relaxed)).collect()
    }

    /// Changes one word.
    pub fn set(&self, number: usize, word: u64) {
        self.places()[number].store(word, Ordering::Relaxed);
    }

    fn places(&self) -> Vec<&AtomicU64> {
        let place = |segment: &Mapped, at: usize| {
            assert!(at + 8 <= segment.len);
            // SAFETY: stays inside the mapping.
            let word = unsafe { segment.base.add(at) };
            // SAFETY: an aligned word inside the mapping, which outlives this value.
            unsafe { AtomicU64::from_ptr(word.cast()) }
        };
        let word = |segment: &Mapped, at: usize| place(segment, at).load(Ordering::Relaxed);
        let base = &self.segments[0];
        let count = word(base, offset_of!(BaseHeader, nextents)) as usize;
        let records = (0..count).map(|n| parts().kept[2].start + n * size_of::<ExtentRec>());
        let of_index = records.filter(|at| word(base, *at) as u32 == self.type_id | 1 << 16);
        let mut places = Vec::new();
        for at in of_index {
            let (block, offset) = (word(base, at + 8) as u32 as usize, word(base, at + 16) as usize);
            let bytes = word(base, at + 24) as usize;
            places.extend((offset..offset + bytes).step_by(8).map(|at| place(&self.segments[1 + block], at)));
        }
        places
    }
}

fn heap_address(conf: &ProcessConf, key: Key) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().filter_map(private_and_anonymous);
    let mut pages = ranges.flat_map(|range| range.clone().step_by(PAGE).map(move |at| at..range.end));
    // Another thread may have unmapped a page of the table: the kernel reads it for this one.
    let memory = File::open("/proc/self/mem").unwrap();
    let found = pages.find(|range| is_segment(&memory, range, key)).map(|range| range.start);
    found.unwrap_or_else(|| panic!("no segment {key} of `{}` in this process", conf.name))
}

fn base_len() -> usize {
    parts().base_len
}

fn private_and_anonymous(line: &str) -> Option<Range<usize>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (start, end) = fields.first()?.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    (fields.get(1)?.starts_with("rw-p") && fields.len() == 5).then_some(range)
}

/// Returns whether a segment begins a range of memory, and ends with it: an inaccessible page follows.
/// A copy of a segment, which a test has made or freed, lies anywhere.
fn is_segment(memory: &File, range: &Range<usize>, key: Key) -> bool {
    let word = |number: usize| {
        let mut bytes = [0; 8];
        memory.read_exact_at(&mut bytes, (range.start + 8 * number) as u64).ok()?;
        Some(u64::from_ne_bytes(bytes))
    };
    word(0) == Some(MAGIC_READY)
        && word(4) == Some(range.len() as u64)
        && word(5).is_some_and(|word| word as u32 == key.0)
}

impl Image {
    /// Copies the segments of a System V pool that no process is writing.
    pub fn of_sysv(conf: &ProcessConf) -> Image {
        let keys = keys_of(conf).into_iter().enumerate();
        Image { segments: keys.map(|(n, key)| attach(key, n == 0, false).map(|s| s.copy())).collect() }
    }

    /// Copies the segments of a `sysv` or `heap` pool.
    pub fn of_pool(conf: &ProcessConf) -> Image {
        match conf.backend {
            BackendKind::Sysv => Self::of_sysv(conf),
            _ => Self::of(&find_heap(conf)),
        }
    }

    /// Restores the segments of a `sysv` or `heap` pool.
    pub fn restore_pool(&self, conf: &ProcessConf) {
        match conf.backend {
            BackendKind::Sysv => self.restore_sysv(conf),
            _ => self.restore(&find_heap(conf)),
        }
    }

    /// Copies mapped segments.
    pub fn of(segments: &[Mapped]) -> Image {
        Image { segments: segments.iter().map(|segment| Some(segment.copy())).collect() }
    }

    /// Restores the segments of a System V pool. Segments that did not exist are removed.
    pub fn restore_sysv(&self, conf: &ProcessConf) {
        for (number, key) in keys_of(conf).into_iter().enumerate() {
            match self.segments.get(number).and_then(Option::as_ref) {
                None => remove_segment(key),
                Some(copy) => {
                    let segment = attach(key, number == 0, true).unwrap_or_else(|| make(key, number, conf));
                    segment.write(copy);
                }
            }
        }
    }

    /// Appends copies of segments to which nothing was ever stored.
    pub fn with_zeros(mut self, segments: &[Mapped]) -> Image {
        self.segments.extend(segments.iter().map(|segment| Some(vec![0; segment.copy().len()])));
        self
    }

    /// Restores mapped segments.
    pub fn restore(&self, segments: &[Mapped]) {
        for (segment, copy) in segments.iter().zip(&self.segments) {
            segment.write(copy.as_ref().expect("a mapped segment was copied"));
        }
    }

    /// Applies the store of one instruction.
    pub fn apply(&mut self, store: &Store) {
        let copy = self.segments[store.segment].as_mut().expect("a mapped segment was copied");
        copy[store.at..store.at + store.bytes.len()].copy_from_slice(&store.bytes);
    }

    /// Returns the copies of the existing segments, with their numbers.
    pub fn numbered_copies(&self) -> impl Iterator<Item = (usize, &Vec<u8>)> {
        self.segments.iter().enumerate().filter_map(|(number, copy)| Some((number, copy.as_ref()?)))
    }

    /// Returns the same pool under the keys of another configuration.
    pub fn moved_to(&self, conf: &ProcessConf) -> Image {
        let mut moved = self.clone();
        let table = blocks_in_copy();
        for (number, key) in keys_of(conf).into_iter().enumerate() {
            let Some(copy) = moved.segments.get_mut(number).and_then(Option::as_mut) else { continue };
            let name = offset_of!(Frozen, key);
            copy[name..name + 4].copy_from_slice(&key.0.to_le_bytes());
            let check = offset_of!(Frozen, check);
            // SAFETY: a record of words, for which any bytes are valid. The copy is longer than the
            // record, and aligned because the allocator aligns large memory.
            let sum = unsafe { &*copy.as_ptr().cast::<Frozen>() }.sum();
            copy[check..check + 4].copy_from_slice(&sum.to_le_bytes());
            if number != 0 {
                let at = table + (number - 1) * size_of::<BlockBase>();
                let base = moved.segments[0].as_mut().expect("a pool has a base");
                base[at..at + 4].copy_from_slice(&key.0.to_le_bytes());
            }
        }
        moved
    }
}

/// What one instruction stored: segment number, offset in its copy, bytes.
#[derive(Clone, Debug)]
pub struct Store {
    pub segment: usize,
    pub at: usize,
    pub bytes: Vec<u8>,
    /// Number of commit stores begun by then; see `reach`.
    pub begun: usize,
}

fn make(key: Key, number: usize, conf: &ProcessConf) -> Mapped {
    let len = if number == 0 { base_len() } else { conf.block_size.0 as usize };
    // SAFETY: integers only.
    let id = unsafe { libc::shmget(key.raw(), len, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id != -1, "cannot create {key}: {}", std::io::Error::last_os_error());
    attach(key, number == 0, true).expect("the segment was just created")
}

/// Returns whether the unwatched parts of a pool's base are zero.
pub fn is_zero_elsewhere(conf: &ProcessConf) -> bool {
    match conf.backend {
        BackendKind::Sysv => attach(conf.base_key, true, false).is_none_or(|base| base.is_zero_elsewhere()),
        _ => find_heap(conf).iter().all(Mapped::is_zero_elsewhere),
    }
}
