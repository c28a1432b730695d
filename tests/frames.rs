//! The example `frames` finds each frame whole and once, finds every planted mistake, and leaves
//! nothing, however it ends.

mod drive;
mod example;
#[path = "harness/own_keys.rs"]
mod own_keys;

use drive::Run;
use hotpool::units::Key;
use own_keys::own_keys;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Returns a run with its own keys.
fn run(frames: u64, kills: u64) -> Run {
    let key = Key(own_keys(2));
    let mut command = Command::new(example::built("frames"));
    command.arg("--json").arg(format!("--frames={frames}")).arg(format!("--kills={kills}"));
    command.arg(format!("--key={key}"));
    Run { command, keys: vec![key, Key(key.0 + 1)] }
}

#[test]
fn a_consumer_that_is_killed_continues_and_no_frame_is_lost_or_torn() {
    let (code, json) = run(60, 8).outcome(None);
    println!("{json}");
    for fault in ["lost", "repeated", "torn"] {
        assert_eq!(json[fault], 0, "{json}");
    }
    assert_eq!((&json["frames"], &json["frame_bytes"]), (&Value::from(60), &Value::from(1280 * 720 * 3)));
    assert!(json["kills"].as_u64().unwrap() >= 6, "{json}");
    assert_eq!(code, Some(0));
}

#[test]
fn planted_mistakes_are_found() {
    for mistake in ["torn", "lost", "repeated"] {
        let (code, json) = run(12, 1).outcome(Some(mistake));
        assert_ne!(json[mistake], 0, "{mistake}: {json}");
        assert_eq!(code, Some(1), "{mistake}: {json}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    run(1_000_000, 3).interrupt(Duration::ZERO);
}
