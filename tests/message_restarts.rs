//! A process that waits costs next to nothing, and one that is killed leaves nothing that its
//! successor or a removal does not take away (G13).
//!
//! The other processes are forks of this one, so one test runs at a time. `HOTPOOL_ROUNDS` chooses
//! how many are killed.

mod messages;

use hotpool::conf::QueueKind;
use hotpool::queue::{Receiver, RecvError, Sender};
use hotpool::sync::{Event, Mutex, remove};
use hotpool::units::Key;
use messages::{Lock, Other, Queue, board};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const ROUNDS: u64 = if cfg!(debug_assertions) { 50 } else { 1000 };
/// How long a process waits for nothing, and the processor time that it may use meanwhile.
const IDLE: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_millis(5);

fn alone() -> MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processor time of this process.
fn used() -> Duration {
    // SAFETY: all zeroes are a value of it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: there is room for the answer.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Another process that stores the processor time that `wait` takes, in nanoseconds.
fn waits<T>(cost: &'static AtomicU64, open: impl FnOnce() -> T, wait: impl FnOnce(&mut T)) -> Other {
    Other::start(move || {
        let mut opened = open();
        let before = used();
        wait(&mut opened);
        cost.store((used() - before).as_nanos() as u64, SeqCst);
    })
}

#[test]
fn a_process_that_waits_for_a_message_or_an_event_uses_less_than_5_ms_of_processor_time_in_10_s() {
    let _alone = alone();
    // Other work on the host makes the same wake-ups dearer, and never cheaper.
    let costs = (0..3).map(|_| costs_of_waiting()).find(|costs| costs.iter().all(|cost| *cost < MOST));
    assert!(costs.is_some(), "more than {MOST:?} in {IDLE:?}, three times");
}

/// Returns the processor time of a process that waits for a channel, a broadcast and an event.
fn costs_of_waiting() -> Vec<Duration> {
    let queues = [QueueKind::Channel, QueueKind::Broadcast].map(|kind| Queue::new(kind, 4, &["a"], &["x"]));
    let (lock, costs) = (Lock::new(&["a"]), board(3));
    let began = Instant::now();
    let reader = |number: usize| {
        let open = || Receiver::<u64>::open(&queues[number].conf, "x").unwrap();
        waits(&costs[number], open, |rx| assert_eq!(rx.recv_timeout(IDLE), Err(RecvError::TimedOut)))
    };
    let event = || Event::open(&lock.conf, "a").unwrap();
    let event = waits(&costs[2], event, |event| assert_eq!(event.wait_timeout(IDLE), 0));
    [reader(0), reader(1), event].iter_mut().for_each(Other::ends_well);
    assert!(began.elapsed() >= IDLE);
    let costs: Vec<_> = costs.iter().map(|cost| Duration::from_nanos(cost.load(SeqCst))).collect();
    println!("channel, broadcast, event: {costs:?} in {IDLE:?}");
    assert!(costs.iter().all(|cost| !cost.is_zero()), "{costs:?}");
    costs
}

/// Rows of a table of the kernel's that satisfy `wanted`, which is given the key and the creator.
fn rows(table: &str, wanted: impl Fn(u32, u64) -> bool) -> usize {
    let text = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap();
    let mut lines = text.lines();
    let heads: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    let at = |name: &str| heads.iter().position(|head| *head == name).unwrap_or(usize::MAX);
    let (key, creator) = (at("key"), at("cpid"));
    let is_wanted = |line: &&str| {
        let fields: Vec<i64> = line.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        wanted(fields[key] as u32, fields.get(creator).map_or(0, |pid| *pid as u64))
    };
    lines.filter(is_wanted).count()
}

/// Segments and sets under our keys, and segments of our processes that have no key any more.
fn left(keys: &[Key], pids: &[u64]) -> (usize, usize, usize) {
    let is_ours = |key: u32, _| keys.contains(&Key(key));
    (rows("shm", is_ours), rows("sem", is_ours), rows("shm", |key, pid| key == 0 && pids.contains(&pid)))
}

/// Waits until the other process has come so far.
fn until(word: &AtomicU64, least: u64) {
    let began = Instant::now();
    while word.load(SeqCst) < least {
        assert!(began.elapsed() < Duration::from_secs(60), "the other process has failed");
        std::thread::yield_now();
    }
}

/// Open descriptors of this process, and its mappings of files that are no programs.
fn held() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let is_file = |line: &&str| line.contains(" /dev/shm/") || line.contains(" /tmp/");
    (std::fs::read_dir("/proc/self/fd").unwrap().count(), maps.lines().filter(is_file).count())
}

