//! A SIGKILL after every instruction of every operation leaves the state before it or behind it (G1, G2, G4).
//!
//! `kill points`: a real child is killed by the kernel behind an instruction of the operation; the next open, the
//! walk of `verify`, the objects and their handles are compared with what was before and what would have been
//! behind. Operations of up to [`EVERY`] instructions are killed behind each of them; in longer
//! ones (an open has tens of thousands) behind each that stored to a segment or entered the kernel,
//! because between these nothing changes that outlives a process.
//!
//! `nested images`: the bytes behind each store of the operation are resumed; the bytes behind each store of that
//! recovery are resumed; and so on, to the recovery of a recovery of a recovery.
//!
//! The last lines are the counts. An argument runs the scenarios whose name contains it.

#[cfg(target_arch = "x86_64")]
mod harness;

/// Operations of so many instructions are killed behind each.
#[cfg(target_arch = "x86_64")]
const EVERY: usize = if cfg!(debug_assertions) { 150 } else { 480 };

/// Recoveries that are cut on top of each other.
#[cfg(target_arch = "x86_64")]
const DEPTH: u32 = if cfg!(debug_assertions) { 1 } else { 3 };

#[cfg(target_arch = "x86_64")]
fn main() {
    use harness::run;
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let began = std::time::Instant::now();
    let mut kills = run::Tally::default();
    let mut images = run::Tally::default();
    for scenario in harness::scenario::ALL {
        let name = |part: &String| scenario.name.contains(part) || "kill_every_instruction".contains(part);
        if chosen.is_empty() || chosen.iter().any(name) {
            run::kill_for_real(scenario, EVERY, &mut kills);
            run::kill_by_images(scenario, DEPTH, &mut images);
        }
    }
    println!("{:.1} s", began.elapsed().as_secs_f64());
    println!("nested images: {}, violations: {}", images.points, images.violations);
    println!("kill points: {}, violations: {}", kills.points, kills.violations);
    std::process::exit(i32::from(kills.violations + images.violations != 0));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("only on x86-64: the stepper knows its instructions");
}
