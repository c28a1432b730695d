//! Where the ini and a waiting pool can disagree, and what holds then: one table for starts, `ls` and `doctor`.
//!
//! A disagreement is refused if going on would hand a process the objects of another, or hide its own. Any other is told:
//! a warning at the start, and a line in the report. Every key of the ini is in [`RULES`] or in [`CANNOT`].

use crate::conf::Place;
use std::fmt;

/// What a start makes of a disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The start goes on, with a warning and a line in its report.
    Told,
    /// The start is refused, and nothing is changed.
    Refused,
}

/// One way in which an ini and a pool can disagree.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Word for programs, which stays while messages are reworded.
    pub code: &'static str,
    /// Key of the ini.
    pub key: &'static str,
    /// What a start makes of it.
    pub severity: Severity,
}

const fn told(code: &'static str, key: &'static str) -> Rule {
    Rule { code, key, severity: Severity::Told }
}

const fn refused(code: &'static str, key: &'static str) -> Rule {
    Rule { code, key, severity: Severity::Refused }
}

/// The pool under the base key is that of another process.
pub const OTHER_PROCESS: Rule = refused("other-process", "FormerName");
/// The base key has no pool, and the pool of the process waits in another backend.
pub const OTHER_BACKEND: Rule = refused("other-backend", "Backend");
/// The base key has no pool, and semaphores of an earlier owner: another folder may have the pool.
pub const OTHER_DIR: Rule = told("other-dir", "Dir");
/// The base key has no pool, and a pool of the process under another key has blocks that the ini names.
pub const OTHER_BASE: Rule = refused("other-base", "BaseKey");
/// The base key has no pool, and a pool of that name waits under another key.
pub const SAME_NAME: Rule = told("same-name", "BaseKey");
/// The blocks of the pool have another size.
pub const BLOCK_SIZE: Rule = refused("block-size", "BlockSize");
/// A block in use is not named.
pub const BLOCK_DROPPED: Rule = refused("block-dropped", "ShmKeys");
/// An empty block is not named.
pub const BLOCK_GIVEN_UP: Rule = told("block-given-up", "ShmKeys");
/// The undo log of the pool has another size.
pub const UNDO_SIZE: Rule = told("undo-size", "UndoSize");
/// No undo log of the pool can hold the old bytes of an object.
pub const NEVER_UPDATED: Rule = told("never-updated", "UndoSize");
/// The segments let fewer users in than the ini.
pub const MODE: Rule = told("mode", "Mode");
/// The segments are made of other pages.
pub const PAGES: Rule = told("pages", "HugePages");
/// An object in the pool has another size.
pub const OBJECT_SIZE: Rule = told("object-size", "types");
/// The program has not added a type that the ini names.
pub const NEVER_ADDED: Rule = told("never-added", "types");
/// The pool holds objects of a type that the program has not added, or that the ini no longer names.
pub const LEFT_BEHIND: Rule = told("left-behind", "types");
/// A pool in the key range of the ini belongs to none of its processes.
pub const NOT_LISTED: Rule = told("not-listed", "ProcessList");

/// All rules. `docs/operating.md` has a row for each.
pub const RULES: &[&Rule] = &[
    &OTHER_PROCESS,
    &OTHER_BACKEND,
    &OTHER_DIR,
    &OTHER_BASE,
    &SAME_NAME,
    &BLOCK_SIZE,
    &BLOCK_DROPPED,
    &BLOCK_GIVEN_UP,
    &UNDO_SIZE,
    &NEVER_UPDATED,
    &MODE,
    &PAGES,
    &OBJECT_SIZE,
    &NEVER_ADDED,
    &LEFT_BEHIND,
    &NOT_LISTED,
];

/// What holds for a base that is kept while its pool begins again: its segment, with the undo log in it, stays.
pub(crate) const OF_THE_BASE: &[&Rule] = &[&OTHER_PROCESS, &UNDO_SIZE, &MODE, &PAGES];

