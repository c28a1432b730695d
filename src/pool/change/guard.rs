//! Guards: exclusive references that leave a mark in the segment while they exist.
//!
//! A mark is a word of the segment. A guard stores the handle of its object there, and clears the
//! word when it is dropped. If it is dropped because its scope unwinds, the object may be half
//! written. The word then moves to the suspects (`suspects.rs`), where the next guard does not
//! overwrite it.
//!
//! | borrow | the mark names | the mark is cleared by |
//! |---|---|---|
//! | one guard | its object | its drop |
//! | several guards of one borrow | their type | the drop of the last one |
//! | the guards of `iter_mut` | the object of the guard, or the type if several are kept | the drop of the last one |
//! | `for_each`, `sweep` | the object that the closure is called with | the end of the walk |
//!
//! A borrow that begins while its thread is already unwinding (in a `Drop` that uses the pool) is
//! not interrupted by that unwinding, and leaves no suspect.

use crate::commits::Commit;
use crate::layout::BaseHeader;
use crate::mutants::{Mutant, planted};
use crate::object::{Handle, Id, PoolObject};
use crate::pool::par::lanes::Lanes;
use crate::pool::start::suspects::Torn;
use crate::region::At;
use crate::word::Word;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread::panicking;

/// A word of `marks`, and the guards that share it.
///
/// With one guard the word names its object. With several it names the whole type, which is less
/// exact but never wrong.
pub(crate) struct Mark {
    word: At<Word>,
    /// Number of guards while several exist; 0 while there is at most one, whose object the word names.
    ///
    /// So a single guard is created and dropped without a count.
    several: Cell<u32>,
    /// Not 0 if the borrow to which they belong began while the thread was unwinding.
    ///
    /// It lies next to `several` and has the same width, so that a borrow begins with one store.
    in_unwind: Cell<u32>,
    /// Whether the word may be set although no guard exists, because the list of suspects is full or a
    /// guard was leaked.
    stale: Cell<bool>,
    /// Entries of the list of suspects that guards of this mark have left, one bit each.
    left: Cell<u64>,
    lanes: Arc<Lanes>,
}

impl Mark {
    /// Creates the mark `number`.
    ///
    /// A borrow of the whole pool uses the first mark. Parts that are borrowed side by side have
    /// one mark each.
    #[expect(clippy::indexing_slicing, reason = "the caller counts the marks of a header")]
    pub(crate) fn new(header: &At<BaseHeader>, number: usize, lanes: &Arc<Lanes>) -> Self {
        Mark {
            word: header.part(|h| &h.marks[number]),
            several: Cell::new(0),
            in_unwind: Cell::new(0),
            stale: Cell::new(false),
            left: Cell::new(0),
            lanes: Arc::clone(lanes),
        }
    }

    /// Marks an object as being written by the only guard of this borrow.
    #[inline(always)]
    pub(crate) fn only<'a, T: PoolObject>(&'a self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        self.begin();
        self.begun(id, object)
    }

    /// Marks an object as being written, in a borrow that `begin` has begun for it.
    #[inline(always)]
    pub(crate) fn begun<'a, T: PoolObject>(&'a self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        if !planted(Mutant::WriteWithoutMark) {
            Commit::MarkSet.store(&self.word, id.to_bits());
        }
        RefMut { object, mark: self, word: self.word, id: id.to_bits() }
    }

    /// Begins a borrow, before its first guard.
    ///
    /// The pool is borrowed anew, so guards that were leaked no longer count.
    #[inline(always)]
    pub(crate) fn begin(&self) {
        self.several.set(0);
        self.in_unwind.set(0);
        if panicking() {
            self.in_unwind.set(1);
        }
    }

    /// Clears what leaked guards have marked: the caller ensures that no guard exists.
    pub(crate) fn forget(&self) {
        self.begin();
        if self.word.load() != 0 {
            Commit::MarkCleared.store(&self.word, 0);
        }
    }

    /// Marks several objects as being written by all the guards of this borrow.
    #[inline(always)]
    pub(crate) fn several<'a, T: PoolObject, const N: usize>(
        &'a self,
        ids: [Id<T>; N],
        objects: [&'a mut T; N],
    ) -> [RefMut<'a, T>; N] {
        self.begin();
        match ids.as_slice() {
            [] => {}
            [id] => Commit::MarkSet.store(&self.word, id.to_bits()),
            _ => {
                self.several.set(N as u32);
                Commit::MarkSet.store(&self.word, Torn::whole_type(T::TYPE_ID));
            }
        }
        let mut ids = ids.into_iter();
        objects.map(|object| {
            let id = ids.next().map_or(0, |id| id.to_bits());
            RefMut { object, mark: self, word: self.word, id }
        })
    }

    /// Marks the object of one more guard of a walk, whose word is set already.
    #[cold]
    #[inline(never)]
    fn beside_others(&self, id: Handle) {
        if self.stale.take() {
            return Commit::MarkSet.store(&self.word, id.to_bits());
        }
        self.several.set(self.several.get().max(1) + 1);
        Commit::MarkSet.store(&self.word, Torn::whole_type(id.type_id()));
    }

    /// Ends a guard, or a walk that lends its objects.
    #[inline(always)]
    fn end_one(&self) {
        match self.several.get() == 0 {
            true => Commit::MarkCleared.store(&self.word, 0),
            false => self.end_of_several(),
        }
    }

    /// Ends a guard whose object the word does not name, as that of one of several.
    #[cold]
    #[inline(never)]
    fn end_of_several(&self) {
        let left = self.several.get().saturating_sub(1);
        self.several.set(left);
        if left == 0 {
            Commit::MarkCleared.store(&self.word, 0);
        }
    }

    /// Ends a guard or walk while the thread unwinds: its object becomes a suspect.
    #[cold]
    #[inline(never)]
    fn end_one_in_unwind(&self) {
        let word = self.word.load();
        if word != 0 && self.in_unwind.get() == 0 {
            if planted(Mutant::PanicClearsFirst) {
                Commit::MarkCleared.store(&self.word, 0);
            }
            match self.lanes.suspect(word) {
                Some(entry) => self.left.set(self.left.get() | 1 << entry),
                // The list is full: the word itself stays, until a guard of this mark overwrites
                // it.
                None => {
                    self.stale.set(true);
                    return self.several.set(self.several.get().saturating_sub(1));
                }
            }
        }
        self.end_one();
    }

    /// Returns what the threads of the pool share.
    pub(crate) fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    /// Returns the suspects that guards of this mark have left in this run, one bit each.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }
}

