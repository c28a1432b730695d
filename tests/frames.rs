//! The example `frames` finds each frame whole and once, finds every planted mistake, and leaves
//! nothing, however it ends.

mod example;

use hotpool::share::{Home, LockFacts, observe};
use hotpool::units::Key;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns a run with its own keys: two of the 2^16 from 0x7d010000 up.
fn run(frames: u64, kills: u64) -> (Command, Key) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 3 | NEXT.fetch_add(1, Ordering::Relaxed) & 7) & 0x7fff;
    let key = Key(0x7d01_0000 + (number << 1));
    let mut command = Command::new(example::built("frames"));
    command.arg("--json").arg(format!("--frames={frames}")).arg(format!("--kills={kills}"));
    command.arg(format!("--key={key}"));
    (command, key)
}

fn assert_nothing_is_left(first: Key) {
    for key in [first, Key(first.0 + 1)] {
        let facts = observe(key, &Home::sysv()).unwrap();
        assert!(facts.segment.is_none(), "a segment is left under {key}");
        assert_eq!(facts.lock, LockFacts::None, "semaphores are left under {key}");
    }
}

/// Returns the exit code, and the JSON object in the last line.
fn outcome(frames: u64, kills: u64, plant: Option<&str>) -> (Option<i32>, Value) {
    let (mut command, key) = run(frames, kills);
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
fn a_consumer_that_is_killed_continues_and_no_frame_is_lost_or_torn() {
    let (code, json) = outcome(120, 8, None);
    println!("{json}");
    for fault in ["lost", "repeated", "torn"] {
        assert_eq!(json[fault], 0, "{json}");
    }
    assert_eq!((&json["frames"], &json["frame_bytes"]), (&Value::from(120), &Value::from(1280 * 720 * 3)));
    assert!(json["kills"].as_u64().unwrap() >= 6, "{json}");
    assert_eq!(code, Some(0));
}

#[test]
fn planted_mistakes_are_found() {
    for mistake in ["torn", "lost", "repeated"] {
        let (code, json) = outcome(12, 1, Some(mistake));
        assert_ne!(json[mistake], 0, "{mistake}: {json}");
        assert_eq!(code, Some(1), "{mistake}: {json}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let (mut command, key) = run(1_000_000, 3);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("sending"), "{line}");
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("stopped by a signal"), "{said}");
    assert_nothing_is_left(key);
}
