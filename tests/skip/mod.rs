//! Reports that a test cannot run on this host.
#![allow(dead_code, reason = "not every test that includes this module skips")]

use std::io::Write;

/// The file that collects the messages until `zz_skipped`, the last test, prints them.
pub(crate) const FILE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped.txt");

/// Reports that a test, or a part of it, was skipped. The test harness captures the output of tests
/// that pass, so this writes to stderr, and `zz_skipped` repeats the message at the end.
pub(crate) fn skipped(why: &str) {
    let line = format!("SKIPPED: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(FILE) {
        let _ = file.write_all(line.as_bytes());
    }
}
