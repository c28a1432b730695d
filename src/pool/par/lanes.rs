//! The lanes of a pool: a mark for each thread that writes, and what the threads share.
//!
//! Docs: `docs/parallel.md`. A mark is a cache line of the base. A thread takes a lane, stores the
//! handle of each object there before it writes it, and clears the word before it gives the lane
//! back. If more threads write than there are lanes, those without one mark the whole type, in a
//! word that they share and that is stored when the first of them begins and the last one ends.

use crate::commits::Commit;
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::pool::forensics::black_box::BlackBox;
use crate::pool::par::protocol::LaneSet;
use crate::pool::par::workers::Workers;
use crate::pool::start::suspects::{self, Torn};
use crate::pool::store::base::Base;
use crate::word::Word;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::panicking;

/// Types whose objects can be written side by side, and thus words for threads without a lane.
const TYPES: usize = 8;
/// The words of `BaseHeader::marks` for them begin here, after those of guards.
const CROWD: usize = 8;

/// What the threads of a pool share.
pub(crate) struct Lanes {
    pub(crate) base: Base,
    marks: LaneSet,
    /// The type of each word for threads without a lane, and the number of these threads.
    crowd: Mutex<[(u16, u32); TYPES]>,
    /// Held while an entry is added to the list of suspects.
    suspects: Mutex<()>,
    /// Suspects that threads have left in this run, one bit for each entry.
    left: AtomicU64,
    /// Held while a note is written.
    notes: Mutex<()>,
    /// Threads that work for the pool, with the calling one; 0 until it is known.
    threads: AtomicUsize,
    workers: Mutex<Option<Arc<Workers>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    pub(crate) fn new(base: Base) -> Self {
        Lanes {
            base,
            marks: LaneSet::new(),
            crowd: Mutex::default(),
            suspects: Mutex::default(),
            left: AtomicU64::new(0),
            notes: Mutex::default(),
            threads: AtomicUsize::new(0),
            workers: Mutex::default(),
        }
    }

    /// Returns the number of threads that work for the pool, with the calling one.
    pub(crate) fn threads(&self) -> usize {
        match self.threads.load(Ordering::Relaxed) {
            0 => self.set_threads(std::thread::available_parallelism().map_or(1, usize::from)),
            threads => threads,
        }
    }

    /// Sets the number of threads that work for the pool, with the calling one.
    pub(crate) fn set_threads(&self, threads: usize) -> usize {
        let threads = threads.clamp(1, limits::LANES);
        self.threads.store(threads, Ordering::Relaxed);
        *locked(&self.workers) = None;
        threads
    }

    /// Returns the threads.
    pub(crate) fn workers(&self) -> Arc<Workers> {
        let threads = self.threads() - 1;
        Arc::clone(locked(&self.workers).get_or_insert_with(|| Arc::new(Workers::new(threads))))
    }

    /// Takes a lane for a thread that is going to write.
    pub(crate) fn take(&self) -> Taken<'_> {
        let number = self.marks.take(limits::LANES as u32);
        let place = if planted(Mutant::LaneShared) { Some(0) } else { number };
        let header = &self.base.header;
        let word = match place {
            Some(place) if planted(Mutant::LanesInOneLine) => {
                header.marks.get(CROWD + TYPES + place as usize)
            }
            Some(place) => header.lane_marks.get(place as usize).map(|lane| &lane.mark),
            None => None,
        };
        Taken { lanes: self, number, word, in_crowd: Cell::new(0) }
    }

    /// Clears what leaked lanes have marked: the caller ensures that no lane exists.
    pub(crate) fn forget(&self) {
        if !self.marks.is_any_taken() && locked(&self.crowd).iter().all(|(of, _)| *of == 0) {
            return;
        }
        let header = &self.base.header;
        let crowd = header.marks.iter().skip(CROWD).take(TYPES);
        let lanes = header.lane_marks.iter().map(|lane| &lane.mark);
        for mark in crowd.chain(lanes).filter(|mark| mark.load() != 0) {
            Commit::MarkCleared.store(mark, 0);
        }
        *locked(&self.crowd) = Default::default();
        self.marks.give_all();
    }

    /// Adds a torn object to the suspects.
    pub(crate) fn suspect(&self, word: u64) -> Option<usize> {
        let _lock = locked(&self.suspects);
        suspects::add(&self.base.header, word)
    }

    /// Returns the suspects that threads have left in this run, one bit each.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Writes a note to the black box.
    pub(crate) fn note(&self, tag: u32, a: u64, b: u64, nanos: u64) {
        let _lock = locked(&self.notes);
        BlackBox::of(&self.base).write(tag, a, b, nanos);
    }

    /// Counts a thread without a lane that writes objects of a type.
    #[cold]
    fn enter(&self, type_id: u16) {
        let mut crowd = locked(&self.crowd);
        let with = |id: u16| crowd.iter().position(|(of, _)| *of == id);
        let Some(at) = with(type_id).or_else(|| with(0)) else { return };
        if let (Some(entry), Some(word)) = (crowd.get_mut(at), self.base.header.marks.get(CROWD + at)) {
            *entry = (type_id, entry.1 + 1);
            Commit::MarkSet.store(word, Torn::whole_type(type_id));
        }
    }

    /// Counts it off.
    #[cold]
    fn leave(&self, type_id: u16) {
        let mut crowd = locked(&self.crowd);
        for (at, entry) in crowd.iter_mut().enumerate().filter(|(_, entry)| entry.0 == type_id) {
            entry.1 = entry.1.saturating_sub(1);
            if let (0, Some(word)) = (entry.1, self.base.header.marks.get(CROWD + at)) {
                entry.0 = 0;
                Commit::MarkCleared.store(word, 0);
            }
        }
    }
}

