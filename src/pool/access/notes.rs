//! What a program notes in the black box and in the ring of starts.

use crate::object::Handle;
use crate::pool::forensics::black_box::{BlackBox, Event, LIBRARY_TAGS};
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::start::starts::Starts;
use crate::sys;

impl MemoryPoolMgr {
    /// Notes in the black box what the program is doing: a tag of its own, below 2^31, and two words.
    ///
    /// The last two thousand notes are there after any death, for `hotpool postmortem`. Costs a few
    /// nanoseconds: four stores and a look at the coarse clock.
    #[inline]
    pub fn note(&self, tag: u32, a: u64, b: u64) {
        self.note_at(tag, a, b, sys::clock::coarse_nanos());
    }

    /// The same at a time that the program knows: nanoseconds of `CLOCK_MONOTONIC`, read once a tick.
    #[inline]
    pub fn note_at(&self, tag: u32, a: u64, b: u64, nanos: u64) {
        self.black_box().write(tag & !LIBRARY_TAGS, a, b, nanos);
    }

    /// Notes that the program goes to work on an object. If that kills it again and again, the breaker
    /// knows which object it was.
    #[inline]
    pub fn note_object(&self, object: impl Into<Handle>) {
        self.black_box().event(Event::Object, object.into().to_bits(), 0);
    }

    /// Notes that a signal is about to end this process: what the kernel tells nobody but the parent. `starts()` and
    /// `hotpool postmortem` then say so. SIGTERM, SIGINT and SIGHUP are no crash to `MaxCrashResumes`.
    ///
    /// The first one counts. A few stores and a look at the clock, so it may be called in the handler of a fatal signal, on
    /// the thread that has the pool. It changes nothing else: the pool is neither closed nor dropped.
    pub fn note_signal(&self, signal: i32) {
        if let Ok(signal @ 1..) = u8::try_from(signal) {
            Starts::of(&self.base).signal(signal, sys::wall_nanos());
        }
    }

    #[inline]
    pub(crate) fn black_box(&self) -> BlackBox {
        BlackBox::of(&self.base)
    }
}
