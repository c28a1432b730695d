//! The crash harness catches bugs: each mutant of `src/mutants.rs` must be caught by the test that
//! docs/mutants.md names (G14). Kills come before and after every commit store of docs/layout.md,
//! in the tests that the second table names.
//!
//! Run `cargo test --release --features __internal_mutants --test mutants`. The argument `stores` skips the
//! mutants; a part of their names selects some of them. With `HOTPOOL_BLESS=1` it searches for the tests and rewrites docs/mutants.md.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
#[allow(dead_code, reason = "tests/parallel_kills.rs runs the kills")]
mod threads;

#[cfg(target_arch = "x86_64")]
fn main() {
    let bless = std::env::var("HOTPOOL_BLESS").is_ok();
    let began = std::time::Instant::now();
    let document = std::fs::read_to_string(proof::DOCUMENT).unwrap();
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
        "violations without a mutant: {violations}, empty cells: {empty}, {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let written = proof::document(&mutants, &stores);
    if bless {
        std::fs::write(proof::DOCUMENT, &written).unwrap();
    }
    let lags = !bless && written != document;
    if lags {
        println!("{} is out of date; HOTPOOL_BLESS=1 rewrites it:\n{written}", proof::DOCUMENT);
    }
    std::process::exit(i32::from(missed + empty != 0 || violations != 0 || lags));
}

#[cfg(target_arch = "x86_64")]
mod proof {
    use super::harness::calls::{self, kill_at_calls};
    use super::harness::migration::{self, kill_at_changes};
    use super::harness::run::{Tally, kill_by_images, kill_for_real};
    use super::harness::scenario::ALL;
    use super::harness::{imaging, kinds};
    use super::threads::pairs;
    use hotpool::commits;
    use hotpool::mutants::{self, Mutant};
    use hotpool::sync::slips::{ALL as ALL_SLIPS, Slip};
    use std::collections::BTreeMap;

    pub(crate) const DOCUMENT: &str = "docs/mutants.md";

    /// How many interrupted recoveries follow each other.
    const DEPTH: u32 = 3;

    /// Plants a mutant and runs one test of the harness, or all until one catches it. Returns the
    /// test's name.
    fn caught(mutant: Mutant, by: Option<&str>) -> (Option<String>, Tally) {
        let arm = move |on: bool| mutants::plant(on.then_some(mutant));
        let mut tally = Tally { quick: true, arm: Some(Box::new(arm)), ..Tally::default() };
        let chosen = |name: &str| by.is_none_or(|by| by == name);
        if is_of_images(mutant) {
            let name = imaging::images(&mut tally, chosen);
            return (name, tally);
        }
        if chosen(pairs::LINES) {
            mutants::plant(Some(mutant));
            tally.first = pairs::common_lines();
            if tally.first.is_some() {
                return (Some(pairs::LINES.into()), tally);
            }
            mutants::plant(None);
        }
        for scenario in ALL.iter().filter(|scenario| chosen(scenario.name)) {
            match scenario.makes_segments() {
                true => kill_for_real(scenario, 0, &mut tally),
                false => kill_by_images(scenario, DEPTH, &mut tally),
            }
            if tally.first.is_some() {
                return (Some(scenario.name.into()), tally);
            }
        }
        for step in migration::ALL.iter().filter(|step| chosen(step.name)) {
            kill_at_changes(step, &mut tally);
            if tally.first.is_some() {
                return (Some(step.name.into()), tally);
            }
        }
        for kind in kinds::ALL.iter().filter(|kind| chosen(kind.name)) {
            kind.kill(&mut tally);
            if tally.first.is_some() {
                return (Some(kind.name.into()), tally);
            }
        }
        for operation in calls::ALL.iter().filter(|operation| chosen(operation.name)) {
            kill_at_calls(operation, &mut tally);
            if tally.first.is_some() {
                return (Some(operation.name.into()), tally);
            }
        }
        (None, tally)
    }

