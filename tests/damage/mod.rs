//! Pools whose bytes were damaged, and everything that can be done with one: shared by `tests/damaged.rs` and the
//! fuzz targets.
//!
//! An [`Image`] is a small pool of four types on the backend `heap`, copied at a moment of its life. [`Bytes`] turns
//! arbitrary input into changes of its words ([`damage`]) and into operations ([`operate`]); both end with the input.
#![allow(dead_code, unreachable_pub, reason = "each user needs a part of it")]

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::Sweep;
use hotpool::share::{Home, raw};
use hotpool::units::{self, Key};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolObject, TxError};

/// Found by key.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
pub struct Item {
    pub owner: u64,
    pub count: u64,
}

/// As small as they get.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2)]
pub struct Tiny {
    pub word: u32,
}

/// So large that an extent has fewer slots than a word of its map has bits.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 700)]
pub struct Bulky {
    pub words: [u64; 80],
}

/// Found by key and aligned to more than a cache line.
#[repr(C, align(256))]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 4, keyed)]
pub struct Wide {
    pub words: [u64; 32],
}

/// A struct of the name and number of [`Tiny`] with other fields.
pub mod changed {
    use super::{Pod, PoolObject, Zeroable};

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 2)]
    pub struct Tiny {
        pub word: u64,
    }
}

pub const BASE: u64 = 3_817_472;
pub const BLOCK: u64 = 64 << 10;
pub const TYPES: u64 = 8192;
pub const BLOCKS: u64 = 270_336;
pub const EXTENTS: u64 = 532_480;
pub const SCHEMA: u64 = 2_629_632;
pub const LANES: u64 = 3_678_208;
pub const NEXTENTS: u64 = 392;
pub const GEOMETRY: u64 = 64;
pub const TYPE_IDS: [u64; 4] = [1, 2, 4, 700];
/// Bytes under the checksum of `Geometry` and of a `TypeInfo`.
const SUMMED: u64 = 184;

/// Words of a segment that are not zero, in runs.
type Parts = Vec<(u64, Vec<u64>)>;

/// The bytes of a small pool at one moment.
#[derive(Clone)]
pub struct Image {
    /// What it is opened with.
    pub conf: ProcessConf,
    /// Base and blocks.
    pub segments: Vec<(Key, u64, Parts)>,
    /// Segment and offset of every extent.
    pub extents: Vec<(usize, u64)>,
}

/// The moments at which images are taken.
#[derive(Clone)]
pub struct Images {
    /// Closed.
    pub closed: Image,
    /// In a transaction that has written, made, freed and tagged.
    pub cut: Image,
}

fn conf(base: u32, blocks: u32) -> ProcessConf {
    let keys: Vec<Key> = (1..=blocks).map(|number| Key(base + number)).collect();
    let mut conf = ProcessConf::new("damaged", Key(base), units::Bytes(BLOCK), &keys);
    conf.backend = BackendKind::Heap;
    conf
}

impl Images {
    /// The images of a pool under `base` and the three keys behind it.
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
            pool.alloc_keyed(100 + n, Wide { words: [n; 32] }).unwrap();
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
    /// Copies the pool of `conf` as it is now.
    fn take(conf: &ProcessConf) -> Image {
        let keys: Vec<Key> = std::iter::once(&conf.base_key).chain(&conf.shm_keys).copied().collect();
        let words: Vec<Vec<u64>> = keys.iter().map(|key| raw::read(*key).unwrap()).collect();
        let base = &words[0];
        let rec = |number: u64| &base[((EXTENTS + number * 32) / 8) as usize..];
        let extents =
            (0..base[(NEXTENTS / 8) as usize]).map(rec).map(|rec| ((rec[1] as u32) as usize + 1, rec[2]));
        let extents = extents.collect();
        let segments =
            keys.into_iter().zip(&words).map(|(key, words)| (key, words.len() as u64 * 8, runs(words)));
        Image { conf: conf.clone(), segments: segments.collect(), extents }
    }

