//! Counts the instructions of each operation with callgrind. The counts are the same on a busy
//! machine as on an idle one.
//!
//! `cargo bench --bench instructions` compares with `benches/instructions.json` and fails if an
//! operation takes more than 101 % of its earlier count. Counts from another compiler are shown,
//! but not judged. `-- --json` prints a new file. The bench needs valgrind.
//!
//! Guards and transactions over several objects are shown, but not judged. They pay for the
//! evidence that a panic leaves, and for a log that holds each object once. Neither is a message: how
//! often its clock asks the kernel depends on the time that callgrind takes.
//!
//! Each operation runs in two processes, with and without its rounds. The difference is the
//! operation and the loop around it.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf, QueueConf, QueueKind};
use hotpool::queue::{Receiver, Sender};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};

/// Key of the queue.
const QUEUE: Key = Key(0x7a10_0002);
const ROUNDS: u64 = 20_000;
const OBJECTS: u64 = 1000;
/// Number of rounds of an iteration; each visits all objects.
const WALKS: u64 = 20;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Plain {
    words: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
struct Keyed {
    words: [u64; 8],
}

fn plain(word: u64) -> Plain {
    Plain { words: [word; 8] }
}

fn keyed(word: u64) -> Keyed {
    Keyed { words: [word; 8] }
}

/// A message.
type Words = [u64; 8];

/// A pool with a thousand objects of each type.
struct Bench {
    pool: MemoryPoolMgr,
    ids: Vec<Id<Plain>>,
    /// Both ends of a channel; only for the operation that uses them.
    queue: Option<(Sender<Words>, Receiver<Words>)>,
}

impl Bench {
    fn new() -> Self {
        let mut conf = ProcessConf::new("count", Key(0x7a10_0000), Bytes(8 << 20), &[Key(0x7a10_0001)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Plain>().unwrap();
        pool.add_type::<Keyed>().unwrap();
        let ids = (0..OBJECTS).map(|word| pool.alloc(plain(word)).unwrap()).collect();
        for key in 0..OBJECTS {
            pool.alloc_keyed(key, keyed(key)).unwrap();
        }
        pool.ready().unwrap();
        Bench { pool, ids, queue: None }
    }

    /// Opens both ends of a channel.
    fn open_queue(&mut self) {
        let bytes = Bytes(size_of::<Words>() as u64);
        let mut conf = QueueConf::new("count", QUEUE, QueueKind::Channel, 64, bytes);
        (conf.writers, conf.readers) = (vec!["count".into()], vec!["count".into()]);
        let ends = (Sender::open(&conf, "count").unwrap(), Receiver::open(&conf, "count").unwrap());
        self.queue = Some(ends);
    }

    fn id(&self, round: u64) -> Id<Plain> {
        self.ids[(round * 377 % OBJECTS) as usize]
    }
}

type Op = (&'static str, u64, fn(&mut Bench, u64));

/// All operations: the name, the number of operations in a round, and the round.
const OPS: [Op; 13] = [
    ("get", 1, |bench, round| {
        black_box(bench.pool.get(bench.id(round)).unwrap().words[3]);
    }),
    ("get_mut", 1, |bench, round| {
        let id = bench.id(round);
        bench.pool.get_mut(id).unwrap().words[3] += 1;
    }),
    ("alloc_free", 1, |bench, round| {
        let id = bench.pool.alloc(plain(black_box(round))).unwrap();
        black_box(bench.pool.free(black_box(id)));
    }),
    ("update", 1, |bench, round| {
        let id = bench.id(round);
        bench.pool.update(id, |object| object.words[3] += 1).unwrap();
    }),
    ("tx_of_two", 1, |bench, round| {
        let (one, other) = (bench.id(round), bench.id(round + 1));
        let moved = bench.pool.tx(|tx| {
            tx.get_mut(one)?.words[3] += 1;
            tx.get_mut(other)?.words[3] += 1;
            Ok::<_, hotpool::TxError>(())
        });
        moved.unwrap();
    }),
    ("get_by_key", 1, |bench, round| {
        black_box(bench.pool.get_by_key::<Keyed>(round * 377 % OBJECTS).unwrap().words[3]);
    }),
    ("get_mut_by_key", 1, |bench, round| {
        bench.pool.get_mut_by_key::<Keyed>(round * 377 % OBJECTS).unwrap().words[3] += 1;
    }),
    ("free_alloc_by_key", 1, |bench, round| {
        let key = round * 377 % OBJECTS;
        black_box(bench.pool.free_by_key::<Keyed>(key));
        bench.pool.alloc_keyed(key, keyed(key)).unwrap();
    }),
    ("iter", OBJECTS, |bench, _| {
        for (_, object) in bench.pool.iter::<Plain>() {
            black_box(object.words[3]);
        }
    }),
    ("iter_fold", OBJECTS, |bench, _| {
        black_box(bench.pool.iter::<Plain>().map(|(_, object)| object.words[3]).sum::<u64>());
    }),
    ("iter_mut", OBJECTS, |bench, _| {
        for (_, mut object) in bench.pool.iter_mut::<Plain>() {
            object.words[3] += 1;
        }
    }),
    ("for_each", OBJECTS, |bench, _| bench.pool.for_each::<Plain>(|_, object| object.words[3] += 1)),
    (SEND_RECV, 1, |bench, round| {
        let (tx, rx) = bench.queue.as_mut().unwrap();
        tx.send(&[black_box(round); 8]).unwrap();
        black_box(rx.try_recv().unwrap().value[3]);
    }),
];

/// One message through a channel with one writer and one reader, both in this process.
const SEND_RECV: &str = "send_recv";

const NOT_JUDGED: [&str; 4] = ["get_mut", "get_mut_by_key", "tx_of_two", SEND_RECV];

fn rounds_of(op: &Op) -> u64 {
    if op.1 == 1 { ROUNDS } else { WALKS }
}

/// Runs one operation, for callgrind to count.
fn child(name: &str, rounds: u64) {
    let op = OPS.iter().find(|op| op.0 == name).expect("the operation is in the table");
    let mut bench = Bench::new();
    let needs_queue = name == SEND_RECV;
    if needs_queue {
        bench.open_queue();
    }
    for round in 0..rounds {
        op.2(&mut bench, round);
    }
    bench.pool.destroy().unwrap();
    if needs_queue {
        bench.queue = None;
        hotpool::sync::remove(QUEUE).unwrap();
    }
}

/// Returns the instructions of a whole process with this many rounds, as callgrind sums them up.
fn count(name: &str, rounds: u64) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .env("HOTPOOL_COUNT", format!("{name} {rounds}"))
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}; install the Debian package valgrind"))?;
    let text = String::from_utf8_lossy(&run.stderr);
    let sum = text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    sum.filter(|_| run.status.success()).ok_or_else(|| format!("callgrind failed: {text}"))
}

/// Returns the instructions of one operation. The hash of a pool has a random seed, so this is the
/// lowest of three counts.
fn measure(op: &Op) -> Result<f64, String> {
    let mut lowest = f64::MAX;
    for _ in 0..3 {
        let rounds = rounds_of(op);
        let (with, without) = (count(op.0, rounds)?, count(op.0, 0)?);
        lowest = lowest.min(with.saturating_sub(without) as f64 / (rounds * op.1) as f64);
    }
    Ok((lowest * 10.0).round() / 10.0)
}

/// The counts, and the compiler that built the code.
#[derive(Serialize, Deserialize)]
struct Counts {
    rustc: String,
    instructions: BTreeMap<String, f64>,
}

fn measure_all() -> Result<Counts, String> {
    let rustc = Command::new("rustc").arg("--version").output().map_err(|error| error.to_string())?;
    let rustc = String::from_utf8_lossy(&rustc.stdout).trim().to_string();
    let instructions = OPS.iter().map(|op| Ok((op.0.to_string(), measure(op)?)));
    Ok(Counts { rustc, instructions: instructions.collect::<Result<_, String>>()? })
}

fn main() -> ExitCode {
    if let Ok(order) = std::env::var("HOTPOOL_COUNT") {
        let (name, rounds) = order.split_once(' ').expect("HOTPOOL_COUNT holds a name and a number");
        child(name, rounds.parse().expect("the rounds are a number"));
        return ExitCode::SUCCESS;
    }
    let counts = match measure_all() {
        Ok(counts) => counts,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::args().any(|arg| arg == "--json") {
        println!("{}", serde_json::to_string_pretty(&counts).expect("numbers are valid JSON"));
        return ExitCode::SUCCESS;
    }
    let earlier = serde_json::from_str(include_str!("instructions.json"))
        .expect("the file holds the JSON of an earlier run");
    report(&counts, &earlier)
}

/// Prints the table. Fails if the same compiler makes an operation take more instructions than
/// before.
fn report(counts: &Counts, earlier: &Counts) -> ExitCode {
    println!("{:20} {:>12} {:>12} {:>8}", "operation", "instructions", "earlier", "ratio");
    let mut worse = Vec::new();
    for (name, found) in &counts.instructions {
        let Some(before) = earlier.instructions.get(name) else {
            println!("{name:20} {found:12.1}");
            continue;
        };
        println!("{name:20} {found:12.1} {before:12.1} {:8.3}", found / before);
        // The counts are rounded to a tenth.
        if *found > before * 1.01 + 0.1 && !NOT_JUDGED.contains(&name.as_str()) {
            worse.push(name.as_str());
        }
    }
    if counts.rustc != earlier.rustc {
        println!("not judged: this is {}, the earlier counts are from {}", counts.rustc, earlier.rustc);
        return ExitCode::SUCCESS;
    }
    match worse.is_empty() {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("more than 101 % of the earlier instructions: {}", worse.join(", "));
            ExitCode::FAILURE
        }
    }
}
