//! `hotpool queues` shows the queues of an ini and their members, and removes what no process uses.

use crate::bench::{Answer, Bench};
use hotpool::ConfMgr;
use hotpool::conf::QueueConf;
use hotpool::queue::{Receiver, Sender, WorkQueue};
use hotpool::units::Key;
use std::sync::atomic::{AtomicU64, Ordering};

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
    assert!(
        answer.out.contains(&format!("{key} moves: absent: no process has created it yet")),
        "{}",
        answer.out
    );
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

/// An ini with one queue of each kind, and their keys.
struct Four {
    bench: Bench,
    ini: String,
}

impl Four {
    fn new(more: &str) -> Self {
        let bench = Bench::new();
        let ini = bench.ini(&["zone", "world"]);
        let mut text = std::fs::read_to_string(&ini).unwrap();
        for (n, kind) in ["broadcast", "channel", "latest", "work"].into_iter().enumerate() {
            let key = Key(bench.base(4).0 + n as u32);
            text += &format!(
                "\n[queue.{kind}]\nKey = {key}\nKind = {kind}\nCapacity = 4\nMessageSize = 64\nWriters = zone\n\
                 Readers = world\n{}\n",
                if kind == "channel" { more } else { "" }
            );
        }
        std::fs::write(&ini, text).unwrap();
        Four { bench, ini }
    }

    fn queue(&self, kind: &str) -> QueueConf {
        ConfMgr::load(&self.ini).unwrap().queue(kind).unwrap().clone()
    }

    fn run(&self, args: &[&str]) -> Answer {
        self.bench.hotpool(&[args, &["--conf", &self.ini]].concat())
    }

    /// Asserts that `doctor` says these lines about one queue, and no other ones of `--all`.
    #[track_caller]
    fn doctor(&self, kind: &str, wanted: &[(&str, &str, &str)]) {
        let json = self.run(&["doctor", "--all", "--json"]).json();
        let name = format!("queue {kind} ({}): ", self.queue(kind).key);
        let found: Vec<(String, String, String)> = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| ["check", "severity", "found"].map(|key| row[key].as_str().unwrap().to_owned()))
            .filter(|[_, _, found]| found.starts_with(&name))
            .map(|[check, severity, found]| (check, severity, found[name.len()..].to_owned()))
            .collect();
        let found: Vec<(&str, &str, &str)> =
            found.iter().map(|(check, severity, found)| (&check[..], &severity[..], &found[..])).collect();
        assert_eq!(found, wanted, "{kind}");
    }
}

impl Drop for Four {
    fn drop(&mut self) {
        for kind in ["broadcast", "channel", "latest", "work"] {
            let key = self.queue(kind).key;
            remove_segment(key);
            remove_set(key);
        }
    }
}

/// Removes a segment; returns whether there was one.
fn remove_segment(key: Key) -> bool {
    // SAFETY: integers only.
    let shmid = unsafe { libc::shmget(key.raw(), 0, 0) };
    // SAFETY: IPC_RMID takes no buffer.
    unsafe { libc::shmctl(shmid, libc::IPC_RMID, std::ptr::null_mut()) != -1 }
}

/// Removes a set of semaphores; returns whether there was one.
fn remove_set(key: Key) -> bool {
    // SAFETY: integers only.
    let semid = unsafe { libc::semget(key.raw(), 0, 0) };
    // SAFETY: IPC_RMID takes no argument.
    unsafe { libc::semctl(semid, 0, libc::IPC_RMID) != -1 }
}

fn send(tx: &mut Sender<[u8]>) {
    tx.send(b"north").unwrap();
}

const PARTS: (&str, &str, &str) = ("queue-parts", "ok", "its segment and its semaphores are there");
const AGREES: (&str, &str, &str) = ("queue-config", "ok", "the ini agrees with it");
const SERVED: (&str, &str, &str) = ("queue-readers", "ok", "no message waits for a dead reader");

