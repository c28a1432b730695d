//! Portions: the objects of a type, or of a part of its slots, for one thread to write.
//!
//! # What the unsafe code here relies on
//!
//! A [`Portion`] is created from a `TypedMut`, which borrows the slots of `T` exclusively. It owns
//! the objects in the slots of the words `first..end` of the map: [`Portion::split_at`] and
//! [`Portion::part`] give each word to one portion. A portion lends its objects through `&self` as
//! `&T`, and through `&mut self` as `&mut T`. It lends no object of another word.
//!
//! While portions exist, nothing allocates or frees in the type, because that borrows its slots
//! exclusively, too. An image of the pool borrows it exclusively for each of its steps. So map, headers, addresses and index do not change, and any number of threads
//! read them. Followed fields are not followed meanwhile: their lists are dropped when the portion
//! is created, and made anew by their next reader.
#![allow(unsafe_code)]

use crate::mutants::{Mutant, planted};
use crate::object::{Id, PoolObject};
use crate::pool::access::view::{View, ViewMut};
use crate::pool::change::tx::TxError;
use crate::pool::change::undo::{LogFull, Undo};
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::par::lane::{Lane, LaneMut};
use crate::pool::par::lanes::{Lanes, Loan};
use crate::pool::store::index::Index;
use crate::pool::store::lists::Made;
use crate::pool::store::slot::Slot;
use crate::pool::store::slots::Slots;
use crate::pool::store::typed::Typed;
use crate::word::read_before;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Parts into which a walk of several threads is divided, for each thread: the threads need not be
/// equally fast.
const PARTS_A_THREAD: u32 = 8;
/// Most words of the map in such a part: 16,384 slots.
const MOST_WORDS: u32 = 256;

/// Exclusive access to the objects of type `T`, or to those of some of its slots, which can be sent
/// to another thread and split among threads.
///
/// [`ViewMut::portion`] creates one for all objects of a type, and
/// [`MemoryPoolMgr::scope`] one for each of several types.
#[must_use]
pub struct Portion<'a, T> {
    slots: &'a Slots,
    index: &'a Index,
    lanes: &'a Lanes,
    /// The words of the map.
    first: u32,
    end: u32,
    _objects: PhantomData<&'a mut T>,
}

// SAFETY: a portion owns its objects as a `&mut T` does, and only reads what other threads read.
unsafe impl<T: Send> Send for Portion<'_, T> {}
// SAFETY: through a shared portion, objects are lent as `&T` only.
unsafe impl<T: Sync> Sync for Portion<'_, T> {}

impl<'a, T: PoolObject> ViewMut<'a, T> {
    /// Returns access to the same objects that other threads can have.
    pub fn portion(&mut self) -> Portion<'_, T> {
        ViewMut { typed: self.typed.reborrow(), index: self.index, mark: self.mark }.into_portion()
    }

    /// Becomes access to the same objects that other threads can have.
    pub fn into_portion(self) -> Portion<'a, T> {
        let slots: &Slots = self.typed.into_slots();
        if const { T::FOLLOWED.is_any() } {
            slots.lists.with(Made::forget);
        }
        let end = slots.word_of(slots.capacity());
        Portion { slots, index: self.index, lanes: self.mark.lanes(), first: 0, end, _objects: PhantomData }
    }
}

impl MemoryPoolMgr {
    /// Calls `f` with each live object, by several threads at once, each object by one.
    ///
    /// Each thread marks the object that it is writing. If the process dies, the next start names
    /// one object for each thread, and if `f` panics, its object is [torn](Self::torn): the other
    /// threads finish their part, then the panic continues here. It does nothing if the type was not
    /// added.
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Monster { hp: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0180), Bytes(1 << 20), &[Key(0x4850_0181)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Monster>()?;
    /// for hp in 0..1000 {
    ///     pool.alloc(Monster { hp })?;
    /// }
    /// pool.par_for_each::<Monster>(|_, monster| monster.hp += 1);
    /// assert_eq!(pool.iter::<Monster>().map(|(_, monster)| monster.hp).sum::<u64>(), 500_500);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn par_for_each<T: PoolObject + Send + Sync>(&mut self, f: impl Fn(Id<T>, &mut T) + Sync) {
        if let Some(view) = self.try_view_mut::<T>() {
            view.into_portion().par_for_each(f);
        }
    }

