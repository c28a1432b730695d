//! `rm` removes exactly the named pools, completely, and never one with a live owner.

use crate::bench::{Answer, Bench, raw};
use hotpool::__internal::layout::MAGIC_GONE;
use hotpool::units::Key;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

fn is_whole(bench: &Bench, pool: u32) -> bool {
    let keys = [bench.base(pool), bench.block(pool, 0), bench.block(pool, 1)];
    keys.into_iter().all(raw::is_there) && raw::has_semaphores(bench.base(pool))
}

fn is_gone(bench: &Bench, pool: u32) -> bool {
    let keys = [bench.base(pool), bench.block(pool, 0), bench.block(pool, 1)];
    !keys.into_iter().any(raw::is_there) && !raw::has_semaphores(bench.base(pool))
}

fn rm(bench: &Bench, key: Key, more: &[&str]) -> Answer {
    let key = key.to_string();
    bench.hotpool(&[&["rm", "--key", &key], more].concat())
}

#[test]
fn a_dry_run_shows_what_the_run_then_removes() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    let plan = rm(&bench, bench.base(0), &["--dry-run"]);
    assert_eq!(plan.code, 0, "{}", plan.err);
    assert!(is_whole(&bench, 0));
    let done = rm(&bench, bench.base(0), &["--yes"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(is_gone(&bench, 0));
    assert_eq!(plan.out.replace("would remove", "removed"), done.out);
    let [base, first, second] = [bench.base(0), bench.block(0, 0), bench.block(0, 1)];
    let lines = [
        format!("{base}: would remove 3 segments, 3.7M in total"),
        format!("  {first}  block 0          64K"),
        format!("  {second}  block 1          64K"),
        format!("  {base}  base            3.6M"),
        format!("  {base}  semaphores"),
    ];
    assert_eq!(plan.out.lines().collect::<Vec<_>>(), lines);

    let again = rm(&bench, base, &["--yes"]);
    assert_eq!((again.code, again.out), (0, format!("{base}: nothing to remove\n")));
}

/// The base was removed by hand; its semaphores and blocks still exist.
#[test]
fn rm_of_an_ini_removes_the_blocks_of_a_missing_base() {
    let bench = Bench::new();
    let ini = bench.ini(&["waiting"]);
    bench.open(0).close().unwrap();
    raw::remove_segment(bench.base(0));
    let plan = bench.hotpool(&["rm", "--conf", &ini, "--dry-run"]);
    assert!(plan.out.contains("would remove 2 segments"), "{}", plan.out);
    let done = bench.hotpool(&["rm", "--conf", &ini, "--yes"]);
    assert_eq!((done.code, done.out), (0, plan.out.replace("would remove", "removed")), "{}", done.err);
    assert!(is_gone(&bench, 0));
    bench.open(0).close().unwrap();
}

#[test]
fn a_live_owner_is_named_and_nothing_is_removed() {
    let bench = Bench::new();
    let ini = bench.ini(&["waiting", "served"]);
    bench.open(0).close().unwrap();
    let owner = bench.owner(1, "ready");
    for more in [&["--yes"][..], &["--dry-run"], &["--yes", "--json"]] {
        let answer = bench.hotpool(&[&["rm", "--conf", &ini], more].concat());
        assert_eq!(answer.code, 4, "{}", answer.out);
        assert!(answer.out.contains(&format!("owned by pid {}", owner.pid())), "{}", answer.out);
        assert!(answer.err.contains("nothing was removed"), "{}", answer.err);
    }
    assert!(is_whole(&bench, 0) && is_whole(&bench, 1));

    raw::remove_semaphores(bench.base(1));
    let answer = rm(&bench, bench.base(1), &["--yes"]);
    assert_eq!(answer.code, 4, "{}", answer.out);
    assert!(answer.out.contains(&format!("pid {}", owner.pid())), "{}", answer.out);
    assert!(raw::is_there(bench.base(1)));
}

#[test]
fn without_a_terminal_rm_requires_yes() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    let answer = rm(&bench, bench.base(0), &[]);
    assert_eq!(answer.code, 2);
    assert!(answer.out.contains("would remove 3 segments"), "{}", answer.out);
    assert!(answer.err.contains("confirm with --yes"), "{}", answer.err);
    assert!(is_whole(&bench, 0));
}