    /// Returns whether a mutant keeps something from the barrier of an image, which no kill shows.
    fn is_of_images(mutant: Mutant) -> bool {
        format!("{mutant:?}").starts_with("Unwatched")
    }

    /// Returns the table of mutants, and how many were missed.
    pub(crate) fn mutants(document: &str, bless: bool) -> (String, usize) {
        let mut table = String::from("| mutant | what it does | caught by |\n|---|---|---|\n");
        let mut missed = 0;
        let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        for (mutant, says) in mutants::ALL {
            let name = format!("{mutant:?}");
            let row = document.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            if let (false, Some(row)) =
                (chosen.is_empty() || chosen.iter().any(|part| name.contains(part)), row)
            {
                table += &format!("{row}\n");
                continue;
            }
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
            match &found {
                Some(name) => {
                    println!("caught at point {:5}: {mutant:?}, {says}\n    {name}: {first}", tally.points)
                }
                None => println!("MISSED at all {} points: {mutant:?}, {says}", tally.points),
            }
            missed += usize::from(found.is_none());
            table += &format!("| `{mutant:?}` | {says} | {} |\n", found.unwrap_or_default());
        }
        (table, missed)
    }

    /// Returns the table of mutants from the document.
    pub(crate) fn mutants_of(document: &str) -> String {
        let table = document.split("\n\n").find(|part| part.starts_with("| mutant |"));
        table.unwrap_or_default().to_string() + "\n"
    }

    /// Returns the table of commit stores, the number of violations, and the number of cells
    /// without a test.
    pub(crate) fn stores() -> (String, u64, usize) {
        // tests/migration_kills.rs kills after all other stores.
        let mut tally = Tally { quick: true, commits_only: true, ..Tally::default() };
        let began = std::time::Instant::now();
        let done = |name: &str| println!("commit stores: {:6.1} s, {name}", began.elapsed().as_secs_f64());
        for scenario in ALL {
            match scenario.makes_segments() {
                true => kill_for_real(scenario, 0, &mut tally),
                false => kill_by_images(scenario, 1, &mut tally),
            }
            done(scenario.name);
        }
        for step in migration::ALL {
            kill_at_changes(step, &mut tally);
            done(step.name);
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

    /// Returns the table of the bugs of locks and queues.
    fn slips() -> String {
        let row = |(slip, says, by): &(Slip, &str, &str)| format!("| `{slip:?}` | {says} | {by} |\n");
        let rows: String = ALL_SLIPS.iter().map(row).collect();
        format!("| bug | what it does | caught by |\n|---|---|---|\n{rows}")
    }

    pub(crate) fn document(mutants: &str, stores: &str) -> String {
        let slips = slips();
        format!(
            "# What the crash tests catch\n\n\
             `cargo test --release --features __internal_mutants --test mutants` checks this file and, with `HOTPOOL_BLESS=1`,\n\
             rewrites it. Do not edit it by hand.\n\n\
             ## Mutants\n\n\
             Each mutant exists only with the feature `__internal_mutants` (`src/mutants.rs`). The last column names the test of\n\
             `tests/harness/scenario.rs`, `calls.rs`, `migration.rs` or `kinds.rs` that catches it. A test `image during:` is one of\n\
             `imaging.rs`: it compares an image with the pool at its beginning. `threads, the cache lines of two guards` is `common_lines` of\n\
             `tests/threads/pairs.rs`: it compares the cache lines that two threads change.\n\n\
             {mutants}\n\
             ## Locks and queues\n\n\
             The bugs of `src/sync/slips.rs`. `cargo test --release --features __internal_mutants --test message_kills -- none`\n\
             shows that a scenario of `tests/messages/scenarios.rs` or `leftovers.rs` whose name has these words catches each.\n\n\
             {slips}\n\
             ## Commit stores\n\n\
             Each commit store of `docs/layout.md`, with two of the tests that kill the process between it and the\n\
             commit store before it, and between it and the next one.\n\n\
             {stores}"
        )
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the harness is written for x86-64");
}
