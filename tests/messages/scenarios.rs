//! The operations of locks and queues that are killed after each instruction, and the checks of the
//! state that a kill leaves.

use super::bank::{Bank, Fault, audit, deposit, enter};
use super::messages::{Lock, Queue, board};
use super::stepper::{self, Child, Moment, Path};
use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::{
    AckError, Latest, Message, Receiver, RecvError, RecvInError, SendError, Sender, WorkQueue, observe,
    verify_idle,
};
use hotpool::sync::{Barrier, Event, LockError, Mutex, RwLock};
use hotpool::units::Bytes;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A message: all words follow from the first, so that a torn message is detected.
pub(crate) type Words = [u64; 6];

pub(crate) fn words(value: u64) -> Words {
    std::array::from_fn(|n| {
        value.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.wrapping_add(n as u64 * 2)) ^ n as u64
    })
}

/// Returns the message that writer `writer` sends with this `clock`.
pub(crate) fn message(writer: u64, clock: u64) -> Words {
    words(writer << 48 | clock)
}

/// A deadline that only a hang exceeds.
const NO_HANG: Duration = Duration::from_secs(20);
const CAPACITY: u32 = 3;

/// The queue, the lock and the counters that a scenario uses.
pub(crate) struct World {
    queue: Queue,
    lock: Lock,
    bank: Bank,
    /// Not 0 after the child has finished its operation.
    done: &'static AtomicU64,
    /// Messages that were sent under each writer's name before the child ran.
    before: Cell<[u64; 2]>,
    /// Number of the last message that was received before the child ran.
    given: Cell<u64>,
    /// The number of instructions of a send after which its message is published and no later step
    /// is done.
    published: Cell<Option<usize>>,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    kind: QueueKind,
    capacity: u32,
    writers: &'static [&'static str],
    setup: fn(&World),
    act: fn(&World),
    judge: fn(&World) -> Result<(), String>,
    /// Bytes of the payload area of each writer. If there are some, each message lies there.
    payload: u64,
    /// Done by this process while the child is stopped. The child then ends its operation.
    beside: Option<fn(&World)>,
}

const fn on(
    kind: QueueKind,
    name: &'static str,
    setup: fn(&World),
    act: fn(&World),
    judge: fn(&World) -> Result<(), String>,
) -> Scenario {
    let writers = &["a", "b"];
    Scenario { name, kind, capacity: CAPACITY, writers, setup, act, judge, payload: 0, beside: None }
}

/// A scenario in which each message lies in the payload area of its writer, which has bytes for `slots`.
const fn large(slots: u64, scenario: Scenario) -> Scenario {
    Scenario { payload: slots * 64, ..scenario }
}

/// A scenario in which a is the only writer, which takes a shorter path.
const fn alone(name: &'static str, setup: fn(&World), act: fn(&World)) -> Scenario {
    Scenario { writers: &["a"], ..on(Channel, name, setup, act, judge_alone) }
}

use QueueKind::{Broadcast, Channel, Work};

