//! Handles: 64 bits that name one life of one slot.

use crate::limits;
pub(crate) use crate::limits::{GENERATION_MASK, INDEX_SHIFT, TYPE_SHIFT};
use crate::object::PoolObject;
use crate::units::ParseError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::str::FromStr;

/// A handle of an object of any type, equal to the header of its slot while the object lives.
///
/// ```text
/// 63..38 slot | 37..28 type | 27..0 generation (odd)
/// ```
///
/// Prints as `type:slot v generation`, for example `7:1042v3`.
///
/// All 64 bits are in use, so a handle does not name its pool. In another pool it resolves to
/// another object if one of the same type lives there in the same slot and generation. No check can
/// detect this. If a handle leaves its pool, send the process name or base key along with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Handle(NonZeroU64);

/// Bit of the generation that is set while the slot is live.
pub(crate) const LIVE: u64 = 1;
const TYPE_MASK: u64 = (1 << limits::TYPE_BITS) - 1;

impl Handle {
    /// Returns the handle with these bits; `None` if no object can have it.
    ///
    /// No object has the type number 0 or an even generation.
    #[inline]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let type_id = bits >> TYPE_SHIFT & TYPE_MASK;
        let live = bits & LIVE != 0;
        NonZeroU64::new(bits).filter(|_| live && type_id != 0).map(Handle)
    }

    /// Returns the bits of the handle, to be stored or sent.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// Returns the number of the slot within its type.
    #[inline]
    pub fn index(self) -> u32 {
        (self.to_bits() >> INDEX_SHIFT) as u32
    }

    /// Returns the type number.
    #[inline]
    pub fn type_id(self) -> u16 {
        (self.to_bits() >> TYPE_SHIFT & TYPE_MASK) as u16
    }

    /// Returns the generation of the slot, which is odd.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.to_bits() & GENERATION_MASK) as u32
    }

    /// Returns the handle as a handle of type `T`; `None` if it belongs to another type.
    #[inline]
    pub fn typed<T: PoolObject>(self) -> Option<Id<T>> {
        (self.type_id() == T::TYPE_ID).then_some(Id { handle: self, _type: PhantomData })
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}v{}", self.type_id(), self.index(), self.generation())
    }
}

impl FromStr for Handle {
    type Err = ParseError;

    /// Reads a handle as it prints, `type:slot v generation`: `7:1042v3`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts = || {
            let (type_id, rest) = text.split_once(':')?;
            let (slot, generation) = rest.split_once('v')?;
            let number = |digits: &str| digits.parse().ok().filter(|_| !digits.starts_with('+'));
            let (type_id, slot, generation): (u64, u64, u64) =
                (number(type_id)?, number(slot)?, number(generation)?);
            let fits =
                type_id <= TYPE_MASK && slot < limits::MAX_SLOTS.into() && generation <= GENERATION_MASK;
            Handle::from_bits(slot << INDEX_SHIFT | type_id << TYPE_SHIFT | generation).filter(|_| fits)
        };
        let expected = "type:slot v generation, as in 7:1042v3";
        parts().ok_or_else(|| ParseError { what: "a handle", text: text.into(), expected })
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The handle of an object of type `T`: 64 bits, `Copy`, valid across restarts.
///
/// Once its object is freed, it never resolves again, whatever the slot holds later. It keeps
/// nothing alive and frees nothing. In another pool it may resolve to another object: see
/// [`Handle`].
#[repr(transparent)]
pub struct Id<T> {
    handle: Handle,
    _type: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// Returns the handle without its Rust type.
    #[inline]
    pub fn handle(self) -> Handle {
        self.handle
    }

    /// Returns the bits of the handle, to be stored or sent; [`Id::from_bits`] is the inverse.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.handle.to_bits()
    }

    /// Returns the number of the slot within its type.
    #[inline]
    pub fn index(self) -> u32 {
        self.handle.index()
    }

    /// Returns the generation of the slot, which is odd.
    #[inline]
    pub fn generation(self) -> u32 {
        self.handle.generation()
    }
}

impl<T: PoolObject> Id<T> {
    /// Returns the handle of the next object in a free slot, whose header names type `T`.
    #[inline(always)]
    pub(crate) fn of_next_life(free: u64) -> Self {
        Id { handle: Handle(NonZeroU64::MIN | free), _type: PhantomData }
    }

    /// Returns the handle in the header of slot `index`, if an object of type `T` lives there.
    ///
    /// Returns `None` also if the header is the one of another slot.
    #[inline(always)]
    pub(crate) fn of_slot(header: u64, index: u32) -> Option<Self> {
        if !Self::is_of(header, Self::first_of_slot(index)) {
            return None;
        }
        Self::of_live(header)
    }

    /// Returns the handle in the header of a live slot of type `T`.
    #[inline(always)]
    pub(crate) fn of_live(header: u64) -> Option<Self> {
        NonZeroU64::new(header | LIVE).map(|bits| Id { handle: Handle(bits), _type: PhantomData })
    }

    /// Returns what all handles of objects in slot `index` have in common, their generation apart: the
    /// bits of the slot and of the type, and that an object lives.
    #[inline(always)]
    pub(crate) fn first_of_slot(index: u32) -> u64 {
        u64::from(index) << INDEX_SHIFT | u64::from(T::TYPE_ID) << TYPE_SHIFT | LIVE
    }

    /// Returns whether a header has the bits of `first_of_slot`: an object lives there.
    #[inline(always)]
    pub(crate) fn is_of(header: u64, first_of_slot: u64) -> bool {
        (header ^ first_of_slot) & !(GENERATION_MASK ^ LIVE) == 0
    }

    /// Returns the handle with these bits; `None` if no object of type `T` can have it.
    ///
    /// It does not check whether the object still exists: `get` does.
    #[inline]
    pub fn from_bits(bits: u64) -> Option<Self> {
        Handle::from_bits(bits)?.typed()
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.handle.cmp(&other.handle)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}
impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
impl<T> From<Id<T>> for Handle {
    fn from(id: Id<T>) -> Handle {
        id.handle
    }
}
