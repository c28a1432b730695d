//! A thousand types that differ only in their number.
//!
//! # What the unsafe code here relies on
//!
//! [`Many`] is transparent over a `u64`, whose bytes may be anything.
#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use hotpool::object::Schema;
use hotpool::{MemoryPoolMgr, PoolError, PoolObject};

/// The type with number `ID`.
#[repr(transparent)]
#[derive(Clone, Copy, Schema)]
pub struct Many<const ID: u16>(pub u64);

// SAFETY: see the top of this file.
unsafe impl<const ID: u16> Zeroable for Many<ID> {}
// SAFETY: see the top of this file.
unsafe impl<const ID: u16> Pod for Many<ID> {}

impl<const ID: u16> Many<ID> {
    const DIGITS: [u8; 4] = [
        b'0' + (ID / 1000) as u8,
        b'0' + (ID / 100 % 10) as u8,
        b'0' + (ID / 10 % 10) as u8,
        b'0' + (ID % 10) as u8,
    ];
}

impl<const ID: u16> PoolObject for Many<ID> {
    const TYPE_ID: u16 = ID;
    const NAME: &'static str = match std::str::from_utf8(&Self::DIGITS) {
        Ok(name) => name,
        Err(_) => panic!("digits are UTF-8"),
    };
    const KEYED: bool = false;
}

/// Adds a type to a pool. With `true`, allocates one object as well.
pub type Add = fn(&mut MemoryPoolMgr, bool) -> Result<(), PoolError>;

fn add<const ID: u16>(pool: &mut MemoryPoolMgr, fill: bool) -> Result<(), PoolError> {
    pool.add_type::<Many<ID>>()?;
    if fill {
        pool.alloc(Many::<ID>(1)).expect("the pool has room");
    }
    Ok(())
}

macro_rules! ten {
    ($($tens:literal)+) => {
        &[$(
            [
                add::<{ $tens * 10 + 1 }>, add::<{ $tens * 10 + 2 }>, add::<{ $tens * 10 + 3 }>,
                add::<{ $tens * 10 + 4 }>, add::<{ $tens * 10 + 5 }>, add::<{ $tens * 10 + 6 }>,
                add::<{ $tens * 10 + 7 }>, add::<{ $tens * 10 + 8 }>, add::<{ $tens * 10 + 9 }>,
                add::<{ $tens * 10 + 10 }>,
            ],
        )+]
    };
}

/// The types, in groups of ten.
pub const ADD: &[[Add; 10]] = ten!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33
    34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
    65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
    96 97 98 99
);
