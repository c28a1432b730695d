//! The descriptor of a reader is readable whenever it has a message, costs next to nothing while it
//! has none, and leaves no thread.

mod example;
mod messages;

use hotpool::conf::QueueKind;
use hotpool::queue::{Receiver, RecvError, Sender};
use messages::{Other, Queue};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than anything takes that does not hang.
const NO_HANG: Duration = Duration::from_secs(30);

/// Returns whether the descriptor is readable within this time.
fn is_readable(descriptor: RawFd, most: Duration) -> bool {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one record, which outlives the call.
    let answer = unsafe { libc::poll(&raw mut poll, 1, most.as_millis() as i32) };
    assert!(answer >= 0, "{}", std::io::Error::last_os_error());
    answer == 1
}

/// Returns the threads of this process that wait for a queue.
fn helpers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "hotpool-bell").count()
}

/// The tests of this file count the threads of this process.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn a_descriptor_is_readable_while_a_message_is_there() {
    let _alone = alone();
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    a.send(&0).unwrap();
    let descriptor = x.descriptor().unwrap().as_raw_fd();
    for n in 0..100 {
        assert!(is_readable(descriptor, NO_HANG), "message {n}");
        assert_eq!(x.try_recv().unwrap().value, n);
        assert_eq!(x.try_recv(), Err(RecvError::Empty));
        assert!(!is_readable(descriptor, Duration::ZERO));
        a.send(&(n + 1)).unwrap();
    }
    // A wait with a deadline arms it, too.
    assert!(is_readable(descriptor, NO_HANG));
    assert_eq!(x.recv().unwrap().value, 100);
    assert_eq!(x.recv_timeout(Duration::from_millis(1)), Err(RecvError::TimedOut));
    assert!(!is_readable(descriptor, Duration::ZERO));
    a.send(&101).unwrap();
    assert!(is_readable(descriptor, NO_HANG));
    assert_eq!(x.descriptor().unwrap().as_raw_fd(), descriptor);
    assert_eq!(helpers(), 1);
    drop(x);
    assert_eq!(helpers(), 0);
}

#[test]
fn no_message_is_missed_by_a_reader_that_waits_for_edges() {
    const COUNT: u64 = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let _alone = alone();
    let queue = Queue::new(QueueKind::Channel, 8, &["a"], &["x"]);
    let mut writer = Other::start(|| {
        let mut a: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        for n in 0..COUNT {
            a.send(&n).unwrap();
            // Pauses of all lengths around that of a wake-up.
            let most = 1 << random.u32(..12);
            (0..random.u32(..most)).for_each(|_| std::hint::spin_loop());
        }
    });
    let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let descriptor = x.descriptor().unwrap().as_raw_fd();
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).unwrap();
    let (mut events, mut next) = (Events::with_capacity(4), 0);
    while next < COUNT {
        poll.poll(&mut events, Some(NO_HANG)).unwrap();
        assert!(!events.is_empty(), "no event for message {next}");
        while let Ok(message) = x.try_recv() {
            assert_eq!(message.value, next);
            next += 1;
        }
    }
    writer.ends_well();
}

#[test]
fn a_descriptor_without_messages_uses_next_to_no_processor_time() {
    let _alone = alone();
    let used = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let paths = tasks.map(|task| task.unwrap().path());
        let mut helpers = paths.filter(|path| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "hotpool-bell")
        });
        // The first number is the time on a processor in nanoseconds.
        let text = std::fs::read_to_string(helpers.next().unwrap().join("schedstat")).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let descriptor = x.descriptor().unwrap().as_raw_fd();
    // The thread gives itself its name.
    while helpers() == 0 {
        std::thread::yield_now();
    }
    // While others load the processor, each look of the thread takes longer.
    let spent = || {
        let before = used();
        assert!(!is_readable(descriptor, Duration::from_secs(2)));
        used() - before
    };
    let least = (0..5).map(|_| spent()).find(|spent| *spent < Duration::from_millis(2));
    assert!(least.is_some(), "more than 2 ms in each of five times 2 s");
    // Its end does not wait for a slice of sleep.
    let began = Instant::now();
    drop(x);
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
}

#[test]
fn a_forked_child_leaves_the_descriptor_to_its_parent() {
    let _alone = alone();
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut x: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    x.descriptor().unwrap();
    let mut x = Some(x);
    Other::start(|| drop(x.take())).ends_well();
    let mut x = x.unwrap();
    let descriptor = x.descriptor().unwrap().as_raw_fd();
    Sender::<u64>::open(&queue.conf, "a").unwrap().send(&1).unwrap();
    assert!(is_readable(descriptor, NO_HANG));
    assert_eq!(x.try_recv().unwrap().value, 1);
}

#[test]
fn the_example_receives_all_its_messages() {
    let output = Command::new(example::built("queue_mio")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let expected: String = (0..10).map(|n| format!("move {n}\n")).collect();
    assert_eq!(said, expected);
}