#[test]
fn doctor_says_which_readers_of_a_queue_are_dead_with_messages_to_read() {
    let four = Four::new("");
    for kind in ["broadcast", "channel", "latest", "work"] {
        four.doctor(kind, &[("queue-parts", "ok", "no process has created it yet")]);
    }
    let mut senders = ["broadcast", "channel", "latest", "work"]
        .map(|kind| Sender::<[u8]>::open(&four.queue(kind), "zone").unwrap());
    senders.iter_mut().for_each(send);
    let dead = "reader world is dead, with 1 message of 4 to read";
    four.doctor("broadcast", &[PARTS, AGREES, SERVED]);
    four.doctor("channel", &[PARTS, AGREES, ("queue-readers", "warning", dead)]);
    four.doctor("latest", &[PARTS, AGREES, SERVED]);
    let none = "no reader lives, with 1 message of 4 to finish";
    four.doctor("work", &[PARTS, AGREES, ("queue-readers", "warning", none)]);
    assert_eq!(four.run(&["doctor"]).code, 1);

    // A full queue stops its writers.
    (0..3).for_each(|_| send(&mut senders[1]));
    let full = "reader world is dead, with 4 messages of 4 to read: the writers wait for it";
    four.doctor("channel", &[PARTS, AGREES, ("queue-readers", "error", full)]);

    // A deployment that is stopped continues there.
    drop(senders);
    four.doctor(
        "channel",
        &[PARTS, AGREES, ("queue-readers", "note", "reader world is dead, with 4 messages of 4 to read")],
    );
    four.doctor("work", &[PARTS, AGREES, ("queue-readers", "note", none)]);

    let _rx: Receiver<[u8]> = Receiver::open(&four.queue("channel"), "world").unwrap();
    let _worker: WorkQueue<[u8]> = WorkQueue::open(&four.queue("work"), "world").unwrap();
    four.doctor("channel", &[PARTS, AGREES, SERVED]);
    four.doctor("work", &[PARTS, AGREES, SERVED]);
}

/// Bytes of a queue segment for two members and no schema, before its entries: head, members, control, and
/// the records of one writer and one reader.
const BEFORE_ENTRIES: usize = 128 + 2 * 64 + 192 + 64 + 64;

/// Stores in a word of the segment under a key; returns what was there.
fn poke(key: Key, offset: usize, value: u64) -> u64 {
    // SAFETY: integers only.
    let shmid = unsafe { libc::shmget(key.raw(), 0, 0) };
    // SAFETY: the kernel chooses a free address.
    let base = unsafe { libc::shmat(shmid, std::ptr::null(), 0) };
    assert_ne!(base.addr(), usize::MAX, "{}", std::io::Error::last_os_error());
    // SAFETY: the offset lies in the segment.
    let word = unsafe { base.byte_add(offset) };
    // SAFETY: as above, and a multiple of the size of a word; it is only used as an atomic.
    let word = unsafe { &*word.cast::<AtomicU64>() };
    let before = word.swap(value, Ordering::SeqCst);
    // SAFETY: mapped above, and not used any more.
    unsafe { libc::shmdt(base) };
    before
}

#[test]
fn doctor_says_what_is_damaged_in_a_queue() {
    let four = Four::new("");
    let queue = four.queue("channel");
    drop(Sender::<[u8]>::open(&queue, "zone").unwrap());
    four.doctor("channel", &[PARTS, AGREES, SERVED]);

    // The entry of the second message names a chunk that does not exist.
    let before = poke(queue.key, BEFORE_ENTRIES + 8, 0xffff);
    let damage = ("queue-damage", "error", "place 1 names chunk 65535, of 5");
    four.doctor("channel", &[PARTS, AGREES, damage, SERVED]);

    poke(queue.key, BEFORE_ENTRIES + 8, before);
    four.doctor("channel", &[PARTS, AGREES, SERVED]);
}

#[test]
fn doctor_says_that_writers_go_on_without_a_dead_reader_that_is_evicted() {
    let four = Four::new("OnDead = hold_for 60s");
    let mut tx: Sender<[u8]> = Sender::open(&four.queue("channel"), "zone").unwrap();
    (0..4).for_each(|_| send(&mut tx));
    let full = "reader world is dead, with 4 messages of 4 to read: the writers go on without it";
    four.doctor("channel", &[PARTS, AGREES, ("queue-readers", "warning", full)]);
}

#[test]
fn doctor_says_what_an_ini_and_a_queue_disagree_on() {
    let four = Four::new("");
    drop(Sender::<[u8]>::open(&four.queue("channel"), "zone").unwrap());
    let text = std::fs::read_to_string(&four.ini).unwrap();
    let changed = text.replace("Kind = channel\nCapacity = 4", "Kind = channel\nCapacity = 8");
    std::fs::write(&four.ini, changed).unwrap();
    let key = four.queue("channel").key;
    let differs = format!("cannot open {key}: the capacity is 4 there and 8 here");
    four.doctor("channel", &[PARTS, ("queue-config", "error", &differs), SERVED]);
    std::fs::write(&four.ini, text.replace("Kind = channel", "OnSlow = evict\nKind = channel")).unwrap();
    let differs = format!("cannot open {key}: the policy is 0 there and 32 here");
    four.doctor("channel", &[PARTS, ("queue-config", "error", &differs), SERVED]);
}

