//! The bytes of a pool, copied out of its segments and back.
//!
//! A base segment is 3.7 MiB, nearly all of it zero. The parts that pools of these tests can have written are
//! copied; that the rest stays zero is checked now and then.

use super::keys::{Keys, remove_segment, shmid};
use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::layout::{BaseHeader, BlockBase, ExtentRec, Frozen, MAGIC_READY};
use hotpool::units::Key;
use std::mem::offset_of;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: usize = 4096;

/// Copies of the parts of each segment; `None` where there is no segment.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    segments: Vec<Option<Vec<u8>>>,
}

/// Where the parts of a base are that pools of these tests can have written, as a pool of this build says it.
pub struct Parts {
    /// Header and 15 types; 64 blocks; 128 extents; a page each of schemas and of the queues; the undo log.
    kept: Vec<Range<usize>>,
    /// The ring of starts and the black box: notes for people, different each time.
    notes: Range<usize>,
    base_len: usize,
}

/// The parts of a base.
pub fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let keys = Keys::take(2);
        let conf = keys.conf(BackendKind::Heap, 64 << 10, 1);
        let pool = MemoryPoolMgr::open(&conf).unwrap();
        let at = heap_address(&conf, conf.base_key);
        // SAFETY: the header of a pool that is open; its words are atomics.
        let header = unsafe { &*(at as *const BaseHeader) };
        let g = &header.geometry;
        let page = |at: &hotpool::word::Word| at.load() as usize..at.load() as usize + PAGE;
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
            "the notes are in one piece"
        );
        let base_len = header.frozen.bytes.load() as usize;
        pool.destroy().unwrap();
        Parts { kept, notes: starts..end, base_len }
    })
}

/// The parts of a base that are watched, in the order of their addresses.
pub fn watched_base() -> Vec<Range<usize>> {
    let parts = parts();
    let mut all = parts.kept.clone();
    all.push(parts.notes.clone());
    all.sort_by_key(|range| range.start);
    all
}

/// Where in a copy of a base the notes are that differ each time.
pub fn notes_in_copy() -> Range<usize> {
    let notes = &parts().notes;
    let before: usize = watched_base().iter().filter(|r| r.start < notes.start).map(Range::len).sum();
    before..before + notes.len()
}

/// Length of the copy of a base.
pub fn base_copy_len() -> usize {
    watched_base().iter().map(Range::len).sum()
}

/// Where in a copy of a base the table of blocks is.
fn blocks_in_copy() -> usize {
    let blocks = &parts().kept[1];
    watched_base().iter().filter(|r| r.start < blocks.start).map(Range::len).sum()
}

/// A segment of a pool in this process.
pub struct Mapped {
    pub base: *mut u8,
    pub len: usize,
    pub is_base: bool,
    detach: bool,
}

impl Mapped {
    /// The parts that are watched.
    pub fn watched(&self) -> Vec<Range<usize>> {
        let all = std::iter::once(0..self.len);
        if self.is_base { watched_base() } else { all.collect() }
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(range.end <= self.len);
        // SAFETY: inside the mapping.
        let start = unsafe { self.base.add(range.start) };
        // SAFETY: as above; whoever stores to it is stopped or is this thread.
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
            // SAFETY: as above; it is writable, and nobody else has it.
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
            // SAFETY: `shmat` returned the address, and this value is its one owner.
            unsafe { libc::shmdt(self.base.cast()) };
        }
    }
}

/// Keys of the segments of a pool, the base first.
pub fn keys_of(conf: &ProcessConf) -> Vec<Key> {
    std::iter::once(conf.base_key).chain(conf.shm_keys.iter().copied()).collect()
}

/// Attaches a System V segment beside whoever else has it.
pub fn attach(key: Key, is_base: bool, write: bool) -> Option<Mapped> {
    let id = shmid(key)?;
    let flags = if write { 0 } else { libc::SHM_RDONLY };
    // SAFETY: the kernel chooses a free address.
    let base = unsafe { libc::shmat(id, std::ptr::null(), flags) };
    if base.addr() == usize::MAX {
        return None;
    }
    // SAFETY: all zero is a value of it.
    let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT fills the record.
    unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
    Some(Mapped { base: base.cast(), len: stat.shm_segsz, is_base, detach: true })
}

/// The segments of a pool of the backend `heap`, which say by their first bytes whose they are. They stay where
/// they are as long as the pool is not destroyed.
pub fn find_heap(conf: &ProcessConf) -> Vec<Mapped> {
    let find = |key: Key, is_base| {
        let len = if is_base { base_len() } else { conf.block_size.0 as usize };
        Mapped { base: heap_address(conf, key) as *mut u8, len, is_base, detach: false }
    };
    keys_of(conf).into_iter().enumerate().map(|(n, key)| find(key, n == 0)).collect()
}