/// The keys of the ini that a pool cannot contradict, each with the reason.
pub const CANNOT: &[(&str, &str)] = &[
    ("OwnerWaitMs", "it is of the start alone, and no pool stores it"),
    ("CoreDump", "every start tells the kernel anew"),
    ("Prefault", "every start does it anew"),
    ("LockMemory", "every start locks anew"),
    ("MaxCrashResumes", "every start counts by what the ini says then"),
    ("CrashWindowSec", "every start counts by what the ini says then"),
    ("OnCrashLoop", "every start acts by what the ini says then"),
    ("OnTorn", "every start acts by what the ini says then"),
    ("MustBeHot", "it is of the start alone, and no pool stores it"),
];

/// One disagreement, found.
///
/// Displays as `place: what disagrees; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Which of the rules.
    pub rule: &'static Rule,
    /// Where the ini says it.
    pub place: Place,
    /// What the two say, and which of them holds.
    pub found: String,
    /// What to do.
    pub next: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.found, self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_of_the_ini_has_a_rule_or_a_reason_to_have_none() {
        let mut known: BTreeSet<&str> = crate::conf::KEYS.iter().copied().collect();
        known.extend(["ProcessList", "types"]);
        let ruled: BTreeSet<&str> = RULES.iter().map(|rule| rule.key).collect();
        let cannot: BTreeSet<&str> = CANNOT.iter().map(|(key, _)| *key).collect();
        assert_eq!(ruled.union(&cannot).copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(ruled.intersection(&cannot).count(), 0, "a key is in both");
        let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), RULES.len(), "a code is there twice");
    }

    /// Every word of a base that does not change, and the rule that compares it with the ini or why none does.
    const GEOMETRY: &[(&str, &str)] = &[
        ("block_bytes", "block-size"),
        ("types_off", LAYOUT),
        ("blocks_off", LAYOUT),
        ("extents_off", LAYOUT),
        ("schema_off", LAYOUT),
        ("schema_bytes", LAYOUT),
        ("lanes_off", LAYOUT),
        ("lanes_bytes", "undo-size"),
        ("starts_off", LAYOUT),
        ("starts_bytes", LAYOUT),
        ("black_box_off", LAYOUT),
        ("black_box_bytes", LAYOUT),
        ("queues_off", LAYOUT),
        ("queues_bytes", LAYOUT),
        ("max_types", LAYOUT),
        ("max_blocks", LAYOUT),
        ("max_extents", LAYOUT),
        ("lanes", LAYOUT),
        ("process", "other-process"),
        ("hash_seed", "random"),
        ("first_generation", "of the history of the pool"),
        ("spare", "zero"),
        ("check", "of the words above"),
    ];
    const LAYOUT: &str = "of the layout, whatever the ini says";

    #[test]
    fn every_word_of_a_base_that_the_ini_decides_has_a_rule() {
        let source = include_str!("../../layout/header.rs");
        let body = source.split("pub struct Geometry {").nth(1).and_then(|rest| rest.split("\n}").next());
        let fields = body.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("    pub "));
        let fields: Vec<&str> = fields.filter_map(|line| line.split(':').next()).collect();
        let known: Vec<&str> = GEOMETRY.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, known);
        let ruled: BTreeSet<&str> =
            GEOMETRY.iter().map(|(_, rule)| *rule).filter(|rule| !rule.contains(' ')).collect();
        let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
        let reasons = BTreeSet::from(["random", "zero"]);
        assert!(ruled.iter().all(|rule| codes.contains(rule) || reasons.contains(rule)), "{ruled:?}");
    }

    #[test]
    fn every_rule_has_its_row_in_the_document() {
        let document = include_str!("../../../docs/operating.md");
        let section = document.split("## When the ini and the pool disagree").nth(1).unwrap_or_default();
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
            .collect();
        let word = |severity| if severity == Severity::Told { "told" } else { "refused" };
        let wanted: Vec<_> = RULES.iter().map(|rule| (rule.key, rule.code, word(rule.severity))).collect();
        let found: Vec<_> = rows.iter().map(|row| (row[1], row[2], row[3])).collect();
        assert_eq!(found, wanted);
    }
}
