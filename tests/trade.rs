//! The example `trade` finds no fault in the pool, finds every planted bug, and leaves nothing,
//! however it ends (G9, G10).

mod example;

use hotpool::share::{Home, LockFacts, observe};
use hotpool::units::Key;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// In a release build, a kill takes a few milliseconds.
const KILLS: u64 = if cfg!(debug_assertions) { 150 } else { 10_000 };

/// Returns a run with its own keys: two of the 2^16 from 0x7d000000 up.
fn run(kills: u64) -> (Command, Key) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 3 | NEXT.fetch_add(1, Ordering::Relaxed) & 7) & 0x7fff;
    let key = Key(0x7d00_0000 + (number << 1));
    let mut command = Command::new(example::built("trade"));
    command.arg("--json").arg(format!("--kills={kills}")).arg(format!("--key={key}"));
    (command, key)
}

fn assert_nothing_is_left(base: Key) {
    for key in [base, Key(base.0 + 1)] {
        let facts = observe(key, &Home::sysv()).unwrap();
        assert!(facts.segment.is_none(), "a segment is left under {key}");
        assert_eq!(facts.lock, LockFacts::None, "semaphores are left under {key}");
    }
}

/// Returns the exit code, and the JSON object in the last line.
fn outcome(kills: u64, plant: Option<&str>) -> (Option<i32>, Value) {
    let (mut command, key) = run(kills);
    command.args(plant.map(|mistake| format!("--plant={mistake}")));
    let output = command.output().unwrap();
    assert_nothing_is_left(key);
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_default();
    let json = serde_json::from_str(last).unwrap_or_else(|error| {
        panic!("{error} in {last:?}; {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code(), json)
}

#[test]
fn a_killed_trade_happens_exactly_once() {
    let (code, json) = outcome(KILLS, None);
    println!("{json}");
    assert_eq!((&json["fault"], &json["kills"]), (&Value::Null, &Value::from(KILLS)), "{json}");
    assert!(json["compared"].as_u64().unwrap() > KILLS / 2, "{json}");
    assert!(json["messages"].as_u64().unwrap() > KILLS * 20, "{json}");
    assert!(json["cut"].as_u64().unwrap() > KILLS / 20, "too few kills interrupted a transaction: {json}");
    assert_eq!(code, Some(0));
}

#[test]
fn planted_bugs_are_found() {
    for mistake in ["copied", "unpaid", "repeated", "skipped"] {
        let (code, json) = outcome(40, Some(mistake));
        assert!(json["fault"].is_string(), "{mistake}: {json}");
        assert_eq!(code, Some(1), "{mistake}: {json}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let (mut command, key) = run(1_000_000);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("stopped by a signal"), "{said}");
    assert_nothing_is_left(key);
}