/// Opens everything and works until it is killed.
fn victim(queue: &Queue, lock: &Lock, round: u64, board: &'static [AtomicU64]) {
    let before = held();
    board[0].store(round, SeqCst);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let mutex: Mutex<u64> = Mutex::open(&lock.conf, "a").unwrap();
    // An open lock or queue needs no descriptor and no file.
    assert_eq!(held(), before);
    board[1].store(round, SeqCst);
    loop {
        // It may be full with what its predecessors sent.
        let _ = tx.try_send(&round);
        let _ = rx.recv_timeout(Duration::from_micros(50));
        *mutex.lock_or_repair(|value| *value = 0).unwrap() += 1;
    }
}

#[test]
fn after_1000_kills_and_restarts_no_segment_semaphore_descriptor_or_file_is_left() {
    let _alone = alone();
    let rounds = std::env::var("HOTPOOL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let (queue, lock) = (Queue::new(QueueKind::Channel, 4, &["a"], &["x"]), Lock::new(&["a", "b"]));
    let keys = [queue.conf.key, lock.conf.key];
    let (board, before, mut pids) = (board(2), held(), vec![u64::from(std::process::id())]);
    let mut random = fastrand::Rng::with_seed(rounds);
    for round in 1..=rounds {
        // In each tenth round they do not exist yet, and may be half made when the process dies.
        let is_new = round % 10 == 0;
        if is_new {
            keys.iter().for_each(|key| assert!(remove(*key).unwrap()));
        }
        let mut other = Other::start(|| victim(&queue, &lock, round, board));
        pids.push(other.pid());
        until(&board[usize::from(!is_new)], round);
        let moment = Instant::now() + Duration::from_micros(random.u64(..300));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        other.kill();
        // The next one is of this process.
        if is_new || round == rounds {
            let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
            let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
            let mutex: Mutex<u64> = Mutex::open(&lock.conf, "b").unwrap();
            drop(mutex.lock_or_repair(|value| *value = 0).unwrap());
            while rx.try_recv().is_ok() {}
            tx.try_send(&0).unwrap();
            assert_eq!(rx.try_recv().unwrap().value, 0);
        }
        assert_eq!(left(&keys, &pids), (2, 2, 0), "after {round} kills");
    }
    let gone = |key: &Key| remove(*key).unwrap() && !remove(*key).unwrap();
    assert!(keys.iter().all(gone));
    assert_eq!(left(&keys, &pids), (0, 0, 0));
    assert_eq!(held(), before);
}

/// 64 processes create a lock together, then open it together: each gets it, and has it alone.
#[test]
fn processes_that_open_at_once_all_get_in() {
    const PROCESSES: usize = 64;
    let rounds = if cfg!(debug_assertions) { 10 } else { 200 };
    let _alone = alone();
    let names: Vec<String> = (0..PROCESSES).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (lock, gate) = (Lock::new(&names), board(1));
    for round in 1..=rounds {
        // Every second round finds the lock of the round before.
        let is_new = round % 2 == 1;
        if is_new {
            lock.renew();
        }
        let mut others: Vec<Other> = names
            .iter()
            .map(|name| {
                Other::start(|| {
                    until(&gate[0], round);
                    let mutex: Mutex<u64> = Mutex::open(&lock.conf, name).unwrap();
                    *mutex.lock().unwrap() += 1;
                })
            })
            .collect();
        gate[0].store(round, SeqCst);
        others.iter_mut().for_each(Other::ends_well);
        let mutex: Mutex<u64> = Mutex::open(&lock.conf, names[0]).unwrap();
        let expected = PROCESSES as u64 * if is_new { 1 } else { 2 };
        assert_eq!(*mutex.lock().unwrap(), expected, "round {round}");
    }
}

/// 64 processes create a queue together, then open it together: each gets its seat, and the message of
/// each arrives once.
#[test]
fn writers_that_open_a_queue_at_once_all_get_in() {
    const PROCESSES: usize = 64;
    let rounds = if cfg!(debug_assertions) { 10 } else { 200 };
    let _alone = alone();
    let names: Vec<String> = (0..PROCESSES).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (queue, gate) = (Queue::new(QueueKind::Channel, 128, &names, &["x"]), board(1));
    for round in 1..=rounds {
        // Every second round finds the queue of the round before.
        if round % 2 == 1 {
            queue.renew();
        }
        let start = |number: usize| {
            let (queue, gate, name) = (&queue, &gate[0], names[number]);
            Other::start(move || {
                until(gate, round);
                let mut tx: Sender<u64> = Sender::open(&queue.conf, name).unwrap();
                tx.send(&(number as u64)).unwrap();
            })
        };
        let mut others: Vec<Other> = (0..PROCESSES).map(start).collect();
        gate[0].store(round, SeqCst);
        others.iter_mut().for_each(Other::ends_well);
        let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
        let mut got: Vec<u64> = (0..PROCESSES).map(|_| rx.try_recv().unwrap().value).collect();
        assert!(matches!(rx.try_recv(), Err(RecvError::Empty)), "round {round}");
        rx.ack();
        got.sort_unstable();
        assert_eq!(got, (0..PROCESSES as u64).collect::<Vec<_>>(), "round {round}");
    }
}