pub(crate) const ALL: &[Scenario] = &[
    on(Channel, "channel: send, first lap", |_| (), send, judge_queue),
    on(Channel, "channel: send, later lap", two_laps, send, judge_queue),
    on(Broadcast, "broadcast: send, first lap", |_| (), send, judge_queue),
    on(Broadcast, "broadcast: send over a message of another writer", |w| others(w, 7), send, judge_queue),
    Scenario {
        capacity: 1,
        ..on(
            Broadcast,
            "broadcast: send over a message whose writer died at its commit",
            cut_send,
            send_as_b,
            judge_queue,
        )
    },
    Scenario {
        capacity: 1,
        ..on(Broadcast, "broadcast: a writer returns that died at its commit", cut_send, send, judge_queue)
    },
    on(Channel, "channel: a writer returns that died at its commit", cut_send, send, judge_queue),
    on(Channel, "channel: send_timeout into a full queue", full, send_in_time, judge_queue),
    on(Channel, "channel: wait_acks of an unread message", unread, wait_acks, judge_queue),
    on(Channel, "channel: loan and commit", two_laps, loan, judge_queue),
    on(Channel, "channel: send_batch", two_laps, send_batch, judge_queue),
    alone("channel: send of the only writer, first lap", |_| (), send),
    alone("channel: send of the only writer, later lap", own_laps, send),
    alone("channel: send_batch of the only writer", own_laps, send_batch),
    alone("channel: loan and commit of the only writer", own_laps, loan),
    alone("channel: the only writer returns that died at its commit", cut_send, send),
    alone("channel: register the only writer that died at its commit", cut_send, open_writer),
    on(Channel, "channel: recv", some_given, recv, judge_recv),
    on(Channel, "channel: recv_ref and ack", some_given, recv_ref, judge_acked),
    on(Broadcast, "broadcast: recv", some_given, recv, judge_recv),
    on(
        Broadcast,
        "broadcast: recv of a reader that lagged",
        |w| {
            some_given(w);
            others(w, 5);
        },
        recv_lagged,
        judge_queue,
    ),
    on(Channel, "channel: recv_in of a new reader", empty_bank, deposit_first, judge_bank),
    on(Channel, "channel: recv_in after another", empty_bank, deposit_second, judge_bank),
    on(Channel, "channel: recv_timeout of an empty queue", |_| (), recv_in_time, judge_queue),
    on(Channel, "channel: register a writer", two_laps, open_writer, judge_queue),
    on(Channel, "channel: register a writer that died at its commit", cut_send, open_writer, judge_queue),
    on(Channel, "channel: register a reader", some_given, open_reader, judge_recv),
    on(Channel, "channel: make a queue", renew, open_writer, judge_queue),
    on(Channel, "channel: unregister", two_laps, close_writer, judge_queue),
    on(QueueKind::Latest, "latest: send", |w| others(w, 4), send, judge_latest),
    on(QueueKind::Latest, "latest: recv", |w| others(w, 4), recv_latest, judge_latest),
    Scenario {
        beside: Some(|w| others(w, 7)),
        ..on(QueueKind::Latest, "latest: recv beside a writer", |w| others(w, 4), recv_latest, judge_latest)
    },
    on(Work, "work: send, later lap", one_lap_of_work, send, judge_work_sent),
    on(Work, "work: recv", one_lap_of_work, work_on, judge_work_taken),
    on(Work, "work: ack", one_lap_of_work, finish_work, judge_work_acked),
    on(Work, "work: recv beside a living consumer", |w| others(w, 1), work_beside, judge_work_left),
    on(
        Work,
        "work: recv a message of a dead consumer",
        |w| dead_consumer(w, "y"),
        adopt_work,
        judge_work_left,
    ),
    on(
        Work,
        "work: register a consumer that died at work",
        |w| dead_consumer(w, "x"),
        open_worker,
        judge_work_kept,
    ),
    large(3, on(Channel, "payload channel: send, first lap", |_| (), send, judge_queue)),
    large(1, on(Channel, "payload channel: send, later lap", two_laps, send, judge_queue)),
    large(1, on(Channel, "payload channel: send into a full area", unread, send_refused, judge_queue)),
    large(
        1,
        on(Channel, "payload channel: send_timeout into a full area", unread, send_in_time, judge_queue),
    ),
    large(1, on(Channel, "payload channel: a writer returns", unread, return_full, judge_queue)),
    large(
        1,
        on(
            Channel,
            "payload channel: a writer returns that died at its commit",
            cut_send,
            return_full,
            judge_queue,
        ),
    ),
    large(1, on(Channel, "payload channel: loan and commit", two_laps, loan, judge_queue)),
    large(3, alone("payload channel: send_batch of the only writer", own_laps, send_batch)),
    large(3, on(Channel, "payload channel: recv", some_given, recv, judge_recv)),
    large(3, on(Channel, "payload channel: recv_ref and ack", some_given, recv_ref, judge_acked)),
    large(3, on(Channel, "payload channel: recv_in after another", empty_bank, deposit_second, judge_bank)),
    large(1, on(Broadcast, "payload broadcast: send over an unread message", unread, send, judge_queue)),
    large(3, on(Broadcast, "payload broadcast: recv", some_given, recv, judge_recv)),
    large(
        3,
        on(
            Broadcast,
            "payload broadcast: recv of a reader whose message lost its bytes",
            |w| {
                some_given(w);
                others(w, 2);
            },
            recv_lagged,
            judge_queue,
        ),
    ),
    Scenario {
        beside: Some(|w| others(w, 2)),
        ..large(
            1,
            on(
                Broadcast,
                "payload broadcast: recv beside a writer",
                |w| others(w, 1),
                recv_beside,
                judge_queue,
            ),
        )
    },
    large(2, on(Work, "payload work: send, later lap", one_lap_of_work, send, judge_work_sent)),
    large(2, on(Work, "payload work: recv", one_lap_of_work, work_on, judge_work_taken)),
    large(2, on(Work, "payload work: ack", one_lap_of_work, finish_work, judge_work_acked)),
    large(
        3,
        on(
            Work,
            "payload work: recv a message of a dead consumer",
            |w| dead_consumer(w, "y"),
            adopt_work,
            judge_work_left,
        ),
    ),
    on(Channel, "mutex: lock, write, unlock", lock_once, mutex, judge_mutex),
    on(Channel, "mutex: lock of a dead holder, and repair", dead_holder, mutex_repair, judge_mutex),
    on(Channel, "mutex: wait for a living holder", lock_once, mutex_wait, judge_mutex),
    on(Channel, "mutex: make and lock", |w| w.lock.renew(), mutex_open, judge_mutex),
    on(Channel, "rwlock: read", rw_once, rw_read, judge_rw),
    on(Channel, "rwlock: write", rw_once, rw_write, judge_rw),
    on(Channel, "rwlock: write beside a dead reader", rw_dead_reader, rw_write, judge_rw),
    on(Channel, "event: set", event_once, event_set, judge_event),
    on(Channel, "event: wait", event_once, event_wait, judge_event),
    on(Channel, "barrier: arrive", barrier_once, barrier_wait, judge_barrier),
];

/// Plants a bug in the child.
#[cfg(feature = "__internal_mutants")]
pub(crate) type Planted = Option<hotpool::sync::slips::Slip>;
#[cfg(not(feature = "__internal_mutants"))]
pub(crate) type Planted = Option<()>;

pub(crate) fn plant(_bug: Planted) {
    #[cfg(feature = "__internal_mutants")]
    hotpool::sync::slips::plant(_bug);
}

