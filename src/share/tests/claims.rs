//! One pool value in one process, however many threads open the pool at the same instant (G6).
//!
//! The unsafe code of the crate relies on this.

use crate::conf::{BackendKind, ProcessConf};
use crate::limits;
use crate::share::claim;
use crate::share::owner::OwnerLock;
use crate::share::owner_set::Whose;
use crate::share::testing::{BASE, Bench, OWNED_AT, Servant, open, word};
use crate::share::wait::Wait;
use crate::share::{OwnerError, PoolSegments, ShareError, StartMode};
use crate::sys::sysv;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Number of opens for each combination of threads and `OwnerWaitMs`. For more, with their figures,
/// run `HOTPOOL_OPENS=1000000 cargo test --release --lib -- threads_that_open_at_once --nocapture`.
const OPENS: u64 = 2000;

/// The results of the opens of some threads.
#[derive(Debug, Default)]
struct Tally {
    opened: AtomicU64,
    refused: AtomicU64,
    most_at_once: AtomicU32,
}

/// Opens and drops one pool `opens` times, in `threads` threads that begin together.
fn race(conf: &ProcessConf, threads: u64, opens: u64) -> Tally {
    let tally = Tally::default();
    let live = AtomicU32::new(0);
    let begin = Barrier::new(threads as usize);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                begin.wait();
                for _ in 0..opens / threads {
                    match open(conf, BASE) {
                        Ok(pool) => {
                            let others = live.fetch_add(1, Ordering::SeqCst);
                            tally.most_at_once.fetch_max(others + 1, Ordering::SeqCst);
                            std::thread::yield_now();
                            live.fetch_sub(1, Ordering::SeqCst);
                            drop(pool);
                            tally.opened.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(ShareError::Owner(OwnerError::Held { .. })) => {
                            tally.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    tally
}

#[test]
fn threads_that_open_at_once_never_have_two_pool_values() {
    let asked = std::env::var("HOTPOOL_OPENS").ok().map(|opens| opens.parse().unwrap());
    let opens: u64 = asked.unwrap_or(OPENS);
    // An open of a file reads `/proc`, which takes a hundred times as long.
    for (backend, opens) in
        [(BackendKind::Sysv, opens), (BackendKind::Heap, opens), (BackendKind::File, opens / 50)]
    {
        for (threads, wait) in [2, 3, 4, 8].into_iter().flat_map(|threads| [(threads, 0), (threads, 5)]) {
            let bench = Bench::of(backend);
            let conf = ProcessConf { owner_wait_ms: wait, ..bench.conf() };
            let tally = race(&conf, threads, opens);
            if asked.is_some() {
                println!("{backend:?}, {threads} threads, OwnerWaitMs {wait}, {opens} opens: {tally:?}");
            }
            assert_eq!(tally.most_at_once.into_inner(), 1, "{backend:?}, {threads} threads, wait {wait} ms");
        }
    }
}

fn take(bench: &Bench) -> Result<OwnerLock, OwnerError> {
    OwnerLock::take(bench.base(), 0o600, Whose::Own, Wait::ms(0))
}

/// The state of the lock for another copy of the library in this process, and for its next program.
fn forget(bench: &Bench) {
    claim::forget(bench.base());
}

fn semaphore(bench: &Bench) -> u32 {
    sysv::sem_value(sysv::sem_find(bench.base()).unwrap().unwrap(), 0).unwrap()
}

#[test]
fn of_many_takeovers_the_last_alone_is_the_owner_and_frees_the_lock() {
    let bench = Bench::new();
    let mut starter = Servant::hire();
    let a = take(&bench).unwrap();
    forget(&bench);
    let b = take(&bench).unwrap();
    forget(&bench);
    let c = take(&bench).unwrap();
    // If the value toggled between 1 and 2, `c` would leave the one that `a` has left.
    let named = [&a, &b, &c].map(|lock| lock.is_named().unwrap());
    assert_eq!((named, semaphore(&bench)), ([false, false, true], 3));
    let held_by_us = format!("pid {}", std::process::id());
    let mut refused = |when: &str| {
        let answer = starter.open(&bench);
        assert!(answer.starts_with("refused") && answer.contains(&held_by_us), "{when}: {answer}");
    };
    refused("three values have taken it");
    drop(a);
    assert!(matches!(take(&bench), Err(OwnerError::Held { .. })), "the claim is that of `c`");
    refused("the first is dropped");
    b.abandon();
    assert!(c.is_named().unwrap() && semaphore(&bench) == 3, "what `c` has is not given back by `b`");
    refused("the second leaves");
    drop(c);
    assert_eq!(semaphore(&bench), 0);
    assert_eq!(starter.open(&bench), "init");
}

#[test]
fn a_set_that_was_made_for_a_start_stays_if_another_has_taken_it_over() {
    let bench = Bench::new();
    let a = take(&bench).unwrap();
    forget(&bench);
    let b = take(&bench).unwrap();
    a.abandon();
    assert!(bench.has_semaphores() && b.is_named().unwrap());
    b.abandon();
    assert_eq!(semaphore(&bench), 1, "it is given back as it was found");
    take(&bench).map(drop).unwrap();
    assert_eq!(semaphore(&bench), 0);
}

#[test]
fn takeovers_count_on_after_the_largest_number_of_a_semaphore() {
    let bench = Bench::new();
    std::mem::forget(take(&bench).unwrap());
    let semid = sysv::sem_find(bench.base()).unwrap().unwrap();
    let up = limits::MAX_SEMAPHORE as i16 - 1;
    sysv::sem_op(semid, &[(0, up)], Duration::ZERO).unwrap();
    forget(&bench);
    let last = take(&bench).unwrap();
    assert!(last.is_named().unwrap() && semaphore(&bench) == 1);
    drop(last);
    assert_eq!(semaphore(&bench), 0);
}

#[test]
fn one_base_key_has_one_claim_for_all_backends_with_semaphores() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let other = ProcessConf { backend: BackendKind::File, dir: dir.path().into(), ..bench.conf() };
    let pool = bench.open().unwrap();
    let error = open(&other, BASE).unwrap_err().to_string();
    assert!(error.contains("it opens the pool twice"), "{error}");
    let heap = ProcessConf { backend: BackendKind::Heap, ..bench.conf() };
    drop(open(&heap, BASE).unwrap());
    drop(pool);
    drop(open(&other, BASE).unwrap());
}

#[test]
fn a_thread_waits_for_another_of_its_process_as_for_any_owner() {
    let bench = Bench::new();
    let pool = bench.open().unwrap();
    let conf = ProcessConf { owner_wait_ms: 20_000, ..bench.conf() };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| open(&conf, BASE).map(|pool| pool.start_mode()).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        drop(pool);
        assert_eq!(waiting.join().unwrap(), StartMode::Resume);
    });
}

#[test]
fn while_threads_race_in_one_process_no_second_process_is_let_in() {
    let bench = Bench::new();
    let done = AtomicBool::new(false);
    let mut starter = Servant::hire();
    let owned = |pool: &PoolSegments| word(&pool.base(), OWNED_AT);
    let opened = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| {
            scope.spawn(|| {
                let mut opened = 0;
                while !done.load(Ordering::Relaxed) {
                    let Ok(pool) = bench.open() else { continue };
                    // The word lies in the pool, so both processes see it.
                    assert_eq!(owned(&pool).load(), 0, "another value owns the pool");
                    owned(&pool).store(1);
                    std::thread::yield_now();
                    owned(&pool).store(0);
                    opened += 1;
                }
                opened
            })
        });
        let mut let_in = 0;
        for _ in 0..2000 {
            if starter.ask(&format!("own {} {BASE} 0 Sysv ", bench.base().0)) == "owned" {
                let_in += 1;
            }
        }
        done.store(true, Ordering::Relaxed);
        (threads.map(|thread| thread.join().unwrap()).iter().sum::<u64>(), let_in)
    });
    println!("4 threads opened the pool {} times, the second process {} times", opened.0, opened.1);
    assert!(opened.0 != 0);
}

/// A child of `posix_spawn` has a copy of every descriptor until it executes its program, and no
/// handler of `fork` runs for it. It may keep a lock that its parent has released.
#[test]
fn a_child_on_its_way_to_another_program_is_taken_for_no_owner() {
    let bench = Bench::of(BackendKind::File);
    drop(bench.open().unwrap());
    let (backend, done) = (bench.home.open(), AtomicBool::new(false));
    let lock = take(&bench).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::process::Command::new("true").spawn().unwrap().wait().unwrap();
            }
        });
        let (mut taken, mut refused) = (0, Vec::new());
        while began.elapsed() < Duration::from_millis(1500) {
            taken += 1;
            refused.extend(lock.lock_base(&*backend, Wait::ms(0)).err());
            lock.unlock_base();
        }
        done.store(true, Ordering::Relaxed);
        assert!(refused.is_empty(), "{} of {taken}: {}", refused.len(), refused[0]);
    });
}
