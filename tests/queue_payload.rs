//! Messages larger than `MessageSize` lie in the payload area of their writer: whole, once and in
//! order, and a writer reuses their bytes only after the readers that it waits for have passed them.

mod messages;

use hotpool::conf::{OnDead, OnSlow, QueueConf, QueueKind};
use hotpool::queue::{Receiver, RecvError, SendError, Sender, WorkQueue, observe, verify_idle};
use hotpool::sync::OpenError;
use hotpool::units::Bytes;
use messages::{Other, Queue, board, until};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SMALL: u64 = 64;
const NO_HANG: Duration = Duration::from_secs(20);

/// Returns a queue with room for eight messages in the ring.
fn queue(kind: QueueKind, payload: u64, writers: &[&str], readers: &[&str]) -> Queue {
    let mut queue = Queue::bytes(kind, 8, SMALL, writers, readers);
    queue.conf.payload_bytes = Bytes(payload);
    queue
}

fn tx(conf: &QueueConf, name: &str) -> Sender<[u8]> {
    Sender::open(conf, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rx(conf: &QueueConf, name: &str) -> Receiver<[u8]> {
    Receiver::open(conf, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Bytes that differ from message to message.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// Returns the bytes that messages have in the area of each writer.
fn used(conf: &QueueConf) -> Vec<u64> {
    let facts = observe(conf.key).unwrap().unwrap();
    assert_eq!(facts.damage, Vec::<String>::new());
    facts.writers.iter().map(|writer| writer.payload_used.0).collect()
}

#[track_caller]
fn is_sound(conf: &QueueConf) {
    assert_eq!(verify_idle(conf.key).unwrap(), Vec::<String>::new());
}

#[test]
fn messages_of_any_length_up_to_the_payload_area_are_whole() {
    for (kind, slow) in [
        (QueueKind::Channel, OnSlow::Block),
        (QueueKind::Channel, OnSlow::DropOldest),
        (QueueKind::Channel, OnSlow::Evict),
        (QueueKind::Broadcast, OnSlow::Block),
    ] {
        let mut queue = queue(kind, 1000, &["a", "b"], &["x", "y"]);
        queue.conf.on_slow = slow;
        let mut writers = ["a", "b"].map(|name| tx(&queue.conf, name));
        let mut readers = ["x", "y"].map(|name| rx(&queue.conf, name));
        for length in 0..=1000 {
            let sent = bytes(length as u64, length);
            writers[length % 2].try_send(&sent).unwrap_or_else(|error| panic!("{length}: {error}"));
            for reader in &mut readers {
                let found = reader.try_recv().unwrap();
                assert_eq!((found.value, found.meta.writer as usize), (sent.clone(), length % 2));
                reader.ack();
            }
        }
        let answer = writers[0].send(&[0; 1001]);
        assert!(matches!(answer, Err(SendError::TooLong { found: 1001, max: 1000 })), "{answer:?}");
        assert_eq!(used(&queue.conf), [0, 0]);
        drop((writers, readers));
        is_sound(&queue.conf);
    }
}

#[test]
fn consumers_of_a_work_queue_get_messages_of_any_length() {
    let queue = queue(QueueKind::Work, 1000, &["a"], &["x", "y"]);
    let mut a = tx(&queue.conf, "a");
    let mut workers = ["x", "y"].map(|name| WorkQueue::<[u8]>::open(&queue.conf, name).unwrap());
    for length in 0..=1000 {
        let sent = bytes(length as u64, length);
        a.try_send(&sent).unwrap();
        let worker = &mut workers[length % 2];
        if length % 3 == 0 {
            assert_eq!(&*worker.try_recv_ref().unwrap(), &sent[..]);
        } else {
            assert_eq!(worker.try_recv().unwrap().value, sent);
        }
        worker.ack().unwrap();
    }
    // A consumer that keeps the oldest message does not keep the bytes of the others.
    a.try_send(&bytes(1, 300)).unwrap();
    a.try_send(&bytes(2, 300)).unwrap();
    assert_eq!(workers[0].try_recv().unwrap().value, bytes(1, 300));
    for n in 3..=8 {
        assert_eq!(workers[1].try_recv().unwrap().value, bytes(n - 1, 300));
        a.try_send(&bytes(n, 300)).unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    assert!(matches!(a.try_send(&[0; 700]), Err(SendError::Full)));
    workers[0].ack().unwrap();
    workers[1].ack().unwrap();
    drop((a, workers));
    is_sound(&queue.conf);
}

#[test]
fn writers_of_a_channel_wait_until_every_reader_has_passed_the_bytes() {
    let queue = queue(QueueKind::Channel, 256, &["a", "b"], &["x", "y"]);
    let (mut a, mut b) = (tx(&queue.conf, "a"), tx(&queue.conf, "b"));
    let (mut x, mut y) = (rx(&queue.conf, "x"), rx(&queue.conf, "y"));
    a.try_send(&bytes(1, 128)).unwrap();
    a.try_send(&bytes(2, 100)).unwrap();
    assert_eq!(used(&queue.conf), [256, 0]);
    assert!(matches!(a.try_send(&[0; 65]), Err(SendError::Full)));
    let answer = a.send_timeout(&[0; 65], Duration::from_millis(5));
    assert!(matches!(answer, Err(SendError::TimedOut)), "{answer:?}");
    // A small message needs no bytes of the area, and each writer has an area of its own.
    a.try_send(b"small").unwrap();
    b.try_send(&bytes(3, 256)).unwrap();
    assert_eq!(x.try_recv().unwrap().value, bytes(1, 128));
    x.ack();
    assert!(matches!(a.try_send(&[0; 65]), Err(SendError::Full)), "y has not read it");
    assert_eq!(y.try_recv().unwrap().value, bytes(1, 128));
    assert!(matches!(a.try_send(&[0; 65]), Err(SendError::Full)), "y is not done with it");
    y.ack();
    a.try_send(&bytes(4, 65)).unwrap();
    for reader in [&mut x, &mut y] {
        for sent in [bytes(2, 100), b"small".to_vec(), bytes(3, 256), bytes(4, 65)] {
            assert_eq!(reader.try_recv().unwrap().value, sent);
        }
        reader.ack();
    }
    assert_eq!(used(&queue.conf), [0, 0]);
}

#[test]
fn a_writer_that_waits_for_bytes_goes_on_when_a_reader_has_passed_them() {
    let queue = queue(QueueKind::Channel, 256, &["a"], &["x"]);
    let sent = board(1);
    let mut other = Other::start(|| {
        let mut a = tx(&queue.conf, "a");
        for n in 0..100 {
            a.send_timeout(&bytes(n, 200), NO_HANG).unwrap();
            sent[0].store(n + 1, SeqCst);
        }
    });
    let mut x = rx(&queue.conf, "x");
    for n in 0..100 {
        until(&sent[0], n);
        assert_eq!(x.recv_timeout(NO_HANG).unwrap().value, bytes(n, 200));
    }
    other.ends_well();
}

#[test]
fn a_lagging_reader_is_told_exactly_how_many_messages_it_has_lost() {
    for (kind, slow) in [
        (QueueKind::Broadcast, OnSlow::Block),
        (QueueKind::Channel, OnSlow::DropOldest),
        (QueueKind::Channel, OnSlow::Evict),
    ] {
        let mut queue = queue(kind, 512, &["a", "b"], &["x", "y"]);
        (queue.conf.on_slow, queue.conf.on_dead) = (slow, OnDead::Evict);
        let mut writers = ["a", "b"].map(|name| tx(&queue.conf, name));
        let mut readers = ["x", "y"].map(|name| rx(&queue.conf, name));
        let (mut sent, mut next, mut lost): (Vec<Vec<u8>>, _, _) = (Vec::new(), [0, 0], [0, 0]);
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..3000 {
            for _ in 0..rng.usize(..4) {
                let message =
                    bytes(sent.len() as u64, if rng.bool() { rng.usize(..65) } else { rng.usize(65..513) });
                let id = writers[rng.usize(..2)].try_send(&message).unwrap();
                assert_eq!(id, sent.len() as u64);
                sent.push(message);
            }
            let n = rng.usize(..2);
            for _ in 0..rng.usize(..4) {
                match readers[n].try_recv() {
                    Ok(message) => {
                        assert_eq!((message.meta.id, &message.value), (next[n], &sent[next[n] as usize]));
                        next[n] += 1;
                    }
                    Err(RecvError::Lagged(missed)) => {
                        assert!(missed > 0);
                        next[n] += missed;
                        lost[n] += missed;
                    }
                    Err(RecvError::Empty) => assert_eq!(next[n], sent.len() as u64),
                    Err(other) => panic!("{other}"),
                }
            }
        }
        assert!(lost.iter().all(|lost| *lost > 10), "{kind:?}: {lost:?}");
        drop((writers, readers));
        is_sound(&queue.conf);
    }
}

#[test]
fn messages_in_a_row_that_lost_their_bytes_are_counted_together() {
    let queue = queue(QueueKind::Broadcast, 256, &["a"], &["x"]);
    let (mut a, mut x) = (tx(&queue.conf, "a"), rx(&queue.conf, "x"));
    for n in 0..2 {
        a.try_send(&bytes(n, 128)).unwrap();
    }
    a.try_send(b"small").unwrap();
    a.try_send(&bytes(3, 256)).unwrap();
    assert_eq!(x.try_recv(), Err(RecvError::Lagged(2)));
    assert_eq!(x.try_recv().unwrap().value, b"small");
    assert_eq!(x.try_recv().unwrap().value, bytes(3, 256));
    assert_eq!(x.try_recv(), Err(RecvError::Empty));
}

#[test]
fn a_dead_reader_keeps_bytes_or_loses_them_as_the_policy_says() {
    for (on_dead, holds) in [(OnDead::Hold, true), (OnDead::Evict, false)] {
        let mut queue = queue(QueueKind::Channel, 256, &["a"], &["x"]);
        queue.conf.on_dead = on_dead;
        let mut other = Other::start(|| {
            let mut x = rx(&queue.conf, "x");
            x.recv_timeout(NO_HANG).unwrap();
            // Without `drop`, as a kill leaves it.
            std::mem::forget(x);
        });
        let mut a = tx(&queue.conf, "a");
        a.try_send(&bytes(0, 200)).unwrap();
        other.ends_well();
        let answer = a.try_send(&bytes(1, 200));
        let mut x = rx(&queue.conf, "x");
        let first = x.try_recv();
        if holds {
            assert!(matches!(answer, Err(SendError::Full)), "{answer:?}");
            let first = first.unwrap();
            assert_eq!((first.value, first.meta.redelivered), (bytes(0, 200), true));
        } else {
            assert_eq!((answer.unwrap(), first), (1, Err(RecvError::Lagged(1))));
            assert_eq!(x.try_recv().unwrap().value, bytes(1, 200));
        }
    }
}

#[test]
fn a_writer_that_comes_back_knows_which_bytes_its_messages_have() {
    for kind in [QueueKind::Channel, QueueKind::Broadcast] {
        let queue = queue(kind, 512, &["a", "b"], &["x"]);
        let mut b = tx(&queue.conf, "b");
        for n in 0..2 {
            let mut a = tx(&queue.conf, "a");
            a.try_send(&bytes(n, 200)).unwrap();
            b.try_send(&bytes(n + 10, 80)).unwrap();
        }
        assert_eq!(used(&queue.conf), [512, 256]);
        let mut a = tx(&queue.conf, "a");
        let answer = a.try_send(&bytes(2, 100));
        let mut x = rx(&queue.conf, "x");
        match kind {
            QueueKind::Channel => assert!(matches!(answer, Err(SendError::Full)), "{answer:?}"),
            _ => assert_eq!((answer.unwrap(), x.try_recv()), (4, Err(RecvError::Lagged(1)))),
        }
        if kind == QueueKind::Channel {
            assert_eq!(x.try_recv().unwrap().value, bytes(0, 200));
        }
        assert_eq!(x.try_recv().unwrap().value, bytes(10, 80));
        assert_eq!(x.try_recv().unwrap().value, bytes(1, 200));
        drop((a, b, x));
        is_sound(&queue.conf);
    }
}

#[test]
fn a_large_loan_is_written_and_read_in_place() {
    let queue = queue(QueueKind::Channel, 256, &["a"], &["x"]);
    let (mut a, mut x) = (tx(&queue.conf, "a"), rx(&queue.conf, "x"));
    drop(a.loan(256).unwrap());
    for n in 0..20 {
        let mut loan = a.try_loan(256).unwrap();
        loan.bytes().copy_from_slice(&bytes(n, 256));
        assert_eq!(loan.commit().unwrap(), n);
        assert!(matches!(a.try_loan(65), Err(SendError::Full)));
        assert!(a.try_loan(64).is_ok());
        let view = x.recv_ref().unwrap();
        assert_eq!((&*view, view.meta.id), (&bytes(n, 256)[..], n));
        x.ack();
    }
    assert!(matches!(a.try_loan(257), Err(SendError::TooLong { found: 257, max: 256 })));
}

#[test]
fn a_value_larger_than_message_size_lies_in_the_payload_area() {
    type Large = [u64; 40];
    let mut queue = queue(QueueKind::Channel, 2 * size_of::<Large>() as u64, &["a"], &["x"]);
    let mut a: Sender<Large> = Sender::open(&queue.conf, "a").unwrap();
    let mut x: Receiver<Large> = Receiver::open(&queue.conf, "x").unwrap();
    for n in 0..10 {
        a.try_send(&[n; 40]).unwrap();
        assert_eq!(x.try_recv().unwrap().value, [n; 40]);
    }
    drop((a, x));
    queue.renew();
    queue.conf.payload_bytes = Bytes(size_of::<Large>() as u64 - 1);
    let answer = Sender::<Large>::open(&queue.conf, "a").unwrap_err();
    assert!(
        matches!(answer, OpenError::OutOfRange { what: "PayloadBytes", found: 319, min: 320, .. }),
        "{answer}"
    );
}

#[test]
fn a_batch_ends_at_the_first_message_without_bytes() {
    let queue = queue(QueueKind::Channel, 256, &["a"], &["x"]);
    let (mut a, mut x) = (tx(&queue.conf, "a"), rx(&queue.conf, "x"));
    let all = [bytes(0, 100), bytes(1, 10), bytes(2, 100), bytes(3, 100)];
    let (sent, error) = a.send_batch(all.iter().map(Vec::as_slice));
    assert!(sent == 3 && matches!(error, Some(SendError::Full)), "{sent} {error:?}");
    for message in &all[..3] {
        assert_eq!(&x.try_recv().unwrap().value, message);
    }
}

#[test]
fn a_queue_with_another_payload_area_is_refused() {
    let mut queue = queue(QueueKind::Channel, 256, &["a"], &["x"]);
    let _a = tx(&queue.conf, "a");
    queue.conf.payload_bytes = Bytes(512);
    let error = Receiver::<[u8]>::open(&queue.conf, "x").unwrap_err().to_string();
    assert!(error.contains("PayloadBytes is 256 there and 512 here"), "{error}");
    queue.conf.payload_bytes = Bytes(0);
    assert!(matches!(Receiver::<[u8]>::open(&queue.conf, "x"), Err(OpenError::Differs { .. })));
    queue.conf.payload_bytes = Bytes(64);
    let error = Receiver::<[u8]>::open(&queue.conf, "x").unwrap_err();
    assert!(matches!(error, OpenError::OutOfRange { what: "PayloadBytes", min: 65, .. }), "{error}");
    queue.conf.kind = QueueKind::Latest;
    let error = Sender::<[u8]>::open(&queue.conf, "a").unwrap_err().to_string();
    assert!(error.contains("PayloadBytes of Kind = latest is 64; it can be 0 to 0"), "{error}");
}
