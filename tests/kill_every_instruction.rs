//! A SIGKILL after every instruction of every operation leaves the state before it or after it (G1,
//! G2, G4).
//!
//! `kill points`: the kernel kills a real child after an instruction of the operation. The test
//! then opens the pool, runs `verify`, and compares the objects and their handles with the states
//! before and after the operation. Operations of up to [`EVERY`] instructions are killed after each
//! of them. Longer ones (an open has tens of thousands) are killed after each instruction that
//! stored to a segment or entered the kernel. Between these, nothing changes that outlives a
//! process.
//!
//! `nested images`: the bytes after each store of the operation are resumed, then the bytes after
//! each store of that recovery, and so on, up to the recovery of a recovery of a recovery.
//!
//! The last lines are the counts. An argument selects the scenarios whose name contains it. A debug
//! build, in which an operation has ten times as many instructions, runs every 48th scenario if none
//! is selected; `.ci/run` runs all of them in a release build.

#[cfg(target_arch = "x86_64")]
mod harness;

/// Operations of up to so many instructions are killed after each one.
#[cfg(target_arch = "x86_64")]
const EVERY: usize = if cfg!(debug_assertions) { 150 } else { 480 };

/// One of this many scenarios runs if none is selected.
#[cfg(target_arch = "x86_64")]
const ONE_OF: usize = if cfg!(debug_assertions) { 48 } else { 1 };

/// How many interrupted recoveries follow each other.
#[cfg(target_arch = "x86_64")]
const DEPTH: u32 = if cfg!(debug_assertions) { 1 } else { 3 };

/// The arguments of the processes that run one half of the scenarios each.
#[cfg(target_arch = "x86_64")]
const HALVES: [&str; 2] = ["--first-half", "--second-half"];

#[cfg(target_arch = "x86_64")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(first) = HALVES.iter().position(|half| arguments.iter().any(|argument| argument == half)) {
        harness::alone::enter();
        let [points, violations, images, wrong] = half(first, &arguments);
        println!("{points} {violations} {images} {wrong}");
        return;
    }
    let began = std::time::Instant::now();
    // The kills wait for the kernel, so two processes take half the time.
    let halves = HALVES.map(|half| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(&arguments).arg(half).stdout(std::process::Stdio::piped()).spawn().unwrap()
    });
    let [points, violations, images, wrong] =
        halves.map(counts).into_iter().fold([0; 4], |all, its| std::array::from_fn(|at| all[at] + its[at]));
    println!("{:.1} s", began.elapsed().as_secs_f64());
    println!("nested images: {images}, violations: {wrong}");
    println!("kill points: {points}, violations: {violations}");
    std::process::exit(i32::from(violations + wrong != 0));
}

/// Waits for the process of one half, and returns its counts.
#[cfg(target_arch = "x86_64")]
fn counts(half: std::process::Child) -> [u64; 4] {
    let output = half.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (lines, counts) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    println!("{lines}");
    assert!(output.status.success(), "one half ended with {}: {counts}", output.status);
    let counts: Vec<u64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
    counts.try_into().unwrap()
}

/// Runs every second scenario, beginning with `first`. Returns kill points and their violations,
/// images and their violations.
#[cfg(target_arch = "x86_64")]
fn half(first: usize, arguments: &[String]) -> [u64; 4] {
    use harness::run;
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut kills = run::Tally::default();
    let mut images = run::Tally::default();
    for (number, scenario) in harness::scenario::ALL.iter().skip(first).step_by(2).enumerate() {
        let name = |part: &&String| scenario.name.contains(*part) || "kill_every_instruction".contains(*part);
        if chosen.is_empty() && number % ONE_OF == 0 || chosen.iter().any(name) {
            run::kill_for_real(scenario, EVERY, &mut kills);
            run::kill_by_images(scenario, DEPTH, &mut images);
        }
    }
    [kills.points, kills.violations, images.points, images.violations]
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the stepper is written for x86-64");
}
