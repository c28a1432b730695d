//! Types with every kind of field, and their bytes. Shared by the tests of types.
#![allow(dead_code, reason = "each test uses only a part")]

pub(crate) use game::*;
use hotpool::object::{Stored, check_bytes};
use hotpool::units::Key;

/// The fingerprint of `struct { uid: u64, at: [f32; 2] }`, computed from its definition.
pub(crate) const OLD_FINGERPRINT: u64 = 0xc8f8277b21e6fef8;

/// The types of a program that allows no unsafe code of its own.
#[forbid(unsafe_code)]
mod game {
    use hotpool::PoolObject;
    use hotpool::object::{BitSet, FixedDuration, FixedMap, FixedSet, FixedStr, FixedVec, Maybe, Schema};
    use std::num::{NonZeroU16, NonZeroU32};

    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) enum Side {
        North,
        East,
        South,
        Hidden = 200,
    }

    /// A payload beside the tag.
    #[repr(u8)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) enum Shape {
        Point,
        Circle { x: f32, radius: f64 },
        Named { id: u32, visible: bool },
    }

    /// A payload after the tag, which has two bytes and may be negative.
    #[repr(C, i16)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) enum Move {
        Stay = -1,
        To(Step),
        Jump(u8, u16) = 500,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) struct Step(u32, Side);

    impl From<(u32, Side)> for Step {
        fn from((far, side): (u32, Side)) -> Self {
            Step(far, side)
        }
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) struct Grid<T, const N: usize> {
        pub(crate) cells: [T; N],
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) struct Cell {
        height: i16,
        side: Side,
    }

    #[repr(transparent)]
    #[derive(Clone, Copy, Schema, PartialEq, Debug)]
    pub(crate) struct Metres(f32);

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 8, keyed)]
    pub(crate) struct Everything {
        pub(crate) alive: bool,
        pub(crate) uid: u64,
        pub(crate) letter: char,
        pub(crate) side: Side,
        pub(crate) count: NonZeroU32,
        pub(crate) small: Option<NonZeroU16>,
        pub(crate) flags: [bool; 3],
        pub(crate) wide: u128,
        pub(crate) ratio: f32,
        pub(crate) precise: f64,
        pub(crate) shape: Shape,
        pub(crate) action: Move,
        pub(crate) maybe: Maybe<Side>,
        pub(crate) maybe_wide: Maybe<u64>,
        pub(crate) grid: Grid<Cell, 2>,
        pub(crate) far: Metres,
        pub(crate) name: FixedStr<12>,
        pub(crate) bag: FixedVec<Cell, 3>,
        pub(crate) skills: FixedMap<u16, bool, 4>,
        pub(crate) friends: FixedSet<u8, 5>,
        pub(crate) quests: BitSet<2>,
        pub(crate) cooldown: FixedDuration,
    }

    /// Returns an object that differs from those of other numbers in most fields.
    pub(crate) fn everything(number: u64) -> Everything {
        let third = (number % 3) as usize;
        let side = [Side::North, Side::Hidden, Side::East][third];
        Everything {
            alive: number.is_multiple_of(2),
            uid: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            letter: char::from_u32(0x1f600 + number as u32 % 64).unwrap_or('?'),
            side,
            count: NonZeroU32::MIN.saturating_add(number as u32),
            small: NonZeroU16::new(number as u16 % 5),
            flags: [number % 2 == 1, number % 4 == 1, number % 8 == 1],
            wide: u128::from(number) << 90,
            ratio: number as f32 / 3.0,
            precise: -(number as f64),
            shape: [
                Shape::Point,
                Shape::Named { id: number as u32, visible: true },
                Shape::Circle { x: 0.5, radius: number as f64 },
            ][third],
            action: [Move::Stay, Move::To(Step(9, side)), Move::Jump(number as u8, 7)][third],
            maybe: [Maybe::None, Maybe::Some(side), Maybe::Some(Side::South)][third],
            maybe_wide: Some(number).filter(|number| number % 2 == 0).into(),
            grid: Grid {
                cells: [Cell { height: -3, side }, Cell { height: number as i16, side: Side::East }],
            },
            far: Metres(number as f32),
            name: format!("Zoë {number}").parse().unwrap(),
            bag: FixedVec::try_from_iter([Cell { height: 9, side }; 3].into_iter().take(third)).unwrap(),
            skills: FixedMap::try_from_iter((0..third as u16 * 2).rev().map(|skill| (skill, true))).unwrap(),
            friends: FixedSet::try_from_iter([number as u8, 7, 9]).unwrap(),
            quests: {
                let mut quests = BitSet::new();
                quests.insert(number as usize % 128).unwrap();
                quests
            },
            cooldown: FixedDuration::from_nanos(number << 33),
        }
    }
}

/// Overwrites bytes of a segment of the heap backend, which no code has open.
pub(crate) fn poke(segment: Key, offset: u64, bytes: &[u8]) {
    for (at, byte) in (offset..).zip(bytes) {
        let shift = at % 8 * 8;
        let change = |word: u64| word & !(0xff << shift) | u64::from(*byte) << shift;
        // SAFETY: the caller has dropped the pool, so no reference to an object exists.
        assert!(unsafe { hotpool::share::raw::poke(segment, at & !7, change) });
    }
}

/// Returns the bytes of a value; those of its padding are any.
pub(crate) fn bytes<T>(value: &T) -> Vec<u8> {
    let at = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: inside the value. Padding has some byte, which a volatile read makes definite.
    (0..size_of::<T>()).map(|byte| unsafe { at.wrapping_add(byte).read_volatile() }).collect()
}

/// Returns the value that bytes are.
pub(crate) fn value<T: Stored + Copy>(bytes: &[u8]) -> T {
    check_bytes::<T>(bytes).unwrap();
    // SAFETY: as many bytes as the type has, and they are a value of it.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}