/// A guard: an exclusive reference to an object that is marked as being written.
///
/// If the process dies while the guard exists, the next start names the object in
/// [`ResumeReport::being_written`](crate::ResumeReport::being_written), because it may be half
/// written. The same holds if the guard is dropped because its scope unwinds, whether the panic is
/// caught or not; see [`MemoryPoolMgr::torn`](crate::MemoryPoolMgr::torn). Writes through the guard
/// cost nothing extra; creating and dropping it takes a few stores.
#[must_use = "the object is marked as being written for as long as the guard lives"]
pub struct RefMut<'a, T> {
    object: &'a mut T,
    mark: &'a Mark,
    /// That of the mark, for a loop to keep in a register.
    word: At<Word>,
    /// What the word holds if this is the only guard.
    id: u64,
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
        match panicking() && !planted(Mutant::PanicClearsMark) {
            false if self.word.load() == self.id => Commit::MarkCleared.store(&self.word, 0),
            false => self.mark.end_of_several(),
            true => self.mark.end_one_in_unwind(),
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for RefMut<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.object.fmt(f)
    }
}

/// The mark of a walk that hands out guards, which may be dropped before or after the walk.
///
/// Each guard clears the word, so a word that is set tells that the guard before it still exists.
pub(crate) struct GuardsMark<'a> {
    mark: &'a Mark,
    /// That of the mark, for a loop to keep in a register.
    word: At<Word>,
}

impl<'a> GuardsMark<'a> {
    pub(crate) fn new(mark: &'a Mark) -> Self {
        mark.begin();
        mark.stale.set(mark.word.load() != 0);
        GuardsMark { mark, word: mark.word }
    }

    /// Marks the next object.
    #[inline(always)]
    pub(crate) fn guard<T: PoolObject>(&self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        match self.word.load() {
            0 => Commit::MarkSet.store(&self.word, id.to_bits()),
            _ => self.mark.beside_others(id.handle()),
        }
        RefMut { object, mark: self.mark, word: self.word, id: id.to_bits() }
    }
}

/// The mark of a walk that lends its objects to a closure, one after the other.
pub(crate) struct LoansMark<'a>(&'a Mark);

impl<'a> LoansMark<'a> {
    pub(crate) fn new(mark: &'a Mark) -> Self {
        mark.begin();
        LoansMark(mark)
    }

    /// Marks the next object; the previous one is no longer written.
    #[inline(always)]
    pub(crate) fn lend<T: PoolObject>(&self, id: Id<T>) {
        Commit::MarkSet.store(&self.0.word, id.to_bits());
    }
}

impl Drop for LoansMark<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        match panicking() && !planted(Mutant::WalkPanicClearsMark) {
            false => self.0.end_one(),
            true => self.0.end_one_in_unwind(),
        }
    }
}
