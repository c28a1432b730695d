//! `ls` shows the state of every pool without disturbing it.

use crate::bench::{Bench, conf_of, raw};
use hotpool::MemoryPoolMgr;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Returns the pool of a key from the JSON of `ls`.
fn pool(json: &Value, key: impl ToString) -> Value {
    let key = key.to_string();
    let pools = json["pools"].as_array().unwrap();
    pools.iter().find(|pool| pool["key"] == key).unwrap_or_else(|| panic!("{json}")).clone()
}

#[test]
fn every_pool_of_an_ini_has_its_row_with_owner_and_state() {
    let bench = Bench::new();
    let ini = bench.ini(&["running", "starting", "closed", "crashed", "absent"]);
    let (running, starting) = (bench.owner(0, "ready"), bench.owner(1, "open"));
    bench.open(2).close().unwrap();
    bench.owner(3, "ready").kill();

    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    let owners = [running.pid().to_string(), starting.pid().to_string(), "-".into(), "-".into(), "-".into()];
    let states = ["running", "starting", "closed", "crashed", "absent"];
    for (number, (owner, state)) in (0..).zip(owners.iter().zip(states)) {
        let words: Vec<&str> = answer.row(bench.base(number)).split_whitespace().collect();
        assert!(words.contains(&state) && words.contains(&owner.as_str()), "{}", answer.out);
    }
    assert!(answer.out.contains("2 x 64K"), "{}", answer.out);
    assert!(answer.out.lines().all(|line| line.chars().count() <= 100), "{}", answer.out);
    assert!(answer.out.lines().all(|line| line.trim_end() == line), "{}", answer.out);
}

