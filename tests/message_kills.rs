//! A SIGKILL after every instruction of what locks and queues do leaves what docs/messaging.md says
//! (G13).
//!
//! A child opens a lock or queue, and is stepped to an instruction of an operation and killed
//! there. Then the members that are left, and a successor of the dead one, go on: nothing hangs, no
//! message is torn, lost, invented or given twice without a word, and a torn value comes with
//! `OwnerDied`. Two scenarios begin where another process was killed in the middle of a send. An
//! argument runs the scenarios whose name contains it.

#[cfg(target_arch = "x86_64")]
#[allow(dead_code, unreachable_pub, reason = "the other tests use the rest")]
#[path = "harness/stepper.rs"]
mod stepper;

#[cfg(target_arch = "x86_64")]
mod messages;

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
        let (points, violation) = scenarios::run(scenario);
        kills += points;
        if let Some(violation) = violation {
            bad += 1;
            println!("VIOLATION {violation}");
        }
    }
    println!("kill points: {kills}, violations: {bad}, {:.1} s", began.elapsed().as_secs_f64());
    std::process::exit(i32::from(bad != 0));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("only on x86-64: the stepper knows its instructions");
}
