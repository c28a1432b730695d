//! References: handles that are fields of objects.
//!
//! # What the unsafe code here relies on
//!
//! This file implements [`Stored`] and `bytemuck`'s unsafe traits for a generic type. A
//! [`Ref`] is a `u64` and nothing else, and any `u64` is one. Only [`Ref::id`] interprets the
//! bits, and it checks them.
#![allow(unsafe_code)]

use crate::object::{Field, Fingerprint, Id, PoolObject, Rule, Schema, Stored};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// A field that names another object, or none: an [`Id`] that may be zero, so that it is plain
/// data.
///
/// ```
/// use bytemuck::{Pod, Zeroable};
/// use hotpool::PoolObject;
/// use hotpool::object::Ref;
///
/// #[repr(C)]
/// #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
/// #[pool(id = 3)]
/// struct Monster {
///     hp: u64,
///     next: Ref<Monster>,
/// }
///
/// let last = Monster { hp: 100, next: Ref::none() };
/// assert_eq!(last.next.id(), None);
/// ```
///
/// A reference keeps nothing alive. Once the object is freed it dangles, and reads as `None`
/// ([`Ref::get`]).
#[repr(transparent)]
#[doc(alias = "Link")]
pub struct Ref<T> {
    bits: u64,
    _type: PhantomData<fn() -> T>,
}

// SAFETY: as for `Pod` below.
unsafe impl<T: 'static> Stored for Ref<T> {
    const RULE: &'static Rule = &Rule::plain(size_of::<Self>());
}

// SAFETY: a reference of all zeroes is the one that names nothing; its only other field has no bytes.
unsafe impl<T> bytemuck::Zeroable for Ref<T> {}

// SAFETY: `repr(transparent)` over a `u64`: no padding, no pointer, every bit pattern allowed, and
// `Copy` whatever `T` is. `T` is only named, never held.
unsafe impl<T: 'static> bytemuck::Pod for Ref<T> {}

impl<T> Ref<T> {
    /// Returns the reference that names no object.
    pub const fn none() -> Self {
        Ref { bits: 0, _type: PhantomData }
    }

    pub(crate) const fn bits(self) -> u64 {
        self.bits
    }

    /// Returns whether this is [`Ref::none`].
    pub const fn is_none(self) -> bool {
        self.bits == 0
    }
}

impl<T: PoolObject> Ref<T> {
    /// Returns the handle of the object.
    ///
    /// Returns `None` for [`Ref::none`], and for bits that no handle of a `T` has.
    pub fn id(self) -> Option<Id<T>> {
        Id::from_bits(self.bits)
    }
}

/// The fingerprint covers the type number of `T`, not its fields. So a list whose nodes refer to
/// each other has a fingerprint, and a change of `T` is reported for `T` alone.
impl<T: PoolObject> Schema for Ref<T> {
    const FINGERPRINT: u64 = Fingerprint::of_ref(T::TYPE_ID);
    const FIELDS: &'static [Field] = &[];
}

impl Fingerprint {
    /// Returns the fingerprint of a reference to objects of the type with this number.
    pub(crate) const fn of_ref(type_id: u16) -> u64 {
        // The word is part of the format, and older than the name of the type.
        Fingerprint::new("link").number(type_id as u64).finish()
    }
}

impl<T> From<Id<T>> for Ref<T> {
    fn from(id: Id<T>) -> Self {
        Ref { bits: id.to_bits(), _type: PhantomData }
    }
}
impl<T> From<Option<Id<T>>> for Ref<T> {
    fn from(id: Option<Id<T>>) -> Self {
        id.map_or(Ref::none(), Ref::from)
    }
}
impl<T> Default for Ref<T> {
    fn default() -> Self {
        Ref::none()
    }
}
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<T> Eq for Ref<T> {}
impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl<T: PoolObject> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id() {
            Some(id) => fmt::Display::fmt(&id, f),
            None if self.is_none() => f.write_str("none"),
            None => write!(f, "no handle of a {} ({:#x})", T::NAME, self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::{Pod, Zeroable};

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 3)]
    struct Node {
        next: Ref<Node>,
        guild: Ref<Guild>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 4)]
    struct Guild {
        gold: u64,
    }

    fn first_node() -> Id<Node> {
        Id::from_bits(1 | 3 << crate::object::id::TYPE_SHIFT).unwrap()
    }

    #[test]
    fn a_reference_gives_back_the_id_it_was_made_of() {
        let id = first_node();
        assert_eq!(Ref::from(id).id(), Some(id));
        assert_eq!(Ref::from(Some(id)), Ref::from(id));
        assert_eq!(format!("{:?}", Ref::from(id)), "3:0v1");
    }

    #[test]
    fn zeroed_memory_refers_to_nothing() {
        let node = Node::zeroed();
        assert!(node.next.is_none());
        assert_eq!(node.next, Ref::from(None));
        assert_eq!(node.next, Ref::default());
        assert_eq!(format!("{:?}", node.next), "none");
    }

    #[test]
    fn bits_that_are_no_handle_of_the_type_refer_to_nothing() {
        let bits = first_node().to_bits();
        let wrong: Ref<Guild> = bytemuck::cast(bits);
        assert!(!wrong.is_none());
        assert_eq!(wrong.id(), None);
        assert_eq!(format!("{wrong:?}"), format!("no handle of a guild ({bits:#x})"));
        assert_eq!(bytemuck::cast::<u64, Ref<Node>>(7).id(), None);
    }

    /// Pools that were made while the type was called `Link` resume unchanged.
    #[test]
    fn the_fingerprint_does_not_depend_on_the_name_of_the_type() {
        assert_eq!(Ref::<Node>::FINGERPRINT, Fingerprint::new("link").number(3).finish());
    }

    #[test]
    fn references_to_different_types_have_different_fingerprints() {
        assert_ne!(Ref::<Node>::FINGERPRINT, Ref::<Guild>::FINGERPRINT);
        assert_ne!(Ref::<Node>::FINGERPRINT, u64::FINGERPRINT);
    }
}