#[test]
fn the_json_is_complete() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let owner = bench.owner(0, "ready");
    let answer = bench.hotpool(&["ls", "--json", "--conf", &ini]);
    let json = answer.json();
    assert_eq!((answer.code, &json["ok"]), (0, &Value::Bool(true)));
    let zone = pool(&json, bench.base(0));
    assert_eq!(zone["owner"]["pid"], owner.pid());
    assert_eq!(zone["owner"]["state"], "running");
    assert_eq!(zone["process"], "zone");
    assert_eq!(zone["file"], ini);
    assert_eq!(zone["epoch"], 1);
    assert_eq!(zone["last_owner_pid"], owner.pid());
    assert_eq!(zone["ended_at"], Value::Null);
    assert_eq!(zone["segment"]["creator_pid"], owner.pid());
    assert_eq!(zone["segment"]["mode"], "0600");
    let blocks = zone["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[1]["key"], bench.block(0, 1).to_string());
    assert_eq!(blocks[1]["segment"]["bytes"], 64 << 10);
    let sum = |name: &str| {
        let segments = blocks.iter().map(|block| &block["segment"]).chain([&zone["segment"]]);
        segments.map(|segment| segment[name].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(zone["bytes"], sum("bytes"));
    assert_eq!(zone["resident_bytes"], sum("resident_bytes"));
    let resident = zone["resident_bytes"].as_u64().unwrap();
    assert!(resident > 0 && resident <= sum("bytes"), "{resident}");
}

/// A reading attaches the base, which changes the kernel's time of its last detach. The blocks keep
/// theirs.
#[test]
fn reading_keeps_the_time_since_when_a_pool_waits() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    bench.owner(0, "ready").kill();
    let look = || pool(&bench.hotpool(&["ls", "--json", "--conf", &ini]).json(), bench.base(0));
    let first = look();
    assert_eq!(first["state"], "crashed");
    assert_eq!(first["ended_at_is_exact"], true);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    bench.hotpool(&["ls"]);
    let later = look();
    assert_eq!(later["ended_at"], first["ended_at"], "{first:#} {later:#}");
    assert_eq!(later["ended_at_is_exact"], true);
}

/// With `OwnerWaitMs` = 0, a start is refused as soon as it takes anything for a rival.
#[test]
fn no_start_takes_a_reading_for_a_rival() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let mut conf = bench.conf(0);
    conf.owner_wait_ms = 0;
    bench.open(0).close().unwrap();
    const ENOUGH: u32 = 30;
    let (looks, starts, failed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let is_enough = || [&looks, &starts].into_iter().all(|done| done.load(Ordering::Relaxed) >= ENOUGH);
    let repeat = |done: &AtomicU32, step: &dyn Fn() -> Result<(), String>| {
        while !is_enough() && !failed.load(Ordering::Relaxed) {
            match step() {
                Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                Err(why) => {
                    eprintln!("{why}");
                    failed.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    let look = || match bench.hotpool(&["ls", "--conf", &ini]) {
        answer if answer.code == 0 => Ok(()),
        answer => Err(answer.out + &answer.err),
    };
    let start =
        || MemoryPoolMgr::open(&conf).and_then(MemoryPoolMgr::close).map_err(|error| error.to_string());
    std::thread::scope(|scope| {
        scope.spawn(|| repeat(&looks, &look));
        repeat(&starts, &start);
    });
    assert!(!failed.load(Ordering::Relaxed));
}

#[test]
fn a_foreign_segment_under_a_key_of_the_ini_is_a_problem() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone", "world"]);
    bench.open(0).close().unwrap();
    raw::make(bench.base(1));
    raw::set_first_word(bench.base(1), 0x1234);
    raw::make(bench.block(1, 0));
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    for key in [bench.base(1), bench.block(1, 0)] {
        assert!(answer.row(key).contains("foreign"), "{}", answer.out);
    }
    assert!(answer.out.contains("its first word is 0x0000000000001234"), "{}", answer.out);
    assert_eq!(bench.hotpool(&["ls", "--json", "--conf", &ini]).json()["ok"], false);
}

/// A start creates a block as zeros, and marks it a moment later.
#[test]
fn a_block_that_a_start_has_just_created_is_unfinished_and_not_foreign() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    MemoryPoolMgr::open(&conf_of(bench.base(0), 1)).unwrap().close().unwrap();
    let block = bench.block(0, 1);
    let state = |word: &str| {
        let answer = bench.hotpool(&["ls", "--conf", &ini]);
        assert!(answer.row(block).contains(word), "{word}: {}", answer.out);
    };
    raw::make_of(block, 64 << 10);
    state("unfinished");
    raw::set_word(block, 8192, 1);
    state("foreign");
    raw::remove(block);
    raw::make_of(block, 128 << 10);
    state("foreign");
}

#[test]
fn the_host_is_listed_with_stray_blocks_and_semaphores() {
    let bench = Bench::new();
    for number in 0..4 {
        bench.open(number).close().unwrap();
    }
    raw::remove_segment(bench.base(1)); // its semaphores and blocks stay
    raw::remove(bench.base(2)); // its blocks stay
    raw::set_first_word(bench.base(3), hotpool::__internal::layout::MAGIC_GONE);
    raw::make(bench.base(4));
    let answer = bench.hotpool(&["ls"]);
    assert_eq!(answer.code, 1);
    let states = [
        (bench.base(0), "closed"),
        (bench.base(1), "semaphores"),
        (bench.block(1, 0), "stray"),
        (bench.block(2, 1), "stray"),
        (bench.base(3), "gone"),
    ];
    for (key, state) in states {
        assert!(answer.row(key).contains(state), "{}", answer.out);
    }
    let is_row = |key: hotpool::units::Key| answer.out.lines().any(|l| l.starts_with(&format!(" {key} ")));
    assert!(!is_row(bench.block(0, 0)), "a block is not listed apart from its pool");
    assert!(!is_row(bench.base(4)), "a foreign segment is not listed");
    assert!(bench.hotpool(&["ls", "--all"]).row(bench.block(0, 0)).contains("block"));
    assert!(answer.out.contains(&format!("run `hotpool rm --key {}`", bench.base(3))), "{}", answer.out);
}

#[test]
fn semaphores_removed_under_a_running_server_are_reported() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let mut owner = bench.owner(0, "ready");
    raw::remove_semaphores(bench.base(0));
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert!(answer.row(bench.base(0)).contains("unlocked"), "{}", answer.out);
    assert_eq!(answer.code, 1);
    raw::remove_segment(bench.base(0));
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert!(answer.row(bench.base(0)).contains("removed"), "{}", answer.out);
    owner.kill();
}

#[test]
fn an_invalid_ini_lists_its_mistakes_and_no_pools() {
    let bench = Bench::new();
    let answer = bench.hotpool(&["ls", "--conf", "nowhere.ini"]);
    assert_eq!(answer.code, 3, "{}", answer.out);
    assert!(answer.out.starts_with("nowhere.ini: cannot be read"), "{}", answer.out);
    assert_eq!(bench.hotpool(&["ls", "--json", "--conf", "nowhere.ini"]).json()["ok"], false);
}

#[test]
fn a_missing_block_is_reported_with_the_remedy_that_keeps_the_objects() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let mut pool = bench.open(0);
    pool.ready().unwrap();
    pool.close().unwrap();
    raw::remove_segment(bench.block(0, 1));
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    assert!(answer.row(bench.base(0)).contains("incomplete"), "{}", answer.out);
    assert!(answer.out.contains(&bench.block(0, 1).to_string()), "{}", answer.out);
    assert!(answer.out.contains("without an object inside: remove the key from ShmKeys"), "{}", answer.out);
    let mut conf = bench.conf(0);
    conf.shm_keys.truncate(1);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.resume_report().epoch, 2, "the advice keeps the pool");
    pool.close().unwrap();
}

