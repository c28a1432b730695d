//! `FixedVec`: a list of a fixed capacity.
//!
//! # What the unsafe code here relies on
//!
//! The first `len` items are initialised: a method writes an item before it counts it, and
//! `add_type` has checked the items of an object that an earlier owner left. `len` is clamped to the
//! capacity whenever it is read. Items are `Copy`, so nothing is dropped.
#![allow(unsafe_code)]

use super::no_room::NoRoom;
use crate::object::{Field, Fingerprint, Rule, Schema, Stored, TypeDesc};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::{MaybeUninit, offset_of};
use std::ops::{Deref, DerefMut};

/// A list of at most `N` items, as a field of an object.
///
/// It has the methods of [`Vec`] and of slices. What does not fit is given back in an error.
///
/// ```
/// use hotpool::object::FixedVec;
///
/// let mut bag = FixedVec::<u32, 4>::new();
/// bag.extend_from_slice(&[5, 6, 7])?;
/// assert_eq!(bag.remove(0), Some(5));
/// bag.insert(1, 9)?;
/// assert_eq!(bag, [6, 9, 7]);
/// bag.sort();
/// assert_eq!(bag.iter().sum::<u32>(), 22);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
pub struct FixedVec<T, const N: usize> {
    len: u32,
    items: [MaybeUninit<T>; N],
}

impl<T: Copy, const N: usize> Clone for FixedVec<T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Copy, const N: usize> Copy for FixedVec<T, N> {}

// SAFETY: `repr(C)`: the length, then the items, of which the first `len` are values.
unsafe impl<T: Stored, const N: usize> Stored for FixedVec<T, N> {
    const RULE: &'static Rule = &Rule::list(size_of::<Self>(), N, offset_of!(Self, items), T::RULE);
}

impl<T: Schema, const N: usize> Schema for FixedVec<T, N> {
    const FINGERPRINT: u64 = Fingerprint::new("list").number(T::FINGERPRINT).number(N as u64).finish();
    const FIELDS: &'static [Field] = &[
        Field { name: "len", desc: TypeDesc::of::<u32>("u32"), offset: 0 },
        Field { name: "items", desc: TypeDesc::of::<[T; N]>("[T; N]"), offset: offset_of!(Self, items) },
    ];
}

impl<T: Copy, const N: usize> FixedVec<T, N> {
    /// Creates an empty list.
    pub const fn new() -> Self {
        const { assert!(N <= u32::MAX as usize, "a list has room for at most 4,294,967,295 items") };
        FixedVec { len: 0, items: [const { MaybeUninit::zeroed() }; N] }
    }

    /// Creates a list of the items of an iterator.
    ///
    /// # Errors
    ///
    /// Returns the first item that does not fit.
    pub fn try_from_iter(items: impl IntoIterator<Item = T>) -> Result<Self, NoRoom<T>> {
        let mut list = Self::new();
        list.try_extend(items).map(|()| list)
    }

    /// Returns the number of items that there is room for.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Returns the number of items.
    #[inline]
    pub const fn len(&self) -> usize {
        if self.len as usize <= N { self.len as usize } else { N }
    }

    /// Returns whether there is no item.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether there is no room for another item.
    pub const fn is_full(&self) -> bool {
        self.len() == N
    }

    /// Returns the items.
    #[inline]
    pub const fn as_slice(&self) -> &[T] {
        // SAFETY: the first `len` items are initialised.
        unsafe { std::slice::from_raw_parts(self.items.as_ptr().cast(), self.len()) }
    }

