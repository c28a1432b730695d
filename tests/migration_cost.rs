//! What a migration of many objects costs, beside a copy of the same bytes.

use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::FixedStr;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::time::{Duration, Instant};

const OBJECTS: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

/// The structs of two builds: of numbers alone, and with a text, whose bytes are checked.
mod old {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "numbers")]
    pub(crate) struct Numbers {
        pub(crate) hp: u32,
        pub(crate) level: u32,
        pub(crate) rest: [u64; 7],
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 2, name = "named")]
    pub(crate) struct Named {
        pub(crate) hp: u32,
        pub(crate) online: bool,
        pub(crate) name: FixedStr<24>,
        pub(crate) rest: [u64; 4],
    }
}

mod new {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1, name = "numbers")]
    pub(crate) struct Numbers {
        pub(crate) rest: [u64; 7],
        pub(crate) hp: u64,
        #[pool(default = 50)]
        mana: u32,
        level: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 2, name = "named")]
    pub(crate) struct Named {
        pub(crate) name: FixedStr<40>,
        pub(crate) hp: u64,
        #[pool(default = 50)]
        mana: u32,
        online: bool,
        rest: [u64; 4],
    }
}

/// A pool whose pages are all populated at its start, or as its types grow.
fn conf(base: u32, prefault: bool) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(512 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf.memory.prefault = prefault;
    conf
}

fn took(run: impl FnOnce()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

/// Copies so many bytes between two places that were written before.
fn copy(bytes: usize) -> Duration {
    let (from, mut to) = (vec![1_u8; bytes], vec![2_u8; bytes]);
    let copied = took(|| to.copy_from_slice(std::hint::black_box(&from)));
    std::hint::black_box(&to);
    copied
}

/// Copies so many bytes into memory that the kernel has to provide.
fn copy_anew(bytes: usize) -> Duration {
    let from = vec![1_u8; bytes];
    let mut to = Vec::new();
    let copied = took(|| to = std::hint::black_box(&from).clone());
    std::hint::black_box(&to);
    copied
}

fn migrate<Old: PoolObject, New: PoolObject>(conf: &ProcessConf, sample: Old) -> Duration {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Old>().unwrap();
    for _ in 0..OBJECTS {
        pool.alloc(sample).unwrap();
    }
    pool.ready().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    let migrated = took(|| pool.add_type::<New>().unwrap());
    assert_eq!(pool.len::<New>() as u64, OBJECTS);
    pool.destroy().unwrap();
    migrated
}

/// Migrates beside a copy of the same bytes, a few times, and returns the smallest ratio: another
/// program on the host makes one of the two slower, and rarely both alike.
fn measure<Old: PoolObject, New: PoolObject>(base: u32, sample: Old, prefault: bool) -> f64 {
    let rounds = if cfg!(debug_assertions) { 1 } else { 5 };
    let rounds = std::env::var("HOTPOOL_ROUNDS").map_or(rounds, |rounds| rounds.parse().unwrap());
    let bytes = OBJECTS as usize * (size_of::<Old>() + size_of::<New>()).div_ceil(2);
    let conf = conf(base, prefault);
    let mut ratios: Vec<f64> = Vec::new();
    for _ in 0..rounds {
        let migrated = migrate::<Old, New>(&conf, sample);
        let copied = if prefault { copy(bytes) } else { copy_anew(bytes) };
        ratios.push(migrated.as_secs_f64() / copied.as_secs_f64());
        let to = if prefault { "written" } else { "new" };
        println!(
            "{OBJECTS} of `{}`: {:.1} ms, {:.2} of a copy of {} MiB into {to} memory, which took {:.1} ms",
            New::NAME,
            migrated.as_secs_f64() * 1e3,
            migrated.as_secs_f64() / copied.as_secs_f64(),
            bytes >> 20,
            copied.as_secs_f64() * 1e3,
        );
    }
    ratios.into_iter().fold(f64::INFINITY, f64::min)
}

#[test]
fn a_migration_is_measured_beside_a_copy_of_the_same_bytes() {
    let numbers = old::Numbers { hp: 1, level: 2, rest: [3; 7] };
    let name = FixedStr::try_from("a name of a player").unwrap();
    let named = old::Named { hp: 1, online: true, name, rest: [4; 4] };
    for (number, prefault) in [(0, true), (1, false)] {
        let base = 0x7dd3_0000 + number * 32;
        let ratios = [
            measure::<old::Numbers, new::Numbers>(base, numbers, prefault),
            measure::<old::Named, new::Named>(base + 16, named, prefault),
        ];
        println!("at best {ratios:.2?}");
    }
}