#[test]
fn the_blocks_of_a_damaged_base_are_told_to_be_kept_first() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    bench.open(0).close().unwrap();
    let head = raw::words(bench.base(0))[..8].to_vec();
    (0..8).for_each(|at| raw::set_word(bench.base(0), at * 8, 0));
    for args in [&["ls", "--conf", &ini][..], &["ls"]] {
        let answer = bench.hotpool(args);
        assert_eq!(answer.code, 1, "{}", answer.out);
        let key = bench.block(0, 0);
        assert!(answer.row(key).contains("stray"), "{}", answer.out);
        let advice = format!(
            "no complete base names block {key}, so no start reaches its objects: restore its base if it was damaged"
        );
        assert!(answer.out.contains(&advice) && !answer.out.contains("no longer exists"), "{}", answer.out);
    }
    head.iter().enumerate().for_each(|(at, word)| raw::set_word(bench.base(0), at * 8, *word));
    assert_eq!(bench.open(0).resume_report().epoch, 2, "the advice keeps the pool");
}

#[test]
fn blocks_are_not_stray_if_their_base_was_removed_under_its_owner() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let mut owner = bench.owner(0, "ready");
    raw::remove_segment(bench.base(0));
    for args in [&["ls", "--conf", &ini][..], &["ls"]] {
        let answer = bench.hotpool(args);
        assert_eq!(answer.code, 1, "{}", answer.out);
        assert!(answer.row(bench.base(0)).contains("removed"), "{}", answer.out);
        assert!(answer.out.contains(&format!("pid {}", owner.pid())), "{}", answer.out);
        assert!(!answer.out.contains(&format!("rm --key {}", bench.block(0, 0))), "{}", answer.out);
    }
    raw::remove_segment(bench.block(0, 0));
    owner.kill();
}

#[test]
fn a_pool_that_cannot_be_looked_at_has_the_advice_of_a_start() {
    let bench = Bench::new();
    let dir = bench.folder().join("pools");
    let ini = bench.ini_with(&["zone"], &format!("Backend = file\nDir = {}", dir.display()));
    std::fs::write(&dir, "no folder").unwrap();
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert_eq!(answer.code, 1, "{}{}", answer.out, answer.err);
    assert!(answer.row(bench.base(0)).contains("unknown"), "{}", answer.out);
    let advice = format!("{}, which Dir names, is not a folder", dir.display());
    assert!(answer.out.contains(&advice), "{}", answer.out);
    let mut conf = bench.conf(0);
    (conf.backend, conf.dir) = (hotpool::conf::BackendKind::File, dir);
    let refused = MemoryPoolMgr::open(&conf).unwrap_err().to_string();
    assert!(refused.contains(&advice), "{refused}");
}
