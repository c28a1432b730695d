//! Notes of the program in the black box and in the ring of starts.

use crate::object::Handle;
use crate::pool::forensics::black_box::{BlackBox, Event, LIBRARY_TAGS};
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::start::starts::Starts;
use crate::sys;

impl MemoryPoolMgr {
    /// Writes a note to the black box: a tag of the program, below 2^31, and two words.
    ///
    /// The last 2,047 notes survive any death, for `hotpool postmortem`. A note costs a few
    /// nanoseconds: four stores and a reading of the coarse clock.
    #[inline]
    pub fn note(&self, tag: u32, a: u64, b: u64) {
        self.note_at(tag, a, b, sys::clock::coarse_nanos());
    }

    /// Writes a note with a given time, in nanoseconds of `CLOCK_MONOTONIC`, for programs that read
    /// it once a tick.
    #[inline]
    pub fn note_at(&self, tag: u32, a: u64, b: u64, nanos: u64) {
        self.black_box().write(tag & !LIBRARY_TAGS, a, b, nanos);
    }

    /// Notes that the program begins to work on an object, which the breaker blames if owners die
    /// repeatedly.
    #[inline]
    pub fn note_object(&self, object: impl Into<Handle>) {
        self.black_box().event(Event::Object, object.into().to_bits(), 0);
    }

    /// Notes that a signal is about to end this process, which the kernel reports only to the
    /// parent.
    ///
    /// `starts()` and `hotpool postmortem` then show it. SIGTERM, SIGINT and SIGHUP are no crash
    /// for `MaxCrashResumes`. The first call counts. It takes a few stores and a reading of the
    /// clock, so it may be called in the handler of a fatal signal, on the thread that has the
    /// pool. It changes nothing else: the pool is neither closed nor dropped.
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
