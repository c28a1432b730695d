//! The structs of real game servers fit into a pool, and survive a kill.

mod filled;
#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::conf::ProcessConf;
use hotpool::object::{FixedMap, FixedSet, FixedStr, FixedVec, Maybe, Schema};
use hotpool::share::Home;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use own_keys::own_keys;
use std::fmt::Debug;
use std::sync::LazyLock;

pub(crate) type Text = FixedStr<32>;
pub(crate) type List<T> = FixedVec<T, 6>;
pub(crate) type Map<K, V> = FixedMap<K, V, 4>;
pub(crate) type Set<T> = FixedSet<T, 4>;
/// Microseconds since 1970.
pub(crate) type Time = i64;
pub(crate) type Identity = [u8; 32];

/// A source of numbers that is the same in every process.
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % below
    }
}

/// A type of which there are samples.
pub(crate) trait Sample: Sized {
    fn sample(seed: &mut Seed) -> Self;
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Sample for $number {
            fn sample(seed: &mut Seed) -> Self {
                (seed.next(1 << 30) as i64 - (1 << 20)) as $number
            }
        }
    )*};
}

numbers! { u8 u16 u32 u64 u128 i8 i16 i32 i64 f32 f64 }

impl Sample for bool {
    fn sample(seed: &mut Seed) -> Self {
        seed.next(2) == 1
    }
}

impl Sample for char {
    fn sample(seed: &mut Seed) -> Self {
        char::from_u32(seed.next(0xd800) as u32).unwrap_or_default()
    }
}

impl Sample for Text {
    fn sample(seed: &mut Seed) -> Self {
        let words = ["", "Ysabel", "Zoë of the Ford", "a name with exactly 32 bytes: 32"];
        words[seed.next(words.len())].parse().unwrap()
    }
}

impl<T: Sample + Copy> Sample for List<T> {
    fn sample(seed: &mut Seed) -> Self {
        let len = seed.next(7);
        FixedVec::try_from_iter((0..len).map(|_| T::sample(seed))).unwrap_or_default()
    }
}

impl<K: Sample + Schema + Copy + Ord, V: Sample + Schema + Copy> Sample for Map<K, V> {
    fn sample(seed: &mut Seed) -> Self {
        let mut map = FixedMap::new();
        for _ in 0..seed.next(5) {
            map.insert(K::sample(seed), V::sample(seed)).unwrap_or_default();
        }
        map
    }
}

impl<T: Sample + Schema + Copy + Ord> Sample for Set<T> {
    fn sample(seed: &mut Seed) -> Self {
        let mut set = FixedSet::new();
        for _ in 0..seed.next(5) {
            set.insert(T::sample(seed)).unwrap_or_default();
        }
        set
    }
}

impl<T: Sample> Sample for Maybe<T> {
    fn sample(seed: &mut Seed) -> Self {
        match seed.next(3) {
            0 => Maybe::None,
            _ => Maybe::Some(T::sample(seed)),
        }
    }
}

impl<T: Sample, const N: usize> Sample for [T; N] {
    fn sample(seed: &mut Seed) -> Self {
        std::array::from_fn(|_| T::sample(seed))
    }
}

/// Declares enums, with and without fields.
macro_rules! choices {
    ($($name:ident { $($variant:ident $(($($field:ty),*))? $(= $value:literal)?,)* })*) => {$(
        #[repr(u8)]
        #[derive(Clone, Copy, PartialEq, Debug, Schema)]
        #[allow(clippy::enum_variant_names, reason = "the names are facts")]
        pub(crate) enum $name { $($variant $(($($field),*))? $(= $value)?,)* }

        impl Sample for $name {
            fn sample(seed: &mut Seed) -> Self {
                let all: &[fn(&mut Seed) -> Self] = &[$(|_seed| Self::$variant $(($(<$field>::sample(_seed)),*))?),*];
                all[seed.next(all.len())](seed)
            }
        }
    )*};
}

/// Declares structs that are fields of others.
macro_rules! parts {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => {$(
        #[repr(C)]
        #[derive(Clone, Copy, PartialEq, Debug, Schema)]
        pub(crate) struct $name { $($field: $type,)* }

        impl Sample for $name {
            fn sample(seed: &mut Seed) -> Self {
                $name { $($field: Sample::sample(seed),)* }
            }
        }
    )*};
}

