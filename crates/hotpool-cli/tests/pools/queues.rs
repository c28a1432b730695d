//! `hotpool queues` shows the queues of an ini and their members, and removes what no process uses.

use crate::bench::Bench;
use hotpool::ConfMgr;
use hotpool::queue::{Receiver, Sender, WorkQueue};

/// Returns the key of a queue and an ini that declares it.
fn ini_with(bench: &Bench, name: &str, kind: &str) -> (String, String) {
    let (key, ini) = (bench.base(1).to_string(), bench.ini(&["zone"]));
    let text = std::fs::read_to_string(&ini).unwrap();
    let queue = format!(
        "\n[queue.{name}]\nKey = {key}\nKind = {kind}\nCapacity = 8\nMessageSize = 64\nWriters = zone\nReaders = zone\n"
    );
    std::fs::write(&ini, text + &queue).unwrap();
    (key, ini)
}

#[test]
fn queues_are_shown_with_their_members_and_removed_when_idle() {
    let bench = Bench::new();
    let (key, ini) = ini_with(&bench, "moves", "channel");
    let answer = bench.hotpool(&["queues", "--conf", &ini]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    assert!(answer.out.contains(&format!("{key} moves: not created yet")), "{}", answer.out);
    assert_eq!(bench.hotpool(&["queues", "--key", &key]).code, 7);

    let conf = ConfMgr::load(&ini).unwrap();
    let queue = conf.queue("moves").unwrap();
    let mut tx: Sender<[u8]> = Sender::open(queue, "zone").unwrap();
    for _ in 0..3 {
        tx.send(b"north").unwrap();
    }
    let answer = bench.hotpool(&["queues", "--conf", &ini, "--interval", "1"]);
    let row = |role: &str| answer.out.lines().find(|line| line.contains(role)).unwrap_or_default().to_owned();
    assert!(answer.out.contains("channel of 8 messages of up to 64, 3 sent"), "{}", answer.out);
    assert!(row("writer").contains(&format!("pid {}", std::process::id())), "{}", answer.out);
    assert!(row("reader").contains("dead, or not started"), "{}", answer.out);

    let mut rx: Receiver<[u8]> = Receiver::open(queue, "zone").unwrap();
    rx.recv().unwrap();
    rx.ack();
    let json = bench.hotpool(&["queues", "--json", "--key", &key, "--interval", "1"]).json();
    let reader = &json["queues"][0]["readers"][0];
    assert_eq!((reader["lag"].as_u64(), reader["alive"].as_bool()), (Some(2), Some(true)), "{json:#}");
    assert_eq!(json["queues"][0]["writers"][0]["sent"], 3, "{json:#}");

    let answer = bench.hotpool(&["queues", "--rm", &key]);
    assert_eq!(answer.code, 4, "{}", answer.out);
    drop((tx, rx));
    assert_eq!(bench.hotpool(&["queues", "--rm", &key]).code, 0);
    assert_eq!(bench.hotpool(&["queues", "--rm", &key]).code, 7);
}

#[test]
fn a_queue_is_shown_with_the_bytes_of_its_large_messages() {
    let bench = Bench::new();
    let (key, ini) = ini_with(&bench, "maps", "channel");
    let text = std::fs::read_to_string(&ini).unwrap();
    std::fs::write(&ini, text.replace("MessageSize = 64\n", "MessageSize = 64\nPayloadBytes = 4K\n"))
        .unwrap();
    assert_eq!(bench.hotpool(&["check", &ini]).code, 0);
    let conf = ConfMgr::load(&ini).unwrap();
    let queue = conf.queue("maps").unwrap();
    let mut tx: Sender<[u8]> = Sender::open(queue, "zone").unwrap();
    let mut rx: Receiver<[u8]> = Receiver::open(queue, "zone").unwrap();
    tx.try_send(&[7; 1024]).unwrap();
    tx.try_send(&[7; 1000]).unwrap();
    let answer = bench.hotpool(&["queues", "--conf", &ini, "--interval", "1"]);
    let says = "channel of 8 messages of up to 64 (larger ones of up to 4K), 2 sent";
    assert!(answer.out.contains(says), "{}", answer.out);
    assert!(answer.out.contains("2K of 4K for large messages used"), "{}", answer.out);
    rx.recv().unwrap();
    rx.ack();
    let json = bench.hotpool(&["queues", "--json", "--key", &key, "--interval", "1"]).json();
    let queue = &json["queues"][0];
    assert_eq!(
        (queue["payload_bytes"].as_u64(), queue["writers"][0]["payload_used"].as_u64()),
        (Some(4096), Some(1024)),
        "{json:#}"
    );
    drop((tx, rx));
    assert_eq!(bench.hotpool(&["queues", "--rm", &key]).code, 0);
}

#[test]
fn a_work_queue_is_shown_with_what_is_not_finished() {
    let bench = Bench::new();
    let (key, ini) = ini_with(&bench, "jobs", "work");
    let conf = ConfMgr::load(&ini).unwrap();
    let queue = conf.queue("jobs").unwrap();
    let mut tx: Sender<[u8]> = Sender::open(queue, "zone").unwrap();
    let mut rx: WorkQueue<[u8]> = WorkQueue::open(queue, "zone").unwrap();
    for _ in 0..3 {
        tx.send(b"dig").unwrap();
    }
    rx.recv().unwrap();
    rx.recv().unwrap();
    let answer = bench.hotpool(&["queues", "--conf", &ini, "--interval", "1"]);
    let says = "work of 8 messages of up to 64, 3 sent (2 not finished), the last";
    assert!(answer.out.contains(says), "{}", answer.out);
    let json = bench.hotpool(&["queues", "--json", "--key", &key, "--interval", "1"]).json();
    let queue = &json["queues"][0];
    assert_eq!(
        (queue["unfinished"].as_u64(), queue["readers"][0]["lag"].as_u64()),
        (Some(2), Some(1)),
        "{json:#}"
    );
    drop((tx, rx));
    assert_eq!(bench.hotpool(&["queues", "--rm", &key]).code, 0);
}

#[test]
fn ls_verify_and_rm_know_the_queues_of_an_ini() {
    let bench = Bench::new();
    let (key, ini) = ini_with(&bench, "moves", "channel");
    let name = format!("{key} (queue moves)");
    let says = |args: &[&str], code: i32, line: &str| {
        let answer = bench.hotpool(&[args, &["--conf", &ini]].concat());
        assert_eq!(answer.code, code, "{args:?}:\n{}{}", answer.out, answer.err);
        assert!(answer.out.contains(&format!("{name}: {line}")), "{args:?}:\n{}{}", answer.out, answer.err);
    };
    says(&["ls"], 0, "absent: no process has created it yet");
    let conf = ConfMgr::load(&ini).unwrap();
    let queue = conf.queue("moves").unwrap();
    let mut tx: Sender<[u8]> = Sender::open(queue, "zone").unwrap();
    tx.send(b"north").unwrap();
    let sound = "sound: channel of 8 messages, 1 sent, 1 of 2 members alive";
    says(&["ls"], 0, sound);
    // The pool is absent.
    says(&["verify"], 7, sound);
    says(&["rm", "--yes"], 4, "refused: 1 member of it alive; stop them first");
    assert!(!bench.hotpool(&["rm", "--yes", "--conf", &ini, "--process", "zone"]).out.contains("moves"));
    drop(tx);
    says(&["rm", "--dry-run"], 0, "sound: channel of 8 messages, 1 sent, 0 of 2 members alive");
    let json = bench.hotpool(&["ls", "--json", "--conf", &ini]).json();
    assert_eq!(json["queues"][0]["state"], "sound", "{json:#}");
    says(&["rm", "--yes"], 0, "removed");
    says(&["ls"], 0, "absent: no process has created it yet");
}
