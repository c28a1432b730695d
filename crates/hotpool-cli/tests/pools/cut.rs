//! A process is killed at each step at which it creates a pool, or adds a block, while tools look.
//! They never call what it left damaged, foreign or ready, and no start takes a tool for a rival.

use crate::bench::{Answer, Bench};
use crate::changing;
use crate::stepper::{self, Child};
use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::share::{Home, remove_pool};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Passes the base key to the process that starts and kills the starts.
const KILLER: &str = "HOTPOOL_TEST_KILLER";

/// The states that a cut creation, its removal and the next start go through.
const STATES: [&str; 10] = [
    "absent",
    "semaphores",
    "unfinished",
    "starting",
    "stopped",
    "dying",
    "crashed",
    "closed",
    "removing",
    "given up",
];

/// Stops the tools when the test ends, even if it fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn tools_beside_a_creation_that_is_cut_say_no_wrong_word_and_disturb_no_start() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let look = |tools: [&[&str]; 2]| {
        let mut wrong = Vec::new();
        for args in tools.into_iter().cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let answer = bench.hotpool(args);
            looks.fetch_add(1, Ordering::Relaxed);
            if !is_right(&bench, args[0], &answer) {
                wrong.push(format!("{args:?}, exit code {}:\n{}{}", answer.code, answer.out, answer.err));
            }
        }
        wrong
    };
    thread::scope(|scope| {
        let stop = Stop(&over);
        let tools = [
            scope.spawn(|| look([&["ls", "--conf", &ini], &["inspect", "--conf", &ini]])),
            scope.spawn(|| look([&["ls"], &["verify", "--conf", &ini]])),
        ];
        let killed = kill_starts(&bench);
        drop(stop);
        let wrong: Vec<String> = tools.into_iter().flat_map(|tool| tool.join().unwrap()).collect();
        println!("{killed}; {} looks of tools, {} wrong", looks.load(Ordering::Relaxed), wrong.len());
        assert!(wrong.is_empty(), "{} wrong words:\n{}", wrong.len(), wrong.join("\n"));
        assert!(killed.contains("kills"), "{killed}");
    });
}

/// Whether a tool says what may be true.
fn is_right(bench: &Bench, verb: &str, answer: &Answer) -> bool {
    if verb != "ls" {
        // Sound, or absent or unfinished.
        return [0, 7].contains(&answer.code) && !answer.out.contains("damaged:");
    }
    let keys = [bench.base(0), bench.block(0, 0), bench.block(0, 1)];
    let rows = keys.map(|key| answer.out.lines().find(|line| line.starts_with(&format!(" {key} "))));
    rows.into_iter().flatten().all(|row| STATES.iter().any(|state| row.contains(&format!(" {state}"))))
}

/// Runs the process that starts and kills the starts. Returns its last line.
fn kill_starts(bench: &Bench) -> String {
    let mut killer = Command::new(std::env::current_exe().unwrap())
        // One thread runs the test itself, so that it may fork.
        .args(["--exact", "cut::killer", "--nocapture", "--test-threads=1"])
        .env(KILLER, bench.base(0).0.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(killer.stdout.take().unwrap()).lines();
    let said: Vec<String> = lines.map(|line| line.unwrap()).filter(|line| line.contains("cut: ")).collect();
    assert!(killer.wait().unwrap().success(), "a start was disturbed");
    said.last().cloned().unwrap_or_default()
}

/// Runs as the process that starts and kills the starts, if this process was launched as one.
#[test]
fn killer() {
    let Ok(base) = std::env::var(KILLER) else { return };
    let mut both = crate::bench::conf_of(hotpool::units::Key(base.parse().unwrap()), 2);
    // A start that takes a tool for a rival is refused at once.
    both.owner_wait_ms = 0;
    let mut one = both.clone();
    one.shm_keys.truncate(1);
    let (cold, added) = (kill_at_each_step(&one, None), kill_at_each_step(&both, Some(&one)));
    println!("cut: {cold} kills of a cold start, {added} of a start that adds a block");
}

/// Kills a start after each system call that changes something, and once more among the stores
/// after it. The next start has to succeed. Returns the number of kills.
fn kill_at_each_step(conf: &ProcessConf, before: Option<&ProcessConf>) -> usize {
    let child = || {
        if let Some(before) = before {
            MemoryPoolMgr::open(before).unwrap().close().unwrap();
        }
        Child::start(|| {
            changing::stop_at_changes();
            stepper::begin();
            let pool = MemoryPoolMgr::open(conf);
            stepper::end();
            drop(pool);
        })
    };
    let clean = || drop(remove_pool(conf.base_key, &Home::of(conf), false).unwrap());
    // Each step costs two switches of process: a default run takes every eighth.
    let stride = std::env::var("HOTPOOL_CUT_STRIDE").map_or(8, |stride| stride.parse().unwrap());
    let (mut kills, mut changes) = (0, 0);
    // The number of calls depends on the processes of the host: the changes are counted.
    'steps: loop {
        changes += stride;
        let among_stores = if stride == 1 { 1500 * changes % 4001 } else { 0 };
        for stores in [0, among_stores].into_iter().take(if among_stores == 0 { 1 } else { 2 }) {
            let child = child();
            if !(0..changes).all(|_| child.to_change().is_some()) {
                break 'steps;
            }
            for _ in 0..stores {
                if child.is_done() {
                    break;
                }
                child.step();
            }
            child.kill();
            kills += 1;
            let next = MemoryPoolMgr::open(conf).unwrap_or_else(|why| panic!("change {changes}: {why}"));
            next.close().unwrap();
            clean();
        }
    }
    clean();
    kills
}