    /// Puts its segments in the place of whatever is under their keys.
    pub fn plant(&self) {
        for (key, bytes, parts) in &self.segments {
            raw::plant(*key, *bytes, parts).unwrap();
        }
    }

    /// The key of segment `number`.
    pub fn key(&self, number: usize) -> Key {
        self.segments[number % self.segments.len()].0
    }

    fn bytes(&self, number: usize) -> u64 {
        self.segments[number % self.segments.len()].1
    }
}

fn runs(words: &[u64]) -> Parts {
    let chunk = |(number, words): (usize, &[u64])| {
        words.iter().any(|word| *word != 0).then(|| (number as u64 * 64, words.to_vec()))
    };
    words.chunks(8).enumerate().filter_map(chunk).collect()
}

fn sum(key: Key, from: u64, bytes: u64) -> u32 {
    let words = (from..from + bytes).step_by(8).map(|offset| raw::peek(key, offset).unwrap_or(0));
    words.fold(0, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes()))
}

/// Makes the checksum of the first 64 bytes of a segment right.
pub fn seal_frozen(key: Key) {
    let wanted = sum(key, 8, 48);
    raw::poke(key, 56, |word| word & !0xffff_ffff | u64::from(wanted));
}

/// Makes the checksum of the geometry right.
pub fn seal_geometry(base: Key) {
    let wanted = sum(base, GEOMETRY, SUMMED);
    raw::poke(base, GEOMETRY + SUMMED, |_| wanted.into());
}

/// Makes the checksum of a type's entry right.
pub fn seal_type(base: Key, id: u64) {
    let wanted = sum(base, TYPES + id * 256, SUMMED);
    raw::poke(base, TYPES + id * 256 + SUMMED, |_| wanted.into());
}

/// Makes every checksum of a pool right.
pub fn seal(image: &Image) {
    for (key, ..) in &image.segments {
        seal_frozen(*key);
    }
    seal_geometry(image.conf.base_key);
    for id in TYPE_IDS {
        seal_type(image.conf.base_key, id);
    }
}

/// Input, read from the front; zeros behind its end.
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

    /// Segment and offset of a word, mostly one that means something.
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

    /// What a word is changed to.
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

    /// The bits of what may be a handle.
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
            let (key, bytes, parts) = &image.segments[number];
            let bytes = match input.byte() % 4 {
                0 => bytes / 2,
                1 => bytes - 4096,
                2 => bytes + 4096,
                _ => input.word(3) % bytes + 1,
            };
            raw::plant(*key, bytes, parts).unwrap();
        }
        3 => {
            let number = input.byte() as usize % image.segments.len();
            raw::remove(image.key(number)).unwrap();
        }
        4 => seal(image),
        _ => {
            let (segment, offset) = input.place(image);
            let old = raw::peek(image.key(segment), offset).unwrap_or(0);
            let new = input.value(old);
            raw::poke(image.key(segment), offset, |_| new);
        }
    }
}

