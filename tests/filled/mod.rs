//! A process that fills a pool and is killed with it.

use hotpool::share::{Home, remove_pool};
use hotpool::units::Key;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The name of the variable that has the base key of the pool to fill.
const ROLE: &str = "HOTPOOL_TEST_FILLED";

/// Returns the base key if this process is the one to be killed.
pub(crate) fn role() -> Option<u32> {
    std::env::var(ROLE).ok().map(|base| base.parse().unwrap())
}

/// Called by the process to be killed, when its pool is filled.
pub(crate) fn wait_for_the_kill() {
    println!("filled");
    std::io::stdin().lock().lines().for_each(drop);
}

/// Runs the test `serve` of this program in another process, and kills it when its pool is filled.
pub(crate) fn fill_and_kill(base: u32) -> Removed {
    let removed = Removed(base);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "serve", "--nocapture", "--test-threads=1"]).env(ROLE, base.to_string());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let filled = lines.map_while(Result::ok).any(|line| line.ends_with("filled"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(filled, "the process has ended before it had filled the pool");
    removed
}

/// Removes the pool, whatever the test does.
pub(crate) struct Removed(u32);

impl Drop for Removed {
    fn drop(&mut self) {
        let removed = remove_pool(Key(self.0), &Home::sysv(), false);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}
