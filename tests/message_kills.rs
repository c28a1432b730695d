//! A SIGKILL after every instruction of what locks and queues do leaves what docs/messaging.md says
//! (G13).
//!
//! A child opens a lock or queue, and is stepped to an instruction of an operation and killed
//! there. Then the members that are left, and a successor of the dead one, go on: nothing hangs, no
//! message is torn, lost, invented or given twice without a word, and a torn value comes with
//! `OwnerDied`. A creation and a removal are also killed after each system call, and a creation after
//! each store to the new segment. Two scenarios begin where another process was killed in the middle of a send. An
//! argument runs the scenarios whose name contains it. `HOTPOOL_EVERY=16` kills after each sixteenth
//! instruction.

#[cfg(target_arch = "x86_64")]
#[allow(dead_code, unreachable_pub, reason = "the other tests use the rest")]
#[path = "harness/stepper.rs"]
mod stepper;

#[cfg(target_arch = "x86_64")]
mod messages;

#[cfg(target_arch = "x86_64")]
#[path = "messages/bank.rs"]
mod bank;

#[cfg(target_arch = "x86_64")]
#[path = "messages/leftovers.rs"]
mod leftovers;

#[cfg(target_arch = "x86_64")]
#[path = "messages/scenarios.rs"]
mod scenarios;

#[cfg(target_arch = "x86_64")]
fn main() {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let began = std::time::Instant::now();
    let (mut kills, mut bad) = (0, 0);
    for scenario in scenarios::ALL {
        if !chosen.is_empty() && !chosen.iter().any(|part| scenario.name.contains(part.as_str())) {
            continue;
        }
        // To find the commit store by single steps takes minutes in a debug build.
        if cfg!(debug_assertions) && scenario.name.contains("died at its commit") {
            println!("{}: runs in a release build only", scenario.name);
            continue;
        }
        let (points, violation) = scenarios::run(scenario, None);
        kills += points;
        if let Some(violation) = violation {
            bad += 1;
            println!("VIOLATION {violation}");
        }
    }
    if chosen.is_empty() || chosen.iter().any(|part| "leftovers".contains(part.as_str())) {
        let (points, violations) = leftovers::run();
        kills += points;
        bad += violations.len();
        let (points, violation) = leftovers::stores(None);
        kills += points;
        bad += usize::from(violation.is_some());
        violations.iter().chain(&violation).for_each(|violation| println!("VIOLATION {violation}"));
    }
    #[cfg(feature = "__internal_mutants")]
    {
        bad += planted(&chosen);
    }
    println!("kill points: {kills}, violations: {bad}, {:.1} s", began.elapsed().as_secs_f64());
    std::process::exit(i32::from(bad != 0));
}

/// Plants each bug of `src/sync/slips.rs`; how many are not detected by the scenario that is named
/// there.
#[cfg(all(target_arch = "x86_64", feature = "__internal_mutants"))]
fn planted(chosen: &[String]) -> usize {
    let mut missed = 0;
    let is_chosen = |name: String| {
        chosen.is_empty() || chosen.iter().any(|part| part == "none" || name.contains(part.as_str()))
    };
    for (slip, says, by) in hotpool::sync::slips::ALL {
        if !is_chosen(format!("{slip:?}")) {
            continue;
        }
        let scenarios: Vec<_> = scenarios::ALL.iter().filter(|scenario| scenario.name.contains(by)).collect();
        let made = (*by == leftovers::STORES).then(|| leftovers::stores(Some(*slip)).1).flatten();
        let detected = made.or_else(|| {
            scenarios.iter().find_map(|scenario| {
                // A child that fails where none should has detected it, too.
                let run = std::panic::AssertUnwindSafe(|| scenarios::run(scenario, Some(*slip)).1);
                std::panic::catch_unwind(run).unwrap_or(Some("a process failed".into()))
            })
        });
        missed += usize::from(detected.is_none());
        match detected {
            Some(what) => println!("detected: {slip:?}, {says}\n    {what}"),
            None => println!("MISSED: {slip:?}, {says}, by {by}"),
        }
    }
    missed
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("only on x86-64: the stepper knows its instructions");
}
