//! A SIGKILL after every system call of open, `destroy` and `hotpool rm`, on every backend (G1, G4,
//! G15).
//!
//! `kill_every_instruction` kills them after every store between two calls.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
fn main() {
    use harness::{alone, calls, namespaces, run::Tally};
    alone::enter();
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let began = std::time::Instant::now();
    let mut tally = Tally::default();
    for operation in calls::ALL {
        let name = |part: &String| {
            operation.name.contains(part.as_str()) || "crash_system_calls".contains(part.as_str())
        };
        if chosen.is_empty() || chosen.iter().any(name) {
            calls::kill_at_calls(operation, &mut tally);
        }
    }
    if chosen.is_empty() || chosen.iter().any(|part| "crash_system_calls, namespaces".contains(part.as_str()))
    {
        namespaces::kill_in_two_namespaces(&mut tally);
    }
    println!(
        "crash_system_calls: {} kills, violations: {}; {:.1} s",
        tally.points,
        tally.violations,
        began.elapsed().as_secs_f64()
    );
    std::process::exit(i32::from(tally.violations != 0));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the harness is written for x86-64");
}
