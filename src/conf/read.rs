//! Reads one text into the processes that it declares and the problems that it has.

use super::collide::KeyUse;
use super::ini::{self, Section};
use super::nearest::nearest;
use super::problem::{Problem, ProblemKind};
use super::process::ProcessConf;
use super::queue::QueueConf;
use super::queue_section;
use super::report::{Report, Spot};
use super::rules;
use super::section;
use crate::limits;
use std::collections::HashMap;
use std::path::Path;

const COMMON: &str = "common";
const COMMON_KEYS: &[&str] = &["ProcessList"];
const TYPES: &str = "types";

/// The contents of one text, valid or not.
pub(super) struct Draft {
    /// The valid queues.
    pub(super) queues: Vec<QueueConf>,
    /// Processes without problems of their own.
    pub(super) processes: Vec<ProcessConf>,
    /// Every segment key of every process, including processes with problems.
    pub(super) keys: Vec<KeyUse>,
    pub(super) problems: Vec<Problem>,
}

/// Reads a whole text. The caller finds keys that collide, because it may have more texts.
pub(super) fn read(text: &str, file: &Path) -> Draft {
    let mut report = Report::new(file);
    let (sections, bad_lines) = ini::scan(text);
    for bad in bad_lines {
        report.add(Spot { section: bad.section, key: "", span: bad.at }, bad.kind);
    }
    let sections = merge(sections, &mut report);
    let find = |name: &str| sections.iter().find(|s| s.name.text == name);

    let misspelt = misspelt_common(&sections);
    if let Some(section) = misspelt {
        report.add(Spot::section(section.name), ProblemKind::CommonMisspelt);
    }
    let listed = process_list(find(COMMON).or(misspelt), &mut report);
    if let Some(listed) = &listed {
        let named: Vec<_> =
            sections.iter().filter(|s| misspelt.is_none_or(|m| m.name.text != s.name.text)).collect();
        check_names(&named, listed, &mut report);
    }

    let mut keys = Vec::new();
    let mut processes = Vec::new();
    for name in names(&sections, listed.as_deref().unwrap_or_default()) {
        let types = find(&format!("{name}.{TYPES}"));
        match find(name) {
            Some(section) => processes.extend(section::process(section, types, &mut keys, &mut report)),
            None => drop(types.map(|types| section::types(types, None, &mut report))),
        }
    }
    let listed_names: Vec<&str> = listed.iter().flatten().map(|spot: &Spot<'_>| spot.span.text).collect();
    let queues = sections.iter().filter(|section| is_queue(section, &listed_names));
    let queues = queues
        .filter_map(|section| queue_section::queue(section, &listed_names, &mut keys, &mut report))
        .collect();
    let problems = report.into_problems();
    let complete = listed.is_some_and(|listed| listed.len() == processes.len());
    debug_assert!(complete || !problems.is_empty(), "a listed process is missing without a word");
    Draft { queues, processes, keys, problems }
}

/// Returns whether a section declares a queue. `[queue.types]` has the types of a process called
/// `queue`, if there is one.
fn is_queue(section: &Section<'_>, listed: &[&str]) -> bool {
    match section.name.text.split_once('.') {
        Some((queue_section::PREFIX, name)) => name != TYPES || !listed.contains(&queue_section::PREFIX),
        _ => false,
    }
}

/// Returns the section that is meant to be `[common]`, if none has that name.
///
/// Its list is read, so that the other problems are found, too.
fn misspelt_common<'s, 'a>(sections: &'s [Section<'a>]) -> Option<&'s Section<'a>> {
    let has_list =
        |section: &&Section<'_>| section.entries.iter().any(|entry| entry.key.text == "ProcessList");
    let is_there = sections.iter().any(|section| section.name.text == COMMON);
    sections.iter().filter(|_| !is_there).find(has_list)
}

