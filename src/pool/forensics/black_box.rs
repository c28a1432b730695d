//! The black box: the last notes of the library and the program, kept for the post-mortem.
//!
//! A note is written past the count, then the count is stored. A kill between the two drops the
//! note.

use crate::commits::Commit;
use crate::layout::{NoteRec, NoteRing};
use crate::object::Handle;
use crate::pool::store::base::Base;
use crate::region::{At, Table};
use crate::sys;
use crate::units::plural;
use std::fmt;

/// The first tag that is reserved for the library.
pub const LIBRARY_TAGS: u32 = 1 << 31;

/// The kind of a library note, with the meaning of its two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Event {
    /// An owner attached: epoch, wall clock in nanoseconds.
    Open = LIBRARY_TAGS | 1,
    /// The owner called `ready()`: epoch.
    Ready,
    /// The owner called `close()`: epoch.
    Close,
    /// A type was added or found: type number, slots.
    AddType,
    /// A type allocated an extent: type number, number of the extent.
    Grow,
    /// The program noted an object on which it begins to work: handle.
    Object,
    /// An object was put into quarantine: handle.
    Quarantined,
    /// An object was released from quarantine: handle.
    Released,
    /// An object in quarantine was freed: handle.
    Dropped,
    /// A transaction with a tag was committed: its tag, and the previous tag.
    Commit,
    /// A type was migrated to a new form: type number, objects.
    Migrated,
}

impl Event {
    const ALL: [Event; 11] = [
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
        Event::Migrated,
    ];

    /// Returns the event of a tag; `None` for a tag of the program.
    pub fn of(tag: u32) -> Option<Event> {
        Self::ALL.into_iter().find(|event| *event as u32 == tag)
    }

    /// Returns the word for this event in reports.
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
            Event::Migrated => "migrated",
        }
    }
}

/// One note of the black box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Number of the note since the pool was created.
    pub number: u64,
    /// Tag, which gives the words their meaning.
    pub tag: u32,
    /// First word.
    pub a: u64,
    /// Second word.
    pub b: u64,
    /// Time in nanoseconds of the wall clock; 0 if the black box no longer has the start of its
    /// owner.
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
            Some(Event::AddType) => write!(f, "add-type {}, {}", self.a, plural(self.b, "slot")),
            Some(Event::Grow) => write!(f, "grow type {}, extent {}", self.a, self.b),
            Some(Event::Migrated) => write!(f, "migrated type {}, {}", self.a, plural(self.b, "object")),
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

    /// Writes a note of the library.
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

    /// Returns the notes in the black box, the oldest first. A note that is overwritten meanwhile
    /// is left out.
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

    /// Returns the object that the last start noted last.
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
