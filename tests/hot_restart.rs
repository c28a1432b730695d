//! The example `hot_restart` finds no fault in the pools and queues, finds every planted bug, and leaves
//! nothing, however it ends.

mod example;

use hotpool::share::{Home, observe};
use hotpool::units::Key;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The first key of `config/memorypool.ini`, and the length of the range up to the last key of a
/// pool.
const FIRST_KEY: u32 = 0x4850_0100;
const KEYS: u32 = 0x300;
/// The keys of its queues.
const QUEUES: [u32; 2] = [0x4850_0f01, 0x4850_0f02];

/// Returns a run with its own keys: from 0x7c800000 up, 4096 apart.
fn run(kills: u32) -> (Command, u32) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 2 | NEXT.fetch_add(1, Ordering::Relaxed) & 3) & 0x7ff;
    let offset = 0x7c80_0000 + (number << 12) - FIRST_KEY;
    let mut command = Command::new(example::built("hot_restart"));
    command.args(["--objects", "9000", "--seconds", "60", "--json"]);
    command.arg(format!("--kills={kills}")).arg(format!("--key-offset={offset}"));
    (command, offset)
}

fn assert_nothing_is_left(offset: u32) {
    for key in (FIRST_KEY..FIRST_KEY + KEYS).chain(QUEUES).map(|key| Key(key + offset)) {
        let facts = observe(key, &Home::sysv()).unwrap();
        assert!(facts.segment.is_none(), "a segment is left under {key}");
        assert_eq!(facts.lock, hotpool::share::LockFacts::None, "semaphores are left under {key}");
    }
}

/// Returns the exit code, and the JSON object in the last line.
fn outcome(plant: Option<&str>) -> (Option<i32>, Value) {
    let (mut command, offset) = run(10);
    command.args(plant.map(|bug| format!("--plant={bug}")));
    let output = command.output().unwrap();
    assert_nothing_is_left(offset);
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_default();
    let json = serde_json::from_str(last).unwrap_or_else(|error| {
        panic!("{error} in {last:?}; {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code(), json)
}

#[test]
fn a_deployment_killed_thirty_times_loses_nothing() {
    let (code, json) = outcome(None);
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
        let (code, json) = outcome(Some(bug));
        assert_ne!(json[bug], 0, "{bug}: {json}");
        assert_eq!(code, Some(1), "{bug}: {json}");
    }
}

#[test]
fn letters_that_were_not_told_are_missed() {
    let (code, json) = outcome(Some("missed"));
    assert_ne!(json["lost"], 0, "{json}");
    assert_eq!(code, Some(1), "{json}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let (mut command, offset) = run(100_000);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("stopped by a signal"), "{said}");
    assert_nothing_is_left(offset);
}

#[test]
fn existing_pools_are_left_alone() {
    let (mut command, offset) = run(1);
    let kept = command.arg("--keep").output().unwrap();
    assert!(kept.status.success(), "{kept:?}");
    let refused = command.output().unwrap();
    for base in [0x4850_0100, 0x4850_0200, 0x4850_0300].map(|key| Key(key + offset)) {
        hotpool::share::remove_pool(base, &Home::sysv(), false).unwrap();
    }
    for key in QUEUES.map(|key| Key(key + offset)) {
        assert!(hotpool::sync::remove(key).unwrap(), "the queue {key} was not kept");
    }
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("hotpool rm --key"), "{said}");
    assert_nothing_is_left(offset);
}
