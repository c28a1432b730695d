//! A writer learns when the readers have finished a message, and which have not at its deadline.

mod messages;

use hotpool::conf::{OnDead, QueueKind};
use hotpool::queue::{AckError, Receiver, Sender, WorkQueue};
use messages::{Other, Queue, board, until};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// A deadline that is over at once.
const NOW: Duration = Duration::ZERO;
/// A deadline that only a lost wake-up exceeds.
const LONG: Duration = Duration::from_secs(60);

fn missing(names: &[(&str, bool)]) -> Result<(), AckError> {
    Err(AckError::TimedOut(names.iter().map(|(name, alive)| ((*name).to_owned(), *alive)).collect()))
}

#[test]
fn the_readers_that_have_not_finished_a_message_are_named() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x", "y"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let (first, second) = (tx.send(&7).unwrap(), tx.send(&8).unwrap());
    assert_eq!(tx.wait_acks(first, NOW), missing(&[("x", true), ("y", false)]));
    x.recv().unwrap();
    // x may still be using the message.
    assert_eq!(tx.wait_acks(first, NOW), missing(&[("x", true), ("y", false)]));
    x.recv().unwrap();
    assert_eq!(tx.wait_acks(first, NOW), missing(&[("y", false)]));
    let mut y: Receiver<u64> = Receiver::open(&queue.conf, "y").unwrap();
    y.recv().unwrap();
    y.ack();
    assert_eq!(tx.wait_acks(first, NOW), Ok(()));
    assert_eq!(tx.wait_acks(second, NOW), missing(&[("x", true), ("y", true)]));
    // A message that was not sent is not finished either.
    assert_eq!(tx.wait_acks(second + 1, NOW), missing(&[("x", true), ("y", true)]));
    x.ack();
    y.recv().unwrap();
    drop(y);
    assert_eq!(tx.wait_acks(second, NOW), missing(&[("y", false)]));
}

#[test]
fn one_deadline_counts_for_all_readers_together() {
    let names = ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"];
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &names);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let id = tx.send(&7).unwrap();
    let (began, most) = (Instant::now(), Duration::from_millis(400));
    assert_eq!(tx.wait_acks(id, most), missing(&names.map(|name| (name, false))));
    assert!(began.elapsed() >= most && began.elapsed() < 4 * most, "{:?}", began.elapsed());
}

#[test]
fn a_writer_wakes_when_the_last_reader_has_finished_the_message() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let board = board(1);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut other = Other::start(|| {
        let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
        for round in 1..=40 {
            x.recv().unwrap();
            std::thread::sleep(Duration::from_millis(round % 4));
            board[0].store(round, SeqCst);
            x.ack();
        }
    });
    for round in 1..=40 {
        let id = tx.send(&round).unwrap();
        assert_eq!(tx.wait_acks(id, LONG), Ok(()));
        assert!(board[0].load(SeqCst) >= round, "the reader was not ready with message {round}");
    }
    other.ends_well();
}

#[test]
fn a_killed_reader_is_named_as_dead_and_its_successor_finishes_the_message() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let board = board(1);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let id = tx.send(&7).unwrap();
    let mut other = Other::start(|| {
        let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
        x.recv().unwrap();
        board[0].store(1, SeqCst);
        loop {
            std::thread::park();
        }
    });
    until(&board[0], 1);
    other.stop();
    assert_eq!(tx.wait_acks(id, NOW), missing(&[("x", true)]));
    other.kill();
    assert_eq!(tx.wait_acks(id, NOW), missing(&[("x", false)]));
    let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    assert!(x.recv().unwrap().meta.redelivered);
    x.ack();
    assert_eq!(tx.wait_acks(id, NOW), Ok(()));
}

#[test]
fn an_evicted_reader_is_not_waited_for() {
    let mut queue = Queue::new(QueueKind::Channel, 1, &["a"], &["x"]);
    queue.conf.on_dead = OnDead::Evict;
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let first = tx.send(&7).unwrap();
    assert_eq!(tx.wait_acks(first, NOW), missing(&[("x", false)]));
    // This send evicts the dead reader.
    let second = tx.send(&8).unwrap();
    assert_eq!((tx.wait_acks(first, NOW), tx.wait_acks(second, NOW)), (Ok(()), Ok(())));
}

#[test]
fn the_consumer_that_has_a_message_is_named() {
    let queue = Queue::new(QueueKind::Work, 4, &["a"], &["x", "y"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut y: WorkQueue<u64> = WorkQueue::open(&queue.conf, "y").unwrap();
    for round in 0..10 {
        let id = tx.send(&round).unwrap();
        assert_eq!(tx.wait_acks(id, NOW), missing(&[]));
        y.recv().unwrap();
        assert_eq!(tx.wait_acks(id, NOW), missing(&[("y", true)]));
        y.ack().unwrap();
        assert_eq!(tx.wait_acks(id, NOW), Ok(()));
    }
    // A number that no message can have.
    assert_eq!(tx.wait_acks(u64::MAX, NOW), missing(&[]));
}

#[test]
fn readers_that_no_writer_waits_for_give_no_acknowledgement() {
    for kind in [QueueKind::Broadcast, QueueKind::Latest] {
        let queue = Queue::new(kind, 4, &["a"], &["x"]);
        let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
        let id = tx.send(&7).unwrap();
        assert_eq!(tx.wait_acks(id, LONG), Err(AckError::NoAcks));
    }
}
