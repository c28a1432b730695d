//! Links: handles that are fields of objects.
//!
//! # What the unsafe code here relies on
//!
//! This file implements [`Stored`] and `bytemuck`'s unsafe traits for a generic type. A
//! [`Link`] is a `u64` and nothing else, and any `u64` is a link. Only [`Link::id`] interprets the
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
/// use hotpool::object::Link;
///
/// #[repr(C)]
/// #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
/// #[pool(id = 3)]
/// struct Monster {
///     hp: u64,
///     next: Link<Monster>,
/// }
///
/// let last = Monster { hp: 100, next: Link::none() };
/// assert_eq!(last.next.id(), None);
/// ```
///
/// A link keeps nothing alive: once the object is freed, its handle no longer resolves.
#[repr(transparent)]
pub struct Link<T> {
    bits: u64,
    _type: PhantomData<fn() -> T>,
}

// SAFETY: as for `Pod` below.
unsafe impl<T: 'static> Stored for Link<T> {
    const RULE: &'static Rule = &Rule::plain(size_of::<Self>());
}

// SAFETY: a link of all zeroes is the link that names nothing; its only other field has no bytes.
unsafe impl<T> bytemuck::Zeroable for Link<T> {}

// SAFETY: `repr(transparent)` over a `u64`: no padding, no pointer, every bit pattern allowed, and
// `Copy` whatever `T` is. `T` is only named, never held.
unsafe impl<T: 'static> bytemuck::Pod for Link<T> {}

impl<T> Link<T> {
    /// Returns the link that names no object.
    pub const fn none() -> Self {
        Link { bits: 0, _type: PhantomData }
    }

    /// Returns whether this is [`Link::none`].
    pub const fn is_none(self) -> bool {
        self.bits == 0
    }
}

impl<T: PoolObject> Link<T> {
    /// Returns the handle of the object.
    ///
    /// Returns `None` for [`Link::none`], and for bits that no handle of a `T` has.
    pub fn id(self) -> Option<Id<T>> {
        Id::from_bits(self.bits)
    }
}

/// The fingerprint covers the type number of `T`, not its fields. So a list whose nodes link to
/// each other has a fingerprint, and a change of `T` is reported for `T` alone.
impl<T: PoolObject> Schema for Link<T> {
    const FINGERPRINT: u64 = Fingerprint::new("link").number(T::TYPE_ID as u64).finish();
    const FIELDS: &'static [Field] = &[];
}

impl<T> From<Id<T>> for Link<T> {
    fn from(id: Id<T>) -> Self {
        Link { bits: id.to_bits(), _type: PhantomData }
    }
}
impl<T> From<Option<Id<T>>> for Link<T> {
    fn from(id: Option<Id<T>>) -> Self {
        id.map_or(Link::none(), Link::from)
    }
}
impl<T> Default for Link<T> {
    fn default() -> Self {
        Link::none()
    }
}
impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Link<T> {}
impl<T> PartialEq for Link<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<T> Eq for Link<T> {}
impl<T> Hash for Link<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl<T: PoolObject> fmt::Debug for Link<T> {
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
        next: Link<Node>,
        guild: Link<Guild>,
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
    fn a_link_gives_back_the_id_it_was_made_of() {
        let id = first_node();
        assert_eq!(Link::from(id).id(), Some(id));
        assert_eq!(Link::from(Some(id)), Link::from(id));
        assert_eq!(format!("{:?}", Link::from(id)), "3:0v1");
    }

    #[test]
    fn zeroed_memory_links_to_nothing() {
        let node = Node::zeroed();
        assert!(node.next.is_none());
        assert_eq!(node.next, Link::from(None));
        assert_eq!(node.next, Link::default());
        assert_eq!(format!("{:?}", node.next), "none");
    }

    #[test]
    fn bits_that_are_no_handle_of_the_type_link_to_nothing() {
        let bits = first_node().to_bits();
        let wrong: Link<Guild> = bytemuck::cast(bits);
        assert!(!wrong.is_none());
        assert_eq!(wrong.id(), None);
        assert_eq!(format!("{wrong:?}"), format!("no handle of a guild ({bits:#x})"));
        assert_eq!(bytemuck::cast::<u64, Link<Node>>(7).id(), None);
    }

    #[test]
    fn links_to_different_types_have_different_fingerprints() {
        assert_ne!(Link::<Node>::FINGERPRINT, Link::<Guild>::FINGERPRINT);
        assert_ne!(Link::<Node>::FINGERPRINT, u64::FINGERPRINT);
    }
}
