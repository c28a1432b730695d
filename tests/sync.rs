//! Locks between processes: who is alive keeps what it has, also while it is stopped, and what a
//! dead one had goes to others.
//!
//! The other processes are forks of this one, so one test runs at a time.

mod messages;

use hotpool::sync::{Barrier, Event, LockError, Mutex, OpenError, RwLock};
use messages::{Lock, Other, board, until};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

fn alone() -> MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_stopped_holder_keeps_its_lock() {
    let _alone = alone();
    let (lock, board) = (Lock::new(&["a", "b"]), board(2));
    let mutex: Mutex<u64> = Mutex::open(&lock.conf, "a").unwrap();
    let mut other = Other::start(|| {
        let mutex: Mutex<u64> = Mutex::open(&lock.conf, "b").unwrap();
        let mut guard = mutex.lock().unwrap();
        board[0].store(1, SeqCst);
        until(&board[1], 1);
        *guard = 7;
    });
    until(&board[0], 1);
    other.stop();
    assert!(matches!(mutex.lock_timeout(Duration::from_millis(200)), Err(LockError::TimedOut)));
    assert!(matches!(mutex.try_lock(), Err(LockError::TimedOut)));
    board[1].store(1, SeqCst);
    other.signal(libc::SIGCONT);
    assert_eq!(*mutex.lock_timeout(LONG).unwrap(), 7);
    other.ends_well();
}

#[test]
fn everyone_is_told_that_a_holder_died_until_one_has_repaired_the_value() {
    let _alone = alone();
    let (lock, board) = (Lock::new(&["a", "b", "c"]), board(1));
    let [a, c] = ["a", "c"].map(|name| Mutex::<[u64; 2]>::open(&lock.conf, name).unwrap());
    let mut other = Other::start(|| {
        let mutex: Mutex<[u64; 2]> = Mutex::open(&lock.conf, "b").unwrap();
        let mut guard = mutex.lock().unwrap();
        guard[0] = 5;
        board[0].store(1, SeqCst);
        until(&board[0], 2);
    });
    until(&board[0], 1);
    other.kill();
    for mutex in [&a, &c, &a] {
        let Err(LockError::OwnerDied(died)) = mutex.lock_timeout(LONG) else { panic!("nobody was missed") };
        assert_eq!(*died.into_inner(), [5, 0]);
    }
    *a.lock_or_repair(|value| value[1] = value[0]).unwrap() = [6, 6];
    assert_eq!(*c.lock().unwrap(), [6, 6]);
}

#[test]
fn a_panic_with_the_lock_is_told_like_a_death() {
    let _alone = alone();
    let lock = Lock::new(&["a"]);
    let mutex: Mutex<u64> = Mutex::open(&lock.conf, "a").unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock().unwrap();
        panic!("on purpose");
    }));
    assert!(result.is_err());
    assert!(matches!(mutex.lock(), Err(LockError::OwnerDied(_))));
    drop(mutex.lock_or_repair(|_| ()).unwrap());
    assert!(mutex.lock().is_ok());
}

#[test]
fn readers_read_together_and_a_dead_readers_share_is_void() {
    let _alone = alone();
    let (lock, board) = (Lock::new(&["a", "b"]), board(1));
    let mine: RwLock<u64> = RwLock::open(&lock.conf, "a").unwrap();
    let mut other = Other::start(|| {
        let lock: RwLock<u64> = RwLock::open(&lock.conf, "b").unwrap();
        let _guard = lock.read().unwrap();
        board[0].store(1, SeqCst);
        until(&board[0], 2);
    });
    until(&board[0], 1);
    let (one, two) = (mine.read_timeout(LONG).unwrap(), mine.read_timeout(LONG).unwrap());
    drop((one, two));
    other.stop();
    assert!(matches!(mine.write_timeout(SHORT), Err(LockError::TimedOut)));
    // A writer that gave up keeps nobody out.
    drop(mine.read_timeout(LONG).unwrap());
    other.kill();
    *mine.write_timeout(LONG).unwrap() = 3;
    assert_eq!(*mine.read().unwrap(), 3);
}

#[test]
fn threads_and_processes_have_a_lock_one_at_a_time() {
    let _alone = alone();
    const EACH: u64 = 20_000;
    let lock = Lock::new(&["a", "b"]);
    let count = |name: &str| {
        let mutex: Mutex<[u64; 2]> = Mutex::open(&lock.conf, name).unwrap();
        let add = || {
            for _ in 0..EACH {
                let mut guard = mutex.lock().unwrap();
                assert_eq!(guard[0], guard[1]);
                guard[0] += 1;
                guard[1] += 1;
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(add);
            scope.spawn(add);
        });
        *mutex.lock().unwrap()
    };
    let mut other = Other::start(|| {
        count("b");
    });
    count("a");
    other.ends_well();
    let mutex: Mutex<[u64; 2]> = Mutex::open(&lock.conf, "a").unwrap();
    assert_eq!(*mutex.lock().unwrap(), [4 * EACH; 2]);
}

#[test]
fn an_event_is_told_to_each_member_as_often_as_it_happened() {
    let _alone = alone();
    let (lock, board) = (Lock::new(&["a", "b"]), board(1));
    let event = Event::open(&lock.conf, "a").unwrap();
    let mut other = Other::start(|| {
        let event = Event::open(&lock.conf, "b").unwrap();
        board[0].store(1, SeqCst);
        let mut told = 0;
        while told < 3 {
            told += event.wait_timeout(LONG);
        }
        assert_eq!((told, event.wait_timeout(SHORT)), (3, 0));
    });
    until(&board[0], 1);
    (0..3).for_each(|_| event.set());
    assert_eq!((event.take(), event.take()), (3, 0));
    other.ends_well();
}

