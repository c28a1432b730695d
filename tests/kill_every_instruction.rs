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

/// What a process that does the other half of the scenarios is started with.
#[cfg(target_arch = "x86_64")]
const OTHER_HALF: &str = "--other-half";

#[cfg(target_arch = "x86_64")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == OTHER_HALF) {
        let [points, violations, images, wrong] = half(1, &arguments);
        println!("{points} {violations} {images} {wrong}");
        return;
    }
    let began = std::time::Instant::now();
    // Kills wait for the kernel: two processes take half the time.
    let program = std::env::current_exe().unwrap();
    let mut other = std::process::Command::new(program);
    let other = other.args(&arguments).arg(OTHER_HALF).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let ours = half(0, &arguments);
    let output = other.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (lines, counts) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    println!("{lines}");
    assert!(output.status.success(), "the other half ended with {}: {counts}", output.status);
    let theirs: Vec<u64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
    let [points, violations, images, wrong] = std::array::from_fn(|at| ours[at] + theirs[at]);
    println!("{:.1} s", began.elapsed().as_secs_f64());
    println!("nested images: {images}, violations: {wrong}");
    println!("kill points: {points}, violations: {violations}");
    std::process::exit(i32::from(violations + wrong != 0));
}

/// Every second scenario, from `first` on: kill points and their violations, images and theirs.
#[cfg(target_arch = "x86_64")]
fn half(first: usize, arguments: &[String]) -> [u64; 4] {
    use harness::run;
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut kills = run::Tally::default();
    let mut images = run::Tally::default();
    for scenario in harness::scenario::ALL.iter().skip(first).step_by(2) {
        let name = |part: &&String| scenario.name.contains(*part) || "kill_every_instruction".contains(*part);
        if chosen.is_empty() || chosen.iter().any(name) {
            run::kill_for_real(scenario, EVERY, &mut kills);
            run::kill_by_images(scenario, DEPTH, &mut images);
        }
    }
    [kills.points, kills.violations, images.points, images.violations]
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("only on x86-64: the stepper knows its instructions");
}