    /// Sets how many threads work for the pool, with the calling one: 1 to 32.
    ///
    /// By default they are as many as [`std::thread::available_parallelism`] returns. The pool
    /// creates them when it first needs them, and keeps them until it is dropped.
    pub fn set_threads(&mut self, threads: usize) {
        self.lanes().set_threads(threads);
    }
}

impl<'a, T: PoolObject> Portion<'a, T> {
    /// Returns the first slot, and the one after the last.
    pub fn slots(&self) -> (u32, u32) {
        (self.slots.first_of_word(self.first), self.slots.first_of_word(self.end))
    }

    /// Splits into the objects in the slots before `slot`, and those from it on.
    ///
    /// The boundary is at most 63 slots before `slot`, where a word of the map begins, so that
    /// objects on both sides seldom share a cache line.
    pub fn split_at(self, slot: u32) -> (Self, Self) {
        let middle = self.slots.word_of(slot).clamp(self.first, self.end);
        (Portion { end: middle, ..self.copied() }, Portion { first: middle, ..self })
    }

    /// Splits into portions of about `slots` slots each.
    pub fn par_chunks(self, slots: u32) -> Chunks<'a, T> {
        let words = self.slots.word_of(slots).max(1);
        Chunks { rest: self, words }
    }

    /// Returns another portion of the same slots, for `split_at`, which shortens both.
    fn copied(&self) -> Self {
        Portion { _objects: PhantomData, ..*self }
    }

    /// Becomes shared access to all objects of the type; `None` for a part of its slots.
    pub fn into_view(self) -> Option<View<'a, T>> {
        let is_whole = self.first == 0 && self.end == self.slots.word_of(self.slots.capacity());
        Some(View { typed: self.slots.typed().filter(|_| is_whole)?, index: self.index })
    }

    /// Returns whether this portion has the slot of a handle.
    pub fn has_slot(&self, id: Id<T>) -> bool {
        (self.first..self.end).contains(&self.slots.word_of(id.index()))
    }

    /// Returns the address of the object with this handle, if this portion has it.
    #[inline(always)]
    fn object(&self, id: Id<T>) -> Option<NonNull<T>> {
        // SAFETY: the slots are those of `T`, with its stride.
        let slot = unsafe { self.slots.slot_of(id.to_bits(), Typed::<T>::STRIDE) }?;
        if slot.header().load() != id.to_bits() || !self.has_slot(id) {
            return None;
        }
        // SAFETY: the slots are those of `T`.
        Some(unsafe { Typed::<T>::object(slot) })
    }

    /// Returns the same, after the write barrier of an image was told of it.
    #[inline(always)]
    fn object_to_write(&self, id: Id<T>) -> Option<NonNull<T>> {
        let object = self.object(id)?;
        if self.slots.is_watched() && !planted(Mutant::UnwatchedPortionLoan) {
            self.slots.watched(id.to_bits())?;
            // Another thread may have copied the page, and ended the watch.
            read_before();
        }
        Some(object)
    }

    /// Returns the object with this handle; `None` if it was freed, or is not in this portion.
    #[inline]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        // SAFETY: mapped, aligned, a valid value, and this portion's, which is borrowed shared.
        self.object(id).map(|object| unsafe { object.as_ref() })
    }

    /// Returns the handle of the object with this user key, if it is in this portion.
    #[inline]
    pub fn find(&self, key: u64) -> Option<Id<T>> {
        const { assert!(T::KEYED, "objects of this type have no user key: derive with #[pool(keyed)]") };
        let live = |index| {
            // SAFETY: the slots are those of `T`, with its stride.
            let slot = unsafe { self.slots.ways().slot_at(index, Typed::<T>::STRIDE) }?;
            Id::of_slot(slot.header().load(), index).filter(|_| slot.key().load() == key)
        };
        self.index.find(key, live).filter(|id| self.has_slot(*id))
    }

    /// Returns a guard to write the object with this handle; `None` if it was freed, or is not in
    /// this portion.
    ///
    /// The lane names the object while the guard exists, so it has one guard at a time.
    #[inline]
    pub fn get_mut<'g>(&'g mut self, lane: &'g mut Lane<'_>, id: Id<T>) -> Option<LaneMut<'g, T>> {
        let mut object = self.object_to_write(id)?;
        let loan = lane.loan();
        loan.lend(id.to_bits());
        // SAFETY: mapped, aligned, a valid value, and this portion's, which is borrowed exclusively.
        Some(LaneMut::new(unsafe { object.as_mut() }, loan))
    }

    /// Changes an object all or nothing: under a kill, and if `f` panics.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::Stale`] if the object was freed or is not in this portion, and
    /// [`TxError::TooLarge`] if it does not fit into the lane's part of the undo log.
    #[inline]
    pub fn update<R>(
        &mut self,
        lane: &mut Lane<'_>,
        id: Id<T>,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, TxError> {
        self.try_update(lane, id, |object| Ok(f(object)))
    }

    /// Changes an object all or nothing with a closure that can fail: an error undoes everything.
    ///
    /// # Errors
    ///
    /// Returns the error of `f`, and fails as [`update`](Self::update) does.
    pub fn try_update<R, E: From<TxError>>(
        &mut self,
        lane: &mut Lane<'_>,
        id: Id<T>,
        f: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let Some(object) = self.object_to_write(id) else { return Err(TxError::Stale(id.handle()).into()) };
        let Some(undo) = lane.undo().filter(|undo| undo.has_room(size_of::<T>())) else {
            return Err(lane.too_large(size_of::<T>(), LogFull).into());
        };
        let mut open = Open { undo, object, is_open: false };
        if planted(Mutant::LaneWritesFirst) {
            // SAFETY: as below.
            let result = f(unsafe { open.object.as_mut() });
            // SAFETY: as below; the room was found.
            let _ = unsafe { open.undo.keep(id.handle(), object) };
            open.undo.commit();
            return result;
        }
        // SAFETY: the object is that of the slot that the handle names.
        let _ = unsafe { open.undo.keep(id.handle(), object) };
        open.is_open = true;
        // SAFETY: mapped, aligned, a valid value, and this portion's, which is borrowed exclusively.
        let result = f(unsafe { open.object.as_mut() });
        if result.is_ok() {
            open.is_open = false;
            open.undo.commit();
        }
        result
    }

    /// Calls `f` with each live object, which is marked as being written meanwhile.
    pub fn for_each(&mut self, mut f: impl FnMut(Id<T>, &mut T)) {
        let taken = self.lanes.take();
        self.walk(&taken.loan(), &mut f);
    }

    /// Calls `f` with each live object, by several threads at once, each object by one; see
    /// [`MemoryPoolMgr::par_for_each`].
    pub fn par_for_each(&mut self, f: impl Fn(Id<T>, &mut T) + Sync)
    where
        T: Send + Sync,
    {
        let (threads, words) = (self.lanes.threads() as u32, self.end - self.first);
        let step = words.div_ceil(threads * PARTS_A_THREAD).clamp(1, MOST_WORDS);
        if threads == 1 || words <= step {
            return self.for_each(f);
        }
        let next = AtomicU32::new(self.first);
        let work = || {
            let taken = self.lanes.take();
            let loan = taken.loan();
            loop {
                let at = next.fetch_add(step, Ordering::Relaxed);
                if at >= self.end {
                    return;
                }
                // SAFETY: `next` gives each word to one thread, and `self` is borrowed exclusively
                // until all threads are done.
                let mut part = unsafe { self.part(at, (at + step).min(self.end)) };
                part.walk(&loan, &mut |id, object| f(id, object));
            }
        };
        self.lanes.workers().with(&mut (), |batch, ()| (0..threads).for_each(|_| batch.spawn(work)));
    }

    /// Returns a portion of the words `first..end` of this one.
    ///
    /// # Safety
    ///
    /// No other portion with one of these words is used while the result exists.
    unsafe fn part(&self, first: u32, end: u32) -> Portion<'_, T> {
        Portion { first, end, ..self.copied() }
    }

    #[inline(always)]
    fn walk(&mut self, loan: &Loan<'_>, f: &mut impl FnMut(Id<T>, &mut T)) {
        for number in self.first..self.end {
            let index = self.slots.first_of_word(number);
            let bits = self.slots.word(number).map_or(0, |word| word.load() & self.slots.full);
            let Some(first) = self.slots.slot(index).filter(|_| bits != 0) else { continue };
            if self.slots.is_watched() && !planted(Mutant::UnwatchedPortionWalk) {
                self.slots.before_walk(number, bits);
                // As in `object_to_write`.
                read_before();
            }
            self.walk_word(first, index, bits, loan, f);
        }
    }

    #[inline(always)]
    fn walk_word(
        &mut self,
        first: Slot,
        index: u32,
        mut bits: u64,
        loan: &Loan<'_>,
        f: &mut impl FnMut(Id<T>, &mut T),
    ) {
        while bits != 0 {
            let at = bits.trailing_zeros();
            bits &= bits - 1;
            // SAFETY: a bit of the map stands for a slot, and that of `first` is bit 0.
            let slot = Slot { start: unsafe { first.start.add(at as usize * Typed::<T>::STRIDE) } };
            let Some(id) = Id::of_slot(slot.header().load(), index + at) else { continue };
            // SAFETY: the slots are those of `T`.
            let mut object = unsafe { Typed::<T>::object(slot) };
            if !planted(Mutant::LaneMarksLast) {
                loan.lend(id.to_bits());
            }
            // SAFETY: mapped, aligned, a valid value, and this portion's, which is borrowed
            // exclusively; each bit is visited once.
            f(id, unsafe { object.as_mut() });
            if planted(Mutant::LaneMarksLast) {
                loan.lend(id.to_bits());
            }
        }
    }
}

