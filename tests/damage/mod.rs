//! Pools with damaged bytes, and everything that can be done with them. Shared by
//! `tests/damaged.rs` and the fuzz targets.
//!
//! An [`Image`] is a small `heap` pool of four types, copied at one moment of its life. [`Bytes`]
//! turns arbitrary input into changes of words ([`damage`]) and into operations ([`operate`]). Both
//! end with the input.
#![allow(dead_code, unreachable_pub, reason = "each user needs only a part")]

pub mod raw;
pub mod schemas;
pub mod sets;

use bytemuck::{Pod, Zeroable};
use hotpool::__internal::layout::{BaseHeader, BlockBase, ExtentRec, TypeInfo};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::limits;
use hotpool::pool::Sweep;
use hotpool::share::Home;
use hotpool::units::{self, Key};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolObject, TxError};
use std::time::Duration;

/// A keyed type.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
pub struct Item {
    pub owner: u64,
    pub count: u64,
}

/// The smallest possible type.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2)]
pub struct Tiny {
    pub word: u32,
}

/// A type so large that an extent has fewer slots than a word of its map has bits.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 700)]
pub struct Bulky {
    pub words: [u64; 80],
}

/// A keyed type aligned to more than one cache line.
#[repr(C, align(128))]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 4, keyed)]
pub struct Wide {
    pub words: [u64; 16],
}

/// A type that no image contains.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 5)]
pub struct Late {
    pub words: [u64; 3],
}

/// A struct with the name and type number of [`Tiny`], but with other fields.
pub mod changed {
    use super::{Pod, PoolObject, Zeroable};

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 2)]
    pub struct Tiny {
        pub word: u64,
    }
}

/// Sizes and offsets from `docs/layout.md`, computed from the limits of this build.
pub const BLOCK: u64 = limits::MIN_BLOCK_BYTES;
pub const TYPES: u64 = BaseHeader::BYTES;
pub const BLOCKS: u64 = TYPES + limits::TYPE_TABLE as u64 * size_of::<TypeInfo>() as u64;
pub const EXTENTS: u64 = BLOCKS + limits::MAX_BLOCKS as u64 * size_of::<BlockBase>() as u64;
pub const SCHEMA: u64 = EXTENTS + limits::MAX_EXTENTS as u64 * size_of::<ExtentRec>() as u64;
pub const STARTS: u64 = SCHEMA + limits::SCHEMA_BYTES;
pub const LANES: u64 = STARTS + limits::STARTS * 64 + limits::BLACK_BOX_BYTES + limits::QUEUE_DIRECTORY_BYTES;
pub const BASE: u64 = (LANES + limits::UNDO_BYTES).next_multiple_of(limits::PAGE);
pub const NEXTENTS: u64 = 392;
pub const GEOMETRY: u64 = 64;
pub const TYPE_IDS: [u64; 4] = [1, 2, 4, 700];
/// Number of bytes under the checksum of `Geometry` and of a `TypeInfo`.
const SUMMED: u64 = 184;

/// The bytes of a small pool at one moment.
#[derive(Clone)]
pub struct Image {
    /// The configuration to open it with.
    pub conf: ProcessConf,
    /// The base and the blocks.
    pub segments: Vec<(Key, Vec<u64>)>,
    /// The segment number and offset of every extent.
    pub extents: Vec<(usize, u64)>,
}

/// The moments at which images are taken.
#[derive(Clone)]
pub struct Images {
    /// A closed pool.
    pub closed: Image,
    /// A pool in a transaction that has written, allocated, freed and tagged.
    pub cut: Image,
}

fn conf(base: u32, blocks: u32) -> ProcessConf {
    let keys: Vec<Key> = (1..=blocks).map(|number| Key(base + number)).collect();
    let mut conf = ProcessConf::new("damaged", Key(base), units::Bytes(BLOCK), &keys);
    conf.backend = BackendKind::Heap;
    conf
}

