//! A SIGKILL at each step of creation, growth and removal of a region leaves what docs/regions.md says
//! (G13).
//!
//! A child is killed after each of its system calls, and after each instruction that changes the head of
//! a segment (in a debug build, after each sixteenth, and the instructions only of `sysv`). Then the region
//! is whole or absent, the next process goes on, and a removal leaves nothing. A thousand more rounds
//! kill at random moments (50 in a debug build). An argument runs the parts whose name contains it.

#[cfg(target_arch = "x86_64")]
#[allow(dead_code, unreachable_pub, reason = "the other tests use the rest")]
#[path = "harness/stepper.rs"]
mod stepper;

#[cfg(target_arch = "x86_64")]
mod regions;

#[cfg(target_arch = "x86_64")]
#[path = "regions/kills.rs"]
mod kills;

#[cfg(target_arch = "x86_64")]
fn main() {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str()));
    let (began, mut bad) = (std::time::Instant::now(), 0);
    for backend in regions::SHARED {
        for operation in kills::ALL {
            let name = format!("{} {}", operation.name, backend.name());
            if is_chosen(&name) {
                let (kills, violations) = kills::kill(operation, backend);
                println!("{name}: {kills} kills");
                violations.iter().for_each(|violation| println!("VIOLATION {name}: {violation}"));
                bad += violations.len();
            }
        }
    }
    if is_chosen("stopped") {
        kills::stopped();
    }
    if is_chosen("rounds") {
        kills::rounds(if cfg!(debug_assertions) { 50 } else { 1000 });
    }
    println!("region_kills: violations: {bad}; {:.1} s", began.elapsed().as_secs_f64());
    std::process::exit(i32::from(bad != 0));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the harness is written for x86-64");
}
