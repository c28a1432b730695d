//! Followed fields: the owner of a child, and the time by which objects are ordered.
//!
//! A field that the pool follows is the only truth about whom an object belongs to, or when it is
//! due. The lists that the pool makes of it are memory of the process
//! (`pool/store/lists.rs`).

/// The fields of a type that the pool follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[doc(hidden)]
pub struct Followed {
    pub(crate) owner: Option<OwnerField>,
    pub(crate) time: Option<TimeField>,
}

/// A reference to the owner of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OwnerField {
    /// Bytes from the beginning of the object.
    pub(crate) offset: usize,
    /// Type number of the owner.
    pub(crate) type_id: u16,
}

/// The time by which objects are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeField {
    /// Bytes from the beginning of the object.
    pub(crate) offset: usize,
    pub(crate) kind: TimeKind,
}

/// The integers that a time can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[doc(hidden)]
pub enum TimeKind {
    U32,
    U64,
    I64,
}

impl TimeKind {
    /// Returns the size of the field in bytes.
    pub(crate) const fn size(self) -> usize {
        match self {
            TimeKind::U32 => 4,
            TimeKind::U64 | TimeKind::I64 => 8,
        }
    }

    /// Returns a number with the same order as the times with these bits.
    pub(crate) fn key(self, bits: u64) -> u64 {
        match self {
            TimeKind::I64 => bits ^ 1 << 63,
            TimeKind::U32 | TimeKind::U64 => bits,
        }
    }
}

impl Followed {
    /// No field is followed.
    pub const NOTHING: Followed = Followed { owner: None, time: None };

    /// Follows the owner at an offset: an object of the type with this number.
    pub const fn owner(self, offset: usize, type_id: u16) -> Self {
        Followed { owner: Some(OwnerField { offset, type_id }), ..self }
    }

    /// Follows the time at an offset.
    pub const fn time(self, offset: usize, kind: TimeKind) -> Self {
        Followed { time: Some(TimeField { offset, kind }), ..self }
    }

    /// Returns whether there is a field to follow.
    pub const fn is_any(&self) -> bool {
        self.owner.is_some() || self.time.is_some()
    }

    /// Returns where the fields are, as `TypeInfo::followed` notes it for tools.
    pub(crate) fn note(&self) -> u64 {
        let place = |offset: Option<usize>| offset.map_or(0, |offset| offset as u64 + 1);
        place(self.owner.map(|field| field.offset)) | place(self.time.map(|field| field.offset)) << 32
    }

    /// Returns whether the fields are inside an object of this size and alignment, and aligned.
    pub(crate) const fn fits(&self, size: usize, align: usize) -> bool {
        let owner = match self.owner {
            Some(OwnerField { offset, .. }) => inside(offset, 8, size, align),
            None => true,
        };
        let time = match self.time {
            Some(TimeField { offset, kind }) => inside(offset, kind.size(), size, align),
            None => true,
        };
        owner && time
    }
}

const fn inside(offset: usize, bytes: usize, size: usize, align: usize) -> bool {
    offset <= size && bytes <= size - offset && offset.is_multiple_of(bytes) && align >= bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_outside_the_object_or_not_aligned_does_not_fit() {
        let time = |offset| Followed::NOTHING.time(offset, TimeKind::I64);
        assert!(time(8).fits(16, 8) && time(0).fits(8, 8) && Followed::NOTHING.fits(0, 1));
        for (offset, size, align) in [(16, 16, 8), (12, 24, 8), (8, 15, 8), (0, 8, 4), (usize::MAX, 8, 8)] {
            assert!(!time(offset).fits(size, align), "{offset} {size} {align}");
        }
        assert!(Followed::NOTHING.time(4, TimeKind::U32).fits(8, 4));
    }
}