impl Images {
    /// Creates the images, for a pool under `base` and the next three keys.
    pub fn make(base: u32) -> Images {
        let conf = conf(base, 3);
        MemoryPoolMgr::open(&conf).unwrap().close().unwrap();
        name(&conf);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Item>().unwrap();
        pool.add_type::<Tiny>().unwrap();
        pool.add_type::<Bulky>().unwrap();
        pool.add_type::<Wide>().unwrap();
        pool.ready().unwrap();
        let mut tiny = Vec::new();
        for n in 0..40 {
            pool.alloc_keyed(n, Item { owner: n, count: n * 7 }).unwrap();
            tiny.push(pool.alloc(Tiny { word: n as u32 }).unwrap());
        }
        for n in 0..5 {
            pool.alloc(Bulky { words: [n; 80] }).unwrap();
            pool.alloc_keyed(100 + n, Wide { words: [n; 16] }).unwrap();
        }
        assert!(pool.free_by_key::<Item>(3) && pool.free(tiny[5]) && pool.free(tiny[6]));
        let mut cut = None;
        let rolled_back: Result<(), TxError> = pool.tx(|tx| {
            tx.get_mut(tiny[0])?.word = 1000;
            tx.alloc(Tiny { word: 1001 })?;
            let item = tx.find::<Item>(7).ok_or(TxError::Stale(tiny[0].handle()))?;
            tx.free(item)?;
            tx.alloc_keyed(200, Item { owner: 1, count: 1 })?;
            tx.commit_with(99)?;
            cut = Some(Image::take(&conf));
            Err(TxError::Stale(tiny[0].handle()))
        });
        assert!(rolled_back.is_err());
        pool.close().unwrap();
        Images { closed: Image::take(&conf), cut: cut.unwrap() }
    }
}

/// Gives the pool an identity and a seed that are the same in every run.
fn name(conf: &ProcessConf) {
    for key in std::iter::once(&conf.base_key).chain(&conf.shm_keys) {
        raw::poke(*key, 16, |_| 0x1111);
        raw::poke(*key, 24, |_| 0x2222);
        raw::poke(*key, 48, |_| 1);
        seal_frozen(*key);
    }
    raw::poke(conf.base_key, GEOMETRY + 160, |_| 0x5eed);
    seal_geometry(conf.base_key);
}

impl Image {
    /// Copies the current bytes of the pool of `conf`.
    fn take(conf: &ProcessConf) -> Image {
        let keys: Vec<Key> = std::iter::once(&conf.base_key).chain(&conf.shm_keys).copied().collect();
        let words: Vec<Vec<u64>> = keys.iter().map(|key| raw::read(*key).unwrap()).collect();
        let base = &words[0];
        let rec = |number: u64| &base[((EXTENTS + number * 32) / 8) as usize..];
        let extents =
            (0..base[(NEXTENTS / 8) as usize]).map(rec).map(|rec| ((rec[1] as u32) as usize + 1, rec[2]));
        let extents = extents.collect();
        Image { conf: conf.clone(), segments: keys.into_iter().zip(words).collect(), extents }
    }

    /// Replaces the segments under its keys with its own.
    pub fn plant(&self) {
        for number in 0..self.segments.len() {
            self.plant_as(number, self.bytes(number));
        }
    }

    /// Replaces the segment under one of its keys with its own, in another length.
    pub fn plant_as(&self, number: usize, bytes: u64) {
        let (key, words) = &self.segments[number];
        raw::plant(*key, bytes, bytemuck::cast_slice(words)).unwrap();
    }

    /// Returns its header and its words that are not zero, to be restored while tools read the
    /// pool: key, offset, word.
    pub fn words(&self) -> Vec<(Key, u64, u64)> {
        let of = |(number, (key, words)): (usize, &(Key, Vec<u64>))| {
            let wanted = |at: usize, word: u64| (number == 0 && at < 1024) || word != 0;
            let words = words.iter().copied().enumerate().filter(|(at, word)| wanted(*at, *word));
            words.map(|(at, word)| (*key, at as u64 * 8, word)).collect::<Vec<_>>()
        };
        self.segments.iter().enumerate().flat_map(of).collect()
    }

    /// Returns the key of segment `number`.
    pub fn key(&self, number: usize) -> Key {
        self.segments[number % self.segments.len()].0
    }

