//! The structs of a real game server fit into a pool, and survive a kill.

mod filled;

use hotpool::conf::ProcessConf;
use hotpool::object::{FixedStr, FixedVec, Maybe};
use hotpool::share::Home;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::fmt::Debug;

pub(crate) type Text = FixedStr<32>;
pub(crate) type List<T> = FixedVec<T, 6>;
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

#[path = "adopters/bitcraft.rs"]
mod bitcraft_tables;

/// Something to be done with each table.
pub(crate) trait Visit {
    fn table<T: PoolObject + Sample + PartialEq + Debug>(&mut self);
}

const ROWS: u64 = 5;

fn row<T: PoolObject + Sample>(number: u64) -> T {
    T::sample(&mut Seed(u64::from(T::TYPE_ID) << 32 | number))
}

fn open(base: u32) -> MemoryPoolMgr {
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(16 << 20), &[Key(base + 1)]);
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
    bitcraft_tables::visit(&mut fill);
    fill.0.ready().unwrap();
    filled::wait_for_the_kill();
}

#[test]
fn all_tables_of_bitcraft_survive_a_kill() {
    let base = 0x7700_0000 | (std::process::id() & 0x3f_ffff) << 1;
    let _removed = filled::fill_and_kill(base);
    let report = hotpool::inspect::verify_pool(Key(base), &Home::sysv()).unwrap();
    assert!(report.is_sound(), "{report}");
    let mut compare = Compare { pool: open(base), tables: 0, any_bits: 0 };
    bitcraft_tables::visit(&mut compare);
    let report = compare.pool.resume_report();
    assert_eq!((report.bad_values.len(), report.objects()), (0, 150 * ROWS), "{report}");
    // As many have only numbers, so that a start need not check their rows.
    assert_eq!((compare.tables, compare.any_bits), (150, 54));
}
