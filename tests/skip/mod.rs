//! How a test says that it cannot show here what it is for.
#![allow(dead_code, reason = "not every test that has it says so itself")]

use std::io::Write;

/// Where the words are kept until `zz_skipped`, the last test, shows them.
pub(crate) const FILE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped.txt");

/// Says that a test, or a part of it, was skipped. The harness captures what `println` writes of a test that passes, so this goes past
/// it, and `zz_skipped` says it again at the end.
pub(crate) fn skipped(why: &str) {
    let line = format!("SKIPPED: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(FILE) {
        let _ = file.write_all(line.as_bytes());
    }
}
