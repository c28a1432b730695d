//! The example `hot_restart` finds no fault in the pools and queues, finds every planted bug, and leaves
//! nothing, however it ends.

mod drive;
mod example;
#[path = "harness/own_keys.rs"]
mod own_keys;

use drive::Run;
use hotpool::share::Home;
use hotpool::units::Key;
use own_keys::own_keys;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// The first key of `config/memorypool.ini`, and the length of the range up to the last key of a
/// pool.
const FIRST_KEY: u32 = 0x4850_0100;
const KEYS: u32 = 0x300;
/// The keys of its queues.
const QUEUES: [u32; 2] = [0x4850_0f01, 0x4850_0f02];

/// Returns a run with its own keys.
fn run(kills: u32) -> (Run, u32) {
    let offset = own_keys(0x1000) - FIRST_KEY;
    let mut command = Command::new(example::built("hot_restart"));
    command.args(["--objects", "9000", "--seconds", "60", "--json"]);
    command.arg(format!("--kills={kills}")).arg(format!("--key-offset={offset}"));
    let keys = (FIRST_KEY..FIRST_KEY + KEYS).chain(QUEUES).map(|key| Key(key + offset)).collect();
    (Run { command, keys }, offset)
}

#[test]
fn a_deployment_killed_thirty_times_loses_nothing() {
    let (code, json) = run(10).0.outcome(None);
    assert_eq!((&json["processes"], &json["kills"]), (&Value::from(3), &Value::from(30)), "{json}");
    for fault in ["lost", "torn", "duplicated", "resurrected"] {
        assert_eq!(json[fault], 0, "{json}");
    }
    assert!(json["objects"].as_u64().unwrap() > 5000, "{json}");
    // Each process has received letters, each once and in order.
    for process in json["by_process"].as_array().unwrap() {
        assert!(process["letters"].as_u64().unwrap() > 20, "{json}");
    }
    assert!(json["resume_us_p50"].as_u64().unwrap() <= json["resume_us_max"].as_u64().unwrap(), "{json}");
    assert_eq!(code, Some(0));
}

#[test]
fn planted_bugs_are_found() {
    for bug in ["lost", "torn", "resurrected"] {
        let (code, json) = run(10).0.outcome(Some(bug));
        assert_ne!(json[bug], 0, "{bug}: {json}");
        assert_eq!(code, Some(1), "{bug}: {json}");
    }
}

#[test]
fn letters_that_were_not_told_are_missed() {
    let (code, json) = run(10).0.outcome(Some("missed"));
    assert_ne!(json["lost"], 0, "{json}");
    assert_eq!(code, Some(1), "{json}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    run(100_000).0.interrupt(Duration::from_millis(700));
}

#[test]
fn existing_pools_are_left_alone() {
    let (mut run, offset) = run(1);
    let kept = run.command.arg("--keep").output().unwrap();
    assert!(kept.status.success(), "{kept:?}");
    let refused = run.command.output().unwrap();
    for base in [0x4850_0100, 0x4850_0200, 0x4850_0300].map(|key| Key(key + offset)) {
        hotpool::share::remove_pool(base, &Home::sysv(), false).unwrap();
    }
    for key in QUEUES.map(|key| Key(key + offset)) {
        assert!(hotpool::sync::remove(key).unwrap(), "the queue {key} was not kept");
    }
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("hotpool rm --key"), "{said}");
    run.assert_nothing_is_left();
}
