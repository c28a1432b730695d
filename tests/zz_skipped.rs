//! The last test target: prints which tests were skipped since it last ran.

mod skip;

use std::collections::BTreeSet;

fn main() {
    let text = std::fs::read_to_string(skip::FILE).unwrap_or_default();
    let lines: BTreeSet<&str> = text.lines().collect();
    if lines.is_empty() {
        println!("\nno test was skipped");
    } else {
        println!("\n{} skipped, in this run or since the last complete one:", lines.len());
        lines.iter().for_each(|line| println!("{line}"));
    }
    let _ = std::fs::remove_file(skip::FILE);
}
