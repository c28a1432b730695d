//! Tools run concurrently with each other and with starts, deaths and removals. What they report was
//! true at some moment during their run.
//!
//! `HOTPOOL_TOOL_RUNS` sets how often a tool runs in each test; the published figure is
//! `HOTPOOL_TOOL_RUNS=4000 cargo test --release -p hotpool-cli --test pools meanwhile`.

use crate::bench::{Answer, Bench};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Returns how often a tool runs in one test.
fn runs() -> usize {
    std::env::var("HOTPOOL_TOOL_RUNS").map_or(60, |runs| runs.parse().unwrap())
}

const THREADS: usize = 3;
const LOOKS: [&[&str]; 5] = [&["ls"], &["verify"], &["inspect"], &["postmortem"], &["rm", "--dry-run"]];

/// Runs the tools from several threads while `beside` runs repeatedly. `judge` returns what is wrong
/// with a result. Panics with all wrong results.
fn storm(
    bench: &Bench,
    ini: &str,
    judge: impl Fn(&str, &Answer) -> Option<String> + Sync,
    beside: impl Fn(),
) {
    let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |thread: usize| {
        let mut wrong = Vec::new();
        for run in thread.. {
            if done.fetch_add(1, Ordering::Relaxed) >= runs() {
                break;
            }
            let look = LOOKS[run % LOOKS.len()];
            let args: Vec<&str> = look.iter().copied().chain(["--conf", ini]).collect();
            let answer = bench.hotpool(&args);
            if let Some(why) = judge(look[0], &answer) {
                wrong.push(format!(
                    "{look:?} ended with {}: {why}\n{}{}",
                    answer.code, answer.out, answer.err
                ));
            }
        }
        stop.store(true, Ordering::Relaxed);
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        while !stop.load(Ordering::Relaxed) {
            beside();
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("{} runs, {} wrong", runs(), wrong.len());
    assert!(wrong.is_empty(), "{} of {} runs:\n{}", wrong.len(), runs(), wrong.join("\n"));
}

/// Checks that `ls` shows its only pool in one of these states.
fn state<'a>(answer: &'a Answer, states: &[&'a str]) -> Option<String> {
    let row = answer.out.lines().nth(1).unwrap_or_default();
    let found = row.split_whitespace().any(|word| states.contains(&word));
    (!found || answer.code != 0).then(|| format!("not one of {states:?}"))
}

#[test]
fn a_closed_pool_is_reported_as_sound_by_concurrent_tools() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    bench.open(0).close().unwrap();
    let judge = |verb: &str, answer: &Answer| match verb {
        "ls" => state(answer, &["closed"]),
        _ => (answer.code != 0).then(|| "the pool is sound".into()),
    };
    storm(&bench, &ini, judge, thread::yield_now);
}

#[test]
fn starts_and_deaths_are_not_reported_as_damage() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    bench.open(0).close().unwrap();
    let judge = |verb: &str, answer: &Answer| match verb {
        "ls" => state(answer, &["closed", "starting", "running", "dying", "crashed"]),
        "rm" if answer.code == 4 && answer.out.contains("is owned by pid") => None,
        _ => (answer.code != 0).then(|| "the pool is sound at every moment".into()),
    };
    storm(&bench, &ini, judge, || {
        bench.owner(0, "ready").kill();
        if let Ok(pool) = hotpool::MemoryPoolMgr::open(&bench.conf(0)) {
            pool.close().unwrap();
        }
    });
}

#[test]
fn removals_and_new_pools_are_not_reported_as_damage() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let states = [
        "closed",
        "starting",
        "running",
        "dying",
        "crashed",
        "absent",
        "unfinished",
        "semaphores",
        "removing",
    ];
    let judge = |verb: &str, answer: &Answer| match verb {
        "ls" => state(answer, &states),
        "rm" if answer.code == 4 && answer.out.contains("is owned by pid") => None,
        _ if [0, 7].contains(&answer.code) => None,
        _ => Some("the pool is sound or absent at every moment".into()),
    };
    storm(&bench, &ini, judge, || {
        bench.owner(0, "ready").kill();
        let answer = bench.hotpool(&["rm", "--conf", &ini, "--yes"]);
        assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
        bench.open(0).close().unwrap();
        let answer = bench.hotpool(&["rm", "--conf", &ini, "--yes"]);
        assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    });
}
