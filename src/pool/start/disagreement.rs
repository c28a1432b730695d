//! The ways in which the ini and a waiting pool can disagree, in one table for starts, `ls` and
//! `doctor`.
//!
//! A start refuses a disagreement if continuing would give a process the objects of another, or
//! hide its own objects. It reports any other: with a warning, and a line in its report. Every ini
//! key is in [`RULES`] or in [`CANNOT`].

use crate::conf::Place;
use std::fmt;

/// How a start treats a disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The start continues, with a warning and a line in its report.
    Told,
    /// The start is refused, and nothing is changed.
    Refused,
}

/// One way in which an ini and a pool can disagree.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Word for programs, which stays the same when messages are reworded.
    pub code: &'static str,
    /// The ini key.
    pub key: &'static str,
    /// How a start treats it.
    pub severity: Severity,
}

const fn told(code: &'static str, key: &'static str) -> Rule {
    Rule { code, key, severity: Severity::Told }
}

const fn refused(code: &'static str, key: &'static str) -> Rule {
    Rule { code, key, severity: Severity::Refused }
}

/// The pool under the base key belongs to another process.
pub const OTHER_PROCESS: Rule = refused("other-process", "FormerName");
/// The base key has no pool, but the pool of the process waits in another backend.
pub const OTHER_BACKEND: Rule = refused("other-backend", "Backend");
/// The base key has no pool, and its semaphores say that the last pool was in another folder.
pub const OTHER_DIR: Rule = refused("other-dir", "Dir");
/// The base key has no pool, but semaphores of an earlier owner.
pub const SEMAPHORES_ALONE: Rule = told("semaphores-alone", "Dir");
/// The base key has no pool, but a pool of the process under another key has blocks that the ini
/// names.
pub const OTHER_BASE: Rule = refused("other-base", "BaseKey");
/// The base key has no pool, but a pool with the same process name waits under another key.
pub const SAME_NAME: Rule = told("same-name", "BaseKey");
/// The blocks of the pool have another size.
pub const BLOCK_SIZE: Rule = refused("block-size", "BlockSize");
/// The ini does not name a block that is in use.
pub const BLOCK_DROPPED: Rule = refused("block-dropped", "ShmKeys");
/// The ini does not name an empty block.
pub const BLOCK_GIVEN_UP: Rule = told("block-given-up", "ShmKeys");
/// The undo log of the pool has another size.
pub const UNDO_SIZE: Rule = told("undo-size", "UndoSize");
/// The undo log of the pool is too small for the old bytes of an object.
pub const NEVER_UPDATED: Rule = told("never-updated", "UndoSize");
/// The segments have fewer permissions than the ini requires.
pub const MODE: Rule = told("mode", "Mode");
/// The segments have another kind of pages.
pub const PAGES: Rule = told("pages", "HugePages");
/// The objects in the pool have another size.
pub const OBJECT_SIZE: Rule = told("object-size", "types");
/// The program has not added a type that the ini names.
pub const NEVER_ADDED: Rule = told("never-added", "types");
/// The pool holds objects of a type that the program has not added, or that the ini no longer
/// names.
pub const LEFT_BEHIND: Rule = told("left-behind", "types");
/// A pool in the key range of the ini belongs to none of its processes.
pub const NOT_LISTED: Rule = told("not-listed", "ProcessList");

/// All rules. `docs/operating.md` has a row for each.
pub const RULES: &[&Rule] = &[
    &OTHER_PROCESS,
    &OTHER_BACKEND,
    &OTHER_DIR,
    &SEMAPHORES_ALONE,
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

/// The rules for a base that is kept while its pool begins again: its segment and its undo log
/// stay.
pub(crate) const OF_THE_BASE: &[&Rule] = &[&OTHER_PROCESS, &UNDO_SIZE, &MODE, &PAGES];

/// The ini keys that a pool cannot contradict, each with the reason.
pub const CANNOT: &[(&str, &str)] = &[
    ("OwnerWaitMs", "it concerns the start alone, and no pool stores it"),
    ("CoreDump", "every start passes it to the kernel anew"),
    ("Prefault", "every start does it anew"),
    ("LockMemory", "every start locks anew"),
    ("MaxCrashResumes", "every start counts by what the ini says then"),
    ("CrashWindowSec", "every start counts by what the ini says then"),
    ("OnCrashLoop", "every start acts by what the ini says then"),
    ("OnTorn", "every start acts by what the ini says then"),
    ("MustBeHot", "it concerns the start alone, and no pool stores it"),
    ("SnapshotDir", "every start uses the folder that the ini names then"),
    ("SnapshotEverySec", "every start counts by what the ini says then"),
    ("SnapshotKeep", "every snapshot acts by what the ini of its start says"),
    ("SnapshotOnClose", "it concerns the end of a start alone"),
    ("OnMissing", "it concerns a start that finds no pool"),
];

/// One disagreement between an ini and a pool.
///
/// Displays as `position: what disagrees; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The rule.
    pub rule: &'static Rule,
    /// Position of the setting in the ini.
    pub place: Place,
    /// Both values, and which of them holds.
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
        assert_eq!(codes.len(), RULES.len(), "a code occurs twice");
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
        let expected: Vec<_> = RULES.iter().map(|rule| (rule.key, rule.code, word(rule.severity))).collect();
        let found: Vec<_> = rows.iter().map(|row| (row[1], row[2], row[3])).collect();
        assert_eq!(found, expected);
    }
}