/// Words of the index of a pool, read again and again through the same mappings.
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

    /// All words of it: groups of eight, of which the first is the overflow.
    pub fn words(&self) -> Vec<u64> {
        self.places().into_iter().map(|place| place.load(Ordering::Relaxed)).collect()
    }

    /// Changes one of them.
    pub fn set(&self, number: usize, word: u64) {
        self.places()[number].store(word, Ordering::Relaxed);
    }

    fn places(&self) -> Vec<&AtomicU64> {
        let place = |segment: &Mapped, at: usize| {
            assert!(at + 8 <= segment.len);
            // SAFETY: it stays inside the mapping.
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
    let mut pages = maps.lines().filter_map(private_and_anonymous).flat_map(|range| range.step_by(PAGE));
    let found = pages.find(|at| is_segment(*at, key));
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

fn is_segment(at: usize, key: Key) -> bool {
    // SAFETY: a page of a readable mapping of this process.
    let page = unsafe { &*(at as *const [AtomicU64; 8]) };
    page[0].load(Ordering::Relaxed) == MAGIC_READY && page[5].load(Ordering::Relaxed) as u32 == key.0
}

impl Image {
    /// Copies the segments of a System V pool that nobody is storing to.
    pub fn of_sysv(conf: &ProcessConf) -> Image {
        let keys = keys_of(conf).into_iter().enumerate();
        Image { segments: keys.map(|(n, key)| attach(key, n == 0, false).map(|s| s.copy())).collect() }
    }

    /// Copies the segments of a pool of either backend that has images.
    pub fn of_pool(conf: &ProcessConf) -> Image {
        match conf.backend {
            BackendKind::Sysv => Self::of_sysv(conf),
            _ => Self::of(&find_heap(conf)),
        }
    }

    /// Makes the segments of such a pool what they were.
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

    /// Makes the segments of a System V pool what they were; those that were not there are removed.
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

    /// The same of so many segments more, of which nothing was ever stored.
    pub fn with_zeros(mut self, segments: &[Mapped]) -> Image {
        self.segments.extend(segments.iter().map(|segment| Some(vec![0; segment.copy().len()])));
        self
    }

    /// Makes mapped segments what they were.
    pub fn restore(&self, segments: &[Mapped]) {
        for (segment, copy) in segments.iter().zip(&self.segments) {
            segment.write(copy.as_ref().expect("a mapped segment was copied"));
        }
    }

    /// Changes bytes, as an instruction did.
    pub fn apply(&mut self, store: &Store) {
        let copy = self.segments[store.segment].as_mut().expect("a mapped segment was copied");
        copy[store.at..store.at + store.bytes.len()].copy_from_slice(&store.bytes);
    }

    /// The copies of segments that are there, with their numbers.
    pub fn numbered_copies(&self) -> impl Iterator<Item = (usize, &Vec<u8>)> {
        self.segments.iter().enumerate().filter_map(|(number, copy)| Some((number, copy.as_ref()?)))
    }

    /// The same pool under the keys of another configuration.
    pub fn moved_to(&self, conf: &ProcessConf) -> Image {
        let mut moved = self.clone();
        let table = blocks_in_copy();
        for (number, key) in keys_of(conf).into_iter().enumerate() {
            let Some(copy) = moved.segments.get_mut(number).and_then(Option::as_mut) else { continue };
            let name = offset_of!(Frozen, key);
            copy[name..name + 4].copy_from_slice(&key.0.to_le_bytes());
            let check = offset_of!(Frozen, check);
            // SAFETY: a record of words, of which any bytes are a value; a copy is aligned as the allocator
            // aligns large memory, and longer than the record.
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

/// What one instruction has stored: segment, offset in its copy, bytes.
#[derive(Clone, Debug)]
pub struct Store {
    pub segment: usize,
    pub at: usize,
    pub bytes: Vec<u8>,
    /// Commit stores that were begun by then, see `reach`.
    pub begun: usize,
}

fn make(key: Key, number: usize, conf: &ProcessConf) -> Mapped {
    let len = if number == 0 { base_len() } else { conf.block_size.0 as usize };
    // SAFETY: integers only.
    let id = unsafe { libc::shmget(key.raw(), len, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id != -1, "cannot make {key}: {}", std::io::Error::last_os_error());
    attach(key, number == 0, true).expect("it was made this moment")
}

/// Whether what is not watched of a pool's base is zero.
pub fn is_zero_elsewhere(conf: &ProcessConf) -> bool {
    match conf.backend {
        BackendKind::Sysv => attach(conf.base_key, true, false).is_none_or(|base| base.is_zero_elsewhere()),
        _ => find_heap(conf).iter().all(Mapped::is_zero_elsewhere),
    }
}