    /// Returns the items, to change them.
    #[inline]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        let len = self.len();
        // SAFETY: the first `len` items are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.items.as_mut_ptr().cast(), len) }
    }

    /// Appends an item.
    ///
    /// # Errors
    ///
    /// Returns the item if the list is full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), NoRoom<T>> {
        let len = self.len();
        let Some(place) = self.items.get_mut(len) else { return Err(NoRoom { value: item, capacity: N }) };
        place.write(item);
        self.len = len as u32 + 1;
        Ok(())
    }

    /// Removes the last item and returns it.
    pub fn pop(&mut self) -> Option<T> {
        let (last, rest) = self.as_slice().split_last()?;
        let (last, rest) = (*last, rest.len());
        self.truncate(rest);
        Some(last)
    }

    /// Inserts an item before the one at `index`.
    ///
    /// # Errors
    ///
    /// Returns the item if the list is full, or if `index` is above its length.
    pub fn insert(&mut self, index: usize, item: T) -> Result<(), NoRoom<T>> {
        if index > self.len() {
            return Err(NoRoom { value: item, capacity: N });
        }
        self.push(item)?;
        if let Some(rest) = self.as_mut_slice().get_mut(index..) {
            rest.rotate_right(1);
        }
        Ok(())
    }

    /// Removes the item at `index` and returns it; `None` if there is none.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        let rest = self.as_mut_slice().get_mut(index..).filter(|rest| !rest.is_empty())?;
        rest.rotate_left(1);
        self.pop()
    }

    /// Removes the item at `index`, puts the last one in its place, and returns it.
    pub fn swap_remove(&mut self, index: usize) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        self.as_mut_slice().get(index)?;
        self.as_mut_slice().swap(index, last);
        self.pop()
    }

    /// Removes all items from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len().min(len) as u32;
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Removes the items for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let mut kept = 0;
        for at in 0..self.len() {
            let items = self.as_mut_slice();
            if items.get(at).is_some_and(&mut keep) {
                items.copy_within(at..=at, kept);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Makes the list `len` items long: removes the last ones, or appends copies of `item`.
    ///
    /// # Errors
    ///
    /// Returns the item if `len` is above the capacity. The list is unchanged.
    pub fn resize(&mut self, len: usize, item: T) -> Result<(), NoRoom<T>> {
        if len > N {
            return Err(NoRoom { value: item, capacity: N });
        }
        self.truncate(len);
        (self.len()..len).try_for_each(|_| self.push(item))
    }

    /// Appends all items of a slice.
    ///
    /// # Errors
    ///
    /// Returns the slice if not all of it fits. The list is unchanged.
    pub fn extend_from_slice<'a>(&mut self, items: &'a [T]) -> Result<(), NoRoom<&'a [T]>> {
        let len = self.len();
        let Some(places) = self.items.get_mut(len..).and_then(|rest| rest.get_mut(..items.len())) else {
            return Err(NoRoom { value: items, capacity: N });
        };
        // SAFETY: as many places as items, outside the list, and a place has the layout of an item.
        unsafe { std::ptr::copy_nonoverlapping(items.as_ptr(), places.as_mut_ptr().cast(), items.len()) };
        self.len = (len + items.len()) as u32;
        Ok(())
    }

    /// Appends the items of an iterator.
    ///
    /// # Errors
    ///
    /// Returns the first item that does not fit. The list has those before it.
    pub fn try_extend(&mut self, items: impl IntoIterator<Item = T>) -> Result<(), NoRoom<T>> {
        items.into_iter().try_for_each(|item| self.push(item))
    }
}

impl<T: Copy, const N: usize> Default for FixedVec<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy, const N: usize> Deref for FixedVec<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: Copy, const N: usize> DerefMut for FixedVec<T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T: Copy, const N: usize> AsRef<[T]> for FixedVec<T, N> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<'a, T: Copy, const N: usize> TryFrom<&'a [T]> for FixedVec<T, N> {
    type Error = NoRoom<&'a [T]>;

    fn try_from(items: &'a [T]) -> Result<Self, Self::Error> {
        let mut list = Self::new();
        list.extend_from_slice(items).map(|()| list)
    }
}

impl<T: Copy + PartialEq, const N: usize, S: AsRef<[T]> + ?Sized> PartialEq<S> for FixedVec<T, N> {
    fn eq(&self, other: &S) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl<T: Copy + Eq, const N: usize> Eq for FixedVec<T, N> {}

impl<T: Copy + PartialOrd, const N: usize> PartialOrd for FixedVec<T, N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<T: Copy + Ord, const N: usize> Ord for FixedVec<T, N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl<T: Copy + Hash, const N: usize> Hash for FixedVec<T, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<T: Copy + fmt::Debug, const N: usize> fmt::Debug for FixedVec<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<'a, T: Copy, const N: usize> IntoIterator for &'a FixedVec<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Copy, const N: usize> IntoIterator for &'a mut FixedVec<T, N> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
