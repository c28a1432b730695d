//! Common tools drive the example server: `redis-benchmark` loads it until it is killed, and
//! `redis-cli` then sees every acknowledged login in the restarted server.
//!
//! `redis-benchmark` does not report the replies, so a client that counts them runs beside it.

mod example;
mod skip;
#[allow(dead_code, reason = "shared with tests/zone_server.rs, which uses more")]
mod zone;

use skip::skipped;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use zone::Zone;

/// Number of players that the benchmark logs in, moves and hits.
const PLAYERS: u64 = 2000;

fn tools_are_missing() -> bool {
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|out| out.status.success());
    if has("redis-cli") && has("redis-benchmark") {
        return false;
    }
    skipped("redis-cli and redis-benchmark are not installed; run .ci/install-redis-tools");
    true
}

/// Launches 50 clients that send one command as fast as they can. They end with the server.
fn benchmark(port: u16, command: &str) -> Child {
    let mut child = Command::new("redis-benchmark");
    child.args(["-p", &port.to_string(), "-c", "50", "-n", "100000000", "-r", &PLAYERS.to_string(), "-q"]);
    child.args(command.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    child.spawn().unwrap()
}

/// Logs in uids above those of the benchmark until the server is gone. Returns the range of
/// acknowledged uids.
fn login_until_killed(zone: &Zone, first: u64) -> std::thread::JoinHandle<std::ops::Range<u64>> {
    let mut client = zone.client();
    std::thread::spawn(move || {
        let mut uids = first..;
        let refused = uids.find(|uid| client.ask(&format!("LOGIN {uid}")).is_none());
        first..refused.unwrap_or(u64::MAX)
    })
}

/// Queries every uid with `redis-cli` and counts the players found.
fn players_seen(port: u16, uids: impl Iterator<Item = u64>) -> usize {
    let mut cli = Command::new("redis-cli");
    cli.args(["-p", &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cli = cli.spawn().unwrap();
    let mut input = cli.stdin.take().unwrap();
    let commands: String = uids.map(|uid| format!("SHOW {uid}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(commands.as_bytes()));
    let output = cli.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| *line == "uid").count()
}

#[test]
fn redis_cli_sees_every_login_that_was_acknowledged_before_a_kill() {
    if tools_are_missing() {
        return;
    }
    let mut zone = Zone::start();
    // Create all players first: the benchmark gives up at the first error.
    let mut client = zone.client();
    let mut acknowledged: Vec<u64> = (0..PLAYERS).collect();
    for uid in &acknowledged {
        client.ask(&format!("LOGIN {uid}")).unwrap();
    }
    let commands = ["LOGIN __rand_int__", "MOVE __rand_int__ 3.5 -4", "HIT __rand_int__ 1"];
    for (round, command) in (1u64..).zip(commands) {
        let mut load = benchmark(zone.port, command);
        let counted = login_until_killed(&zone, round << 32);
        std::thread::sleep(Duration::from_millis(700));
        assert!(load.try_wait().unwrap().is_none(), "the benchmark gave up on {command}");
        zone.kill();
        let ready = zone.restart();
        assert!(ready.contains("died while serving"), "{ready}");
        let _ = load.kill();
        load.wait().unwrap();
        let uids = counted.join().unwrap();
        assert!(uids.end - uids.start > 100, "{command}: only {} logins", uids.end - uids.start);
        acknowledged.extend(uids);
        assert_eq!(players_seen(zone.port, acknowledged.iter().copied()), acknowledged.len(), "{command}");
    }
}

#[test]
fn redis_benchmark_completes() {
    if tools_are_missing() {
        return;
    }
    let zone = Zone::start();
    for (pipeline, command) in [("1", "LOGIN __rand_int__"), ("16", "MOVE __rand_int__ 1 2"), ("16", "PING")]
    {
        let mut run = Command::new("redis-benchmark");
        run.args([
            "-p",
            &zone.port.to_string(),
            "-c",
            "50",
            "-n",
            "20000",
            "-r",
            "1000",
            "-q",
            "-P",
            pipeline,
        ]);
        let output = run.args(command.split(' ')).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("requests per second"), "{output:?}");
    }
}
