//! The findings of a verification.

use crate::units::{Key, plural};
use std::fmt;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No problem: a stale hint, or an object that was being written.
    Note,
    /// A state that no release of the library creates, and on which nothing depends.
    Warning,
    /// A broken invariant of the layout.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "damage",
        })
    }
}

/// The position of a finding, as precisely as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Type number.
    pub type_id: Option<u16>,
    /// Slot number within its type.
    pub slot: Option<u32>,
    /// Segment key.
    pub segment: Option<Key>,
    /// Offset in the segment in bytes.
    pub offset: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.type_id, self.slot) {
            (Some(id), Some(slot)) => write!(f, "type {id} slot {slot}")?,
            (Some(id), None) => write!(f, "type {id}")?,
            _ => f.write_str("pool")?,
        }
        match (self.segment, self.offset) {
            (Some(key), Some(offset)) => write!(f, " ({key}+{offset:#x})"),
            (Some(key), None) => write!(f, " ({key})"),
            _ => Ok(()),
        }
    }
}

/// One finding of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Severity of the finding.
    pub severity: Severity,
    /// Position of the finding.
    pub place: Place,
    /// Description of the finding.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.place, self.what)
    }
}

/// The counts for one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeReport {
    /// Type number.
    pub id: u16,
    /// Name of the type.
    pub name: String,
    /// Number of slots that have memory.
    pub slots: u64,
    /// Number of slots in which an object lives.
    pub live: u64,
    /// Number of retired slots.
    pub retired: u64,
    /// Number of groups of the index in use.
    pub groups: u64,
    /// Number of index entries that lead to no live object with their key.
    ///
    /// They are harmless, and are overwritten when their entry is needed.
    pub stale_entries: u64,
}

/// The findings and counts of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Segment key of the base.
    pub key: Key,
    /// Process name of the pool.
    pub process: String,
    /// Whether an owner was running meanwhile.
    ///
    /// The sums were then in motion, and a finding about one object was confirmed by repeated
    /// readings.
    pub live: bool,
    /// Whether the pool gained an extent, a block or a type during each of several passes.
    ///
    /// Findings after that moment are left out.
    pub grew: bool,
    /// Number of blocks in use.
    pub blocks: u64,
    /// Number of extents in use.
    pub extents: u64,
    /// Counts of the types, in the order in which they were added.
    pub types: Vec<TypeReport>,
    /// Findings in the order in which they were made.
    pub findings: Vec<Finding>,
    /// Number of findings that were not kept.
    pub left_out: u64,
    /// Worst severity that found no room: no kept finding is less severe.
    pub(crate) no_room_for: Option<Severity>,
}

/// Most findings kept: enough to see the pattern of any damage.
const MOST: usize = 1000;

impl Report {
    /// Returns whether there is no finding worse than a note.
    pub fn is_sound(&self) -> bool {
        self.worst().is_none_or(|worst| worst == Severity::Note)
    }

    /// Returns the worst severity of all findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Returns the findings that are not notes.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity != Severity::Note)
    }

    /// Returns the number of live objects of all types.
    pub fn objects(&self) -> u64 {
        self.types.iter().map(|t| t.live).sum()
    }

    /// Adds a finding. If the list is full, it replaces a less severe one.
    pub(crate) fn add(&mut self, severity: Severity, place: Place, what: impl Into<String>) {
        let finding = Finding { severity, place, what: what.into() };
        if self.findings.len() < MOST {
            self.findings.push(finding);
            return;
        }
        self.left_out += 1;
        if self.no_room_for >= Some(severity) {
            return;
        }
        match self.findings.iter_mut().rfind(|kept| kept.severity < severity) {
            Some(kept) => *kept = finding,
            None => self.no_room_for = Some(severity),
        }
    }

    /// Returns whether the list of findings is full.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.len() >= MOST
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let verdict = if self.is_sound() { "sound" } else { "NOT sound" };
        write!(f, "{} {}: {verdict}", self.key, self.process)?;
        let objects = plural(self.objects(), "object");
        write!(f, ", {objects} of {}", plural(self.types.len() as u64, "type"))?;
        write!(f, " in {} and {}", plural(self.blocks, "block"), plural(self.extents, "extent"))?;
        let (damage, warnings) = (found(Severity::Damage), found(Severity::Warning));
        let (warnings, notes) =
            (plural(warnings as u64, "warning"), plural(found(Severity::Note) as u64, "note"));
        write!(f, "; {damage} damaged, {warnings}, {notes}")?;
        if self.live {
            write!(f, "; its owner was running")?;
        }
        if self.grew {
            write!(f, ", and the pool grew meanwhile: verify it again")?;
        }
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        if self.left_out != 0 {
            write!(f, "\n  and {} more", self.left_out)?;
        }
        Ok(())
    }
}
