//! Each message that a process receives with `recv_in` has its effect on the pool exactly once,
//! however often that process and the writers are killed (G13).
//!
//! Two writers send as fast as they can. A bank receives in transactions, several messages in some,
//! and rolls some of them back. The parent kills the bank at random moments, and sometimes a writer.
//! The accounts in the pool find a message that had its effect twice, or never.
//!
//! Two banks with a mistake show that the test detects it: one stores its position before the
//! commit, the other after it. `HOTPOOL_ROUNDS` and `HOTPOOL_SEED` choose how many kills, and which.

#[path = "messages/bank.rs"]
mod bank;
mod messages;

use bank::{Bank, Fault, audit, enter};
use fastrand::Rng;
use hotpool::MemoryPoolMgr;
use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::{Message, Meta, Receiver, RecvError, RecvInError, SendError, Sender};
use messages::{Other, Queue, board};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const WRITERS: [&str; 2] = ["one", "two"];
const ROUNDS: u64 = if cfg!(debug_assertions) { 300 } else { 10_000 };
/// Longer than anything takes that does not hang.
const NO_HANG: Duration = Duration::from_secs(60);
/// Status of a bank that has found a fault.
const WRONG: i32 = 102;

/// How a bank receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    InTransactions,
    /// The queue has the position before the effect is committed.
    PositionBefore,
    /// The queue has the position after the effect is committed.
    PositionAfter,
}

struct World {
    queue: Queue,
    bank: Bank,
    how: How,
    /// Messages that had their effect.
    done: &'static AtomicU64,
    /// Transactions that a kill interrupted.
    cut: &'static AtomicU64,
    stop: &'static AtomicU64,
}

impl World {
    fn new(how: How) -> Self {
        let queue = Queue::new(QueueKind::Channel, 16, &WRITERS, &["bank"]);
        let words = board(3);
        World { queue, bank: Bank::new(), how, done: &words[0], cut: &words[1], stop: &words[2] }
    }

    fn conf(&self) -> &QueueConf {
        &self.queue.conf
    }
}

fn main() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = variable("HOTPOOL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let rounds = variable("HOTPOOL_ROUNDS").unwrap_or(ROUNDS);
    let began = Instant::now();
    let mut failed = false;
    {
        let world = World::new(How::InTransactions);
        match storm(&world, seed, rounds) {
            Ok(sent) => println!(
                "exactly_once: {rounds} kills under {sent} messages, {} of them in a transaction; \
                 lost 0, twice 0; {:.1} s, seed {seed}",
                world.cut.load(SeqCst),
                began.elapsed().as_secs_f64()
            ),
            Err(what) => {
                failed = true;
                println!("FAILED with HOTPOOL_SEED={seed}: {what}");
            }
        }
    }
    for how in [How::PositionBefore, How::PositionAfter] {
        match storm(&World::new(how), seed, 3000) {
            Ok(_) => {
                failed = true;
                println!("MISSED: {how:?}");
            }
            Err(what) => println!("detected: {how:?}: {what}"),
        }
    }
    #[cfg(feature = "__internal_mutants")]
    {
        use hotpool::sync::slips::{Slip, plant};
        for slip in [Slip::PositionFirst, Slip::PositionLast] {
            plant(Some(slip));
            let answer = storm(&World::new(How::InTransactions), seed, 3000);
            plant(None);
            failed |= answer.is_ok();
            println!("planted {slip:?}: {answer:?}");
        }
    }
    std::process::exit(i32::from(failed));
}

fn process(work: impl FnOnce() -> Result<(), String>) -> Other {
    Other::start(|| {
        if let Err(what) = work() {
            eprintln!("{what}");
            // SAFETY: ends at once, with what the parent takes for a fault.
            unsafe { libc::_exit(WRONG) };
        }
    })
}