#[test]
fn on_a_terminal_rm_prompts_and_accepts_no() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    let key = bench.base(0).to_string();
    let ask = |word: &str| {
        let (ours, theirs) = raw::terminal();
        File::from(ours.try_clone().unwrap()).write_all(word.as_bytes()).unwrap();
        let mut command = bench.command(&["rm", "--key", &key]);
        let output = command.stdin(Stdio::from(theirs)).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for no in ["n\n", "\n", "yess\n"] {
        let (code, said) = ask(no);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("Remove them? [y/N]") && said.contains("3 segments"), "{said}");
        assert!(is_whole(&bench, 0));
    }
    assert_eq!(ask("y\n").0, Some(0));
    assert!(is_gone(&bench, 0));
}

#[test]
fn one_process_of_an_ini_can_be_chosen() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone", "world"]);
    bench.open(0).close().unwrap();
    bench.open(1).close().unwrap();
    let answer = bench.hotpool(&["rm", "--conf", &ini, "--process", "wrold", "--yes"]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    assert!(answer.out.contains("did you mean world"), "{}", answer.out);
    let answer = bench.hotpool(&["rm", "--conf", &ini, "--process", "world", "--yes", "--json"]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    let json = answer.json();
    assert_eq!((&json["ok"], &json["removed"]), (&true.into(), &true.into()));
    assert_eq!(json["pools"][0]["process"], "world");
    assert_eq!(json["pools"][0]["things"].as_array().unwrap().len(), 4);
    assert!(is_whole(&bench, 0) && is_gone(&bench, 1));
}

#[test]
fn an_interrupted_removal_is_completed() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    raw::set_first_word(bench.base(0), MAGIC_GONE);
    raw::remove_segment(bench.block(0, 0));
    assert_eq!(rm(&bench, bench.base(0), &["--yes"]).code, 0);
    assert!(is_gone(&bench, 0));
}

#[test]
fn the_rest_of_a_pool_without_base_is_removed_piece_by_piece() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    raw::remove_segment(bench.base(0));
    for key in [bench.base(0), bench.block(0, 0), bench.block(0, 1)] {
        let answer = rm(&bench, key, &["--yes"]);
        assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    }
    assert!(is_gone(&bench, 0));
}

#[test]
fn a_block_is_removed_only_if_its_base_gave_it_up() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    let refused = rm(&bench, bench.block(0, 1), &["--yes"]);
    assert_eq!(refused.code, 4);
    let base = bench.base(0);
    let named = format!("{} is block 1 of the pool of zone under {base}", bench.block(0, 1));
    assert!(refused.out.contains(&named), "{}", refused.out);

    let mut fewer = bench.conf(0);
    fewer.shm_keys.pop();
    hotpool::MemoryPoolMgr::open(&fewer).unwrap().close().unwrap();
    let answer = rm(&bench, bench.block(0, 1), &["--yes"]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    assert!(!raw::is_there(bench.block(0, 1)) && raw::is_there(bench.block(0, 0)));
    bench.open(0).close().unwrap();
    assert!(is_whole(&bench, 0), "a block named again is created again");
}

#[test]
fn a_foreign_segment_is_never_removed() {
    let bench = Bench::new();
    raw::make(bench.base(0));
    for word in [0, 1, u64::MAX] {
        raw::set_first_word(bench.base(0), word);
        let answer = rm(&bench, bench.base(0), &["--yes"]);
        assert_eq!(answer.code, 4, "{}", answer.out);
        assert!(raw::is_there(bench.base(0)));
    }
}

#[test]
fn a_command_line_without_a_target_is_an_error() {
    let bench = Bench::new();
    for args in [&["rm"][..], &["rm", "--yes"], &["rm", "--process", "zone"], &["rm", "--key", "0"]] {
        assert_eq!(bench.hotpool(args).code, 2, "{args:?}");
    }
}

/// A script stops a server and removes its pool in the next line.
#[test]
fn an_owner_that_was_just_stopped_has_time_to_end() {
    let bench = Bench::new();
    let mut owner = bench.owner(0, "ready");
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        owner.kill();
    });
    let done = rm(&bench, bench.base(0), &["--yes"]);
    ends.join().unwrap();
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(is_gone(&bench, 0));
    // One that stays is refused, and a plan does not wait.
    let owner = bench.owner(0, "ready");
    assert_eq!(rm(&bench, bench.base(0), &["--yes"]).code, 4);
    assert!(is_whole(&bench, 0));
    drop(owner);
}
