//! What a walk over a pool's bytes has found.

use crate::units::Key;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong: a hint that leads nowhere, an object that was being written.
    Note,
    /// Something that no release of the library does, and that nothing depends on.
    Warning,
    /// An invariant of the layout does not hold.
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

/// Where a finding lies, as far as that can be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the type.
    pub type_id: Option<u16>,
    /// Number of the slot in its type.
    pub slot: Option<u32>,
    /// Key of the segment.
    pub segment: Option<Key>,
    /// Byte in the segment.
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

/// One thing that a walk has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What it is, in words.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.place, self.what)
    }
}

/// What was counted of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeReport {
    /// Number of the type.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// Slots that memory was taken for.
    pub slots: u64,
    /// Slots in which an object lives.
    pub live: u64,
    /// Slots that are used up.
    pub retired: u64,
    /// Groups of its index in use.
    pub groups: u64,
    /// Entries of its index that lead to no live object with their key. They do no harm and go when
    /// their place is wanted.
    pub stale_entries: u64,
}

/// What a walk over a pool has found and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Key of the base segment.
    pub key: Key,
    /// Name of the process that owns the pool.
    pub process: String,
    /// Whether it had an owner while it was walked over. Then sums were in motion, and a finding
    /// about one object was looked at several times before it was believed.
    pub live: bool,
    /// It took an extent, a block or a type while it was walked over, in each of several walks: what was to
    /// be found behind that is left out.
    pub grew: bool,
    /// Blocks in use.
    pub blocks: u64,
    /// Extents in use.
    pub extents: u64,
    /// The types, in the order in which they were added.
    pub types: Vec<TypeReport>,
    /// What was found, in the order of the walk.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub left_out: u64,
    /// As bad as this, or less: no kept one gives way to it.
    pub(crate) settled: Option<Severity>,
}

/// Findings kept of one walk: enough to see the pattern of any damage.
const MOST: usize = 1000;

impl Report {
    /// Whether nothing worse than notes was found.
    pub fn is_sound(&self) -> bool {
        self.worst().is_none_or(|worst| worst == Severity::Note)
    }

    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Findings that are no notes.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity != Severity::Note)
    }

    /// Live objects of all types.
    pub fn objects(&self) -> u64 {
        self.types.iter().map(|t| t.live).sum()
    }

    /// Keeps a finding. Where there is no more room a note gives way to what is worse.
    pub(crate) fn add(&mut self, severity: Severity, place: Place, what: impl Into<String>) {
        let finding = Finding { severity, place, what: what.into() };
        if self.findings.len() < MOST {
            self.findings.push(finding);
            return;
        }
        self.left_out += 1;
        if self.settled >= Some(severity) {
            return;
        }
        match self.findings.iter_mut().rfind(|kept| kept.severity < severity) {
            Some(kept) => *kept = finding,
            None => self.settled = Some(severity),
        }
    }

    /// Whether one more finding would not be kept anyway.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.len() >= MOST
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let verdict = if self.is_sound() { "sound" } else { "NOT sound" };
        write!(f, "{} {}: {verdict}", self.key, self.process)?;
        write!(f, ", {} objects of {} types", self.objects(), self.types.len())?;
        write!(f, " in {} blocks and {} extents", self.blocks, self.extents)?;
        let (damage, warnings) = (found(Severity::Damage), found(Severity::Warning));
        write!(f, "; {damage} damaged, {warnings} warnings, {} notes", found(Severity::Note))?;
        if self.live {
            write!(f, "; its owner was running")?;
        }
        if self.grew {
            write!(f, ", and it grew: look again")?;
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
