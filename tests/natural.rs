//! The example `natural` measures each operation on both sides, and leaves no segment.

mod example;
#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::share::{Home, observe};
use hotpool::units::Key;
use own_keys::own_keys;
use serde_json::Value;
use std::process::Command;

#[test]
fn each_operation_is_measured_on_both_sides() {
    let key = Key(own_keys(2));
    let mut command = Command::new(example::built("natural"));
    command.args(["--json", "--rounds=1", "--millis=1", "--objects=1000"]).arg(format!("--key={key}"));
    let output = command.output().unwrap();
    for key in [key, Key(key.0 + 1)] {
        assert!(observe(key, &Home::sysv()).unwrap().segment.is_none(), "a segment is left under {key}");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = json.as_array().unwrap();
    let mut ops: Vec<&str> = rows.iter().map(|row| row["op"].as_str().unwrap()).collect();
    ops.sort_unstable();
    assert_eq!(ops, ["find_many", "get", "get_key", "get_many", "iter_mut", "mixed", "pair"]);
    for row in rows {
        assert_eq!(row["n"], 1000);
        let [ours, theirs, ratio] =
            ["hotpool_ns", "slotmap_ns", "ratio"].map(|name| row[name].as_f64().unwrap());
        assert!(ours > 0.0 && (ours / theirs / ratio - 1.0).abs() < 1e-6, "{row}");
    }
}
