//! The crash harness sees mistakes: each of those in `src/mutants.rs` is planted and has to be caught (G14).
//!
//! `cargo test --release --features mutants --test mutants`

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
fn main() {
    use harness::run::{Tally, kill_by_images, kill_for_real};
    use harness::scenario::ALL;
    use hotpool::mutants;
    let caught = |mutant| {
        let arm = move |on: bool| mutants::plant(on.then_some(mutant));
        let mut tally = Tally { quick: true, arm: Some(Box::new(arm)), ..Tally::default() };
        for scenario in ALL {
            kill_by_images(scenario, 3, &mut tally);
            if tally.first.is_some() {
                return tally;
            }
        }
        // What makes segments is killed for real alone.
        for scenario in ALL.iter().filter(|scenario| scenario.makes_segments()) {
            kill_for_real(scenario, 0, &mut tally);
            if tally.first.is_some() {
                return tally;
            }
        }
        tally
    };
    let mut missed = Vec::new();
    for (mutant, says) in mutants::ALL {
        let tally = caught(*mutant);
        mutants::plant(None);
        match tally.first {
            Some(first) => {
                let line = first.lines().next().unwrap_or_default();
                let line: String = line.chars().take(150).collect();
                println!("caught at point {:5}: {mutant:?}, {says}\n    {line}", tally.points);
            }
            None => {
                println!("MISSED at all of {} points: {mutant:?}, {says}", tally.points);
                missed.push(says);
            }
        }
    }
    println!("mutants: {}, caught: {}", mutants::ALL.len(), mutants::ALL.len() - missed.len());
    std::process::exit(i32::from(!missed.is_empty()));
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("only on x86-64");
}
