//! Which process may own a pool when processes are killed, stopped, forked, executed or started at
//! once (G5, G6). The tests use real processes and the public API.

mod owner;
mod skip;

use hotpool::pool::StartEnd;
use hotpool::share::{Home, LockFacts, Process, ProcessState, observe};
use hotpool::{MemoryPoolMgr, StartMode};
use owner::{Keys, Owner};
use skip::skipped;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

const SHIPPED: bool = !cfg!(debug_assertions);
const SMALL: u64 = 1 << 20;

/// Runs as an owner if this process was launched as one.
#[test]
fn serve() {
    owner::serve();
}

/// Measures the time from the kill to the report of the next process: the death of the old one and
/// the start of the new one.
#[test]
fn kill_and_restart_at_once_on_a_gibibyte_resumes_every_time() {
    const RESTARTS: usize = if SHIPPED { 100 } else { 10 };
    let keys = Keys::take(1 << 30);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    let tiles: u64 = owner.ask("fill").parse().unwrap();
    assert!(tiles > 16_000, "{tiles} tiles of 64 KiB");
    let mut took = Vec::new();
    for restart in 0..RESTARTS as u64 {
        assert_eq!(owner.ask("touch"), "touched");
        let began = Instant::now();
        owner.kill();
        let mut next = Owner::start();
        let report = keys.open_by(&mut next, 60_000);
        took.push(began.elapsed());
        let hot = format!("hot start {}, the last owner died while serving", restart + 2);
        assert!(report.contains(&hot) && report.contains(&format!("{tiles} tile")), "{report}");
        assert_eq!(next.ask("sum"), (tiles * 16 * (restart + 1)).to_string(), "a store was lost");
        owner = next;
    }
    took.sort_unstable();
    println!(
        "{RESTARTS} of {RESTARTS} restarts on 1 GiB resumed; kill to ready p50 {:.1} ms, max {:.1} ms",
        took[RESTARTS / 2].as_secs_f64() * 1e3,
        took[RESTARTS - 1].as_secs_f64() * 1e3
    );
}

#[test]
fn a_stopped_owner_keeps_its_pool_and_is_named() {
    let keys = Keys::take(SMALL);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    owner.signal(libc::SIGSTOP);
    let began = Instant::now();
    let error = keys.open_by(&mut Owner::start(), 300);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let pid = owner.pid();
    assert!(error.starts_with("refused: ") && error.contains(&format!("is owned by pid {pid} (")), "{error}");
    assert!(error.contains(", stopped, ") && error.contains(&format!("run `kill -CONT {pid}`")), "{error}");
    owner.signal(libc::SIGCONT);
    assert_eq!(owner.ask("fill").parse::<u64>().unwrap(), 15);
    assert_eq!(owner.ask("close"), "Ok(())");
}

#[test]
fn of_two_simultaneous_starts_one_succeeds_and_is_named_to_the_other() {
    const ROUNDS: u64 = if SHIPPED { 200 } else { 20 };
    let keys = Keys::take(SMALL);
    let mut starters = [Owner::start(), Owner::start()];
    let mut won = [0, 0];
    for round in 0..ROUNDS {
        for starter in &mut starters {
            keys.tell_to_open(starter, 0);
        }
        let answers = [starters[0].answer(), starters[1].answer()];
        let opened: Vec<usize> = (0..2).filter(|i| !answers[*i].starts_with("refused: ")).collect();
        let [winner] = opened[..] else { panic!("round {round}: {answers:?}") };
        let named = format!("is owned by pid {} (", starters[winner].pid());
        assert!(answers[1 - winner].contains(&named), "round {round}: {answers:?}");
        won[winner] += 1;
        // Every other round finds a pool, and the next one does not.
        let leave = if round % 2 == 0 { "close" } else { "destroy" };
        assert_eq!(starters[winner].ask(leave), "Ok(())");
    }
    println!("{ROUNDS} rounds, won by each process: {won:?}");
}

#[test]
fn a_forked_child_neither_keeps_the_pool_nor_reaches_it() {
    let keys = Keys::take(SMALL);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    owner.ask("fill");
    assert_eq!(owner.ask("touch"), "touched");
    assert_eq!(owner.ask("fork-and-touch"), format!("signal {}", libc::SIGSEGV));
    assert_eq!(owner.ask("sum"), (15 * 16).to_string(), "the child changed the pool");
    let child = owner.fork();
    owner.kill();
    let mut next = Owner::start();
    assert!(keys.open_by(&mut next, 20_000).contains("hot start 2,"));
    // SAFETY: signal 0 only checks that the process exists.
    assert_eq!(unsafe { libc::kill(child, 0) }, 0, "the child is still alive");
    assert_eq!(next.ask("sum"), (15 * 16).to_string());
}

/// The kernel keeps the lock across an exec, but releases the memory. No other process becomes the
/// owner in between. The new program opens the pool at once, like any restart.
#[test]
fn a_process_that_executes_itself_resumes_its_own_pool() {
    let keys = Keys::take(SMALL);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    owner.ask("fill");
    let mut rival = Owner::start();
    for program in 1..=4 {
        assert_eq!(owner.ask("touch"), "touched");
        assert_eq!(owner.ask("exec"), "here");
        assert_eq!(owner.ask("mappings"), "0");
        let refused = keys.open_by(&mut rival, 50);
        assert!(refused.contains(&format!("is owned by pid {} (", owner.pid())), "{refused}");
        let began = Instant::now();
        let report = keys.open_by(&mut owner, 30_000);
        let hot = format!("hot start {}, the last owner died while serving", program + 1);
        assert!(report.contains(&hot), "{report}");
        assert!(began.elapsed() < Duration::from_secs(20), "the start waited for its own lock");
        assert_eq!(owner.ask("sum"), (15 * 16 * program).to_string());
        // The program owns the pool like any owner.
        let twice = keys.open_by(&mut owner, 0);
        assert!(twice.contains("it opens the pool twice"), "{twice}");
        let refused = keys.open_by(&mut rival, 0);
        assert!(refused.contains(&format!("is owned by pid {} (", owner.pid())), "{refused}");
    }
    // After a close the pool is free, however many programs ran before.
    assert_eq!(owner.ask("close"), "Ok(())");
    assert!(keys.open_by(&mut rival, 0).contains("closed cleanly"));
    rival.kill();
    assert!(keys.open_by(&mut owner, 20_000).contains("hot start 7,"));
}