/// Kills a scenario after each instruction; returns the number of kills, and the first violation.
pub(crate) fn run(scenario: &Scenario, bug: Planted) -> (u64, Option<String>) {
    let bytes = if scenario.payload == 0 { size_of::<Words>() as u64 } else { 8 };
    let mut queue = Queue::bytes(scenario.kind, scenario.capacity, bytes, scenario.writers, &["x", "y"]);
    queue.conf.payload_bytes = Bytes(scenario.payload);
    let world = World {
        queue,
        lock: Lock::new(&["a", "b", "c"]),
        bank: Bank::new(),
        done: &board(1)[0],
        before: Cell::default(),
        given: Cell::new(0),
        published: Cell::default(),
    };
    let renew = || {
        world.queue.renew();
        world.lock.renew();
        world.before.set([0; 2]);
        world.given.set(u64::MAX);
        world.done.store(0, Ordering::SeqCst);
        (scenario.setup)(&world);
    };
    let start = || {
        Child::start(|| {
            plant(bug);
            (scenario.act)(&world);
        })
    };
    renew();
    let child = start();
    let path = Path::walk(&child, |_: Moment| false);
    child.kill();
    let length = path.len();
    // Opening is long and takes the same path each time, so only some of its instructions are
    // killed.
    let every = stride(length);
    let (mut kills, mut left) = (0, 0);
    // Another run kills at other places.
    let mut place = std::process::id() as usize % every;
    loop {
        // A loop that waits is killed only in its first rounds.
        while length > 700 && place + 1 < length && !path.is_new(place, u32::from(length <= 2500)) {
            place += 1;
        }
        let (child, reached) = reach(&path, place, &renew, &start);
        let is_over = child.is_done() || length > 2500 && place + 1 >= length;
        if let Some(beside) = scenario.beside {
            beside(&world);
            while !child.is_done() {
                child.step();
            }
        }
        child.kill();
        left += u64::from(!reached);
        if let Err(what) = (scenario.judge)(&world) {
            return (kills, Some(format!("{}: killed after {place} instructions: {what}", scenario.name)));
        }
        kills += 1;
        if is_over {
            break;
        }
        place = if length > 2500 { (place + every).min(length - 1) } else { place + every };
    }
    println!(
        "{:64} {length:6} instructions, {kills:6} kills{}",
        scenario.name,
        match left {
            0 => String::new(),
            left => format!(", {left} of them elsewhere"),
        }
    );
    (kills, None)
}

/// Returns how many instructions lie between two kills, unless `HOTPOOL_EVERY` has another number: 1
/// in a release build. A debug build kills at a few places, and another run at others.
fn stride(length: usize) -> usize {
    let chosen = std::env::var("HOTPOOL_EVERY").ok().and_then(|text| text.parse::<usize>().ok());
    match chosen {
        Some(every) if length > 2500 => every.max(length.div_ceil(150)),
        Some(every) => every.max(1),
        None if cfg!(debug_assertions) => length.div_ceil(4),
        None => 1,
    }
}

/// Returns a child that has run to a place, and whether it took the path there. A breakpoint brings
/// it near; a short operation that leaves the path is run again, step by step.
fn reach(path: &Path, place: usize, renew: &dyn Fn(), start: &dyn Fn() -> Child) -> (Child, bool) {
    renew();
    let child = start();
    if place + 1 < path.len() && child.run_to(path, place) {
        return (child, true);
    }
    if path.len() > 2500 {
        return (child, false);
    }
    child.kill();
    renew();
    let child = start();
    for _ in 0..place {
        if !child.is_done() {
            child.step();
        }
    }
    (child, true)
}

// States before the operation.