/// Opens the pool, if that can be done, and adds its types, as far as that can be done.
pub fn open(conf: &ProcessConf) -> Option<MemoryPoolMgr> {
    let mut pool = match MemoryPoolMgr::open(conf) {
        Ok(pool) => pool,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    assert!(!pool.resume_report().to_string().is_empty());
    let added =
        [pool.add_type::<Item>(), pool.add_type::<Tiny>(), pool.add_type::<Bulky>(), pool.add_type::<Wide>()];
    let has_tiny = added[1].is_ok();
    for error in added.into_iter().filter_map(Result::err) {
        assert!(!error.to_string().is_empty());
    }
    // Damage may have left no trace of the type, and then any struct may have its number.
    match pool.add_type::<changed::Tiny>() {
        Ok(()) => assert!(!has_tiny, "a struct is taken for another one"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Some(pool)
}

/// Looks at a pool from outside.
pub fn look(conf: &ProcessConf) {
    let home = Home::of(conf);
    match hotpool::inspect::verify_pool(conf.base_key, &home) {
        Ok(report) => assert!(!report.to_string().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = hotpool::share::observe_pool(conf.base_key, &home);
}

/// What is called a live object of a type is one: reads all of them.
pub fn walk<T: PoolObject>(pool: &mut MemoryPoolMgr) {
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

fn keyed<T: PoolObject + PartialEq + std::fmt::Debug>(pool: &mut MemoryPoolMgr, key: u64, value: T) {
    match pool.alloc_keyed(key, value) {
        Ok(id) => {
            assert_eq!(pool.get(id), Some(&value));
            assert_eq!(pool.find::<T>(key), Some(id));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn plain<T: PoolObject + PartialEq + std::fmt::Debug>(pool: &mut MemoryPoolMgr, value: T) {
    match pool.alloc(value) {
        Ok(id) => assert_eq!(pool.get(id), Some(&value)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Several changes in one transaction.
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
        assert_eq!(tx.find::<Item>(key), Some(made));
        if let Some(item) = item {
            tx.free(item)?;
        }
        tx.commit_with(key)?;
        if commits { Ok(()) } else { Err(TxError::Stale(made.handle())) }
    });
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
}

/// One operation on a pool.
fn step(pool: &mut MemoryPoolMgr, image: &Image, input: &mut Bytes<'_>) {
    match input.byte() % 20 {
        0 => plain(pool, Tiny { word: 7 }),
        1 => plain(pool, Bulky { words: [7; 80] }),
        2 => keyed(pool, input.byte().into(), Item { owner: 1, count: 2 }),
        3 => keyed(pool, input.byte().into(), Wide { words: [3; 32] }),
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
                pool.get_mut(id).unwrap().words[31] = 1;
                assert!(pool.free(id));
            }
        }
        8 => walk::<Item>(pool),
        9 => walk::<Tiny>(pool),
        10 => walk::<Bulky>(pool),
        11 => walk::<Wide>(pool),
        12 | 13 => transact(pool, input),
        14 => assert!(!pool.verify().to_string().is_empty()),
        15 => damage(image, input),
        16 => {
            if let (Some(a), Some(b)) = (input.id::<Bulky>(pool), input.id::<Bulky>(pool)) {
                let several = pool.get_several_mut([a, b]).is_some();
                assert!(!several || a != b);
                let _ = pool.update(a, |object| object.words[0] = 3);
            }
        }
        17 => (0..200).for_each(|n| keyed(pool, 1000 + n, Item { owner: n, count: n })),
        18 => (0..40).for_each(|_| plain(pool, Bulky { words: [1; 80] })),
        _ => {
            let _ = pool.ready();
            for added in [pool.add_type::<Item>(), pool.add_type::<Bulky>()] {
                assert!(added.is_ok_or_says_why());
            }
        }
    }
}

trait SaysWhy {
    fn is_ok_or_says_why(&self) -> bool;
}

impl<T, E: std::fmt::Display> SaysWhy for Result<T, E> {
    fn is_ok_or_says_why(&self) -> bool {
        self.as_ref().err().is_none_or(|error| !error.to_string().is_empty())
    }
}

/// Operations on a pool until the input ends.
pub fn operate(pool: &mut MemoryPoolMgr, image: &Image, input: &mut Bytes<'_>) {
    let mut steps = 0;
    while !input.is_empty() && steps < 100 {
        step(pool, image, input);
        steps += 1;
    }
}

/// An image with changes: the first bytes of the input say which, and whether the checksums are made right.
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

/// The three fuzz targets: a damaged pool is opened, looked at, worked with.
pub fn attach(images: &Images, input: &[u8]) {
    let image = plant_damaged(images, &mut Bytes(input));
    if let Some(pool) = open(&image.conf) {
        assert!(!pool.verify().to_string().is_empty());
        pool.close().unwrap();
        if let Some(pool) = open(&image.conf) {
            drop(pool);
        }
    }
}

/// See [`attach`].
pub fn verify(images: &Images, input: &[u8]) {
    let mut input = Bytes(input);
    if input.byte() & 1 == 0 {
        let image = plant_damaged(images, &mut input);
        look(&image.conf);
        return;
    }
    // The input as it is, over the start of one of the segments.
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

/// See [`attach`].
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
