//! Queues between the handles of one process: each message is received once and in order, and lost
//! messages are counted.

mod messages;

use hotpool::conf::{OnDead, OnSlow, QueueKind};
use hotpool::queue::{Receiver, RecvError, SendError, Sender};
use hotpool::sync::OpenError;
use messages::Queue;
use std::time::{Duration, Instant};

#[test]
fn every_reader_of_a_channel_gets_every_message_once_and_in_order() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x", "y"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut readers = ["x", "y"].map(|name| Receiver::<u64>::open(&queue.conf, name).unwrap());
    for round in 0..50 {
        for n in 0..4 {
            assert_eq!(tx.try_send(&(round * 4 + n)).unwrap(), round * 4 + n);
        }
        for rx in &mut readers {
            assert_eq!(rx.lag(), 4);
            for n in 0..4 {
                let message = rx.try_recv().unwrap();
                assert_eq!(
                    (message.value, message.meta.id, message.meta.clock),
                    (round * 4 + n, round * 4 + n, round * 4 + n + 1)
                );
                assert!(!message.meta.redelivered);
            }
            assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        }
    }
}

#[test]
fn writers_of_a_channel_wait_for_the_slowest_reader_from_the_start() {
    let queue = Queue::new(QueueKind::Channel, 3, &["a"], &["x", "never"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    for n in 0..3 {
        tx.try_send(&n).unwrap();
    }
    (0..3).for_each(|n| assert_eq!(rx.recv().unwrap().value, n));
    assert!(matches!(tx.try_send(&3), Err(SendError::Full)));
    let began = Instant::now();
    assert!(matches!(tx.send_timeout(&3, Duration::from_millis(20)), Err(SendError::TimedOut)));
    assert!(began.elapsed() >= Duration::from_millis(20));
    let mut never: Receiver<u64> = Receiver::open(&queue.conf, "never").unwrap();
    assert_eq!(never.recv().unwrap().meta.id, 0);
    // The reader has been given the message, and may still use it.
    assert!(matches!(tx.try_send(&3), Err(SendError::Full)));
    never.ack();
    assert_eq!(tx.try_send(&3).unwrap(), 3);
}

#[test]
fn a_reader_of_a_broadcast_is_told_exactly_how_many_it_has_missed() {
    let queue = Queue::new(QueueKind::Broadcast, 8, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let (mut sent, mut next, mut seed) = (0, 0, 7_u64);
    for _ in 0..2000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for _ in 0..seed >> 59 {
            assert_eq!(tx.send(&sent).unwrap(), sent);
            sent += 1;
        }
        for _ in 0..seed >> 33 & 7 {
            match rx.try_recv() {
                Ok(message) => {
                    assert_eq!((message.meta.id, message.value), (next, next));
                    next += 1;
                }
                Err(RecvError::Lagged(missed)) => {
                    next += missed;
                    assert_eq!(next, sent - 8);
                }
                Err(RecvError::Empty) => assert_eq!(next, sent),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn messages_of_any_length_up_to_the_configured_one_are_whole() {
    for (kind, slow) in [
        (QueueKind::Channel, OnSlow::Block),
        (QueueKind::Channel, OnSlow::DropOldest),
        (QueueKind::Broadcast, OnSlow::Block),
    ] {
        let mut queue = Queue::bytes(kind, 4, 100, &["a", "b"], &["x"]);
        queue.conf.on_slow = slow;
        let mut a: Sender<[u8]> = Sender::open(&queue.conf, "a").unwrap();
        let mut b: Sender<[u8]> = Sender::open(&queue.conf, "b").unwrap();
        let mut rx: Receiver<[u8]> = Receiver::open(&queue.conf, "x").unwrap();
        for length in 0..=100_u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n ^ length).collect();
            let (tx, number) = if length % 2 == 0 { (&mut a, 0) } else { (&mut b, 1) };
            tx.try_send(&bytes).unwrap();
            let message = rx.try_recv().unwrap();
            assert_eq!((message.value, message.meta.writer), (bytes, number));
        }
        let answer = a.send(&[0; 101]);
        assert!(matches!(answer, Err(SendError::TooLong { found: 101, max: 100 })), "{answer:?}");
    }
}

#[test]
fn a_loan_is_sent_when_it_is_committed_and_a_view_is_read_in_place() {
    let queue = Queue::bytes(QueueKind::Channel, 2, 64, &["a"], &["x"]);
    let mut tx: Sender<[u8]> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<[u8]> = Receiver::open(&queue.conf, "x").unwrap();
    let mut loan = tx.loan(5).unwrap();
    loan.bytes().copy_from_slice(b"never");
    drop(loan);
    for round in 0..20_u64 {
        let mut loan = tx.loan(8).unwrap();
        loan.bytes().copy_from_slice(&round.to_le_bytes());
        assert_eq!(loan.commit().unwrap(), round);
        let view = rx.recv_ref().unwrap();
        assert_eq!((&*view, view.meta.id), (&round.to_le_bytes()[..], round));
    }
    let lossy = Queue::bytes(QueueKind::Broadcast, 2, 64, &["a"], &["x"]);
    let mut tx: Sender<[u8]> = Sender::open(&lossy.conf, "a").unwrap();
    let mut rx: Receiver<[u8]> = Receiver::open(&lossy.conf, "x").unwrap();
    assert!(matches!(tx.loan(8), Err(SendError::Lossy)));
    assert!(matches!(rx.recv_ref(), Err(RecvError::Lossy)));
    tx.send(b"1").unwrap();
    assert!(matches!(rx.try_recv_ref(), Err(RecvError::Lossy)));
    assert_eq!(rx.try_recv().unwrap().value, b"1");
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let queue = Queue::new(QueueKind::Channel, 8, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    (0..6).for_each(|n| assert_eq!(tx.try_send(&n).unwrap(), n));
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    assert_eq!(rx.recv().unwrap().value, 0);
    assert_eq!(rx.recv().unwrap().value, 1);
    drop(rx);
    // The reader had not requested the next message.
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let message = rx.recv().unwrap();
    assert_eq!((message.value, message.meta.redelivered), (1, true));
    assert!(!rx.recv().unwrap().meta.redelivered);
    rx.ack();
    drop(rx);
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let message = rx.recv().unwrap();
    assert_eq!((message.value, message.meta.redelivered), (3, false));
    drop(tx);
    let tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    assert_eq!(tx.sent(), 6);
}

#[test]
fn slow_readers_are_overtaken_or_evicted_where_the_policy_says_so() {
    for slow in [OnSlow::DropOldest, OnSlow::Evict] {
        let mut queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
        queue.conf.on_slow = slow;
        let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
        let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
        (0..10).for_each(|n| assert_eq!(tx.try_send(&n).unwrap(), n));
        assert_eq!(rx.try_recv(), Err(RecvError::Lagged(6)), "{slow:?}");
        assert_eq!(rx.try_recv().unwrap().value, 6);
    }
}

#[test]
fn a_dead_reader_is_waited_for_or_evicted_as_the_policy_says() {
    // A reader whose seat is free counts as dead.
    for (dead, is_full) in [(OnDead::Hold, true), (OnDead::Evict, false)] {
        let mut queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
        queue.conf.on_dead = dead;
        let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
        (0..4).for_each(|n| assert_eq!(tx.try_send(&n).unwrap(), n));
        assert_eq!(matches!(tx.try_send(&4), Err(SendError::Full)), is_full, "{dead:?}");
        let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
        match is_full {
            true => assert_eq!(rx.try_recv().unwrap().value, 0),
            false => assert_eq!(rx.try_recv(), Err(RecvError::Lagged(1))),
        }
    }
    let mut queue = Queue::new(QueueKind::Channel, 1, &["a"], &["x"]);
    queue.conf.on_dead = OnDead::HoldFor(Duration::from_millis(30));
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    tx.send(&0).unwrap();
    let began = Instant::now();
    tx.send_timeout(&1, Duration::from_secs(20)).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(30));
    // A living reader makes the writer wait, however long it takes.
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    assert_eq!(rx.try_recv(), Err(RecvError::Lagged(1)));
    assert_eq!(rx.try_recv().unwrap().value, 1);
    tx.send_timeout(&2, Duration::from_millis(1)).ok();
    let answer = tx.send_timeout(&3, Duration::from_millis(60));
    assert!(matches!(answer, Err(SendError::TimedOut)), "{answer:?}");
}

#[test]
fn a_batch_says_how_many_were_sent() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let (sent, error) = tx.send_batch(&[1, 2, 3]);
    assert_eq!((sent, error.is_none()), (3, true));
    let (sent, error) = tx.send_batch(&[4, 5]);
    assert!(sent == 1 && matches!(error, Some(SendError::Full)));
}

#[test]
fn a_queue_of_another_configuration_or_type_is_refused_with_the_difference() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    drop(Sender::<u64>::open(&queue.conf, "a").unwrap());
    let mut other = queue.conf.clone();
    other.capacity = 5;
    let error = Sender::<u64>::open(&other, "a").unwrap_err().to_string();
    assert!(error.contains("the capacity is 4 there and 5 here"), "{error}");
    let mut other = queue.conf.clone();
    other.readers[0] = "z".into();
    let error = Sender::<u64>::open(&other, "a").unwrap_err().to_string();
    assert!(error.contains("a member is x as a reader there and z as a reader here"), "{error}");
    let error = Sender::<i64>::open(&queue.conf, "a").unwrap_err();
    assert!(matches!(error, OpenError::Type { .. }), "{error}");
    let error = Sender::<u64>::open(&queue.conf, "x").unwrap_err().to_string();
    assert!(error.contains("its writers are a"), "{error}");
    let mut twice = queue.conf.clone();
    twice.wait_ms = 1;
    let _tx = Sender::<u64>::open(&twice, "a").unwrap();
    let error = Sender::<u64>::open(&twice, "a").unwrap_err();
    assert!(
        matches!(&error, OpenError::Taken { holder, .. } if holder.pid == std::process::id() as i32),
        "{error}"
    );
}

#[test]
fn a_queue_in_use_is_not_removed() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let tx = Sender::<u64>::open(&queue.conf, "a").unwrap();
    let error = hotpool::sync::remove(queue.conf.key).unwrap_err().to_string();
    assert!(error.contains("it is attached 1 time"), "{error}");
    drop(tx);
    assert!(hotpool::sync::remove(queue.conf.key).unwrap());
    assert!(!hotpool::sync::remove(queue.conf.key).unwrap());
}
