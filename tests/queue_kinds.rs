//! The last value of a queue, and queues that give each message to one consumer, between the handles
//! of one process and between processes.

mod messages;

use hotpool::conf::QueueKind;
use hotpool::queue::{Latest, Receiver, RecvError, SendError, Sender, WorkQueue, observe};
use hotpool::sync::OpenError;
use messages::{Other, Queue, board, until};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_reader_of_the_last_value_skips_the_earlier_ones_and_writers_never_wait() {
    let queue = Queue::new(QueueKind::Latest, 2, &["a", "b"], &["x", "idle"]);
    let [mut a, mut b] = ["a", "b"].map(|name| Sender::<u64>::open(&queue.conf, name).unwrap());
    let mut x: Latest<u64> = Latest::open(&queue.conf, "x").unwrap();
    assert_eq!(x.get(), Ok(None));
    assert_eq!(x.try_recv(), Err(RecvError::Empty));
    assert_eq!(x.recv_timeout(SHORT), Err(RecvError::TimedOut));
    for round in 0..100 {
        a.send(&round).unwrap();
        b.send(&(round + 1000)).unwrap();
        let found = x.recv().unwrap();
        assert_eq!((found.value, found.meta.id, found.meta.writer), (round + 1000, 2 * round + 1, 1));
        assert_eq!(x.try_recv(), Err(RecvError::Empty));
        // What it has received it can look at again.
        assert_eq!(x.get().unwrap().map(|found| found.value), Some(round + 1000));
    }
    let facts = observe(queue.conf.key).unwrap().unwrap();
    assert_eq!((facts.kind, facts.sent, facts.unfinished), ("latest", 200, None));
    assert_eq!((facts.readers[0].lag, facts.readers[1].lag), (0, 200));
}

#[test]
fn a_reader_that_comes_back_gets_the_last_value_at_once() {
    let queue = Queue::new(QueueKind::Latest, 4, &["a"], &["x"]);
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    a.send(&7).unwrap();
    for again in [false, true] {
        let mut x: Latest<u64> = Latest::open(&queue.conf, "x").unwrap();
        let found = x.recv().unwrap();
        assert_eq!((found.value, found.meta.redelivered), (7, again));
    }
    assert!(matches!(a.loan(8), Err(SendError::Lossy)));
}

#[test]
fn a_waiting_reader_wakes_for_a_newer_value() {
    let queue = Queue::new(QueueKind::Latest, 4, &["a"], &["x"]);
    let words = board(1);
    let mut reader = Other::start(|| {
        let mut x: Latest<u64> = Latest::open(&queue.conf, "x").unwrap();
        for value in 1..=5 {
            assert_eq!(x.recv().unwrap().value, value);
            words[0].store(value, SeqCst);
        }
    });
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    for value in 1..=5 {
        a.send(&value).unwrap();
        until(&words[0], value);
    }
    reader.ends_well();
}

#[test]
fn each_message_of_a_work_queue_goes_to_one_consumer() {
    let queue = Queue::new(QueueKind::Work, 4, &["a"], &["x", "y"]);
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let [mut x, mut y] = ["x", "y"].map(|name| WorkQueue::<u64>::open(&queue.conf, name).unwrap());
    for n in 0..4 {
        assert_eq!(a.try_send(&n).unwrap(), n);
    }
    assert!(matches!(a.try_send(&4), Err(SendError::Full)));
    assert_eq!((x.recv().unwrap().value, y.recv().unwrap().value, x.waiting()), (0, 1, 2));
    // A message that a consumer has is not finished, and is not overwritten.
    assert!(matches!(a.send_timeout(&4, SHORT), Err(SendError::TimedOut)));
    y.ack().unwrap();
    assert!(matches!(a.try_send(&4), Err(SendError::Full)));
    x.ack().unwrap();
    assert_eq!((a.try_send(&4).unwrap(), a.try_send(&5).unwrap()), (4, 5));
    assert!(matches!(a.try_send(&6), Err(SendError::Full)));
    let facts = observe(queue.conf.key).unwrap().unwrap();
    assert_eq!((facts.kind, facts.unfinished, facts.readers[0].lag), ("work", Some(4), 0));
    let values: Vec<u64> = (0..4).map(|_| y.try_recv().unwrap().value).collect();
    assert_eq!(values, [2, 3, 4, 5]);
    assert_eq!(observe(queue.conf.key).unwrap().unwrap().readers[1].lag, 1);
    assert_eq!(x.try_recv(), Err(RecvError::Empty));
    assert_eq!(x.recv_timeout(SHORT), Err(RecvError::TimedOut));
    assert_eq!(y.try_recv(), Err(RecvError::Empty));
    assert_eq!(observe(queue.conf.key).unwrap().unwrap().unfinished, Some(0));
}

