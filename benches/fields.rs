//! What fields of a fixed capacity cost beside those of arrayvec and heapless, in the same run.
//!
//! Run `cargo bench --bench fields`, or `-- --json` for rows.

use arrayvec::ArrayString;
use heapless::LinearMap;
use hotpool::object::{FixedMap, FixedStr};
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(2);
/// Different values of each operation, so that no branch is foreseen.
const VALUES: usize = 512;

#[derive(Serialize)]
struct Row {
    op: &'static str,
    n: usize,
    hotpool_ns: f64,
    peer: &'static str,
    peer_ns: f64,
    ratio: f64,
}

/// Returns the time of one call of `ours` and of `peers`, measured in turn: the best round of each.
fn in_turn(ours: &dyn Fn() -> u64, peers: &dyn Fn() -> u64) -> [f64; 2] {
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, run) in best.iter_mut().zip([ours, peers]) {
            let (began, mut calls) = (Instant::now(), 0);
            while began.elapsed() < ROUND {
                for _ in 0..16 {
                    black_box(run());
                }
                calls += 16;
            }
            *best = best.min(began.elapsed().as_nanos() as f64 / f64::from(calls) / VALUES as f64);
        }
    }
    best
}

fn row(op: &'static str, n: usize, peer: &'static str, [hotpool_ns, peer_ns]: [f64; 2]) -> Row {
    Row { op, n, hotpool_ns, peer, peer_ns, ratio: hotpool_ns / peer_ns }
}

fn compare() -> Row {
    let mut random = fastrand::Rng::with_seed(1);
    let names: Vec<String> = (0..VALUES).map(|_| format!("player {:02}", random.u32(..4))).collect();
    let ours: Vec<FixedStr<32>> = names.iter().map(|name| name.parse().unwrap()).collect();
    let peers: Vec<ArrayString<32>> = names.iter().map(|name| name.parse().unwrap()).collect();
    let (one, other) = (black_box(ours[0]), black_box(peers[0]));
    let times = in_turn(&|| black_box(&ours).iter().map(|name| u64::from(*name == one)).sum(), &|| {
        black_box(&peers).iter().map(|name| u64::from(*name == other)).sum()
    });
    row("compare_str", 32, "arrayvec::ArrayString", times)
}

fn lookup<const N: usize>() -> Row {
    let mut random = fastrand::Rng::with_seed(2);
    let keys: Vec<u32> = (0..N).map(|_| random.u32(..)).collect();
    let (mut ours, mut peers) = (FixedMap::<u32, u32, N>::new(), LinearMap::<u32, u32, N>::new());
    for (n, key) in keys.iter().enumerate() {
        ours.insert(*key, n as u32).unwrap();
        peers.insert(*key, n as u32).unwrap();
    }
    let wanted: Vec<u32> = (0..VALUES).map(|_| keys[random.usize(..N)]).collect();
    let times =
        in_turn(&|| wanted.iter().map(|key| u64::from(*black_box(&ours).get(key).unwrap())).sum(), &|| {
            wanted.iter().map(|key| u64::from(*black_box(&peers).get(key).unwrap())).sum()
        });
    row("lookup", N, "heapless::LinearMap", times)
}

fn lookup_by_name<const N: usize>() -> Row {
    let mut random = fastrand::Rng::with_seed(3);
    let keys: Vec<String> = (0..N).map(|n| format!("skill {n}")).collect();
    let mut ours = FixedMap::<FixedStr<16>, u32, N>::new();
    let mut peers = LinearMap::<heapless::String<16>, u32, N>::new();
    for (n, key) in keys.iter().enumerate() {
        ours.insert(key.parse().unwrap(), n as u32).unwrap();
        peers.insert(key.parse().unwrap(), n as u32).unwrap();
    }
    let wanted: Vec<&str> = (0..VALUES).map(|_| keys[random.usize(..N)].as_str()).collect();
    let times =
        in_turn(&|| wanted.iter().map(|key| u64::from(*black_box(&ours).get(*key).unwrap())).sum(), &|| {
            let get = |key: &&str| black_box(&peers).iter().find(|(name, _)| name.as_str() == *key);
            wanted.iter().map(|key| u64::from(*get(key).unwrap().1)).sum()
        });
    row("lookup_by_name", N, "heapless::LinearMap", times)
}

fn main() {
    let rows = [
        compare(),
        lookup::<4>(),
        lookup::<8>(),
        lookup::<16>(),
        lookup::<32>(),
        lookup::<64>(),
        lookup_by_name::<8>(),
        lookup_by_name::<32>(),
    ];
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", serde_json::to_string_pretty(&rows).unwrap());
        return;
    }
    for Row { op, n, hotpool_ns, peer, peer_ns, ratio } in &rows {
        println!("{op:15} {n:3}: {hotpool_ns:6.2} ns, {peer} {peer_ns:6.2} ns, {ratio:.2}");
    }
}