fn storm(world: &World, seed: u64, rounds: u64) -> Result<u64, String> {
    let mut rng = Rng::with_seed(seed);
    let mut bank = process(|| run_bank(world));
    let mut writers = [0, 1].map(|n| process(|| write(world, n)));
    let mut progress = Instant::now();
    let mut seen = 0;
    for round in 0..rounds {
        // Most kills come while the bank works, and some while it starts.
        if rng.u8(..8) != 0 {
            let until = Instant::now() + NO_HANG;
            while world.done.load(SeqCst) == seen && !bank.is_over() && Instant::now() < until {
                std::thread::yield_now();
            }
        }
        std::thread::sleep(Duration::from_nanos(rng.u64(0..400_000)));
        if !bank.is_over() {
            bank.kill();
        }
        fault(&mut bank, round)?;
        if rng.u8(..4) == 0 {
            let n = rng.usize(..2);
            writers[n].kill();
            fault(&mut writers[n], round)?;
            writers[n] = process(|| write(world, n));
        }
        bank = process(|| run_bank(world));
        let now = world.done.load(SeqCst);
        if now != seen {
            (seen, progress) = (now, Instant::now());
        } else if progress.elapsed() > NO_HANG {
            return Err(format!("nothing was received since round {round}"));
        }
    }
    world.stop.store(1, SeqCst);
    for (n, writer) in writers.iter_mut().enumerate() {
        ends_well(writer).map_err(|what| format!("writer {n} {what}"))?;
    }
    world.stop.store(2, SeqCst);
    ends_well(&mut bank).map_err(|what| format!("the bank {what}"))?;
    let pool = world.bank.open();
    let mut all = 0;
    for (n, name) in WRITERS.into_iter().enumerate() {
        let sent = Sender::<u64>::open(world.conf(), name).map_err(|error| error.to_string())?.sent();
        let done = audit(&pool, n as u64)?;
        if sent != done {
            return Err(format!("{name} has sent {sent} messages, {done} had their effect"));
        }
        all += sent;
    }
    match pool.verify() {
        report if report.is_sound() => Ok(all),
        report => Err(report.to_string()),
    }
}

/// Checks that a process ended because it was killed.
fn fault(other: &mut Other, round: u64) -> Result<(), String> {
    match other.wait() {
        status if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL => Ok(()),
        status => Err(format!("a process ended by itself in round {round}: status {status:#x}")),
    }
}

fn ends_well(other: &mut Other) -> Result<(), String> {
    match other.wait() {
        0 => Ok(()),
        status => Err(format!("ended with status {status:#x}")),
    }
}

fn write(world: &World, n: usize) -> Result<(), String> {
    let mut tx: Sender<u64> = Sender::open(world.conf(), WRITERS[n]).map_err(|error| error.to_string())?;
    while world.stop.load(SeqCst) == 0 {
        let next = tx.sent() + 1;
        match tx.send_timeout(&next, Duration::from_millis(20)) {
            Ok(_) | Err(SendError::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

fn run_bank(world: &World) -> Result<(), String> {
    let mut pool = world.bank.open();
    if pool.resume_report().ended_transaction.is_some() {
        world.cut.fetch_add(1, SeqCst);
    }
    for n in 0..WRITERS.len() as u64 {
        audit(&pool, n)?;
    }
    let mut rx: Receiver<u64> = Receiver::open(world.conf(), "bank").map_err(|error| error.to_string())?;
    let mut turn = 0;
    loop {
        turn += 1;
        let received = match world.how {
            How::InTransactions => together(&mut pool, &mut rx, turn),
            how => apart(&mut pool, &mut rx, how),
        };
        match received {
            Ok(count) => _ = world.done.fetch_add(count, SeqCst),
            Err(Fault::Refused) => {}
            Err(Fault::Recv(RecvInError::Recv(RecvError::TimedOut))) if world.stop.load(SeqCst) == 2 => {
                return Ok(());
            }
            Err(Fault::Recv(RecvInError::Recv(RecvError::TimedOut))) => {}
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

const IN_TIME: Duration = Duration::from_millis(20);

fn check(message: &Message<u64>) -> Result<Meta, Fault> {
    match message.value == message.meta.clock {
        true => Ok(message.meta),
        false => Err(Fault::Wrong(format!("{message:?} has another value"))),
    }
}

/// Receives in a transaction: one to three messages, every fifth time in vain.
fn together(pool: &mut MemoryPoolMgr, rx: &mut Receiver<u64>, turn: u64) -> Result<u64, Fault> {
    pool.tx(|tx| {
        let meta = check(&rx.recv_timeout_in(tx, IN_TIME)?)?;
        enter(tx, meta.writer.into(), meta.clock)?;
        let mut count = 1;
        while count <= turn % 3 {
            let message = match rx.try_recv_in(tx) {
                Err(RecvInError::Recv(RecvError::Empty)) => break,
                answer => answer?,
            };
            let meta = check(&message)?;
            enter(tx, meta.writer.into(), meta.clock)?;
            count += 1;
        }
        if turn.is_multiple_of(5) { Err(Fault::Refused) } else { Ok(count) }
    })
}

/// Receives outside the transaction that carries out the message: a mistake.
fn apart(pool: &mut MemoryPoolMgr, rx: &mut Receiver<u64>, how: How) -> Result<u64, Fault> {
    let message = rx.recv_timeout(IN_TIME).map_err(RecvInError::from)?;
    if how == How::PositionBefore {
        rx.ack();
    }
    let meta = check(&message)?;
    pool.tx(|tx| enter(tx, meta.writer.into(), meta.clock))?;
    rx.ack();
    Ok(1)
}