/// An update in a lane. Without an end it is undone, also by a panic.
struct Open<'a, T> {
    undo: &'a mut Undo,
    object: NonNull<T>,
    is_open: bool,
}

impl<T> Drop for Open<'_, T> {
    fn drop(&mut self) {
        if self.is_open {
            // SAFETY: `try_update` has kept this object, and borrows it exclusively.
            unsafe { self.undo.put_back(self.object) };
        }
    }
}

/// The portions into which [`Portion::par_chunks`] splits one.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Chunks<'a, T> {
    rest: Portion<'a, T>,
    words: u32,
}

impl<'a, T: PoolObject> Iterator for Chunks<'a, T> {
    type Item = Portion<'a, T>;

    fn next(&mut self) -> Option<Portion<'a, T>> {
        let (first, end) = self.rest.slots();
        if first == end {
            return None;
        }
        Some(self.cut(1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let words = self.rest.end - self.rest.first;
        let chunks = words.div_ceil(self.words) as usize;
        (chunks, Some(chunks))
    }
}

impl<T: PoolObject> ExactSizeIterator for Chunks<'_, T> {}

impl<T: PoolObject> DoubleEndedIterator for Chunks<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let before = self.len().checked_sub(1)?;
        let first = self.cut(before);
        Some(std::mem::replace(&mut self.rest, first))
    }
}

impl<'a, T: PoolObject> Chunks<'a, T> {
    /// Removes the first `chunks` portions, and returns them as one.
    fn cut(&mut self, chunks: usize) -> Portion<'a, T> {
        let words = (chunks as u64 * u64::from(self.words)).min((self.rest.end - self.rest.first).into());
        let middle = self.rest.first + words as u32;
        let first = Portion { end: middle, ..self.rest.copied() };
        self.rest.first = middle;
        first
    }

    /// Splits into the first `chunks` portions, and the others.
    #[cfg(feature = "rayon")]
    pub(crate) fn split_at(mut self, chunks: usize) -> (Self, Self) {
        (Chunks { rest: self.cut(chunks), words: self.words }, self)
    }
}

impl<T: PoolObject> fmt::Debug for Portion<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portion").field("type", &T::NAME).field("slots", &self.slots()).finish()
    }
}

impl<T: PoolObject> fmt::Debug for Chunks<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("rest", &self.rest).finish_non_exhaustive()
    }
}
