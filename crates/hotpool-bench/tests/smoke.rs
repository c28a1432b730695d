//! The bench runs: every operation yields a row with times and a ratio. The test does not judge
//! them.

use serde_json::Value;
use std::process::Command;

fn rows(arguments: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotpool-bench"));
    command.args(["--quick", "--rounds", "2", "--round-ms", "1", "--objects", "200", "--players", "10"]);
    command.arg("--json").arg(&json).arg("--charts").arg(folder.path()).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join("ratios-64-200.svg").exists());
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

#[test]
fn every_operation_yields_a_row_with_its_ratio() {
    let rows = rows(&["--peer", "slotmap,lmdb,file,plain-reads,tear-down"]);
    for op in [
        "get_seq",
        "get_rand",
        "get_dep",
        "pair_hot",
        "churn_rand",
        "batch",
        "get_key",
        "force_get",
        "iter100",
        "iter50",
        "iter10",
        "tick",
        "fill",
        "first_object",
        "first_tick",
        "read_all",
        "take_over",
    ] {
        let row = rows.iter().find(|row| row["op"] == op).unwrap_or_else(|| panic!("no row for {op}"));
        for field in ["hotpool_ns", "peer_ns", "ratio", "n"] {
            assert!(row[field].as_f64().unwrap() > 0.0, "{field} of {row}");
        }
        assert!(row["peer"].is_string() && row["size"].is_u64(), "{row}");
    }
}

#[test]
fn only_selected_operations_and_peers_are_measured() {
    let rows = rows(&["--peer", "slab,hashbrown", "--only", "get_rand,tick"]);
    let found: Vec<_> =
        rows.iter().map(|row| (row["op"].as_str().unwrap(), row["peer"].as_str().unwrap())).collect();
    assert_eq!(
        found,
        [("get_rand", "slab"), ("get_rand", "hashbrown"), ("tick", "slab"), ("tick", "hashbrown")]
    );
}

#[test]
fn a_zone_runs_and_a_pool_grows() {
    for arguments in [["--profile", "m", "--ticks", "3"], ["--growth", "--quick", "--rounds", "1"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_hotpool-bench")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn messages_take_every_way_between_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotpool-bench"));
    let output =
        command.args(["messaging", "--quick", "--rounds", "1", "--json"]).arg(&json).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for (op, sizes, peers) in [
        ("latency_spin", &[64, 1024][..], &["ring", "iceoryx2"][..]),
        ("latency_block", &[64, 1024], &["futex", "iceoryx2", "unix-socket"]),
        ("throughput", &[64, 1024], &["ring", "iceoryx2", "unix-socket"]),
        ("batches", &[64, 1024], &["ring", "iceoryx2", "unix-socket"]),
        ("payload", &[65_536], &["ring", "iceoryx2", "unix-socket"]),
        ("frames", &[2_764_800], &["ring", "iceoryx2", "unix-socket"]),
    ] {
        for size in sizes {
            let built = |peer: &&&str| **peer != "iceoryx2" || cfg!(feature = "iceoryx2");
            for peer in peers.iter().filter(built) {
                let is_it = |row: &&Value| row["op"] == op && row["size"] == *size && row["peer"] == *peer;
                let row = rows.iter().find(is_it).unwrap_or_else(|| panic!("no row {op} {size} {peer}"));
                for field in ["hotpool_ns", "peer_ns", "ratio"] {
                    assert!(row[field].as_f64().unwrap() > 0.0, "{field} of {row}");
                }
            }
        }
    }
    let skipped = String::from_utf8_lossy(&output.stderr);
    for peer in ["nats", "redis", "iceoryx2"] {
        let measured = rows.iter().any(|row| row["peer"] == peer);
        assert_ne!(measured, skipped.contains(&format!("SKIPPED: {peer}:")), "{peer}: {skipped}");
    }
}
