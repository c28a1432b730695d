//! Exclusive references that leave a mark in the segment while they live.
//!
//! A mark is a word of the segment. A guard stores its object there and clears the word when it is
//! dropped. If it is dropped because its scope unwinds, the object may be half written: the word
//! moves to the suspects instead (`suspects.rs`), where the next guard does not write over it.
//!
//! | | names | cleared by |
//! |---|---|---|
//! | one guard | its object | its drop |
//! | several guards of one borrow | their type | the drop of the last one |
//! | the guards of `iter_mut` | the object handed out last, or the type if several are kept | the end of walk and guards |
//! | `for_each`, `sweep` | the object that the closure is called with | the end of the walk |
//!
//! A borrow that begins while its thread unwinds already (a `Drop` that uses the pool) is not cut by that
//! unwinding, and leaves no suspect.

use crate::commits::Commit;
use crate::layout::BaseHeader;
use crate::mutants::{Mutant, planted};
use crate::object::{Id, PoolObject};
use crate::pool::start::suspects::{self, Torn};
use crate::region::At;
use crate::word::Word;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::thread::panicking;

/// A word of `marks` and the guards that share it. With one guard alive the word names its
/// object; with several it names the whole type, which is less exact and never wrong.
pub(crate) struct Mark {
    word: At<Word>,
    header: At<BaseHeader>,
    /// Guards and walks that are alive.
    live: Cell<u32>,
    /// Not 0 if the borrow that they belong to began while the thread was unwinding. Beside `live` and as wide, so
    /// that a borrow begins with one store.
    in_unwind: Cell<u32>,
    /// Bit a suspect: those that guards of this mark have left.
    left: Cell<u64>,
}

impl Mark {
    /// The mark `number`. The pool borrowed as a whole uses the first; of its parts borrowed side
    /// by side each has its own.
    pub(crate) fn new(header: &At<BaseHeader>, number: usize) -> Self {
        Mark {
            word: header.part(|h| &h.marks[number]),
            header: *header,
            live: Cell::new(0),
            in_unwind: Cell::new(0),
            left: Cell::new(0),
        }
    }

    /// Marks an object as being written by the only guard there can be.
    #[inline(always)]
    pub(crate) fn only<'a, T: PoolObject>(&'a self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        self.begin(1);
        self.begun(id, object)
    }

    /// The same in a borrow that was begun for it.
    #[inline(always)]
    pub(crate) fn begun<'a, T: PoolObject>(&'a self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        if !planted(Mutant::WriteWithoutMark) {
            Commit::MarkSet.store(&self.word, id.to_bits());
        }
        RefMut { object, mark: self }
    }

    /// Begins a borrow with so many guards and walks. The pool is borrowed anew, so those that were leaked are forgotten.
    #[inline(always)]
    pub(crate) fn begin(&self, live: u32) {
        self.live.set(live);
        self.in_unwind.set(0);
        if panicking() {
            self.in_unwind.set(1);
        }
    }

    /// Forgets guards that were leaked, and what they have marked: none can be alive.
    pub(crate) fn forget(&self) {
        self.begin(0);
        if self.word.load() != 0 {
            Commit::MarkCleared.store(&self.word, 0);
        }
    }

    /// Marks several objects as being written, by all the guards there can be.
    #[inline(always)]
    pub(crate) fn several<'a, T: PoolObject, const N: usize>(
        &'a self,
        ids: [Id<T>; N],
        objects: [&'a mut T; N],
    ) -> [RefMut<'a, T>; N] {
        self.begin(N as u32);
        match ids.as_slice() {
            [] => {}
            [id] => Commit::MarkSet.store(&self.word, id.to_bits()),
            _ => Commit::MarkSet.store(&self.word, Torn::whole_type(T::TYPE_ID)),
        }
        objects.map(|object| RefMut { object, mark: self })
    }

    /// One guard more, while another one is kept.
    #[cold]
    #[inline(never)]
    fn beside_others(&self, type_id: u16) {
        self.live.set(self.live.get() + 1);
        Commit::MarkSet.store(&self.word, Torn::whole_type(type_id));
    }

    /// One guard or walk less.
    #[inline(always)]
    fn end_one(&self) {
        let live = self.live.get() - 1;
        self.live.set(live);
        if live == 0 {
            Commit::MarkCleared.store(&self.word, 0);
        }
    }

    /// The same for one that is dropped while the thread unwinds: what it was writing becomes a suspect.
    #[cold]
    #[inline(never)]
    fn end_one_in_unwind(&self) {
        let word = self.word.load();
        if word != 0 && self.in_unwind.get() == 0 {
            if planted(Mutant::PanicClearsFirst) {
                Commit::MarkCleared.store(&self.word, 0);
            }
            match suspects::add(&self.header, word) {
                Some(entry) => self.left.set(self.left.get() | 1 << entry),
                // The word itself stays, until a guard of this mark writes over it.
                None => return self.live.set(self.live.get() - 1),
            }
        }
        self.end_one();
    }

    /// Bit a suspect: those that guards of this mark have left in this run.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }
}

/// An object that is being written.
///
/// While the guard lives the segment says so: if the process dies now, the next one finds
/// the object named in [`ResumeReport::being_written`](crate::ResumeReport::being_written),
/// because some of its fields may be new and some old. The same holds if the guard is dropped because its scope
/// unwinds, whether the panic is caught or not; see [`MemoryPoolMgr::torn`](crate::MemoryPoolMgr::torn). Writes through
/// the guard cost nothing extra; taking and dropping it is a few stores.
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
        match panicking() && !planted(Mutant::PanicClearsMark) {
            false => self.mark.end_one(),
            true => self.mark.end_one_in_unwind(),
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for RefMut<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.object.fmt(f)
    }
}

/// The mark of a walk that hands out guards. It outlives each of them or is outlived by them.
pub(crate) struct GuardsMark<'a>(&'a Mark);

impl<'a> GuardsMark<'a> {
    pub(crate) fn new(mark: &'a Mark) -> Self {
        mark.begin(1);
        GuardsMark(mark)
    }

    /// Marks the next object.
    #[inline(always)]
    pub(crate) fn guard<T: PoolObject>(&self, id: Id<T>, object: &'a mut T) -> RefMut<'a, T> {
        let mark = self.0;
        if mark.live.get() == 1 {
            mark.live.set(2);
            Commit::MarkSet.store(&mark.word, id.to_bits());
        } else {
            mark.beside_others(T::TYPE_ID);
        }
        RefMut { object, mark }
    }
}

impl Drop for GuardsMark<'_> {
    /// What a panic cuts are the guards, and each of them says so for itself.
    #[inline(always)]
    fn drop(&mut self) {
        self.0.end_one();
    }
}

/// The mark of a walk that lends its objects to a closure, one after the other.
pub(crate) struct LoansMark<'a>(&'a Mark);

impl<'a> LoansMark<'a> {
    pub(crate) fn new(mark: &'a Mark) -> Self {
        mark.begin(1);
        LoansMark(mark)
    }

    /// Marks the next object; the one before is written no more.
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
