//! The crash harness sees mistakes: each of those in `src/mutants.rs` is planted and has to be caught (G14), by the
//! test that docs/mutants.md names. And the kills come before and after every commit store of docs/layout.md, by the
//! tests that the second table there names.
//!
//! `cargo test --release --features mutants --test mutants`, an argument `stores` leaves the mistakes out; with `HOTPOOL_BLESS=1` it looks for the
//! tests and writes docs/mutants.md anew.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
fn main() {
    let bless = std::env::var("HOTPOOL_BLESS").is_ok();
    let began = std::time::Instant::now();
    let document = std::fs::read_to_string(proof::DOCUMENT).unwrap();
    // An argument `stores` leaves the mistakes out.
    let only_stores = std::env::args().any(|argument| argument == "stores");
    let (mutants, missed) = match only_stores {
        true => (proof::mutants_of(&document), 0),
        false => proof::mutants(&document, bless),
    };
    println!(
        "mutants: {}, missed: {missed}, {:.1} s",
        mutants.lines().count() - 2,
        began.elapsed().as_secs_f64()
    );
    let (stores, violations, empty) = proof::stores();
    println!(
        "violations without a mistake: {violations}, empty cells: {empty}, {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let written = proof::document(&mutants, &stores);
    if bless {
        std::fs::write(proof::DOCUMENT, &written).unwrap();
    }
    let lags = !bless && written != document;
    if lags {
        println!("{} lags behind; HOTPOOL_BLESS=1 writes it:\n{written}", proof::DOCUMENT);
    }
    std::process::exit(i32::from(missed + empty != 0 || violations != 0 || lags));
}

#[cfg(target_arch = "x86_64")]
mod proof {
    use super::harness::calls::{self, kill_at_calls};
    use super::harness::run::{Tally, kill_by_images, kill_for_real};
    use super::harness::scenario::ALL;
    use hotpool::commits;
    use hotpool::mutants::{self, Mutant};
    use std::collections::BTreeMap;

    pub(crate) const DOCUMENT: &str = "docs/mutants.md";

    /// Recoveries that are cut on top of each other.
    const DEPTH: u32 = 3;

    /// Plants a mistake and runs one test of the harness, or all until one catches it: its name.
    fn caught(mutant: Mutant, by: Option<&str>) -> (Option<&'static str>, Tally) {
        let arm = move |on: bool| mutants::plant(on.then_some(mutant));
        let mut tally = Tally { quick: true, arm: Some(Box::new(arm)), ..Tally::default() };
        let chosen = |name: &str| by.is_none_or(|by| by == name);
        for scenario in ALL.iter().filter(|scenario| chosen(scenario.name)) {
            match scenario.makes_segments() {
                true => kill_for_real(scenario, 0, &mut tally),
                false => kill_by_images(scenario, DEPTH, &mut tally),
            }
            if tally.first.is_some() {
                return (Some(scenario.name), tally);
            }
        }
        for operation in calls::ALL.iter().filter(|operation| chosen(operation.name)) {
            kill_at_calls(operation, &mut tally);
            if tally.first.is_some() {
                return (Some(operation.name), tally);
            }
        }
        (None, tally)
    }

    /// The table of mistakes, and how many were missed.
    pub(crate) fn mutants(document: &str, bless: bool) -> (String, usize) {
        let mut table = String::from("| mistake | what it does | caught by |\n|---|---|---|\n");
        let mut missed = 0;
        for (mutant, says) in mutants::ALL {
            let row = format!("| `{mutant:?}` |");
            let row = document.lines().find(|line| line.starts_with(&row));
            let known = row.and_then(|row| Some(row.split('|').nth(3)?.trim().trim_matches('`')));
            let (mut found, mut tally) = (None, Tally::default());
            if known.is_some() || !bless {
                (found, tally) = caught(*mutant, Some(known.unwrap_or("no row")));
            }
            if found.is_none() && bless {
                (found, tally) = caught(*mutant, None);
            }
            mutants::plant(None);
            let first = tally.first.unwrap_or_default();
            let first: String = first.lines().next().unwrap_or_default().chars().take(150).collect();
            match found {
                Some(name) => {
                    println!("caught at point {:5}: {mutant:?}, {says}\n    {name}: {first}", tally.points)
                }
                None => println!("MISSED at all of {} points: {mutant:?}, {says}", tally.points),
            }
            missed += usize::from(found.is_none());
            table += &format!("| `{mutant:?}` | {says} | {} |\n", found.unwrap_or(""));
        }
        (table, missed)
    }

    /// The table of mistakes as the document has it.
    pub(crate) fn mutants_of(document: &str) -> String {
        let table = document.split("\n\n").find(|part| part.starts_with("| mistake |"));
        table.unwrap_or_default().to_string() + "\n"
    }

    /// The table of commit stores, the violations, and the cells without a test.
    pub(crate) fn stores() -> (String, u64, usize) {
        let mut tally = Tally { quick: true, ..Tally::default() };
        let began = std::time::Instant::now();
        let done = |name: &str| println!("commit stores: {:6.1} s, {name}", began.elapsed().as_secs_f64());
        for scenario in ALL {
            match scenario.makes_segments() {
                true => kill_for_real(scenario, 0, &mut tally),
                false => kill_by_images(scenario, 1, &mut tally),
            }
            done(scenario.name);
        }
        // The stores are the same on every backend.
        for operation in calls::ALL.iter().filter(|operation| operation.name.ends_with("sysv")) {
            kill_at_calls(operation, &mut tally);
            done(operation.name);
        }
        if let Some(first) = &tally.first {
            println!("VIOLATION {first}");
        }
        let mut table = String::from(
            "| operation | word | name | killed before it | killed after it |\n|---|---|---|---|---|\n",
        );
        let mut empty = 0;
        let none = BTreeMap::new();
        let reached = if tally.violations == 0 { &tally.reached.by } else { &none };
        for (commit, operation, word) in commits::ALL {
            let cell = |at: usize| {
                let tests = reached.get(&(*commit as usize)).map(|by| &by[at]);
                let names = tests.into_iter().flatten().take(2).map(String::as_str);
                names.collect::<Vec<_>>().join("; ")
            };
            let cells = [cell(0), cell(1)];
            empty += cells.iter().filter(|cell| cell.is_empty()).count();
            table += &format!("| {operation} | {word} | `{commit:?}` | {} | {} |\n", cells[0], cells[1]);
        }
        (table, tally.violations, empty)
    }

    pub(crate) fn document(mutants: &str, stores: &str) -> String {
        format!(
            "# What the crash tests see\n\n\
             `cargo test --release --features mutants --test mutants` checks this file and, with `HOTPOOL_BLESS=1`,\n\
             writes it. Do not edit it by hand.\n\n\
             ## Planted mistakes\n\n\
             Each mistake exists only with the feature `mutants` (`src/mutants.rs`). The last column names the test of\n\
             `tests/harness/scenario.rs` or `tests/harness/calls.rs` that catches it.\n\n\
             {mutants}\n\
             ## Commit stores\n\n\
             Each store that makes a change real, as `docs/layout.md` names it, and two of the tests that kill the process\n\
             between it and the commit store before it, and between it and the next one.\n\n\
             {stores}"
        )
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("only on x86-64");
}
