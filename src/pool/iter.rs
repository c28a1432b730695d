//! Iteration over the live objects of a type, in the order of their slots.

use crate::object::{Id, PoolObject};
use crate::pool::guard::{Mark, RefMut};
use crate::pool::slot::{Cursor, Typed, Walk};

/// All live objects of a type with their handles.
pub struct Iter<'a, T> {
    typed: Typed<'a, T>,
    walk: Walk<T>,
}

impl<'a, T: PoolObject> Iter<'a, T> {
    pub(crate) fn new(typed: Typed<'a, T>) -> Self {
        Iter { typed, walk: typed.walk() }
    }
}

impl<'a, T: PoolObject> Iterator for Iter<'a, T> {
    type Item = (Id<T>, &'a T);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.typed.step(&mut self.walk)
    }
}

/// All live objects of a type with their handles, to be written one after the other or, if the
/// guards are kept, together.
pub struct IterMut<'a, T> {
    cursor: Cursor<'a, T>,
    mark: &'a Mark,
}

impl<'a, T: PoolObject> IterMut<'a, T> {
    pub(crate) fn new(cursor: Cursor<'a, T>, mark: &'a Mark) -> Self {
        IterMut { cursor, mark }
    }
}

impl<'a, T: PoolObject> Iterator for IterMut<'a, T> {
    type Item = (Id<T>, RefMut<'a, T>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (id, object) = self.cursor.next()?;
        Some((id, self.mark.another(id, object)))
    }
}

/// Where a sweep in slices goes on: a slot number. Plain data, so that a program may keep it in
/// an object and go on after a restart.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep(pub u32);
