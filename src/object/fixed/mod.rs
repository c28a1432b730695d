//! Strings, lists, maps and sets of a fixed capacity, which lie in an object as a whole.

mod bits;
mod duration;
mod map;
mod no_room;
mod set;
mod str;
mod vec;

pub use bits::BitSet;
pub use duration::FixedDuration;
pub use map::{FixedMap, MapEntry};
pub use no_room::NoRoom;
pub use set::FixedSet;
pub use str::FixedStr;
pub use vec::FixedVec;
