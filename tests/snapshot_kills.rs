//! SIGKILL at random moments of a save and of a restore, a reboot, a full disk, and low limits
//! (docs/snapshots.md).
//!
//! After a killed save the pool is as it was, and each set is whole. After a killed restore the pool is
//! whole or absent, and whatever comes next, a start, another restore or a removal, leaves nothing of
//! the killed one. `HOTPOOL_SNAPSHOT_KILLS=500` sets the number of kills of each kind.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod snapshots;

#[cfg(target_arch = "x86_64")]
fn main() {
    if snapshots::kills::child() || snapshots::places::child() {
        return;
    }
    let rounds = std::env::var("HOTPOOL_SNAPSHOT_KILLS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.unwrap_or(if cfg!(debug_assertions) { 10 } else { 60 });
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str()));
    for backend in snapshots::SHARED {
        let all: [(&str, fn(_, _)); 6] = [
            ("restore", snapshots::kills::restore),
            ("save", snapshots::kills::save),
            ("two restores", snapshots::kills::two_restores),
            ("a reboot", snapshots::places::rebooted),
            ("a full disk", snapshots::places::full_disk),
            ("low limits", snapshots::places::low_limits),
        ];
        for (name, test) in all.into_iter().filter(|(name, _)| is_chosen(name)) {
            let began = std::time::Instant::now();
            test(backend, rounds);
            println!("{name}, {}: ok, {:.1} s", backend.name(), began.elapsed().as_secs_f64());
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the harness is written for x86-64");
}