#[test]
fn halves_of_a_queue_are_named_by_every_verb_and_removed() {
    let four = Four::new("");
    let says = |verb: &str, code: i32, line: &str| {
        let answer = four.run(&[verb]);
        assert_eq!(answer.code, code, "{verb}:\n{}{}", answer.out, answer.err);
        assert!(answer.out.contains(line), "{verb}:\n{}{}", answer.out, answer.err);
    };
    let (key, set) =
        (four.queue("channel").key, "it has semaphores and no segment; the next open creates that");
    let open = || drop(Sender::<[u8]>::open(&four.queue("channel"), "zone").unwrap());

    open();
    assert!(remove_segment(key));
    four.doctor("channel", &[("queue-parts", "note", set)]);
    says("ls", 1, &format!("(queue channel): unfinished: {set}"));
    says("queues", 1, &format!("channel: unfinished: {set}"));
    says("verify", 5, &format!("(queue channel): unfinished: {set}"));
    assert!(four.run(&["rm", "--yes"]).out.contains("(queue channel): removed"));
    four.doctor("channel", &[("queue-parts", "ok", "no process has created it yet")]);

    open();
    assert!(remove_set(key));
    let half =
        "its semaphores were removed; the next open creates them when no process has the queue attached";
    four.doctor("channel", &[("queue-parts", "warning", half), AGREES, SERVED]);
    says("ls", 1, "(queue channel): half: channel of 4 messages");
    says("queues", 1, half);
    says("verify", 5, half);
    assert!(four.run(&["rm", "--yes"]).out.contains("(queue channel): removed"));

    // Semaphores that their creator did not mark.
    // SAFETY: integers only.
    assert_ne!(unsafe { libc::semget(key.raw(), 4, libc::IPC_CREAT | 0o600) }, -1);
    four.doctor("channel", &[("queue-parts", "note", set)]);
    assert!(four.run(&["rm", "--yes"]).out.contains("(queue channel): removed"));

    // Semaphores and a segment of another program.
    // SAFETY: integers only.
    let semid = unsafe { libc::semget(key.raw(), 4, libc::IPC_CREAT | 0o600) };
    // SAFETY: SETVAL takes an int.
    assert_ne!(unsafe { libc::semctl(semid, 3, libc::SETVAL, 5) }, -1);
    let foreign = "the key has semaphores of another kind";
    four.doctor("channel", &[("queue-parts", "error", foreign)]);
    says("ls", 1, &format!("(queue channel): foreign: {foreign}"));
    says("queues", 1, &format!("channel: foreign: {foreign}"));
    says("verify", 4, &format!("(queue channel): foreign: {foreign}"));
    let answer = four.run(&["rm", "--yes"]);
    assert_eq!(answer.code, 4, "{}", answer.out);
    assert!(answer.out.contains(&format!("refused: {foreign}; choose another Key")), "{}", answer.out);
    // SAFETY: GETVAL takes no argument.
    assert_eq!(unsafe { libc::semctl(semid, 3, libc::GETVAL) }, 5);
}

#[test]
fn all_four_kinds_are_listed_verified_and_removed() {
    let four = Four::new("");
    let mut senders = ["broadcast", "channel", "latest", "work"]
        .map(|kind| Sender::<[u8]>::open(&four.queue(kind), "zone").unwrap());
    senders.iter_mut().for_each(send);
    for verb in ["ls", "verify"] {
        let out = four.run(&[verb]).out;
        for kind in ["broadcast", "channel", "latest", "work"] {
            let line = format!("(queue {kind}): sound: {kind} of 4 messages, 1 sent, 1 of 2 members alive");
            assert!(out.contains(&line), "{verb}: {out}");
        }
    }
    let out = four.run(&["queues", "--interval", "1"]).out;
    for kind in ["broadcast", "channel", "latest", "work"] {
        let unfinished = if kind == "work" { " (1 not finished)" } else { "" };
        let line = format!("{kind}: {kind} of 4 messages of up to 64, 1 sent{unfinished}, the last ");
        let (_, age) = out.split_once(&line).unwrap_or_else(|| panic!("no `{line}` in {out}"));
        // How long ago depends on the load of the host.
        let seconds = age.split_once(" s ago").and_then(|(age, _)| age.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| seconds < 60), "{out}");
    }
    drop(senders);
    let out = four.run(&["rm", "--yes"]).out;
    for kind in ["broadcast", "channel", "latest", "work"] {
        assert!(out.contains(&format!("(queue {kind}): removed")), "{out}");
        assert!(hotpool::queue::observe(four.queue(kind).key).unwrap().is_none());
    }
}