    fn bytes(&self, number: usize) -> u64 {
        self.segments[number % self.segments.len()].1.len() as u64 * 8
    }
}

/// Corrects the checksum of the first 64 bytes of a segment.
pub fn seal_frozen(key: Key) {
    let wanted = raw::sum(key, 8, 48).unwrap_or(0);
    raw::poke(key, 56, |word| word & !0xffff_ffff | u64::from(wanted));
}

/// Corrects the checksum of the geometry.
pub fn seal_geometry(base: Key) {
    let wanted = raw::sum(base, GEOMETRY, SUMMED).unwrap_or(0);
    raw::poke(base, GEOMETRY + SUMMED, |_| wanted.into());
}

/// Corrects the checksum of a type's entry.
pub fn seal_type(base: Key, id: u64) {
    let wanted = raw::sum(base, TYPES + id * 256, SUMMED).unwrap_or(0);
    raw::poke(base, TYPES + id * 256 + SUMMED, |_| wanted.into());
}

/// Corrects every checksum of a pool.
pub fn seal(image: &Image) {
    for (key, ..) in &image.segments {
        seal_frozen(*key);
    }
    seal_geometry(image.conf.base_key);
    for id in TYPE_IDS {
        seal_type(image.conf.base_key, id);
    }
}

/// Input that is read from the front. Reading past its end returns zeros.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn word(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    /// Picks the segment and offset of a word, mostly of a meaningful one.
    fn place(&mut self, image: &Image) -> (usize, u64) {
        let kind = self.byte() % 12;
        let n = self.word(2);
        let id = TYPE_IDS[n as usize % TYPE_IDS.len()];
        let extents = image.extents.len() as u64;
        match kind {
            0 => (0, n % 190 * 8),
            1 => (0, 256 + n % 32 * 8),
            2 => (0, 4096 + n % 8 * 8),
            3 | 4 => (0, TYPES + id * 256 + n / 4 % 32 * 8),
            5 => (0, BLOCKS + n % 32 * 8),
            6 => (0, EXTENTS + n % (4 * extents + 8) * 8),
            7 => (0, LANES + n % 300 * 8),
            8 => (0, SCHEMA + n % 64 * 8),
            9 => (1 + n as usize % 3, n / 4 % 8 * 8),
            10 => {
                let (segment, offset) = image.extents[n as usize % image.extents.len()];
                (segment, offset + n / extents % 256 * 8)
            }
            _ => (n as usize % 4, self.word(3) & !7),
        }
    }

    /// Picks a new value for a word.
    fn value(&mut self, old: u64) -> u64 {
        match self.byte() % 12 {
            0 => 0,
            1 => u64::MAX,
            2 => old.wrapping_add(1),
            3 => old.wrapping_sub(1),
            4 => self.word(8),
            5 => self.word(1),
            6 => old ^ 1 << (self.byte() % 64),
            7 => 1 << (self.byte() % 64),
            8 => old & !0xffff_ffff | self.word(4),
            9 => old & 0xffff_ffff | self.word(4) << 32,
            10 => self.bits(),
            _ => old.wrapping_add(self.word(2) << 3),
        }
    }

    /// Picks bits that may be a handle.
    fn bits(&mut self) -> u64 {
        let id = TYPE_IDS[self.byte() as usize % TYPE_IDS.len()];
        self.word(1) << 38 | id << 28 | u64::from(self.byte())
    }

    fn id<T: PoolObject>(&mut self, pool: &MemoryPoolMgr) -> Option<Id<T>> {
        let (kind, n) = (self.byte(), self.byte());
        match kind % 3 {
            0 => pool.iter::<T>().nth(n.into()).map(|(id, _)| id),
            1 => Handle::from_bits(u64::from(n) << 38 | u64::from(T::TYPE_ID) << 28 | 1)?.typed(),
            _ => Handle::from_bits(self.bits())?.typed(),
        }
    }
}