#[test]
fn all_meet_at_a_barrier_and_those_that_are_missing_are_named() {
    let _alone = alone();
    let lock = Lock::new(&["a", "b", "c"]);
    let barrier = Barrier::open(&lock.conf, "a").unwrap();
    let missing = barrier.wait_timeout(SHORT).unwrap_err();
    assert_eq!(missing.to_string(), "the round 1 was not complete in time: missing are b (dead), c (dead)");
    let mut others = ["b", "c"].map(|name| {
        Other::start(|| {
            let barrier = Barrier::open(&lock.conf, name).unwrap();
            (1..=500).for_each(|round| assert_eq!(barrier.wait(), round));
        })
    });
    (1..=500).for_each(|round| assert_eq!(barrier.wait(), round));
    others.iter_mut().for_each(Other::ends_well);
}

#[test]
fn a_round_that_others_complete_after_a_timeout_is_returned_by_the_next_wait() {
    let _alone = alone();
    let lock = Lock::new(&["a", "b"]);
    let [a, b] = ["a", "b"].map(|name| Barrier::open(&lock.conf, name).unwrap());
    for round in [1, 2] {
        assert_eq!(a.wait_timeout(SHORT).unwrap_err().round, round);
        assert_eq!(b.wait_timeout(SHORT), Ok(round));
        assert_eq!(a.wait_timeout(SHORT), Ok(round));
    }
    assert_eq!(a.wait_timeout(SHORT).unwrap_err().round, 3);
    drop(a);
    let a = Barrier::open(&lock.conf, "a").unwrap();
    assert_eq!(b.wait_timeout(SHORT), Ok(3));
    assert_eq!(a.wait_timeout(SHORT), Ok(3));
}

#[test]
fn members_that_create_a_lock_together_all_get_it() {
    let _alone = alone();
    let lock = Lock::new(&["a", "b", "c", "d"]);
    for round in 0..300 {
        lock.renew();
        let start = std::sync::Barrier::new(4);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let members = ["a", "b", "c", "d"].map(|name| {
                let (conf, start) = (&lock.conf, &start);
                scope.spawn(move || {
                    start.wait();
                    let mutex = Mutex::<u64>::open(conf, name)?;
                    *mutex.lock().unwrap() += 1;
                    Ok::<_, OpenError>(mutex)
                })
            });
            members.into_iter().map(|member| member.join().unwrap()).collect()
        });
        for mutex in opened {
            drop(mutex.unwrap_or_else(|error| panic!("round {round}: {error}")));
        }
        assert_eq!(*Mutex::<u64>::open(&lock.conf, "a").unwrap().lock().unwrap(), 4, "round {round}");
    }
}

#[test]
fn a_removal_never_takes_the_lock_of_a_member_that_has_opened_it() {
    let _alone = alone();
    let lock = Lock::new(&["a", "b"]);
    for round in 0..1000 {
        let start = std::sync::Barrier::new(2);
        let (opened, removed) = std::thread::scope(|scope| {
            let opened = scope.spawn(|| {
                start.wait();
                let mutex = Mutex::<u64>::open(&lock.conf, "a").unwrap();
                *mutex.lock().unwrap() = round;
                mutex
            });
            start.wait();
            let removed = hotpool::sync::remove(lock.conf.key);
            (opened.join().unwrap(), removed)
        });
        let b = Mutex::<u64>::open(&lock.conf, "b").unwrap_or_else(|error| panic!("{removed:?}: {error}"));
        assert_eq!(*b.lock().unwrap(), round, "{removed:?}");
        drop(opened);
    }
}

#[test]
fn a_new_member_is_refused_while_others_use_removed_semaphores() {
    let _alone = alone();
    let mut lock = Lock::new(&["a", "b"]);
    let mutex: Mutex<u64> = Mutex::open(&lock.conf, "a").unwrap();
    lock.remove_semaphores();
    lock.conf.wait_ms = 50;
    for _ in 0..2 {
        let error = Mutex::<u64>::open(&lock.conf, "b").unwrap_err();
        assert!(matches!(error, OpenError::SeatsRemoved { .. }), "{error}");
    }
    *mutex.lock().unwrap() = 7;
    drop(mutex);
    assert_eq!(*Mutex::<u64>::open(&lock.conf, "b").unwrap().lock().unwrap(), 7);
}

#[test]
fn nothing_is_left_after_many_processes_have_died() {
    let _alone = alone();
    let (lock, board) = (Lock::new(&["a", "b"]), board(1));
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for round in 1..=50 {
        let mut other = Other::start(|| {
            let mutex: Mutex<u64> = Mutex::open(&lock.conf, "b").unwrap();
            let _guard = mutex.lock_or_repair(|_| ()).unwrap();
            board[0].store(round, SeqCst);
            until(&board[0], u64::MAX);
        });
        until(&board[0], round);
        other.kill();
        let mutex: Mutex<u64> = Mutex::open(&lock.conf, "a").unwrap();
        drop(mutex.lock_or_repair(|_| ()).unwrap());
    }
    assert_eq!(descriptors(), before);
    assert!(hotpool::sync::remove(lock.conf.key).unwrap());
    // SAFETY: integers only.
    assert_eq!(unsafe { libc::semget(lock.conf.key.raw(), 0, 0) }, -1);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::shmget(lock.conf.key.raw(), 0, 0) }, -1);
}
