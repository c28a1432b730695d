//! Writers and readers of a queue that are killed and stopped at random, thousands of times, lose
//! and invent nothing (G13).
//!
//! Four writers, and then a single one, send as fast as they can, and four readers check each
//! message: no torn one, no gap and no repetition that is not announced, each writer's messages in
//! order. A quarter of the messages lie in the payload areas of their writers. Three consumers share a work queue, and two readers follow the last value of a queue. The
//! parent kills one of them at a random moment, stops another for a while, and starts a successor. A
//! lock guards two counters at the same time. `HOTPOOL_ROUNDS` and `HOTPOOL_SEED` choose how many,
//! and which.

mod messages;

use fastrand::Rng;
use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::{Latest, Payload, Receiver, RecvError, SendError, Sender, WorkQueue, verify_idle};
use hotpool::sync::{LockError, Mutex, RwLock};
use hotpool::units::Bytes;
use messages::{Lock, Other, Queue, board};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const WRITERS: usize = 4;
const READERS: usize = 4;
const NAMES: [&str; 4] = ["one", "two", "three", "four"];
const LOCKERS: [&str; 3] = ["a", "b", "c"];
const WORKERS: [&str; 3] = ["a", "b", "c"];
const FOLLOWERS: [&str; 2] = ["x", "y"];
/// Messages of the work queue of which the board has a record.
const RECORDS: u64 = 1 << 12;
const ROUNDS: u64 = if cfg!(debug_assertions) { 400 } else { 10_000 };
/// Longer than anything takes that does not hang.
const NO_HANG: Duration = Duration::from_secs(60);

type Words = [u64; 8];

/// Size of the messages that lie in the ring; the larger ones lie in the payload areas.
const SMALL: u64 = 64;
/// Bytes of the payload area of each writer: for three of the largest messages.
const PAYLOAD: u64 = 6 << 10;
/// Words of the largest message.
const MOST_WORDS: u64 = 250;

fn words(writer: u64, clock: u64) -> Words {
    let value = writer << 48 | clock;
    std::array::from_fn(|n| {
        value.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.wrapping_add(n as u64 * 2)) ^ n as u64
    })
}

/// Returns a message: its length and all its bytes follow from its writer and number. Three of four
/// lie in the ring.
fn bytes(writer: u64, clock: u64) -> Vec<u8> {
    let value = writer << 48 | clock;
    let mixed = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let most = if mixed >> 32 & 3 < 3 { SMALL / 8 } else { MOST_WORDS };
    let words = 1 + (mixed >> 40) % most;
    let word = |n: u64| value.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.wrapping_add(n * 2)) ^ n;
    (0..words).flat_map(|n| word(n).to_le_bytes()).collect()
}