/// A program that does not use pools keeps the lock until it ends.
#[test]
fn a_pool_waits_for_the_program_that_its_owner_executes() {
    let keys = Keys::take(SMALL);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    assert_eq!(owner.ask("exec-sleep"), "executing");
    while std::fs::read_to_string(format!("/proc/{}/comm", owner.pid())).unwrap() != "sleep\n" {
        std::thread::yield_now();
    }
    let mut rival = Owner::start();
    let refused = keys.open_by(&mut rival, 50);
    assert!(refused.contains(&format!("is owned by pid {} (sleep, ", owner.pid())), "{refused}");
    owner.kill();
    assert!(keys.open_by(&mut rival, 20_000).contains("hot start 2,"));
}

/// While a process dumps core its memory still exists, so the next start waits.
#[test]
fn an_owner_that_dumps_core_is_waited_for() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.contains(['|', '/']) {
        skipped(&format!("core dumps go to {}, not to a file in the folder", pattern.trim_end()));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::take(SMALL);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    let ballast = 256 << 20;
    if owner.ask(&format!("dump {} {ballast}", folder.path().display())) != "dumping" {
        skipped("this process may not raise its limit of core dumps");
        return;
    }
    let status = format!("/proc/{}/status", owner.pid());
    let began = Instant::now();
    while !std::fs::read_to_string(&status).unwrap().contains("CoreDumping:\t1") {
        if began.elapsed() > Duration::from_secs(20) {
            skipped("no core dump was seen");
            return;
        }
    }
    // The flag of the memory is set slightly before those of the threads.
    while Process::look(owner.pid()).state == ProcessState::Running {
        std::thread::yield_now();
    }
    let error = MemoryPoolMgr::open(&keys.conf(0)).unwrap_err().to_string();
    let seen = observe(keys.base, &Home::sysv()).unwrap().lock;
    assert!(error.contains(&format!("is owned by pid {} (", owner.pid())), "{error}");
    assert!(error.contains(", exiting, ") && error.contains("raise OwnerWaitMs"), "{error}");
    let pool = MemoryPoolMgr::open(&keys.conf(60_000)).unwrap();
    let took = began.elapsed();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    let dumped: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(dumped > ballast as u64, "the dump has {dumped} bytes");
    assert!(
        matches!(&seen, LockFacts::Held { holder, .. } if holder.state == ProcessState::Exiting),
        "{seen:?}"
    );
    println!("waited {} ms for a core dump of {} MiB", took.as_millis(), dumped >> 20);
    drop(pool);
    owner.wait();
}

/// A signal that ended the owner is reported to the next one if its handler noted it.
#[test]
fn the_fatal_signal_is_reported_if_its_handler_notes_it() {
    let keys = Keys::take(SMALL);
    for signal in [libc::SIGSEGV, libc::SIGABRT, libc::SIGTERM] {
        let mut owner = Owner::start();
        keys.open_by(&mut owner, 60_000);
        owner.tell(&format!("die-of {signal}"));
        assert_eq!(owner.wait().signal(), Some(signal));
    }
    let mut owner = Owner::start();
    keys.open_by(&mut owner, 60_000);
    owner.kill();
    owner.wait();
    let pool = MemoryPoolMgr::open(&keys.conf(60_000)).unwrap();
    let ends: Vec<StartEnd> = pool.starts().iter().map(|start| start.end).collect();
    let noted = |signal: i32| StartEnd::Signal(signal as u8);
    let wanted =
        [noted(libc::SIGSEGV), noted(libc::SIGABRT), noted(libc::SIGTERM), StartEnd::Died, StartEnd::Open];
    assert_eq!(ends, wanted);
}

/// The segment key has the pool of another user, whose process is alive or dead. Neither user takes
/// over the other's pool, and the refusal names the uid.
#[test]
fn a_pool_of_another_user_is_refused_with_its_owner_alive_or_dead() {
    const OTHER: u32 = 64_738;
    // SAFETY: the call takes no argument.
    if unsafe { libc::geteuid() } != 0 {
        skipped("only the superuser can start a process of another user");
        return;
    }
    for (first, second) in [(OTHER, 0), (0, OTHER)] {
        let keys = Keys::take(SMALL);
        let mut owner = Owner::start_as(first);
        assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
        let tiles = owner.ask("fill");
        assert_eq!(owner.ask("touch"), "touched");
        let mut stranger = Owner::start_as(second);
        let alive = keys.open_by(&mut stranger, 0);
        owner.kill();
        owner.wait();
        let dead = keys.open_by(&mut stranger, 0);
        for refusal in [alive, dead] {
            assert!(refusal.starts_with("refused: "), "{refusal}");
            assert!(refusal.contains(&keys.base.to_string()), "{refusal}");
            assert!(refusal.contains(&format!("uid {first}")), "{refusal}");
        }
        let mut next = Owner::start_as(first);
        assert!(keys.open_by(&mut next, 0).contains("hot start 2,"));
        let pages = tiles.parse::<u64>().unwrap() * 16;
        assert_eq!(next.ask("sum"), pages.to_string());
    }
}
