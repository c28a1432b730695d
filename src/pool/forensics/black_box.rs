//! The black box: the last notes of library and program, kept for whoever asks what a dead process was doing.
//!
//! A note is written beyond the count, then the count is stored. A kill between leaves it out.

use crate::commits::Commit;
use crate::layout::{NoteRec, NoteRing};
use crate::object::Handle;
use crate::pool::store::base::Base;
use crate::region::{At, Table};
use crate::sys;
use std::fmt;

/// Tags from here on are the library's own.
pub const LIBRARY_TAGS: u32 = 1 << 31;

/// What a note of the library says, and what its two words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Event {
    /// An owner attached: epoch, wall clock in nanoseconds.
    Open = LIBRARY_TAGS | 1,
    /// It called `ready()`: epoch.
    Ready,
    /// It called `close()`: epoch.
    Close,
    /// A type was added or found: its number, slots.
    AddType,
    /// A type took an extent: its number, number of the extent.
    Grow,
    /// The program said which object it goes to work on: its handle.
    Object,
    /// An object was put into quarantine: its handle.
    Quarantined,
    /// An object was let out of quarantine: its handle.
    Released,
    /// An object in quarantine was freed: its handle.
    Dropped,
    /// A transaction with a tag was committed: its tag, and the one before.
    Commit,
}

impl Event {
    const ALL: [Event; 10] = [
        Event::Open,
        Event::Ready,
        Event::Close,
        Event::AddType,
        Event::Grow,
        Event::Object,
        Event::Quarantined,
        Event::Released,
        Event::Dropped,
        Event::Commit,
    ];

    /// The event of a tag; `None` if it is the program's.
    pub fn of(tag: u32) -> Option<Event> {
        Self::ALL.into_iter().find(|event| *event as u32 == tag)
    }

    /// The word that stands for it in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Open => "open",
            Event::Ready => "ready",
            Event::Close => "close",
            Event::AddType => "add-type",
            Event::Grow => "grow",
            Event::Object => "object",
            Event::Quarantined => "quarantined",
            Event::Released => "released",
            Event::Dropped => "dropped",
            Event::Commit => "commit",
        }
    }
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Counts the notes since the pool was made.
    pub number: u64,
    /// What it is about.
    pub tag: u32,
    /// As the tag says.
    pub a: u64,
    /// As the tag says.
    pub b: u64,
    /// When, nanoseconds of the wall clock; 0 if the start it belongs to is not in the box any more.
    pub wall: u64,
    nanos: u64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = |bits| Handle::from_bits(bits).map_or_else(|| format!("{bits:#x}"), |h| h.to_string());
        match Event::of(self.tag) {
            Some(event @ (Event::Open | Event::Ready | Event::Close)) => {
                write!(f, "{}, start {}", event.name(), self.a)
            }
            Some(Event::AddType) => write!(f, "add-type {}, {} slots", self.a, self.b),
            Some(Event::Grow) => write!(f, "grow type {}, extent {}", self.a, self.b),
            Some(Event::Commit) => write!(f, "commit, tag {}", self.a),
            Some(event) => write!(f, "{} {}", event.name(), object(self.a)),
            None => write!(f, "note {} {} {}", self.tag, self.a, self.b),
        }
    }
}

/// The black box of a base segment.
#[derive(Clone, Copy)]
pub(crate) struct BlackBox {
    ring: At<NoteRing>,
    table: Table<NoteRec>,
}

impl BlackBox {
    pub(crate) fn of(base: &Base) -> Self {
        BlackBox { ring: base.note_ring, table: base.notes }
    }

    /// Writes an event of the library.
    pub(crate) fn event(&self, event: Event, a: u64, b: u64) {
        self.write(event as u32, a, b, sys::clock::coarse_nanos());
    }

    /// Writes a note.
    #[inline]
    pub(crate) fn write(&self, tag: u32, a: u64, b: u64, nanos: u64) {
        let number = self.ring.count.load();
        let Some(rec) = self.table.get((number % crate::limits::NOTES) as usize) else { return };
        rec.number_tag.fill(u64::from(tag) << 32 | number & u64::from(u32::MAX));
        rec.nanos.fill(nanos);
        rec.a.fill(a);
        rec.b.fill(b);
        Commit::Note.store(&self.ring.count, number.wrapping_add(1));
    }

    /// The notes that the box has kept, the oldest first. One that is written over meanwhile is left out.
    pub(crate) fn read(&self) -> Vec<Note> {
        let count = self.ring.count.load();
        let oldest = count.saturating_sub(crate::limits::NOTES);
        let mut anchor: Option<Note> = None;
        let notes = (oldest..count).filter_map(|number| {
            let mut note = self.note(number)?;
            if note.tag == Event::Open as u32 {
                anchor = Some(note);
            }
            if let Some(open) = anchor {
                note.wall = open.b.saturating_add(note.nanos.saturating_sub(open.nanos));
            }
            Some(note)
        });
        notes.collect()
    }

    /// The object that the last start said last it was going to work on.
    pub(crate) fn last_object(&self) -> Option<Handle> {
        let count = self.ring.count.load();
        let newest_first = (count.saturating_sub(crate::limits::NOTES)..count).rev();
        let of_last_start = newest_first.map_while(|number| self.note(number));
        let mut notes = of_last_start.take_while(|note| note.tag != Event::Open as u32);
        notes.find(|note| note.tag == Event::Object as u32).and_then(|note| Handle::from_bits(note.a))
    }

    fn note(&self, number: u64) -> Option<Note> {
        let rec = self.table.get((number % crate::limits::NOTES) as usize)?;
        let word = rec.number_tag.load();
        let (a, b, nanos) = (rec.a.load(), rec.b.load(), rec.nanos.load());
        let whole = word as u32 == number as u32 && rec.number_tag.load() == word;
        whole.then_some(Note { number, tag: (word >> 32) as u32, a, b, wall: 0, nanos })
    }
}
