//! Exclusive references that leave a mark in the segment while they live.

use crate::commits::Commit;
use crate::layout::BaseHeader;
use crate::mutants::{Mutant, planted};
use crate::object::{INDEX_SHIFT, Id, PoolObject, TYPE_SHIFT};
use crate::region::At;
use crate::sync::Word;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// A word of `marks` and the guards that share it. With one guard alive the word names its
/// object; with several it names the whole type, which is less exact and never wrong.
pub(crate) struct Mark {
    word: At<Word>,
    live: Cell<u32>,
}

impl Mark {
    /// The mark `number`. The pool borrowed as a whole uses the first; of its parts borrowed side
    /// by side each has its own.
    pub(crate) fn new(header: &At<BaseHeader>, number: usize) -> Self {
        Mark { word: header.part(|h| &h.marks[number]), live: Cell::new(0) }
    }

    /// The word that names every object of a type.
    pub(crate) fn whole_type(type_id: u16) -> u64 {
        u64::MAX << INDEX_SHIFT | u64::from(type_id) << TYPE_SHIFT
    }

    /// Marks an object as being written by the only guard there can be.
    #[inline(always)]
    pub(crate) fn only<'a, T: PoolObject>(&'a self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        self.live.set(1);
        if !planted(Mutant::WriteWithoutMark) {
            Commit::MarkSet.store(&self.word, id.to_bits());
        }
        RefMut { object, mark: self }
    }

    /// Forgets guards that were leaked: the pool is borrowed anew, so none is alive.
    pub(crate) fn reset(&self) {
        self.live.set(0);
    }

    /// Marks an object as being written beside others.
    #[inline(always)]
    pub(crate) fn another<'a, T: PoolObject>(&'a self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        let live = self.live.get();
        self.live.set(live + 1);
        Commit::MarkSet
            .store(&self.word, if live == 0 { id.to_bits() } else { Self::whole_type(T::TYPE_ID) });
        RefMut { object, mark: self }
    }
}

/// An object that is being written.
///
/// While the guard lives the segment says so: if the process dies now, the next one finds
/// the object named in [`ResumeReport::being_written`](crate::ResumeReport::being_written),
/// because some of its fields may be new and some old. Writes through the guard cost
/// nothing extra; taking and dropping it is a store each.
pub struct RefMut<'a, T> {
    object: &'a mut T,
    mark: &'a Mark,
}

impl<T> Deref for RefMut<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.object
    }
}

impl<T> DerefMut for RefMut<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.object
    }
}

impl<T> Drop for RefMut<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let live = self.mark.live.get() - 1;
        self.mark.live.set(live);
        if live == 0 {
            Commit::MarkCleared.store(&self.mark.word, 0);
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for RefMut<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.object.fmt(f)
    }
}