fn tx(conf: &QueueConf, name: &str) -> Sender<Words> {
    Sender::open(conf, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rx(conf: &QueueConf, name: &str) -> Receiver<Words> {
    Receiver::open(conf, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl World {
    fn conf(&self) -> &QueueConf {
        &self.queue.conf
    }

    fn note(&self, more: [u64; 2]) {
        let [a, b] = self.before.get();
        self.before.set([a + more[0], b + more[1]]);
    }
}

fn renew(world: &World) {
    world.queue.renew();
}

/// Lets both readers pass two laps.
fn two_laps(world: &World) {
    let (mut a, mut b) = (tx(world.conf(), "a"), tx(world.conf(), "b"));
    let mut readers = ["x", "y"].map(|name| rx(world.conf(), name));
    for n in 1..=CAPACITY.into() {
        a.try_send(&message(0, n)).unwrap();
        b.try_send(&message(1, n)).unwrap();
        for rx in &mut readers {
            rx.try_recv().unwrap();
            rx.try_recv().unwrap();
            rx.ack();
        }
    }
    world.note([CAPACITY.into(), CAPACITY.into()]);
}

/// Lets both readers pass two laps of a queue with one writer.
fn own_laps(world: &World) {
    let mut a = tx(world.conf(), "a");
    let mut readers = ["x", "y"].map(|name| rx(world.conf(), name));
    let count = 2 * u64::from(CAPACITY);
    for n in 1..=count {
        a.try_send(&message(0, n)).unwrap();
        for rx in &mut readers {
            rx.try_recv().unwrap();
            rx.ack();
        }
    }
    world.note([count, 0]);
}

/// Lets writer b send more messages.
fn others(world: &World, more: u64) {
    let mut b = tx(world.conf(), "b");
    for _ in 0..more {
        b.try_send(&message(1, b.sent() + 1)).unwrap();
    }
    world.note([0, more]);
}

/// Lets writer a send a message that no reader reads.
fn unread(world: &World) {
    tx(world.conf(), "a").try_send(&message(0, 1)).unwrap();
    world.note([1, 0]);
}

/// Sends three messages to a bank without accounts.
fn empty_bank(world: &World) {
    world.bank.clear();
    others(world, 3);
}

fn full(world: &World) {
    let mut b = tx(world.conf(), "b");
    for n in 1..=CAPACITY.into() {
        b.try_send(&message(1, n)).unwrap();
    }
    world.note([0, CAPACITY.into()]);
}

/// Sends three messages, of which x has been given the first.
fn some_given(world: &World) {
    others(world, 3);
    let id = rx(world.conf(), "x").try_recv().unwrap().meta.id;
    world.given.set(id);
}

/// Kills writer a right after the commit store of its message.
fn cut_send(world: &World) {
    let cut = |steps: usize| {
        world.queue.renew();
        drop((rx(world.conf(), "x"), rx(world.conf(), "y")));
        let child = Child::start(|| {
            let mut a = tx(world.conf(), "a");
            stepper::begin();
            let _ = a.try_send(&message(0, 1));
            stepper::end();
        });
        (0..steps).for_each(|_| child.step());
        child.kill();
        let facts = observe(world.conf().key).unwrap().unwrap();
        let is_there = {
            let mut x = rx(world.conf(), "x");
            // It reads the message, and does not acknowledge it.
            let found = x.try_recv().is_ok();
            drop(x);
            found
        };
        (is_there, facts.writers[0].sent)
    };
    // The path to the clock and back differs in length from run to run.
    let near = world.published.get().map_or(1, |steps| steps.saturating_sub(40).max(1));
    let is_known = world.published.get().is_some_and(|steps| cut(steps) == (true, 0));
    if !is_known {
        let steps = (near..2000).find(|steps| cut(*steps) == (true, 0));
        world.published.set(Some(steps.expect("a send is cut at its commit")));
    }
    world.note([1, 0]);
}

/// Lets one lap of messages be finished, and sends two more.
fn one_lap_of_work(world: &World) {
    let (mut b, mut y) = (tx(world.conf(), "b"), worker(world.conf(), "y"));
    for n in 1..=u64::from(CAPACITY) + 2 {
        b.try_send(&message(1, n)).unwrap();
        if n <= CAPACITY.into() {
            y.try_recv().unwrap();
            y.ack().unwrap();
        }
    }
    world.note([0, u64::from(CAPACITY) + 2]);
    world.given.set(CAPACITY.into());
}

/// Sends three messages, and kills a consumer that has the first.
fn dead_consumer(world: &World, name: &str) {
    others(world, 3);
    let child = Child::start(|| {
        let mut consumer = worker(world.conf(), name);
        consumer.try_recv().unwrap();
        stepper::begin();
    });
    child.kill();
}

fn lock_once(world: &World) {
    let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "b").unwrap();
    *mutex.lock().unwrap() = words(1);
}

fn dead_holder(world: &World) {
    lock_once(world);
    let child = Child::start(|| {
        let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "a").unwrap();
        let mut guard = mutex.lock().unwrap();
        guard[0] = 0;
        stepper::begin();
    });
    child.kill();
}

fn rw_once(world: &World) {
    let lock: RwLock<Words> = RwLock::open(&world.lock.conf, "b").unwrap();
    *lock.write().unwrap() = words(1);
}

fn rw_dead_reader(world: &World) {
    rw_once(world);
    let child = Child::start(|| {
        let lock: RwLock<Words> = RwLock::open(&world.lock.conf, "c").unwrap();
        let guard = lock.read().unwrap();
        stepper::begin();
        drop(guard);
    });
    child.kill();
}

fn event_once(world: &World) {
    let event = Event::open(&world.lock.conf, "b").unwrap();
    event.set();
}

fn barrier_once(world: &World) {
    let barrier = Barrier::open(&world.lock.conf, "b").unwrap();
    assert!(barrier.wait_timeout(Duration::ZERO).is_err());
}

// Operations of the child.

fn stepped<R>(world: &World, run: impl FnOnce() -> R) -> R {
    stepper::begin();
    let result = run();
    world.done.store(1, Ordering::SeqCst);
    stepper::end();
    result
}

/// Steps an operation whose result the parent looks at, because the child ends with its operation.
fn checked(world: &World, run: impl FnOnce() -> bool) {
    stepper::begin();
    let is_right = run();
    world.done.store(if is_right { 1 } else { WRONG }, Ordering::SeqCst);
    stepper::end();
}

fn send(world: &World) {
    let mut a = tx(world.conf(), "a");
    let next = message(0, a.sent() + 1);
    stepped(world, || a.try_send(&next)).unwrap();
}

/// Sends a message for which there are no bytes.
fn send_refused(world: &World) {
    let mut a = tx(world.conf(), "a");
    let next = message(0, a.sent() + 1);
    checked(world, || matches!(a.try_send(&next), Err(SendError::Full)));
}

/// Opens the queue as a writer whose message has all bytes, and sends another.
fn return_full(world: &World) {
    stepper::begin();
    let mut a = tx(world.conf(), "a");
    let next = message(0, a.sent() + 1);
    let is_right = matches!(a.try_send(&next), Err(SendError::Full));
    world.done.store(if is_right { 1 } else { WRONG }, Ordering::SeqCst);
    stepper::end();
}

/// Receives a message that may lose its bytes meanwhile.
fn recv_beside(world: &World) {
    let mut x = rx(world.conf(), "x");
    checked(world, || match x.try_recv() {
        Ok(found) => found.value == message(found.meta.writer.into(), found.meta.clock),
        Err(error) => matches!(error, RecvError::Lagged(1 | 2)),
    });
}

fn send_as_b(world: &World) {
    let mut b = tx(world.conf(), "b");
    let next = message(1, b.sent() + 1);
    stepped(world, || b.try_send(&next)).unwrap();
}

fn send_in_time(world: &World) {
    let mut a = tx(world.conf(), "a");
    let next = message(0, 1);
    let answer = stepped(world, || a.send_timeout(&next, Duration::from_micros(300)));
    assert!(matches!(answer, Err(SendError::TimedOut)));
}

/// Waits for readers that do not read.
fn wait_acks(world: &World) {
    let a = tx(world.conf(), "a");
    checked(world, || {
        let answer = a.wait_acks(0, Duration::from_micros(300));
        matches!(answer, Err(AckError::TimedOut(missing)) if missing.len() == 2)
    });
}

fn send_batch(world: &World) {
    let mut a = tx(world.conf(), "a");
    let two = [message(0, a.sent() + 1), message(0, a.sent() + 2)];
    assert_eq!(stepped(world, || a.send_batch(&two)).0, 2);
}

fn loan(world: &World) {
    let mut a = tx(world.conf(), "a");
    let next = message(0, a.sent() + 1);
    stepped(world, || {
        let mut loan = a.loan(size_of::<Words>()).unwrap();
        loan.bytes().copy_from_slice(bytemuck::bytes_of(&next));
        loan.commit()
    })
    .unwrap();
}

/// Returns the child's reader at work: it has been given a message and has not acknowledged it.
fn at_work(world: &World) -> Receiver<Words> {
    let mut x = rx(world.conf(), "x");
    assert_eq!(x.try_recv().unwrap().meta.id, world.given.get());
    x
}

fn recv(world: &World) {
    let mut x = at_work(world);
    stepped(world, || x.try_recv()).unwrap();
}

fn recv_ref(world: &World) {
    let mut x = at_work(world);
    stepped(world, || {
        x.try_recv_ref().unwrap();
        x.ack();
    });
}

fn recv_lagged(world: &World) {
    let mut x = rx(world.conf(), "x");
    stepped(world, || {
        assert!(matches!(x.try_recv(), Err(RecvError::Lagged(_))));
        x.try_recv().unwrap();
    });
}

fn recv_in_time(world: &World) {
    let mut x = rx(world.conf(), "x");
    let answer = stepped(world, || x.recv_timeout(Duration::from_micros(300)));
    assert!(matches!(answer, Err(RecvError::TimedOut)));
}

fn deposit_first(world: &World) {
    let (mut pool, mut x) = (world.bank.open(), rx(world.conf(), "x"));
    // The types have their first extents after that, which the sweeps of the pool cover.
    pool.tx(|tx| enter(tx, 0, 1)).unwrap();
    stepped(world, || deposit(&mut pool, &mut x)).unwrap();
}

fn deposit_second(world: &World) {
    let (mut pool, mut x) = (world.bank.open(), rx(world.conf(), "x"));
    deposit(&mut pool, &mut x).unwrap();
    stepped(world, || deposit(&mut pool, &mut x)).unwrap();
}

fn open_writer(world: &World) {
    drop(stepped(world, || tx(world.conf(), "a")));
}

fn open_reader(world: &World) {
    drop(stepped(world, || rx(world.conf(), "x")));
}

fn close_writer(world: &World) {
    let a = tx(world.conf(), "a");
    stepped(world, || drop(a));
}

fn latest(conf: &QueueConf, name: &str) -> Latest<Words> {
    Latest::open(conf, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn worker(conf: &QueueConf, name: &str) -> WorkQueue<Words> {
    WorkQueue::open(conf, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn recv_latest(world: &World) {
    let mut x = latest(world.conf(), "x");
    checked(world, || {
        x.recv().is_ok_and(|found| found.value == message(found.meta.writer.into(), found.meta.clock))
    });
}

/// Takes the message that this consumer is at work on when it is killed.
fn begin_work(world: &World) -> WorkQueue<Words> {
    let mut x = worker(world.conf(), "x");
    assert_eq!(x.try_recv().unwrap().meta.id, world.given.get());
    x
}

fn work_on(world: &World) {
    let mut x = begin_work(world);
    stepped(world, || x.try_recv()).unwrap();
}

fn finish_work(world: &World) {
    let mut x = begin_work(world);
    stepped(world, || x.ack()).unwrap();
}

fn work_beside(world: &World) {
    let (mut x, mut y) = (worker(world.conf(), "x"), worker(world.conf(), "y"));
    y.try_recv().unwrap();
    checked(world, || x.try_recv() == Err(RecvError::Empty));
}

fn adopt_work(world: &World) {
    let mut x = worker(world.conf(), "x");
    for id in [1, 2] {
        assert_eq!(x.try_recv().unwrap().meta.id, id);
    }
    x.ack().unwrap();
    checked(world, || x.try_recv().is_ok_and(|found| found.meta.id == 0 && found.meta.redelivered));
}

fn open_worker(world: &World) {
    drop(stepped(world, || worker(world.conf(), "x")));
}

fn mutex(world: &World) {
    let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "a").unwrap();
    stepped(world, || *mutex.lock().unwrap() = words(2));
}

fn mutex_open(world: &World) {
    stepped(world, || {
        let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "a").unwrap();
        *mutex.lock().unwrap() = words(2);
    });
}

fn mutex_repair(world: &World) {
    let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "c").unwrap();
    stepped(world, || {
        // Without `OwnerDied` it leaves the value unchanged, and the check finds the value torn.
        if let Err(LockError::OwnerDied(died)) = mutex.lock() {
            drop(died.repair(|value| *value = words(2)));
        }
    });
}

fn mutex_wait(world: &World) {
    let holder: Mutex<Words> = Mutex::open(&world.lock.conf, "c").unwrap();
    let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "a").unwrap();
    let guard = holder.lock().unwrap();
    let answer = stepped(world, || mutex.lock_timeout(Duration::from_micros(300)).err());
    assert!(matches!(answer, Some(LockError::TimedOut)));
    drop(guard);
}

fn rw_read(world: &World) {
    let lock: RwLock<Words> = RwLock::open(&world.lock.conf, "a").unwrap();
    stepped(world, || assert_eq!(*lock.read().unwrap(), words(1)));
}

fn rw_write(world: &World) {
    let lock: RwLock<Words> = RwLock::open(&world.lock.conf, "a").unwrap();
    stepped(world, || *lock.write().unwrap() = words(2));
}

fn event_set(world: &World) {
    let event = Event::open(&world.lock.conf, "a").unwrap();
    stepped(world, || event.set());
}

fn event_wait(world: &World) {
    let event = Event::open(&world.lock.conf, "a").unwrap();
    stepped(world, || {
        assert_eq!(event.wait(), 1);
        assert_eq!(event.wait_timeout(Duration::from_micros(300)), 0);
    });
}

fn barrier_wait(world: &World) {
    let barrier = Barrier::open(&world.lock.conf, "a").unwrap();
    let answer = stepped(world, || barrier.wait_timeout(Duration::from_micros(300)));
    assert!(answer.is_err());
}

// Checks of the state that a kill left.

/// Receives all messages. Checks that their numbers have no gap, that none is torn, and that the
/// messages of each writer are in order.
fn drain(rx: &mut Receiver<Words>, clocks: &mut [u64; 2], next: &mut Option<u64>) -> Result<(), String> {
    loop {
        let message = match rx.try_recv() {
            Ok(message) => message,
            Err(RecvError::Empty) => return Ok(()),
            Err(RecvError::Lagged(missed)) => {
                *next = next.map(|next| next + missed);
                *clocks = [u64::MAX; 2];
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let meta = message.meta;
        if next.is_some_and(|next| next != meta.id) {
            return Err(format!("{meta:?} after message {next:?}"));
        }
        *next = Some(meta.id + 1);
        if message.value != self::message(meta.writer.into(), meta.clock) {
            return Err(format!("{meta:?} has another value: {:x?}", message.value));
        }
        let last = &mut clocks[meta.writer as usize];
        if *last != u64::MAX && *last != 0 && *last + 1 != meta.clock {
            return Err(format!("{meta:?} after message {last} of this writer"));
        }
        *last = meta.clock;
    }
}

fn judge_queue(world: &World) -> Result<(), String> {
    let conf = world.conf();
    let before = world.before.get();
    if world.done.load(Ordering::SeqCst) == WRONG {
        return Err("the operation of the child had a wrong result".into());
    }
    let idle = verify_idle(conf.key).map_err(|error| error.to_string())?;
    if !idle.is_empty() {
        return Err(format!("at once: {}", idle.join("; ")));
    }
    let (mut readers, mut next) = ([rx(conf, "x"), rx(conf, "y")], [None; 2]);
    let mut clocks = [[0; 2]; 2];
    for (n, reader) in readers.iter_mut().enumerate() {
        drain(reader, &mut clocks[n], &mut next[n])?;
    }
    let is_lossless = conf.kind == QueueKind::Channel;
    if is_lossless && next[0] != next[1] && world.given.get() == u64::MAX && next.iter().all(Option::is_some)
    {
        return Err(format!("x was given up to {:?}, y up to {:?}", next[0], next[1]));
    }
    // The others continue before the dead writer has a successor.
    let mut b = tx(conf, "b");
    for _ in 0..2 * conf.capacity {
        b.send_timeout(&message(1, b.sent() + 1), NO_HANG).map_err(|error| format!("b: {error}"))?;
        for (n, reader) in readers.iter_mut().enumerate() {
            drain(reader, &mut clocks[n], &mut next[n])?;
            reader.ack();
        }
    }
    let mut a = tx(conf, "a");
    let sent = [a.sent(), b.sent() - 2 * u64::from(conf.capacity)];
    let more = [sent[0].wrapping_sub(before[0]), sent[1].wrapping_sub(before[1])];
    if more[0] > 2 || more[1] > 1 || more[0] * more[1] != 0 {
        return Err(format!("before the child {before:?} were sent, with it {sent:?}"));
    }
    for _ in 0..2 * conf.capacity {
        for (number, writer) in [(0, &mut a), (1, &mut b)] {
            let next_message = message(number, writer.sent() + 1);
            writer.send_timeout(&next_message, NO_HANG).map_err(|error| format!("{number}: {error}"))?;
            for (n, reader) in readers.iter_mut().enumerate() {
                drain(reader, &mut clocks[n], &mut next[n])?;
                reader.ack();
            }
        }
    }
    if clocks != [[a.sent(), b.sent()]; 2] || next != [Some(a.sent() + b.sent()); 2] {
        return Err(format!("sent {} and {}, received {clocks:?}, next {next:?}", a.sent(), b.sent()));
    }
    drop((a, b, readers));
    match verify_idle(conf.key).map_err(|error| error.to_string())? {
        damage if damage.is_empty() => Ok(()),
        damage => Err(damage.join("; ")),
    }
}

/// Checks a queue whose only writer died: as `judge_queue`.
fn judge_alone(world: &World) -> Result<(), String> {
    let conf = world.conf();
    let idle = verify_idle(conf.key).map_err(|error| error.to_string())?;
    if !idle.is_empty() {
        return Err(format!("at once: {}", idle.join("; ")));
    }
    let (mut readers, mut next) = ([rx(conf, "x"), rx(conf, "y")], [None; 2]);
    let mut clocks = [[0; 2]; 2];
    for (n, reader) in readers.iter_mut().enumerate() {
        drain(reader, &mut clocks[n], &mut next[n])?;
    }
    let mut a = tx(conf, "a");
    let (before, sent) = (world.before.get()[0], a.sent());
    if !(before..=before + 2).contains(&sent) {
        return Err(format!("before the child {before} were sent, with it {sent}"));
    }
    for _ in 0..2 * conf.capacity {
        a.send_timeout(&message(0, a.sent() + 1), NO_HANG).map_err(|error| error.to_string())?;
        for (n, reader) in readers.iter_mut().enumerate() {
            drain(reader, &mut clocks[n], &mut next[n])?;
            reader.ack();
        }
    }
    if clocks != [[a.sent(), 0]; 2] || next != [Some(a.sent()); 2] {
        return Err(format!("sent {}, received {clocks:?}, next {next:?}", a.sent()));
    }
    drop((a, readers));
    match verify_idle(conf.key).map_err(|error| error.to_string())? {
        damage if damage.is_empty() => Ok(()),
        damage => Err(damage.join("; ")),
    }
}

fn judge_recv(world: &World) -> Result<(), String> {
    judge_given(world, false)
}

fn judge_acked(world: &World) -> Result<(), String> {
    judge_given(world, true)
}

/// Checks that the successor of the dead reader continues at the right message. The reader may have
/// acknowledged the message before it died.
fn judge_given(world: &World, acks: bool) -> Result<(), String> {
    let (given, done) = (world.given.get(), world.done.load(Ordering::SeqCst) == 1);
    let mut x = rx(world.conf(), "x");
    let first = x.try_recv().map_err(|error| error.to_string())?.meta;
    // The message that the predecessor was given comes again, marked as redelivered. A message that
    // it requested may come again.
    let good = match first.id.checked_sub(given) {
        // A reader that was only registered has not requested another message.
        Some(0) => first.redelivered,
        Some(1) => !done || !acks && first.redelivered,
        Some(2) => acks && !first.redelivered,
        _ => false,
    };
    if !good {
        return Err(format!("{first:?} after {given} was given, done: {done}"));
    }
    drop(x);
    judge_queue(world)
}

/// `done` of a child whose operation had a wrong result.
const WRONG: u64 = 2;

/// Checks that the last value is whole, that of a dead writer or the one before it.
fn judge_latest(world: &World) -> Result<(), String> {
    let conf = world.conf();
    if world.done.load(Ordering::SeqCst) == WRONG {
        return Err("the child has received a torn value".into());
    }
    let check = |found: Option<Message<Words>>| match found {
        Some(found) if found.value == message(found.meta.writer.into(), found.meta.clock) => Ok(found.meta),
        other => Err(format!("{other:x?}")),
    };
    let (mut x, mut y) = (latest(conf, "x"), latest(conf, "y"));
    let before: u64 = world.before.get().iter().sum();
    let (first, same) = (check(x.get().map_err(|error| error.to_string())?)?, check(y.try_recv().ok())?);
    if first.id != same.id || first.id + 1 < before || first.id > before {
        return Err(format!("{before} were sent before the child, and the last is {first:?}, then {same:?}"));
    }
    if y.try_recv() != Err(RecvError::Empty) {
        return Err("a value came twice".into());
    }
    // The others continue, then a successor of the dead writer.
    for (number, name) in [(1, "b"), (0, "a")] {
        let mut writer = tx(conf, name);
        for _ in 0..2 * conf.capacity {
            let next = message(number, writer.sent() + 1);
            let id = writer.try_send(&next).map_err(|error| error.to_string())?;
            for reader in [&mut x, &mut y] {
                let meta = check(reader.recv_timeout(NO_HANG).ok())?;
                if (meta.id, u64::from(meta.writer)) != (id, number) {
                    return Err(format!("{name} has sent {id}, and {meta:?} came"));
                }
            }
        }
    }
    drop((x, y));
    match verify_idle(conf.key).map_err(|error| error.to_string())? {
        damage if damage.is_empty() => Ok(()),
        damage => Err(damage.join("; ")),
    }
}

/// The messages of a work queue that came after a kill, in the order of their numbers, each with its
/// mark.
type Came<'a> = &'a [(u64, bool)];

fn judge_work_sent(world: &World) -> Result<(), String> {
    judge_work(world, |_, sent, came| {
        came.len() as u64 == sent - 3 && came.iter().zip(3..sent).all(|(came, id)| *came == (id, false))
    })
}

/// The child had message 3, and has requested the next one.
fn judge_work_taken(world: &World) -> Result<(), String> {
    judge_work(world, |done, _, came| {
        came == [(4, true)] || !done && (came == [(4, false)] || came == [(3, true), (4, false)])
    })
}

/// The child had message 3, and has acknowledged it.
fn judge_work_acked(world: &World) -> Result<(), String> {
    judge_work(world, |done, _, came| came == [(4, false)] || !done && came == [(3, true), (4, false)])
}

/// A consumer that died had message 0, and all later ones are finished.
fn judge_work_left(world: &World) -> Result<(), String> {
    judge_work(world, |_, _, came| came == [(0, true)])
}

fn judge_work_kept(world: &World) -> Result<(), String> {
    judge_work(world, |_, _, came| came == [(0, true), (1, false), (2, false)])
}

/// Checks that the messages that come after a kill are good, and that the others continue.
fn judge_work(world: &World, good: impl Fn(bool, u64, Came<'_>) -> bool) -> Result<(), String> {
    let conf = world.conf();
    if world.done.load(Ordering::SeqCst) == WRONG {
        return Err("the child has not received the messages of dead consumers, and no others".into());
    }
    let facts = observe(conf.key).map_err(|error| error.to_string())?.ok_or("it is gone")?;
    if !facts.damage.is_empty() {
        return Err(format!("at once: {}", facts.damage.join("; ")));
    }
    let mut y = worker(conf, "y");
    let mut came = Vec::new();
    loop {
        match y.try_recv() {
            Ok(found) if found.value == message(found.meta.writer.into(), found.meta.clock) => {
                came.push((found.meta.id, found.meta.redelivered));
            }
            Ok(found) => return Err(format!("{found:x?} has another value")),
            Err(RecvError::Empty) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    came.sort_unstable();
    let (mut a, mut b) = (tx(conf, "a"), tx(conf, "b"));
    let (sent, done) = (a.sent() + b.sent(), world.done.load(Ordering::SeqCst) != 0);
    if !good(done, sent, &came) {
        return Err(format!("{sent} were sent, after the kill came {came:?}, done: {done}"));
    }
    for _ in 0..2 * conf.capacity {
        for (number, writer) in [(0, &mut a), (1, &mut b)] {
            let next = message(number, writer.sent() + 1);
            let id = writer.send_timeout(&next, NO_HANG).map_err(|error| format!("{number}: {error}"))?;
            let meta = y.recv_timeout(NO_HANG).map_err(|error| error.to_string())?.meta;
            if meta.id != id || meta.redelivered {
                return Err(format!("{id} was sent, {meta:?} came"));
            }
        }
    }
    // A successor of the dead consumer continues, too.
    let mut x = worker(conf, "x");
    y.ack().map_err(|error| error.to_string())?;
    a.try_send(&message(0, a.sent() + 1)).map_err(|error| error.to_string())?;
    x.recv_timeout(NO_HANG).map_err(|error| format!("x: {error}"))?;
    x.ack().map_err(|error| error.to_string())?;
    drop((a, b, x, y));
    match verify_idle(conf.key).map_err(|error| error.to_string())? {
        damage if damage.is_empty() => Ok(()),
        damage => Err(damage.join("; ")),
    }
}

/// Checks that each message has its effect on the pool exactly once.
fn judge_bank(world: &World) -> Result<(), String> {
    let mut pool = world.bank.open();
    let found = audit(&pool, 1)?;
    let mut x = rx(world.conf(), "x");
    loop {
        match deposit(&mut pool, &mut x) {
            Ok(()) => {}
            Err(Fault::Recv(RecvInError::Recv(RecvError::Empty))) => break,
            Err(error) => return Err(format!("{found} had their effect, then {error:?}")),
        }
    }
    match audit(&pool, 1)? {
        3 => {}
        last => return Err(format!("3 messages were sent, {last} had their effect")),
    }
    drop((x, pool));
    judge_queue(world)
}

fn judge_mutex(world: &World) -> Result<(), String> {
    let mutex: Mutex<Words> = Mutex::open(&world.lock.conf, "b").map_err(|error| error.to_string())?;
    let whole = [words(1), words(2), [0; 6]];
    match mutex.lock_timeout(NO_HANG) {
        Ok(guard) if whole.contains(&guard) => {}
        Ok(guard) => return Err(format!("a torn value came without a word: {guard:?}")),
        Err(LockError::OwnerDied(died)) => drop(died.repair(|value| *value = words(3))),
        Err(error) => return Err(format!("{error:?}")),
    }
    // The successor of the dead holder is checked too. Only one lock returns `OwnerDied`.
    let again: Mutex<Words> = Mutex::open(&world.lock.conf, "a").map_err(|error| error.to_string())?;
    for mutex in [&mutex, &again, &mutex] {
        let guard = mutex.lock_timeout(NO_HANG).map_err(|error| format!("then {error:?}"))?;
        if !whole.contains(&guard) && *guard != words(3) {
            return Err(format!("then {guard:?}"));
        }
    }
    Ok(())
}

fn judge_rw(world: &World) -> Result<(), String> {
    let lock: RwLock<Words> = RwLock::open(&world.lock.conf, "b").map_err(|error| error.to_string())?;
    let broken = match lock.read_timeout(NO_HANG) {
        Ok(guard) if *guard == words(1) || *guard == words(2) => false,
        Ok(guard) => return Err(format!("a torn value came without a word: {guard:?}")),
        Err(LockError::OwnerDied(_)) => true,
        Err(error) => return Err(format!("read: {error:?}")),
    };
    match lock.write_timeout(NO_HANG) {
        Ok(_) if broken => return Err("a reader was told that the owner died, and a writer was not".into()),
        Ok(_) => {}
        Err(LockError::OwnerDied(died)) => drop(died.repair(|value| *value = words(2))),
        Err(error) => return Err(format!("write: {error:?}")),
    }
    let again: RwLock<Words> = RwLock::open(&world.lock.conf, "a").map_err(|error| error.to_string())?;
    let (one, two) = (lock.read_timeout(NO_HANG), again.read_timeout(NO_HANG));
    if one.is_err() || two.is_err() {
        return Err(format!("then {:?} and {:?}", one.err(), two.err()));
    }
    drop((one, two));
    again.write_timeout(NO_HANG).map(drop).map_err(|error| format!("then write: {error:?}"))
}

fn judge_event(world: &World) -> Result<(), String> {
    let done = world.done.load(Ordering::SeqCst);
    let (a, c) = ["a", "c"].map(|name| Event::open(&world.lock.conf, name).unwrap()).into();
    // c has not learned of any event yet: of the one by b, and of the one by a if a got that far.
    let count = c.wait_timeout(NO_HANG);
    if count != 1 && count != 2 {
        return Err(format!("c was told {count} times, done: {done}"));
    }
    a.set();
    if c.wait_timeout(NO_HANG) != 1 {
        return Err("c was not told once more".into());
    }
    a.take();
    c.set();
    if a.wait_timeout(NO_HANG) != 1 {
        return Err("a was not told".into());
    }
    Ok(())
}

fn judge_barrier(world: &World) -> Result<(), String> {
    let open = |name| Barrier::open(&world.lock.conf, name).map_err(|error| error.to_string());
    let (b, c) = (open("b")?, open("c")?);
    let missing = b.wait_timeout(Duration::ZERO);
    let Err(missing) = missing else { return Err(format!("c was not there, and yet {missing:?}")) };
    if missing.missing.iter().any(|(name, alive)| name == "a" && *alive) {
        return Err(format!("a is dead: {missing}"));
    }
    // a returns, and the same round is complete when c arrives.
    let a = open("a")?;
    if a.wait_timeout(Duration::ZERO).is_ok() {
        return Err("c was not there".into());
    }
    // Those whose wait ended before learn at their next wait that the round is complete.
    let rounds = [c.wait_timeout(NO_HANG), b.wait_timeout(Duration::ZERO), a.wait_timeout(Duration::ZERO)];
    match rounds {
        [Ok(1), Ok(1), Ok(1)] if c.round() == 1 => Ok(()),
        other => Err(format!("{other:?}, round {}", c.round())),
    }
}
