//! Torn objects, which a death or a panic may have left half written.
//!
//! `BaseHeader::suspects` has a word for each: the handle of the object, or the word of a whole
//! type if several guards shared a mark. An entry stays until it is settled:
//!
//! | settled by | reason |
//! |---|---|
//! | `ready()`, if the report of this start has named it | the program knows it, and serves |
//! | a free of the object | no object is left to be torn; the next start drops the entry |
//! | the quarantine: putting the object there, releasing or dropping it | the program has decided |
//! | `settle_torn` | the program declares that it has repaired the object |
//!
//! Neither a change through a guard nor an `update` settles it: the pool cannot know which fields
//! belong together.

use crate::commits::Commit;
use crate::layout::BaseHeader;
use crate::limits;
use crate::object::{GENERATION_MASK, Handle, INDEX_SHIFT, TYPE_SHIFT};
use crate::word::Word;
use std::fmt;

/// An object, or a type, that a death or a panic may have left half written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Torn {
    /// This object: some fields may be new and some old.
    Object(Handle),
    /// Any object of the type with this type number: several of its guards existed at once.
    AnyOf(u16),
}

impl Torn {
    /// Returns the word that names every object of a type.
    pub(crate) fn whole_type(type_id: u16) -> u64 {
        u64::MAX << INDEX_SHIFT | u64::from(type_id) << TYPE_SHIFT
    }

    /// Decodes a word of a segment; returns `None` if it names nothing.
    pub(crate) fn parse(word: u64) -> Option<Self> {
        let type_id = type_of(word);
        match Handle::from_bits(word) {
            Some(object) => Some(Torn::Object(object)),
            None if type_id != 0 && word & GENERATION_MASK == 0 => Some(Torn::AnyOf(type_id)),
            None => None,
        }
    }

    fn word(self) -> u64 {
        match self {
            Torn::Object(object) => object.to_bits(),
            Torn::AnyOf(type_id) => Self::whole_type(type_id),
        }
    }
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Torn::Object(object) => object.fmt(f),
            Torn::AnyOf(type_id) => write!(f, "any of type {type_id}"),
        }
    }
}

/// Returns the type number of a word that names an object or a type.
pub(crate) fn type_of(word: u64) -> u16 {
    (word >> TYPE_SHIFT) as u16 & limits::MAX_TYPE_ID
}

/// Adds a mark to the suspects and returns the number of its entry.
///
/// If no entry is free, those of one type are replaced by a single one for the whole type, which is
/// less exact but never wrong. Returns `None` only if every entry names another type.
pub(crate) fn add(header: &BaseHeader, word: u64) -> Option<usize> {
    let with = |bits: u64| header.suspects.iter().position(|entry| entry.load() == bits);
    let entry = with(word).or_else(|| with(0)).or_else(|| widen(header, type_of(word)))?;
    // An entry that was widened to its type already names this object.
    let suspect = header.suspects.get(entry)?;
    if suspect.load() == 0 {
        Commit::SuspectKept.store(suspect, word);
    }
    Some(entry)
}

/// Replaces the entries of one type by a single one for the whole type.
///
/// Returns an entry that names `type_id` or is free.
#[cold]
fn widen(header: &BaseHeader, type_id: u16) -> Option<usize> {
    let entries = || header.suspects.iter().enumerate();
    let of = |id: u16| entries().filter(move |(_, entry)| type_of(entry.load()) == id);
    let crowded = entries().map(|(_, entry)| type_of(entry.load())).find(|id| of(*id).count() > 1);
    let wide = if of(type_id).next().is_some() { type_id } else { crowded? };
    let (first, entry) = of(wide).next()?;
    Commit::SuspectKept.store(entry, Torn::whole_type(wide));
    let rest: Vec<(usize, &Word)> = of(wide).filter(|(at, _)| *at != first).collect();
    for (_, entry) in &rest {
        Commit::SuspectCleared.store(entry, 0);
    }
    if wide == type_id { Some(first) } else { rest.first().map(|(at, _)| *at) }
}

/// Returns the objects and types that the suspects name.
pub(crate) fn listed(header: &BaseHeader) -> impl Iterator<Item = Torn> + '_ {
    header.suspects.iter().map(Word::load).filter(|word| *word != 0).filter_map(Torn::parse)
}

/// Removes an entry; returns false if there was none.
pub(crate) fn settle(header: &BaseHeader, torn: Torn) -> bool {
    let mut found = false;
    for entry in header.suspects.iter().filter(|entry| entry.load() == torn.word()) {
        Commit::SuspectCleared.store(entry, 0);
        found = true;
    }
    found
}

/// Removes all entries except those whose bit is set in `kept`.
pub(crate) fn settle_told(header: &BaseHeader, kept: u64) {
    for (at, entry) in header.suspects.iter().enumerate() {
        if kept >> at & 1 == 0 {
            Commit::SuspectCleared.store(entry, 0);
        }
    }
}
