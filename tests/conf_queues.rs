//! `[queue.NAME]` becomes validated data, and its mistakes are reported with their position.

use hotpool::ConfMgr;
use hotpool::conf::{OnDead, OnSlow, QueueKind};
use hotpool::limits;
use hotpool::units::{Bytes, Key};
use std::time::Duration;

const INI: &str = "\
[common]
ProcessList = zone, world

[zone]
BaseKey   = 0x48500100
BlockSize = 64M
ShmKeys   = 0x48500101

[world]
BaseKey   = 0x48500200
BlockSize = 64M
ShmKeys   = 0x48500201

[queue.moves]
Key         = 0x48500f01
Kind        = channel
Capacity    = 4096
MessageSize = 2K
Writers     = zone, world
Readers     = world
OnDead      = hold_for 30s
OnSlow      = drop_oldest

[queue.news]
Key         = 0x48500f02
Kind        = broadcast
Capacity    = 8
MessageSize = 64
Writers     = world
Readers     = zone
";

#[test]
fn a_queue_is_read_with_its_defaults() {
    let conf = ConfMgr::parse(INI, "a.ini").unwrap();
    let names: Vec<&str> = conf.queues().iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["moves", "news"]);
    let moves = conf.queue("moves").unwrap();
    assert_eq!((moves.key, moves.kind, moves.capacity), (Key(0x4850_0f01), QueueKind::Channel, 4096));
    assert_eq!((moves.message_bytes, moves.mode, moves.wait_ms), (Bytes(2048), 0o600, limits::OWNER_WAIT_MS));
    assert_eq!(
        (&moves.writers[..], &moves.readers[..]),
        (&["zone".into(), "world".into()][..], &["world".into()][..])
    );
    assert_eq!(
        (moves.on_dead, moves.on_slow),
        (OnDead::HoldFor(Duration::from_secs(30)), OnSlow::DropOldest)
    );
    assert_eq!(moves.place.to_string(), "a.ini:14: [queue.moves]");
    let news = conf.queue("news").unwrap();
    assert_eq!((news.on_dead, news.on_slow), (OnDead::Hold, OnSlow::Block));
}

#[test]
fn every_mistake_has_its_line_and_column() {
    let mistakes = [
        ("0x48500f02", "0x48500101", "a.ini:25:15: [queue.news] Key: ", "is already used at a.ini:7"),
        ("Capacity    = 8", "Capacity    = 0", "a.ini:27:15: [queue.news] Capacity: ", "is out of range"),
        ("Capacity    = 8\n", "", "a.ini:24:2: [queue.news] Capacity: ", "is missing"),
        (
            "MessageSize = 64",
            "MessageSize = 2G",
            "a.ini:28:15: [queue.news] MessageSize: ",
            "is out of range",
        ),
        ("broadcast", "lates", "a.ini:26:15: [queue.news] Kind: ", "did you mean latest?"),
        (
            "broadcast",
            "ring",
            "a.ini:26:15: [queue.news] Kind: ",
            "is not one of broadcast, channel, latest, work",
        ),
        ("hold_for 30s", "hold_for 30", "a.ini:21:15: [queue.moves] OnDead: ", "hold_for 30s"),
        ("hold_for 30s", "hold 30s", "a.ini:21:15: [queue.moves] OnDead: ", "one word"),
        ("hold_for 30s", "evicts", "a.ini:21:15: [queue.moves] OnDead: ", "did you mean evict?"),
        (
            "Writers     = zone, world",
            "Writers     = zone, zone",
            "a.ini:19:21: [queue.moves] Writers: ",
            "twice",
        ),
        (
            "Writers     = zone, world",
            "Writers     = zone,, world",
            "a.ini:19:20: [queue.moves] Writers: ",
            "empty",
        ),
        ("OnSlow ", "OnSlwo ", "a.ini:22:1: [queue.moves] OnSlwo: ", "did you mean OnSlow?"),
        ("[queue.news]", "[queue.1]", "a.ini:24:2: [queue.1]: ", "is not a"),
    ];
    for (from, to, place, says) in mistakes {
        assert!(INI.contains(from), "{from}");
        let error = ConfMgr::parse(&INI.replacen(from, to, 1), "a.ini").unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains(says), "{from} -> {to}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn policies_for_readers_belong_to_a_channel() {
    for kind in QueueKind::ALL {
        let text = INI.replacen("channel", kind.name(), 1);
        match (kind, ConfMgr::parse(&text, "a.ini")) {
            (QueueKind::Channel, answer) => assert!(answer.is_ok()),
            (_, answer) => {
                let error = answer.unwrap_err().to_string();
                let lines: Vec<&str> = error.lines().collect();
                assert_eq!(lines.len(), 2, "{error}");
                assert!(
                    lines[0].starts_with("a.ini:21:15: [queue.moves] OnDead: applies only to"),
                    "{error}"
                );
                assert!(
                    lines[1].starts_with("a.ini:22:15: [queue.moves] OnSlow: applies only to"),
                    "{error}"
                );
                let without: String = text
                    .lines()
                    .filter(|line| !line.starts_with("On"))
                    .map(|line| format!("{line}\n"))
                    .collect();
                assert_eq!(ConfMgr::parse(&without, "a.ini").unwrap().queue("moves").unwrap().kind, kind);
            }
        }
    }
}

#[test]
fn a_process_called_queue_keeps_its_types() {
    let text = INI.replace("zone", "queue") + "\n[queue.types]\nplayer = 5\n";
    let conf = ConfMgr::parse(&text, "a.ini").unwrap();
    assert_eq!(conf.process("queue").unwrap().type_conf("player").unwrap().capacity, 5);
    assert_eq!(conf.queues().len(), 2);
}
