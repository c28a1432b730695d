//! Types whose objects are ordered by time.

use crate::object::{FixedDuration, GameTime, PoolObject, TimeKind};

/// A type whose objects are ordered by time: it has a field with `#[pool(time)]`.
///
/// The derive implements it. [`MemoryPoolMgr::due`](crate::MemoryPoolMgr::due) lists the objects
/// whose time has come.
#[diagnostic::on_unimplemented(
    message = "the objects of `{Self}` have no time",
    label = "has no field with `#[pool(time)]`",
    note = "write `#[pool(time)]` above a field of type `u64`, such as the tick at which the object is due"
)]
pub trait Timed: PoolObject {
    /// The type of the times.
    type Time: Moment;
}

mod sealed {
    pub trait Sealed {}
}

/// A time by which objects can be ordered: `u32`, `u64`, `i64`, [`FixedDuration`] and [`GameTime`].
///
/// What it counts is the program's choice: ticks, or nanoseconds of a clock. The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a time by which objects are ordered",
    label = "is no `u32`, `u64`, `i64`, `FixedDuration` or `GameTime`"
)]
pub trait Moment: sealed::Sealed + Copy {
    /// The integer that it is.
    #[doc(hidden)]
    const KIND: TimeKind;
    /// Returns its bits.
    #[doc(hidden)]
    fn bits(self) -> u64;
}

macro_rules! moments {
    ($($moment:ty, $kind:ident, $bits:expr;)*) => {$(
        impl sealed::Sealed for $moment {}
        impl Moment for $moment {
            const KIND: TimeKind = TimeKind::$kind;
            fn bits(self) -> u64 {
                let bits: fn($moment) -> u64 = $bits;
                bits(self)
            }
        }
    )*};
}

moments! {
    u32, U32, u64::from;
    u64, U64, |time| time;
    i64, I64, |time| time as u64;
    FixedDuration, U64, FixedDuration::nanos;
    GameTime, U64, GameTime::nanos;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_the_times() {
        let times = [i64::MIN, -5, -1, 0, 1, 7, i64::MAX];
        let keys = times.map(|time| i64::KIND.key(time.bits()));
        assert!(keys.is_sorted(), "{keys:x?}");
        let keys = [0, 1, u64::MAX].map(|time| u64::KIND.key(time.bits()));
        assert_eq!(keys, [0, 1, u64::MAX]);
    }
}