/// Returns the names of all processes.
///
/// These are the listed ones, then the unlisted ones whose section has keys of a process. Their
/// problems are thus reported now, and not one start later.
fn names<'a>(sections: &[Section<'a>], listed: &[Spot<'a>]) -> Vec<&'a str> {
    let listed = || listed.iter().map(|spot| spot.span.text).filter(|name| *name != COMMON);
    let unlisted = sections.iter().filter(|section| section::is_process(section));
    let unlisted = unlisted.map(|section| section.name.text).filter(|name| {
        let process = *name != COMMON && !name.contains('.');
        process && !listed().any(|other| other == *name)
    });
    // No more than could be listed, which bounds the time for a hostile text.
    listed().chain(unlisted.take(limits::MAX_PROCESSES)).collect()
}

/// Merges sections, so that each name and each key occurs once.
///
/// Repetitions are reported, and the first occurrence counts. A repeated section adds its entries
/// to the first, so that none of them is reported as missing. Lines below a malformed header are
/// left out.
fn merge<'a>(sections: Vec<Section<'a>>, report: &mut Report<'_>) -> Vec<Section<'a>> {
    let mut merged: Vec<Section<'a>> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut keys: HashMap<(usize, &str), (Spot<'a>, usize)> = HashMap::new();
    for section in sections.into_iter().filter(|section| !section.name.text.is_empty()) {
        let number = *numbers.entry(section.name.text).or_insert(merged.len());
        match merged.get(number) {
            Some(first) => {
                let first = report.place(Spot::section(first.name));
                report.add(Spot::section(section.name), ProblemKind::RepeatedSection { first });
            }
            None => merged.push(Section { name: section.name, entries: Vec::new(), malformed: Vec::new() }),
        }
        let Some(first) = merged.get_mut(number) else { continue };
        first.malformed.extend(section.malformed);
        for entry in section.entries {
            let spot = Spot { span: entry.key, ..Spot::value(section.name.text, entry) };
            match keys.get(&(number, entry.key.text)) {
                Some((first, header)) if *header == section.name.line => {
                    let first = report.place(*first);
                    report.add(spot, ProblemKind::RepeatedKey { first });
                }
                // The report about the repeated section covers it.
                Some(_) => {}
                None => {
                    keys.insert((number, entry.key.text), (spot, section.name.line));
                    first.entries.push(entry);
                }
            }
        }
    }
    merged
}

/// Returns every name of `ProcessList` once, including invalid names; `None` if there is no list.
fn process_list<'a>(common: Option<&Section<'a>>, report: &mut Report<'_>) -> Option<Vec<Spot<'a>>> {
    let Some(common) = common else {
        report.add_whole(ProblemKind::NoProcessList);
        return None;
    };
    section::check_keys(common, COMMON_KEYS, report);
    let Some(entry) = common.entries.iter().find(|entry| entry.key.text == "ProcessList") else {
        report.add(Spot::section(common.name), ProblemKind::NoProcessList);
        return None;
    };
    let spot = Spot::value(common.name.text, *entry);
    let items = spot.span.items();
    match items.len() {
        0 => {
            report.add(spot, ProblemKind::EmptyProcessList);
            return None;
        }
        found if found > limits::MAX_PROCESSES => {
            report.add(spot, ProblemKind::TooManyProcesses { found });
            return None;
        }
        _ => {}
    }
    let mut listed: Vec<Spot<'a>> = Vec::new();
    for item in section::named_items(spot, &items, report).into_iter().flatten() {
        let item = spot.at(item);
        if listed.iter().any(|other| other.span.text == item.span.text) {
            report.add(item, ProblemKind::ListedTwice { name: item.span.text.into() });
        } else {
            report.keep(item, rules::process_name(item.span.text));
            listed.push(item);
        }
    }
    Some(listed)
}

/// Reports sections that are not listed, and listed processes without a section.
fn check_names(sections: &[&Section<'_>], listed: &[Spot<'_>], report: &mut Report<'_>) {
    let is_listed = |name: &str| listed.iter().any(|spot| spot.span.text == name);
    let has_section = |name: &str| sections.iter().any(|section| section.name.text == name);
    let sectionless = || listed.iter().map(|spot| spot.span.text).filter(|name| !has_section(name));
    let unlisted = || {
        let names = sections.iter().map(|section| section.name.text);
        let names = names.filter(|name| *name != COMMON && !name.contains('.') && !is_listed(name));
        names.take(limits::MAX_PROCESSES)
    };

    for spot in listed.iter().filter(|spot| rules::process_name(spot.span.text).is_ok()) {
        let name = spot.span.text;
        if !has_section(name) {
            let nearest = nearest(name, unlisted());
            report.add(*spot, ProblemKind::SectionMissing { name: name.into(), nearest });
        }
    }
    let names: Vec<&str> = listed.iter().map(|spot| spot.span.text).collect();
    let others = sections.iter().filter(|section| section.name.text != COMMON);
    for section in others.filter(|section| !is_queue(section, &names)) {
        let kind = match section.name.text.split_once('.') {
            None if is_listed(section.name.text) => continue,
            None => ProblemKind::SectionNotListed { nearest: nearest(section.name.text, sectionless()) },
            Some((process, TYPES)) if is_listed(process) => continue,
            Some((process, TYPES)) => ProblemKind::TypesNotListed {
                process: process.into(),
                nearest: nearest(process, listed.iter().map(|spot| spot.span.text)),
            },
            Some((process, _)) => ProblemKind::UnknownSection { process: process.into() },
        };
        report.add(Spot::section(section.name), kind);
    }
}
