//! The example `trade` finds no fault in the pool, finds every planted bug, and leaves nothing,
//! however it ends (G9, G10).

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

/// In a release build, a kill takes a few milliseconds.
const KILLS: u64 = if cfg!(debug_assertions) { 150 } else { 10_000 };

/// Returns a run with its own keys.
fn run(kills: u64) -> Run {
    let key = Key(own_keys(2));
    let mut command = Command::new(example::built("trade"));
    command.arg("--json").arg(format!("--kills={kills}")).arg(format!("--key={key}"));
    Run { command, keys: vec![key, Key(key.0 + 1)] }
}

#[test]
fn a_killed_trade_happens_exactly_once() {
    let (code, json) = run(KILLS).outcome(None);
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
        let (code, json) = run(40).outcome(Some(mistake));
        assert!(json["fault"].is_string(), "{mistake}: {json}");
        assert_eq!(code, Some(1), "{mistake}: {json}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    run(1_000_000).interrupt(Duration::from_millis(300));
}
