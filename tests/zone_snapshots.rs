//! A zone server whose ini asks for snapshots is killed, its host reboots, and the next start has the
//! zone again with no manual step.

mod example;
#[allow(dead_code, reason = "shared with tests/zone_server.rs, which uses more")]
mod zone;

use hotpool::share::{Home, remove_pool};
use hotpool::snapshot::list;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zone::{Client, Zone};

const INI: &str = "\
SnapshotDir = DIR/snapshots
SnapshotEverySec = 1
SnapshotKeep = 1
SnapshotOnClose = yes
OnMissing = restore
";

const PLAYERS: u64 = 200;

fn players(client: &mut Client) -> Vec<String> {
    (0..PLAYERS).map(|uid| client.ask(&format!("SHOW {uid}")).unwrap()).collect()
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Waits for a snapshot that begins after now.
fn wait_for_snapshot(zone: &Zone) {
    let (now, began) = (now_ns(), Instant::now());
    let is_new = || {
        let sets = list(&zone.path("snapshots")).unwrap();
        sets.iter().any(|set| set.info.as_ref().is_ok_and(|info| info.taken_ns > now))
    };
    while !is_new() {
        std::thread::sleep(Duration::from_millis(20));
        assert!(began.elapsed() < Duration::from_secs(60), "no snapshot was written");
    }
}

/// What a reboot does: no segment is left.
fn reboot(zone: &Zone) {
    let removed = remove_pool(zone.base_key(), &Home::sysv(), false).unwrap();
    assert!(!removed.removed.is_empty());
}

#[test]
fn a_zone_comes_back_after_a_reboot() {
    let mut zone = Zone::start_with(INI);
    let mut client = zone.client();
    for uid in 0..PLAYERS {
        client.ask(&format!("LOGIN {uid}")).unwrap();
        client.ask(&format!("MOVE {uid} {uid} 2.5")).unwrap();
        client.ask(&format!("HIT {uid} {}", uid % 50)).unwrap();
    }
    assert_eq!(client.ask("SPAWN 1000").unwrap(), ":1000");
    let told = players(&mut client);
    wait_for_snapshot(&zone);
    zone.kill();
    reboot(&zone);

    let ready = zone.restart();
    assert!(ready.contains("restored from"), "{ready}");
    let mut client = zone.client();
    assert_eq!(players(&mut client), told);
    assert_eq!(client.ask("COUNT monster").unwrap(), ":1000");

    // A server that is stopped writes what has changed.
    client.ask("MOVE 7 99 99").unwrap();
    let told = players(&mut client);
    assert!(zone.terminate().success());
    reboot(&zone);
    let ready = zone.restart();
    assert!(ready.contains("restored from"), "{ready}");
    assert_eq!(players(&mut zone.client()), told);

    // A kill without a reboot restores nothing: the pool is there.
    zone.kill();
    let ready = zone.restart();
    assert!(!ready.contains("restored from"), "{ready}");
    assert_eq!(players(&mut zone.client()), told);
}