/// Changes one thing in the segments of an image.
pub fn damage(image: &Image, input: &mut Bytes<'_>) {
    match input.byte() % 16 {
        0 => {
            let (a, b) = (input.place(image), input.place(image));
            let (Some(left), Some(right)) = (raw::peek(image.key(a.0), a.1), raw::peek(image.key(b.0), b.1))
            else {
                return;
            };
            raw::poke(image.key(a.0), a.1, |_| right);
            raw::poke(image.key(b.0), b.1, |_| left);
        }
        1 => {
            let (from, to) = (input.place(image), input.place(image));
            if let Some(word) = raw::peek(image.key(from.0), from.1) {
                raw::poke(image.key(to.0), to.1, |_| word);
            }
        }
        2 => {
            let number = input.byte() as usize % image.segments.len();
            let bytes = image.bytes(number);
            let bytes = match input.byte() % 4 {
                0 => bytes / 2,
                1 => bytes - 4096,
                2 => bytes + 4096,
                _ => input.word(3) % bytes + 1,
            };
            image.plant_as(number, bytes);
        }
        3 => {
            // A pool without its base would be created again, which takes long and finds little.
            let number = input.byte() as usize;
            let number = if number == 0 { 0 } else { 1 + number % (image.segments.len() - 1) };
            raw::remove(image.key(number));
        }
        4 => seal(image),
        _ => scribble(image, input),
    }
}

/// Changes one word in the segments of an image.
pub fn scribble(image: &Image, input: &mut Bytes<'_>) {
    let (segment, offset) = input.place(image);
    let old = raw::peek(image.key(segment), offset).unwrap_or(0);
    let new = input.value(old);
    raw::poke(image.key(segment), offset, |_| new);
}

/// Returns how long this thread has run, without the time in which others had the processor.
pub fn own_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `time` alone.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Returns whether the text of `what` is not empty. A long text is formatted only in part.
pub fn says(what: &impl std::fmt::Display) -> bool {
    struct Start(usize);
    impl std::fmt::Write for Start {
        fn write_str(&mut self, part: &str) -> std::fmt::Result {
            self.0 += part.len();
            if self.0 < 2000 { Ok(()) } else { Err(std::fmt::Error) }
        }
    }
    let mut start = Start(0);
    let _ = std::fmt::write(&mut start, format_args!("{what}"));
    start.0 != 0
}

/// Opens the pool and adds its types, as far as that succeeds.
pub fn open(conf: &ProcessConf) -> Option<MemoryPoolMgr> {
    let mut pool = match MemoryPoolMgr::open(conf) {
        Ok(pool) => pool,
        Err(error) => {
            assert!(says(&error));
            return None;
        }
    };
    assert!(says(pool.resume_report()));
    let added =
        [pool.add_type::<Item>(), pool.add_type::<Tiny>(), pool.add_type::<Bulky>(), pool.add_type::<Wide>()];
    let has_tiny = added[1].is_ok();
    for error in added.into_iter().filter_map(Result::err) {
        assert!(says(&error));
    }
    // Damage may have erased the type, and then any struct may have its type number.
    match pool.add_type::<changed::Tiny>() {
        Ok(()) => assert!(!has_tiny, "a struct was accepted as another one"),
        Err(error) => assert!(says(&error)),
    }
    Some(pool)
}

/// Reads a pool as a tool does.
pub fn look(conf: &ProcessConf) {
    let home = Home::of(conf);
    match hotpool::inspect::verify_pool(conf.base_key, &home) {
        Ok(report) => assert!(says(&report)),
        Err(error) => assert!(says(&error)),
    }
    let _ = hotpool::share::observe_pool(conf.base_key, &home);
}

