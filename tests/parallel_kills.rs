//! A SIGKILL while several threads are in operations leaves each object whole, or named, for each
//! thread (G8, G17).
//!
//! `pairs`: two threads of a real child are in an operation each. The test parks one of them after
//! each of its stores, steps the other one through every instruction, and kills the process there.
//! A debug build, in which an operation has ten times as many instructions, kills only after those
//! that changed a segment; a release build with `HOTPOOL_EVERY` also after every one of so many.
//!
//! `storm`: four threads change objects at random and order commands, and note in memory that
//! outlives them what they are about to do and what they have done. The process is killed after a
//! random time, and the pool is compared with these notes. `HOTPOOL_ROUNDS` sets the number of kills.
//!
//! The last lines are the counts.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod threads;

#[cfg(target_arch = "x86_64")]
fn main() {
    harness::alone::enter();
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |name: &str| {
        chosen.is_empty() || chosen.iter().any(|part| name.contains(part) || "parallel_kills".contains(part))
    };
    let (mut kills, mut violations) = (0, 0);
    for (name, run) in [("pairs", threads::pairs::run as fn() -> [u64; 2]), ("storm", threads::storm::run)] {
        if runs(name) {
            let [its_kills, its_violations] = run();
            println!("{name}: {its_kills} kills, violations: {its_violations}");
            kills += its_kills;
            violations += its_violations;
        }
    }
    println!("kills of several threads: {kills}, violations: {violations}");
    std::process::exit(i32::from(violations != 0));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the stepper is written for x86-64");
}
