//! Iteration over the live objects of a type, in the order of their slots.

use crate::object::{Id, PoolObject};
use crate::pool::change::guard::{GuardsMark, Mark, RefMut};
use crate::pool::store::typed::Typed;
use crate::pool::store::walk::{Walk, WalkMut};

/// An iterator over all live objects of a type with their handles.
pub struct Iter<'a, T> {
    walk: Walk<'a, T>,
}

impl<'a, T: PoolObject> Iter<'a, T> {
    #[inline]
    pub(crate) fn new(typed: Typed<'a, T>) -> Self {
        Iter { walk: typed.walk() }
    }
}

impl<'a, T: PoolObject> Iterator for Iter<'a, T> {
    type Item = (Id<T>, &'a T);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next_ref()
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, f: F) -> B {
        self.walk.fold_refs(init, f)
    }
}

/// An iterator over guards to write all live objects of a type, with their handles.
///
/// The guards may be dropped one after the other, or kept together. The object handed out last is
/// marked as being written until the walk continues or ends.
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
