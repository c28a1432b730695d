//! Segment keys that two segments would share.

use super::problem::{Problem, ProblemKind};
use super::process::Place;
use crate::units::Key;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One mention of a segment key in an ini.
#[derive(Clone, Debug)]
pub(super) struct KeyUse {
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) column: usize,
}

/// Returns a problem for every mention of a key after its first.
pub(super) fn collisions<'a>(uses: impl IntoIterator<Item = &'a KeyUse>) -> Vec<Problem> {
    let mut owners: HashMap<Key, &KeyUse> = HashMap::new();
    let mut problems = Vec::new();
    for mention in uses {
        match owners.entry(mention.key) {
            Entry::Vacant(free) => {
                free.insert(mention);
            }
            Entry::Occupied(first) => problems.push(Problem {
                place: mention.place.clone(),
                column: mention.column,
                kind: ProblemKind::KeyTwice { key: mention.key, first: first.get().place.clone() },
            }),
        }
    }
    problems
}
