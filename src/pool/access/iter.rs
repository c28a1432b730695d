//! Iteration over the live objects of a type, in the order of their slots.

use crate::object::{Id, PoolObject};
use crate::pool::change::guard::{GuardsMark, Mark, RefMut};
use crate::pool::store::typed::Typed;
use crate::pool::store::walk::{Walk, WalkMut};
use std::fmt;
use std::iter::FusedIterator;

/// An iterator over all live objects of a type with their handles.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Iter<'a, T> {
    walk: Walk<'a, T>,
}

impl<'a, T: PoolObject> Iter<'a, T> {
    #[inline]
    pub(crate) fn new(typed: Typed<'a, T>) -> Self {
        Iter { walk: typed.walk() }
    }

    /// An iterator that yields nothing, for a type that was not added.
    pub(crate) const EMPTY: Self = Iter { walk: Walk::EMPTY };
}

impl<'a, T: PoolObject> Iterator for Iter<'a, T> {
    type Item = (Id<T>, &'a T);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next_ref()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.walk.slots_left()))
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, f: F) -> B {
        self.walk.fold_refs(init, f)
    }
}

/// An iterator over guards to write all live objects of a type, with their handles.
///
/// The guards may be dropped one after the other, or kept together. An object is marked as being
/// written while its guard exists.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IterMut<'a, T> {
    walk: WalkMut<'a, T>,
    mark: GuardsMark<'a>,
}

impl<'a, T: PoolObject> IterMut<'a, T> {
    pub(crate) fn new(walk: WalkMut<'a, T>, mark: &'a Mark) -> Self {
        IterMut { walk, mark: GuardsMark::new(mark) }
    }
}

impl<'a, T: PoolObject> Iterator for IterMut<'a, T> {
    type Item = (Id<T>, RefMut<'a, T>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (id, object) = self.walk.next_mut()?;
        Some((id, self.mark.guard(id, object)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.walk.slots_left()))
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut f: F) -> B {
        let IterMut { walk, mark } = self;
        walk.fold_muts(init, |all, (id, object)| f(all, (id, mark.guard(id, object))))
    }
}

/// The position at which a sweep continues: a slot number.
///
/// It is plain data, so a program may keep it in an object and continue after a restart.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep(pub u32);

impl<T: PoolObject> FusedIterator for Iter<'_, T> {}

impl<T: PoolObject> FusedIterator for IterMut<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for IterMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IterMut").finish_non_exhaustive()
    }
}