/// What outlives the processes.
struct Board {
    /// One more than the number of the last message that a reader has checked; of the channel, then
    /// of the broadcast.
    checked: [&'static [AtomicU64]; 2],
    /// Holds the last message of each writer that each reader of each queue has seen.
    clocks: [&'static [AtomicU64]; 2],
    /// Whether a reader was told of lost messages and has not received one since.
    gaps: [&'static [AtomicU64]; 2],
    /// One more than the number of the last message of the work queue that was done at each place.
    done: &'static [AtomicU64],
    /// One more than the number of the last value that each follower has seen.
    seen: &'static [AtomicU64],
    stop: &'static AtomicU64,
    died: &'static AtomicU64,
    locked: &'static AtomicU64,
}

struct World {
    /// Number of writers of each queue.
    writers: usize,
    channel: QueueConf,
    broadcast: QueueConf,
    work: QueueConf,
    latest: QueueConf,
    lock: hotpool::sync::LockConf,
    shared: hotpool::sync::LockConf,
    board: Board,
}

fn main() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = variable("HOTPOOL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let rounds = variable("HOTPOOL_ROUNDS").unwrap_or(ROUNDS);
    println!("message_storm: seed {seed}, {rounds} kills");
    // A single writer takes a shorter path.
    for (writers, rounds) in [(WRITERS, rounds), (1, rounds.div_ceil(5))] {
        if let Err(what) = run(writers, seed, rounds) {
            eprintln!("FAILED with HOTPOOL_SEED={seed}, {writers} writers: {what}");
            std::process::exit(1);
        }
    }
}

/// Runs a storm over queues of their own.
fn run(writers: usize, seed: u64, rounds: u64) -> Result<(), String> {
    let began = Instant::now();
    let with_payload = |kind, readers: &[&str]| {
        let mut queue = Queue::bytes(kind, 32, SMALL, &NAMES[..writers], readers);
        queue.conf.payload_bytes = Bytes(PAYLOAD);
        queue
    };
    let channel = with_payload(QueueKind::Channel, &NAMES);
    let broadcast = with_payload(QueueKind::Broadcast, &NAMES);
    let work = with_payload(QueueKind::Work, &WORKERS);
    let latest = Queue::bytes(QueueKind::Latest, 4, 64, &NAMES[..writers], &FOLLOWERS);
    let (lock, shared) = (Lock::new(&LOCKERS), Lock::new(&LOCKERS));
    let words = board(2 * (2 * READERS + READERS * WRITERS) + 3);
    let (checked, rest) = words.split_at(2 * READERS);
    let (clocks, rest) = rest.split_at(2 * READERS * WRITERS);
    let (gaps, rest) = rest.split_at(2 * READERS);
    let board = Board {
        checked: [&checked[..READERS], &checked[READERS..]],
        clocks: [&clocks[..READERS * WRITERS], &clocks[READERS * WRITERS..]],
        gaps: [&gaps[..READERS], &gaps[READERS..]],
        done: board(RECORDS as usize),
        seen: board(FOLLOWERS.len()),
        stop: &rest[0],
        died: &rest[1],
        locked: &rest[2],
    };
    let (channel_conf, broadcast_conf) = (channel.conf.clone(), broadcast.conf.clone());
    let world = World {
        writers,
        channel: channel_conf,
        broadcast: broadcast_conf,
        work: work.conf.clone(),
        latest: latest.conf.clone(),
        lock: lock.conf.clone(),
        shared: shared.conf.clone(),
        board,
    };
    let sent = storm(&world, seed, rounds)?;
    println!(
        "message_storm: {writers} writers, {rounds} kills under {sent} messages and {} locks, {} of them of a \
         dead holder; lost 0, torn 0, repeated 0, invented 0, hung 0; {:.1} s, seed {seed}",
        world.board.locked.load(SeqCst),
        world.board.died.load(SeqCst),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Member number `n`: writers, readers of the channel, readers of the broadcast, consumers,
/// followers, lockers.
fn start(world: &World, n: usize) -> Other {
    Other::start(|| {
        let ends = match n.checked_sub(world.writers) {
            None => write(world, n),
            Some(n @ 0..READERS) => read(world, n, 0),
            Some(n) if n < 2 * READERS => read(world, n - READERS, 1),
            Some(n) => match n - 2 * READERS {
                n @ 0..3 => consume(world, n),
                n @ 3..5 => follow(world, n - 3),
                n => guard(world, n - 5),
            },
        };
        if let Err(what) = ends {
            eprintln!("member {n}: {what}");
            // SAFETY: ends at once, with what the parent takes for a failure.
            unsafe { libc::_exit(102) };
        }
    })
}

fn storm(world: &World, seed: u64, rounds: u64) -> Result<u64, String> {
    let mut rng = Rng::with_seed(seed);
    let takers = 2 * READERS + WORKERS.len() + FOLLOWERS.len();
    let count = world.writers + takers + LOCKERS.len();
    let mut all: Vec<Other> = (0..count).map(|n| start(world, n)).collect();
    let mut progress = Instant::now();
    let mut seen = 0;
    for round in 0..rounds {
        let pause = Duration::from_nanos(rng.u64(0..1_500_000));
        std::thread::sleep(pause);
        if rng.u8(..8) == 0 {
            let stopped = rng.usize(..count);
            all[stopped].stop();
            std::thread::sleep(Duration::from_micros(rng.u64(0..3000)));
            all[stopped].signal(libc::SIGCONT);
        }
        let n = rng.usize(..count);
        all[n].kill();
        let status = all[n].wait();
        if !libc::WIFSIGNALED(status) {
            return Err(format!("member {n} ended by itself in round {round}: status {status:#x}"));
        }
        all[n] = start(world, n);
        let now: u64 = world.board.checked[0].iter().map(|word| word.load(SeqCst)).sum();
        if now != seen {
            (seen, progress) = (now, Instant::now());
        } else if progress.elapsed() > NO_HANG {
            return Err(format!("nothing was received since round {round}"));
        }
    }
    world.board.stop.store(1, SeqCst);
    for n in (0..world.writers).chain(world.writers + takers..count) {
        ends_well(&mut all[n]).map_err(|what| format!("member {n}: {what}"))?;
    }
    let sent: u64 =
        (0..world.writers).map(|n| Sender::<[u8]>::open(&world.channel, NAMES[n]).unwrap().sent()).sum();
    world.board.stop.store(2, SeqCst);
    for (n, member) in all.iter_mut().enumerate().skip(world.writers).take(takers) {
        ends_well(member).map_err(|what| format!("member {n}: {what}"))?;
    }
    for (n, checked) in world.board.checked[0].iter().enumerate() {
        if checked.load(SeqCst) != sent {
            return Err(format!(
                "{sent} messages were sent, reader {n} has received {}",
                checked.load(SeqCst)
            ));
        }
    }
    let sent_wide: u64 =
        (0..world.writers).map(|n| Sender::<[u8]>::open(&world.broadcast, NAMES[n]).unwrap().sent()).sum();
    for (n, checked) in world.board.checked[1].iter().enumerate() {
        if checked.load(SeqCst) != sent_wide {
            return Err(format!("{sent_wide} were sent to all, reader {n} counts {}", checked.load(SeqCst)));
        }
    }
    let (worked, newest) = (sent_to::<[u8]>(&world.work), sent_to::<Words>(&world.latest));
    for id in worked.saturating_sub(RECORDS)..worked {
        if world.board.done[(id % RECORDS) as usize].load(SeqCst) != id + 1 {
            return Err(format!("{worked} messages were sent to the consumers, and {id} was not done"));
        }
    }
    for (n, seen) in world.board.seen.iter().enumerate() {
        if seen.load(SeqCst) != newest {
            return Err(format!(
                "{newest} values were sent, follower {n} has seen up to {}",
                seen.load(SeqCst)
            ));
        }
    }
    for key in [world.channel.key, world.broadcast.key, world.work.key, world.latest.key] {
        let damage = verify_idle(key).map_err(|error| error.to_string())?;
        if !damage.is_empty() {
            return Err(format!("{key}: {}", damage.join("; ")));
        }
    }
    Ok(sent + sent_wide + worked + newest)
}

fn sent_to<T: Payload + ?Sized>(conf: &QueueConf) -> u64 {
    conf.writers.iter().map(|name| Sender::<T>::open(conf, name).unwrap().sent()).sum()
}

fn ends_well(member: &mut Other) -> Result<(), String> {
    match member.wait() {
        0 => Ok(()),
        status => Err(format!("ended with status {status:#x}")),
    }
}

fn write(world: &World, n: usize) -> Result<(), String> {
    let mut tx: Sender<[u8]> = Sender::open(&world.channel, NAMES[n]).map_err(|error| error.to_string())?;
    let mut wide: Sender<[u8]> =
        Sender::open(&world.broadcast, NAMES[n]).map_err(|error| error.to_string())?;
    let mut work: Sender<[u8]> = Sender::open(&world.work, NAMES[n]).map_err(|error| error.to_string())?;
    let mut last: Sender<Words> = Sender::open(&world.latest, NAMES[n]).map_err(|error| error.to_string())?;
    while world.board.stop.load(SeqCst) == 0 {
        last.send(&words(n as u64, last.sent() + 1)).map_err(|error| error.to_string())?;
        let next = bytes(n as u64, work.sent() + 1);
        match work.send_timeout(&next, Duration::from_millis(20)) {
            Ok(_) | Err(SendError::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
        let next = bytes(n as u64, wide.sent() + 1);
        wide.send(&next).map_err(|error| error.to_string())?;
        let next = bytes(n as u64, tx.sent() + 1);
        match tx.send_timeout(&next, Duration::from_millis(20)) {
            Ok(_) | Err(SendError::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Checks every message of a queue.
fn read(world: &World, n: usize, queue: usize) -> Result<(), String> {
    let conf = [&world.channel, &world.broadcast][queue];
    let checked = &world.board.checked[queue][n];
    let clocks = &world.board.clocks[queue][n * WRITERS..(n + 1) * WRITERS];
    let mut rx: Receiver<[u8]> = Receiver::open(conf, NAMES[n]).map_err(|error| error.to_string())?;
    let gap = &world.board.gaps[queue][n];
    let mut at = rx.next_id();
    let before = checked.load(SeqCst);
    if gap.load(SeqCst) == 0 && at != before && at + 1 != before {
        return Err(format!("it is to go on at {at}, and its predecessor had checked up to {before}"));
    }
    let mut first = true;
    loop {
        let message = match rx.recv_timeout(Duration::from_millis(20)) {
            Ok(message) => message,
            Err(RecvError::TimedOut) if world.board.stop.load(SeqCst) == 2 => return Ok(()),
            Err(RecvError::TimedOut) => continue,
            Err(RecvError::Lagged(missed)) if queue == 1 => {
                // The next message of each writer may be any.
                gap.store(1, SeqCst);
                clocks.iter().for_each(|clock| clock.store(u64::MAX, SeqCst));
                at += missed;
                first = false;
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let meta = message.meta;
        let again = first && meta.id + 1 == before;
        if meta.id != at || again && !meta.redelivered {
            return Err(format!("{meta:?}, and {at} was to be next; {before} were checked"));
        }
        if message.value != bytes(meta.writer.into(), meta.clock) {
            return Err(format!("{meta:?} is torn: {:x?}", message.value));
        }
        let clock = &clocks[meta.writer as usize];
        let last = clock.load(SeqCst);
        // A kill comes between the store of this word and that of the number.
        if last != u64::MAX && meta.clock != last + 1 && !(first && meta.clock == last) {
            return Err(format!("{meta:?} after message {last} of this writer"));
        }
        clock.store(meta.clock, SeqCst);
        at = meta.id + 1;
        checked.store(at, SeqCst);
        gap.store(0, SeqCst);
        first = false;
    }
}

/// Does the messages of the work queue: each once, or again with a mark.
fn consume(world: &World, n: usize) -> Result<(), String> {
    let mut work: WorkQueue<[u8]> =
        WorkQueue::open(&world.work, WORKERS[n]).map_err(|error| error.to_string())?;
    loop {
        let message = match work.recv_timeout(Duration::from_millis(20)) {
            Ok(message) => message,
            Err(RecvError::TimedOut) if world.board.stop.load(SeqCst) == 2 => return Ok(()),
            Err(RecvError::TimedOut) => continue,
            Err(error) => return Err(error.to_string()),
        };
        let meta = message.meta;
        if message.value != bytes(meta.writer.into(), meta.clock) {
            return Err(format!("{meta:?} is torn: {:x?}", message.value));
        }
        let before = world.board.done[(meta.id % RECORDS) as usize].swap(meta.id + 1, SeqCst);
        // The message that had this place before was done.
        let is_first = before == (meta.id + 1).saturating_sub(RECORDS);
        let is_again = meta.redelivered && before == meta.id + 1;
        if !is_first && !is_again {
            return Err(format!("{meta:?} after {before}"));
        }
    }
}

/// Follows the last value: it is whole, and never an older one.
fn follow(world: &World, n: usize) -> Result<(), String> {
    let mut last: Latest<Words> =
        Latest::open(&world.latest, FOLLOWERS[n]).map_err(|error| error.to_string())?;
    let (seen, mut first) = (&world.board.seen[n], true);
    loop {
        let message = match last.recv_timeout(Duration::from_millis(20)) {
            Ok(message) => message,
            Err(RecvError::TimedOut) if world.board.stop.load(SeqCst) == 2 => return Ok(()),
            Err(RecvError::TimedOut) => continue,
            Err(error) => return Err(error.to_string()),
        };
        let meta = message.meta;
        if message.value != words(meta.writer.into(), meta.clock) {
            return Err(format!("{meta:?} is torn: {:x?}", message.value));
        }
        let before = seen.swap(meta.id + 1, SeqCst);
        if before > meta.id + 1 || before == meta.id + 1 && !first {
            return Err(format!("{meta:?} after {before} were sent"));
        }
        first = false;
    }
}

/// Adds to two numbers under a lock, and looks that they are the same.
fn guard(world: &World, n: usize) -> Result<(), String> {
    let mutex: Mutex<[u64; 2]> = Mutex::open(&world.lock, LOCKERS[n]).map_err(|error| error.to_string())?;
    let lock: RwLock<[u64; 2]> =
        RwLock::open(&world.shared, LOCKERS[n]).map_err(|error| error.to_string())?;
    let repair = |value: &mut [u64; 2]| {
        world.board.died.fetch_add(1, SeqCst);
        value[1] = value[0];
    };
    while world.board.stop.load(SeqCst) == 0 {
        let mut guard = mutex.lock_or_repair(repair).map_err(|error| error.to_string())?;
        if guard[0] != guard[1] {
            return Err(format!("the values under the mutex differ: {guard:?}"));
        }
        guard[0] += 1;
        guard[1] += 1;
        drop(guard);
        match lock.read() {
            Ok(guard) if guard[0] != guard[1] => return Err("the values under the rwlock differ".into()),
            Ok(_) | Err(LockError::OwnerDied(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
        let mut guard = match lock.write() {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => died.repair(repair),
            Err(error) => return Err(error.to_string()),
        };
        if guard[0] != guard[1] {
            return Err(format!("the values under the rwlock differ for a writer: {guard:?}"));
        }
        guard[0] += 1;
        guard[1] += 1;
        drop(guard);
        world.board.locked.fetch_add(2, SeqCst);
    }
    Ok(())
}