/// Declares the types of a pool.
macro_rules! tables {
    ($($id:literal $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            #[repr(C)]
            #[derive(Clone, Copy, PartialEq, Debug, PoolObject)]
            #[pool(id = $id)]
            pub(crate) struct $name { $($field: $type,)* }

            impl Sample for $name {
                fn sample(seed: &mut Seed) -> Self {
                    $name { $($field: Sample::sample(seed),)* }
                }
            }
        )*

        /// Calls the visitor with each table.
        pub(crate) fn visit(visitor: &mut impl super::Visit) {
            $(visitor.table::<$name>();)*
        }
    };
}

#[path = "adopters/bitcraft_global.rs"]
mod bitcraft_global;
#[path = "adopters/bitcraft.rs"]
mod bitcraft_tables;
#[path = "adopters/rust_ro.rs"]
mod rust_ro;
#[path = "adopters/valence.rs"]
mod valence;

/// Something to be done with each table.
pub(crate) trait Visit {
    fn table<T: PoolObject + Sample + PartialEq + Debug>(&mut self);
}

const ROWS: u64 = 5;

/// A game whose structs a pool holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Game {
    BitCraft,
    Valence,
    RustRo,
}

impl Game {
    const ALL: [Game; 3] = [Game::BitCraft, Game::Valence, Game::RustRo];

    /// Returns the base key of a pool of the game.
    fn base(self) -> u32 {
        static FIRST: LazyLock<u32> = LazyLock::new(|| own_keys(8));
        *FIRST + ((self as u32) << 1)
    }

    /// Returns the game that this base key stands for.
    fn of(base: u32) -> Self {
        Game::ALL[(base >> 1 & 3) as usize]
    }

    fn visit(self, visitor: &mut impl Visit) {
        match self {
            Game::BitCraft => {
                bitcraft_tables::visit(visitor);
                bitcraft_global::visit(visitor);
            }
            Game::Valence => valence::visit(visitor),
            Game::RustRo => rust_ro::visit(visitor),
        }
    }
}

fn row<T: PoolObject + Sample>(number: u64) -> T {
    T::sample(&mut Seed(u64::from(T::TYPE_ID) << 32 | number))
}

fn open(base: u32) -> MemoryPoolMgr {
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(32 << 20), &[Key(base + 1)]);
    conf.owner_wait_ms = 60_000;
    MemoryPoolMgr::open(&conf).unwrap()
}

/// Fills the tables.
struct Fill(MemoryPoolMgr);

impl Visit for Fill {
    fn table<T: PoolObject + Sample + PartialEq + Debug>(&mut self) {
        self.0.add_type::<T>().unwrap();
        for number in 0..ROWS {
            self.0.alloc(row::<T>(number)).unwrap();
        }
    }
}

/// Compares the tables with what was filled in.
struct Compare {
    pool: MemoryPoolMgr,
    tables: usize,
    any_bits: usize,
}

impl Visit for Compare {
    fn table<T: PoolObject + Sample + PartialEq + Debug>(&mut self) {
        self.pool.add_type::<T>().unwrap();
        let found: Vec<T> = self.pool.iter::<T>().map(|(_, row)| *row).collect();
        let expected: Vec<T> = (0..ROWS).map(row).collect();
        assert_eq!(found, expected, "{}", T::NAME);
        self.tables += 1;
        self.any_bits += usize::from(T::ANY_BITS);
    }
}

/// Runs in the process that is killed: fills a pool and waits.
#[test]
fn serve() {
    let Some(base) = filled::role() else { return };
    let mut fill = Fill(open(base));
    Game::of(base).visit(&mut fill);
    fill.0.ready().unwrap();
    filled::wait_for_the_kill();
}

/// Fills a pool with the structs of a game, kills the process, and compares what the next one finds.
/// `any_bits` have only numbers, so that a start need not check their rows.
fn survive(game: Game, structs: usize, any_bits: usize) {
    let base = game.base();
    let _removed = filled::fill_and_kill(base);
    let report = hotpool::inspect::verify_pool(Key(base), &Home::sysv()).unwrap();
    assert!(report.is_sound(), "{report}");
    let mut compare = Compare { pool: open(base), tables: 0, any_bits: 0 };
    game.visit(&mut compare);
    let report = compare.pool.resume_report();
    assert_eq!((report.bad_values.len(), report.objects()), (0, structs as u64 * ROWS), "{report}");
    assert_eq!((compare.tables, compare.any_bits), (structs, any_bits));
}

#[test]
fn all_tables_of_bitcraft_survive_a_kill() {
    survive(Game::BitCraft, 169, 64);
}

#[test]
fn components_of_valence_survive_a_kill() {
    survive(Game::Valence, 86, 41);
}

#[test]
fn models_of_rust_ro_survive_a_kill() {
    survive(Game::RustRo, 78, 24);
}
