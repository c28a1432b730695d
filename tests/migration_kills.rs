//! A SIGKILL after every instruction of a migration that changes a segment leaves what
//! docs/migration.md says: the build that starts next decides (G14).
//!
//! An argument runs the steps whose name contains it. A release build runs them: in a debug build the
//! single steps take minutes.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
fn main() {
    use harness::{kinds, migration};
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if cfg!(debug_assertions) && chosen.is_empty() {
        println!("runs in a release build only");
        return;
    }
    harness::alone::enter();
    let began = std::time::Instant::now();
    let mut tally = harness::run::Tally::default();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str()));
    for step in migration::ALL.iter().filter(|step| is_chosen(step.name)) {
        migration::kill_at_changes(step, &mut tally);
    }
    for kind in kinds::ALL.iter().filter(|kind| is_chosen(kind.name)) {
        kind.kill(&mut tally);
    }
    println!("{:.1} s", began.elapsed().as_secs_f64());
    println!("kill points: {}, violations: {}", tally.points, tally.violations);
    std::process::exit(i32::from(tally.violations != 0));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the stepper is written for x86-64");
}
