//! Renamed fields: `Hero.health = was hp` in `[zone.types]`.

use super::ini::Entry;
use super::problem::{Found, Problem, ProblemKind};
use super::process::RenameConf;
use super::report::{Report, Spot};
use super::rules;
use crate::limits;

/// Returns the first rule that the entry breaks by itself.
fn broken(of: &RenameConf) -> Option<ProblemKind> {
    let paths = || std::iter::once(&of.field).chain(&of.was);
    let name = rules::name(&of.type_name, limits::MAX_TYPE_NAME).err();
    let path = || paths().find(|path| !is_path(path)).map(bad_field);
    let same = || of.was.contains(&of.field).then(|| not_a_rename(&of.field));
    name.or_else(path).or_else(same)
}

/// Reads an entry whose key has a dot; returns `None` if it is invalid.
pub(super) fn rename(section: &str, entry: Entry<'_>, report: &mut Report<'_>) -> Option<RenameConf> {
    let value = Spot::value(section, entry);
    let at_key = value.at(entry.key);
    let (type_name, field) = entry.key.split('.')?;
    let named = report.keep(value.at(type_name), rules::name(type_name.text, limits::MAX_TYPE_NAME));
    if !is_path(field.text) {
        report.add(value.at(field), bad_field(field.text));
        return None;
    }
    let names = entry.value.text.strip_prefix("was").filter(|rest| rest.starts_with(char::is_whitespace));
    let Some(names) = names else {
        report.add(value, not_a_rename(entry.value.text));
        return None;
    };
    let was: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    let place = report.place(at_key);
    let (type_name, field) = (named?.to_owned(), field.text.to_owned());
    let found = RenameConf { type_name, field, was, place, column: entry.key.column };
    if let Some(kind) = broken(&found) {
        report.add(value, kind);
        return None;
    }
    Some(found)
}

/// Returns a problem for each entry that breaks a rule by itself, and for each former name of a type
/// that two entries have.
pub(super) fn check(all: &[RenameConf]) -> Vec<Problem> {
    let problem = |of: &RenameConf, kind| Problem { place: of.place.clone(), column: of.column, kind };
    let alone = all.iter().filter_map(|of| Some(problem(of, broken(of)?)));
    alone.chain(twice(all)).collect()
}

/// Returns a problem for each former name of a type that two entries have.
pub(super) fn twice(all: &[RenameConf]) -> Vec<Problem> {
    let mut found = Vec::new();
    for (at, of) in all.iter().enumerate() {
        let before = all.iter().take(at).filter(|other| other.type_name == of.type_name);
        let shared = { before }.find_map(|first| {
            let name = first.was.iter().find(|name| of.was.contains(name))?;
            Some((name, first))
        });
        if let Some((name, first)) = shared {
            let kind = ProblemKind::FormerNameTwice { name: Found::new(name), first: first.place.clone() };
            found.push(Problem { place: of.place.clone(), column: of.column, kind });
        }
    }
    found
}

/// Returns whether a text is a field name, perhaps preceded by those of the structs that it is in.
fn is_path(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|char| char.is_alphanumeric() || char == '_');
    text.split('.').all(is_word)
}

fn bad_field(text: impl AsRef<str>) -> ProblemKind {
    ProblemKind::BadField { found: Found::new(text.as_ref()) }
}

fn not_a_rename(text: &str) -> ProblemKind {
    match text {
        "" => ProblemKind::NoValue { expected: "the former name of the field, as in `was hp`" },
        text => ProblemKind::NotARename { found: Found::new(text) },
    }
}