/// A lane that a thread has taken; without a number if all were taken.
pub(crate) struct Taken<'a> {
    lanes: &'a Lanes,
    number: Option<u32>,
    word: Option<&'a Word>,
    /// The type that this thread marks as a whole; 0 for none.
    in_crowd: Cell<u16>,
}

impl<'a> Taken<'a> {
    pub(crate) fn lanes(&self) -> &'a Lanes {
        self.lanes
    }

    /// Marks an object as being written by this thread, in place of the one before.
    #[inline(always)]
    pub(crate) fn mark(&self, word: u64) {
        match self.word {
            Some(mark) => Commit::LaneMarkSet.store(mark, word),
            None => self.mark_type(word),
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_type(&self, word: u64) {
        let type_id = suspects::type_of(word);
        if self.in_crowd.get() != type_id {
            self.leave_crowd();
            self.lanes.enter(type_id);
            self.in_crowd.set(type_id);
        }
    }

    fn leave_crowd(&self) {
        if self.in_crowd.get() != 0 {
            self.lanes.leave(self.in_crowd.replace(0));
        }
    }

    /// Ends what this thread has marked.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        if let Some(mark) = self.word {
            Commit::LaneMarkCleared.store(mark, 0);
        }
    }

    /// Ends it while the thread unwinds: the object becomes a suspect.
    #[cold]
    #[inline(never)]
    fn tear(&self) {
        let whole = || Some(self.in_crowd.get()).filter(|id| *id != 0).map(Torn::whole_type);
        let word = self.word.map(Word::load).filter(|word| *word != 0).or_else(whole);
        if let Some(entry) = word.and_then(|word| self.lanes.suspect(word)) {
            self.lanes.left.fetch_or(1 << entry, Ordering::Relaxed);
        }
        self.clear();
    }

    /// Begins to write objects, until the value is dropped.
    pub(crate) fn loan(&self) -> Loan<'_> {
        Loan { taken: self, in_unwind: panicking() }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.leave_crowd();
        if self.word.is_some_and(|mark| mark.load() != 0) {
            // A guard of this lane was leaked.
            self.clear();
        }
        if let Some(number) = self.number {
            self.lanes.marks.give(number);
        }
    }
}

/// The time during which a thread may write the object that its lane names.
pub(crate) struct Loan<'a> {
    taken: &'a Taken<'a>,
    /// Whether it began while the thread was unwinding, which does not interrupt it then.
    in_unwind: bool,
}

impl Loan<'_> {
    /// Marks the next object; the previous one is no longer written.
    #[inline(always)]
    pub(crate) fn lend(&self, word: u64) {
        self.taken.mark(word);
    }
}

impl Drop for Loan<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        match panicking() && !self.in_unwind && !planted(Mutant::LanePanicClearsMark) {
            false => self.taken.clear(),
            true => self.taken.tear(),
        }
    }
}
