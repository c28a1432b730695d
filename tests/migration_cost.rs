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

fn conf(base: u32) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(512 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

/// Copies so many bytes between two places that were written before.
fn copy(bytes: usize) -> Duration {
    let (from, mut to) = (vec![1_u8; bytes], vec![2_u8; bytes]);
    let began = Instant::now();
    to.copy_from_slice(std::hint::black_box(&from));
    std::hint::black_box(&to);
    began.elapsed()
}

/// Copies so many bytes into memory that the kernel has to provide, as for a new form.
fn copy_anew(bytes: usize) -> Duration {
    let from = vec![1_u8; bytes];
    let began = Instant::now();
    let to = std::hint::black_box(&from).clone();
    let took = began.elapsed();
    drop(std::hint::black_box(to));
    took
}

fn migrate<Old: PoolObject, New: PoolObject>(base: u32, sample: Old) {
    let conf = conf(base);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Old>().unwrap();
    for _ in 0..OBJECTS {
        pool.alloc(sample).unwrap();
    }
    pool.ready().unwrap();
    drop(pool);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let began = Instant::now();
    pool.add_type::<New>().unwrap();
    let took = began.elapsed();
    assert_eq!(pool.len::<New>() as u64, OBJECTS);
    let bytes = OBJECTS as usize * (size_of::<Old>() + size_of::<New>()).div_ceil(2);
    let (copied, anew) = (copy(bytes), copy_anew(bytes));
    println!(
        "{OBJECTS} of `{}`: {:.1} ms; {:.2} of a copy of {} MiB, which took {:.1} ms; {:.2} of a copy into new memory",
        New::NAME,
        took.as_secs_f64() * 1e3,
        took.as_secs_f64() / copied.as_secs_f64(),
        bytes >> 20,
        copied.as_secs_f64() * 1e3,
        took.as_secs_f64() / anew.as_secs_f64(),
    );
}

#[test]
fn a_migration_is_measured_beside_a_copy_of_the_same_bytes() {
    migrate::<old::Numbers, new::Numbers>(0x7dd3_0000, old::Numbers { hp: 1, level: 2, rest: [3; 7] });
    let name = FixedStr::try_from("a name of a player").unwrap();
    let named = old::Named { hp: 1, online: true, name, rest: [4; 4] };
    migrate::<old::Named, new::Named>(0x7dd3_0010, named);
}