#[test]
fn a_message_of_a_dropped_consumer_goes_to_another_one_or_to_its_successor() {
    let queue = Queue::new(QueueKind::Work, 4, &["a"], &["x", "y"]);
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let open = |name| WorkQueue::<u64>::open(&queue.conf, name).unwrap();
    a.send(&7).unwrap();
    let mut x = open("x");
    assert!(!x.recv().unwrap().meta.redelivered);
    drop(x);
    let mut y = open("y");
    let found = y.try_recv().unwrap();
    assert_eq!((found.value, found.meta.redelivered), (7, true));
    drop(y);
    let mut y = open("y");
    assert!(y.try_recv().unwrap().meta.redelivered);
    y.ack().unwrap();
    assert_eq!((y.try_recv(), open("x").try_recv()), (Err(RecvError::Empty), Err(RecvError::Empty)));
}

#[test]
fn the_message_of_a_killed_consumer_is_redelivered_and_that_of_a_stopped_one_is_not() {
    let queue = Queue::new(QueueKind::Work, 8, &["a"], &["x", "y"]);
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let words = board(1);
    let mut x = Other::start(|| {
        let mut x: WorkQueue<u64> = WorkQueue::open(&queue.conf, "x").unwrap();
        x.recv().unwrap();
        words[0].store(1, SeqCst);
        // At work until it is killed.
        until(&words[0], 2);
    });
    a.send(&7).unwrap();
    until(&words[0], 1);
    x.stop();
    let mut y: WorkQueue<u64> = WorkQueue::open(&queue.conf, "y").unwrap();
    assert_eq!(y.recv_timeout(Duration::from_millis(60)), Err(RecvError::TimedOut));
    // It stays, while others come after it and are finished.
    for n in 0..7 {
        a.try_send(&n).unwrap();
        assert_eq!(y.try_recv().map(|found| (found.value, found.meta.redelivered)), Ok((n, false)));
        y.ack().unwrap();
    }
    x.kill();
    let began = Instant::now();
    let found = y.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((found.value, found.meta.redelivered), (7, true));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_consumer_that_always_finds_new_messages_takes_those_of_the_dead_all_the_same() {
    let queue = Queue::new(QueueKind::Work, 1000, &["a"], &["x", "y"]);
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let open = |name| WorkQueue::<u64>::open(&queue.conf, name).unwrap();
    (0..500).for_each(|n| assert_eq!(a.try_send(&n).unwrap(), n));
    let mut x = open("x");
    x.recv().unwrap();
    drop(x);
    let mut y = open("y");
    let came = (0..100).position(|_| y.try_recv().unwrap().meta.redelivered);
    assert!(came.is_some());
}

#[test]
fn messages_of_a_work_queue_are_written_and_read_in_place() {
    let queue = Queue::bytes(QueueKind::Work, 2, 64, &["a"], &["x"]);
    let mut a: Sender<[u8]> = Sender::open(&queue.conf, "a").unwrap();
    let mut x: WorkQueue<[u8]> = WorkQueue::open(&queue.conf, "x").unwrap();
    for n in 0..10 {
        let mut loan = a.loan(5).unwrap();
        loan.bytes().fill(n);
        loan.try_commit().unwrap();
        let view = x.try_recv_ref().unwrap();
        assert_eq!((&view[..], view.meta.id), (&[n; 5][..], u64::from(n)));
        if n == 0 {
            assert!(x.try_recv_ref().is_err());
        }
    }
}

#[test]
fn readers_open_each_kind_as_its_own_type() {
    let as_receiver = |kind| {
        let queue = Queue::new(kind, 4, &["a"], &["x"]);
        let error = Receiver::<u64>::open(&queue.conf, "x").unwrap_err();
        assert!(matches!(error, OpenError::Reader { .. }), "{error}");
        error.to_string()
    };
    assert!(
        as_receiver(QueueKind::Latest)
            .ends_with("the readers of a queue with Kind = latest open it as queue::Latest")
    );
    assert!(
        as_receiver(QueueKind::Work)
            .ends_with("the readers of a queue with Kind = work open it as queue::WorkQueue")
    );
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    assert!(matches!(Latest::<u64>::open(&queue.conf, "x"), Err(OpenError::Reader { .. })));
    assert!(matches!(WorkQueue::<u64>::open(&queue.conf, "x"), Err(OpenError::Reader { .. })));
}