/// Reads every object that a walk of this type finds.
pub fn walk<T: PoolObject + Pod>(pool: &mut MemoryPoolMgr) {
    let capacity = pool.capacity::<T>();
    let mut count = 0;
    for (_, object) in pool.iter::<T>() {
        let bytes = bytemuck::bytes_of(object);
        std::hint::black_box(bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        count += 1;
    }
    assert!(count <= capacity);
    let mut written = 0;
    if pool.try_view::<T>().is_some() {
        for (_, mut object) in pool.iter_mut::<T>() {
            let bytes = bytemuck::bytes_of_mut(&mut *object);
            bytes[bytes.len() - 1] ^= 1;
            written += 1;
        }
    }
    assert_eq!(written, count);
    let mut sweep = Sweep::default();
    let mut rounds = 0;
    while !pool.sweep::<T>(&mut sweep, 1, |_, _| ()) {
        rounds += 1;
        assert!(rounds <= capacity, "a sweep does not end");
    }
    let _ = (pool.len::<T>(), pool.high_water::<T>(), pool.is_empty::<T>());
}

/// Allocates an object with this key. Returns false if the pool is full or the key exists.
fn keyed<T: PoolObject + PartialEq + std::fmt::Debug>(pool: &mut MemoryPoolMgr, key: u64, value: T) -> bool {
    match pool.alloc_keyed(key, value) {
        Ok(id) => {
            assert_eq!(pool.get(id), Some(&value));
            // Damage may have given the same key to another object.
            let found = pool.find::<T>(key).expect("the object was just created");
            assert_eq!(pool.view::<T>().key(found), Some(key));
            true
        }
        Err(error) => {
            assert!(says(&error));
            false
        }
    }
}

fn plain<T: PoolObject + PartialEq + std::fmt::Debug>(pool: &mut MemoryPoolMgr, value: T) -> bool {
    match pool.alloc(value) {
        Ok(id) => {
            assert_eq!(pool.get(id), Some(&value));
            true
        }
        Err(error) => {
            assert!(says(&error));
            false
        }
    }
}

/// Makes several changes in one transaction.
fn transact(pool: &mut MemoryPoolMgr, input: &mut Bytes<'_>) {
    let commits = input.byte() & 1 == 0;
    let (tiny, item, bulky) = (input.id::<Tiny>(pool), input.id::<Item>(pool), input.id::<Bulky>(pool));
    let key = input.byte().into();
    let result: Result<(), TxError> = pool.tx(|tx| {
        if let Some(tiny) = tiny {
            tx.get_mut(tiny)?.word = 1;
        }
        tx.alloc(Tiny { word: 9 })?;
        if let Some(bulky) = bulky {
            tx.get_mut(bulky)?.words[79] = 1;
            tx.free(bulky)?;
            assert!(tx.get(bulky).is_none());
        }
        let made = tx.alloc_keyed(key, Item { owner: 5, count: 5 })?;
        assert!(tx.find::<Item>(key).is_some());
        if let Some(item) = item {
            tx.free(item)?;
        }
        tx.commit_with(key)?;
        if commits { Ok(()) } else { Err(TxError::Stale(made.handle())) }
    });
    if let Err(error) = result {
        assert!(says(&error));
    }
}

/// One operation on a pool.
fn step(pool: &mut MemoryPoolMgr, image: &Image, input: &mut Bytes<'_>) {
    match input.byte() % 20 {
        0 => _ = plain(pool, Tiny { word: 7 }),
        1 => _ = plain(pool, Bulky { words: [7; 80] }),
        2 => _ = keyed(pool, input.byte().into(), Item { owner: 1, count: 2 }),
        3 => _ = keyed(pool, input.byte().into(), Wide { words: [3; 16] }),
        4 => {
            let key = input.byte().into();
            if let Ok(forced) = pool.force_get(key, Item { owner: 4, count: 4 }) {
                let id = forced.into_inner();
                assert!(pool.get(id).is_some());
                assert_eq!(pool.view::<Item>().key(id), Some(key));
            }
        }
        5 => {
            if let Some(id) = input.id::<Tiny>(pool) {
                let was_there = pool.get(id).is_some();
                assert_eq!(pool.free(id), was_there);
                assert!(pool.get(id).is_none());
            }
        }
        6 => {
            if let Some(id) = input.id::<Item>(pool) {
                pool.free(id);
                assert!(pool.get(id).is_none());
            }
        }
        7 => {
            let key = input.byte().into();
            if let Some(id) = pool.find::<Wide>(key) {
                assert!(pool.get_by_key::<Wide>(key).is_some());
                pool.get_mut(id).unwrap().words[15] = 1;
                assert!(pool.free(id));
            }
        }
        8 => walk::<Item>(pool),
        9 => walk::<Tiny>(pool),
        10 => walk::<Bulky>(pool),
        11 => walk::<Wide>(pool),
        12 | 13 => transact(pool, input),
        14 => assert!(says(&pool.verify())),
        15 => damage(image, input),
        16 => {
            if let (Some(a), Some(b)) = (input.id::<Bulky>(pool), input.id::<Bulky>(pool)) {
                let several = pool.get_several_mut([a, b]).is_some();
                assert!(!several || a != b);
                let _ = pool.update(a, |object| object.words[0] = 3);
            }
        }
        // Stop after several failures: existing keys are skipped, and a full pool is not tried
        // endlessly.
        17 => {
            _ = (0..200)
                .map(|n| keyed(pool, 1000 + n, Item { owner: n, count: n }))
                .filter(|made| !made)
                .nth(3)
        }
        18 => _ = (0..40).all(|_| plain(pool, Bulky { words: [1; 80] })),
        _ => {
            let _ = pool.ready();
            for added in [pool.add_type::<Item>(), pool.add_type::<Bulky>()] {
                assert!(added.is_ok_or_says_why());
            }
            if pool.add_type::<Late>().is_ok() {
                let _ = plain(pool, Late { words: [8; 3] });
            }
        }
    }
}

trait SaysWhy {
    fn is_ok_or_says_why(&self) -> bool;
}

impl<T, E: std::fmt::Display> SaysWhy for Result<T, E> {
    fn is_ok_or_says_why(&self) -> bool {
        self.as_ref().err().is_none_or(says)
    }
}

/// Runs operations on a pool until the input ends.
pub fn operate(pool: &mut MemoryPoolMgr, image: &Image, input: &mut Bytes<'_>) {
    let mut steps = 0;
    while !input.is_empty() && steps < 100 {
        step(pool, image, input);
        steps += 1;
    }
}

/// Plants a damaged image. The first bytes of the input select the image, the changes, and whether
/// checksums are corrected.
pub fn plant_damaged<'a>(images: &'a Images, input: &mut Bytes<'_>) -> &'a Image {
    let (kind, changes) = (input.byte(), input.byte() % 8);
    let image = if kind & 1 == 0 { &images.closed } else { &images.cut };
    image.plant();
    if kind & 4 != 0 {
        raw::poke(image.conf.base_key, LANES, |tail| tail | 1 << 63);
    }
    for _ in 0..changes {
        damage(image, input);
    }
    if kind & 2 != 0 {
        seal(image);
    }
    image
}

/// The fuzz target `attach`: opens a damaged pool twice.
pub fn attach(images: &Images, input: &[u8]) {
    let image = plant_damaged(images, &mut Bytes(input));
    if let Some(pool) = open(&image.conf) {
        assert!(says(&pool.verify()));
        pool.close().unwrap();
        if let Some(pool) = open(&image.conf) {
            drop(pool);
        }
    }
}

/// The fuzz target `verify`: inspects a damaged pool from outside.
pub fn verify(images: &Images, input: &[u8]) {
    let mut input = Bytes(input);
    if input.byte() & 1 == 0 {
        let image = plant_damaged(images, &mut input);
        look(&image.conf);
        return;
    }
    // Write the rest of the input over the beginning of a segment.
    let image = &images.closed;
    image.plant();
    let number = input.byte() as usize;
    let skip = u64::from(input.byte()) * 8;
    let words = input.0.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap()));
    for (at, word) in words.enumerate() {
        raw::poke(image.key(number), skip + at as u64 * 8, |_| word);
    }
    look(&image.conf);
    seal(image);
    look(&image.conf);
    let _ = image.bytes(number);
}

/// The fuzz target `operations`: works with a damaged pool.
pub fn operations(images: &Images, input: &[u8]) {
    let mut input = Bytes(input);
    let image = plant_damaged(images, &mut input);
    let Some(mut pool) = open(&image.conf) else { return };
    operate(&mut pool, image, &mut input);
    drop(pool);
    look(&image.conf);
    if let Some(mut pool) = open(&image.conf) {
        walk::<Item>(&mut pool);
        walk::<Tiny>(&mut pool);
        walk::<Bulky>(&mut pool);
        walk::<Wide>(&mut pool);
    }
}
