//! Measures the cost of all-or-nothing: plain writes against `update` and transactions, and alloc
//! and free outside and inside a transaction, in turn in the same run. The last line is JSON.
//!
//! Run `cargo bench --bench update`. An argument after `--` sets the number of rounds.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, TxError};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(3);
/// Number of objects of each size; they fit into the caches of one core.
const OBJECTS: u64 = 1000;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Small {
    words: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Large {
    words: [u64; 32],
}

trait Object: PoolObject {
    fn of(word: u64) -> Self;
    /// Changes three fields, as a game does.
    fn change(&mut self);
}

impl Object for Small {
    fn of(word: u64) -> Self {
        Small { words: [word; 8] }
    }
    fn change(&mut self) {
        for at in [0, 3, 7] {
            self.words[at] += 1;
        }
    }
}

impl Object for Large {
    fn of(word: u64) -> Self {
        Large { words: [word; 32] }
    }
    fn change(&mut self) {
        for at in [0, 13, 31] {
            self.words[at] += 1;
        }
    }
}

/// A pool with objects of one size, which are used one after the other.
struct Bench<T> {
    pool: MemoryPoolMgr,
    ids: Vec<Id<T>>,
    next: usize,
}

impl<T: Object> Bench<T> {
    fn new(number: u32) -> Self {
        let base = 0x7a00_0000 | (std::process::id() & 0xffff) << 8 | number << 4;
        let mut pool =
            MemoryPoolMgr::open(&ProcessConf::new("update", Key(base), Bytes(8 << 20), &[Key(base + 1)]))
                .unwrap();
        pool.add_type::<T>().unwrap();
        let ids = (0..OBJECTS).map(|word| pool.alloc(T::of(word)).unwrap()).collect();
        Bench { pool, ids, next: 0 }
    }

    /// Returns an object far from the previous one, so that no write waits for the last one.
    fn id(&mut self) -> Id<T> {
        self.next = (self.next + 377) % self.ids.len();
        self.ids[self.next]
    }

    fn write(&mut self) {
        let id = self.id();
        self.pool.get_mut(id).unwrap().change();
    }

    fn update(&mut self) {
        let id = self.id();
        self.pool.update(id, T::change).unwrap();
    }

    fn write_two(&mut self) {
        self.write();
        self.write();
    }

    fn tx_two(&mut self) {
        let (a, b) = (self.id(), self.id());
        let done: Result<(), TxError> = self.pool.tx(|tx| {
            tx.get_mut(a)?.change();
            tx.get_mut(b)?.change();
            Ok(())
        });
        done.unwrap();
    }

    fn tx_two_tagged(&mut self) {
        let (a, b) = (self.id(), self.id());
        let done: Result<(), TxError> = self.pool.tx(|tx| {
            tx.get_mut(a)?.change();
            tx.get_mut(b)?.change();
            tx.commit_with(a.to_bits())
        });
        done.unwrap();
    }

    fn pair(&mut self) {
        let id = self.pool.alloc(T::of(7)).unwrap();
        assert!(self.pool.free(black_box(id)));
    }

    fn tx_pair(&mut self) {
        let old = self.pool.alloc(T::of(7)).unwrap();
        let made: Result<_, TxError> = self.pool.tx(|tx| {
            tx.free(old)?;
            tx.alloc(T::of(7))
        });
        assert!(self.pool.free(black_box(made.unwrap())));
    }

    fn tx_pair_and_two(&mut self) {
        let old = self.pool.alloc(T::of(7)).unwrap();
        let (a, b) = (self.id(), self.id());
        let made: Result<_, TxError> = self.pool.tx(|tx| {
            tx.get_mut(a)?.change();
            tx.get_mut(b)?.change();
            tx.free(old)?;
            tx.alloc(T::of(7))
        });
        assert!(self.pool.free(black_box(made.unwrap())));
    }
}

/// The name of a row, the row that it is compared with, and the operation.
type Row<T> = (&'static str, Option<usize>, fn(&mut Bench<T>));

fn rows<T: Object>() -> [Row<T>; 8] {
    [
        ("get_mut, 3 fields written", None, Bench::write),
        ("update of 3 fields", Some(0), Bench::update),
        ("get_mut of two objects", None, Bench::write_two),
        ("two objects in a tx", Some(2), Bench::tx_two),
        ("two objects in a tx with a tag", Some(3), Bench::tx_two_tagged),
        ("alloc and free, twice", None, |bench| {
            bench.pair();
            bench.pair();
        }),
        ("alloc and free, and free and alloc in a tx", Some(5), Bench::tx_pair),
        ("the same tx, and two objects written in it", Some(6), Bench::tx_pair_and_two),
    ]
}

/// Returns the nanoseconds of one call.
fn round<T>(bench: &mut Bench<T>, call: fn(&mut Bench<T>)) -> f64 {
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        (0..1000).for_each(|_| call(bench));
        calls += 1000;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// Returns the medians of the rows, and of the differences within a round, which other load on the
/// machine affects less.
fn measure<T: Object>(number: u32, rounds: usize) -> Vec<(&'static str, f64, Option<f64>)> {
    let mut bench = Bench::<T>::new(number);
    let rows = rows::<T>();
    let times: Vec<Vec<f64>> =
        (0..rounds).map(|_| rows.iter().map(|(.., call)| round(&mut bench, *call)).collect()).collect();
    bench.pool.destroy().unwrap();
    let median = |of: &dyn Fn(&Vec<f64>) -> f64| {
        let mut all: Vec<f64> = times.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let row = |(at, (name, than, _)): (usize, &Row<T>)| {
        let more = than.map(|than| median(&|round| round[at] - round[than]));
        (*name, median(&|round| round[at]), more)
    };
    rows.iter().enumerate().map(row).collect()
}

fn main() {
    let rounds = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(ROUNDS);
    let (small, large) = (measure::<Small>(0, rounds), measure::<Large>(1, rounds));
    println!(
        "{:42} {:>8} {:>8} {:>8} {:>8}   (ns, medians of {rounds} rounds)",
        "", "64 B", "more", "256 B", "more"
    );
    let more = |more: Option<f64>| more.map_or(String::new(), |more| format!("{more:+.1}"));
    let mut json = Vec::new();
    for ((name, small, small_more), (_, large, large_more)) in small.into_iter().zip(large) {
        println!("{name:42} {small:8.1} {:>8} {large:8.1} {:>8}", more(small_more), more(large_more));
        json.push(serde_json::json!({
            "what": name,
            "ns_64": small, "more_64": small_more, "ns_256": large, "more_256": large_more,
        }));
    }
    println!("{}", serde_json::json!({ "bench": "update", "rounds": rounds, "rows": json }));
}
