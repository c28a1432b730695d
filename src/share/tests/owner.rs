//! At most one live owner, decided by the kernel (G6), and nothing that outlives it (G5).
//!
//! The tests use processes that race, stop, fork, die and are not reaped.

use crate::conf::{BackendKind, CoreDump};
use crate::share::owner::OwnerLock;
use crate::share::owner_set::Whose;
use crate::share::testing::{BASE, Bench, Servant, open};
use crate::share::wait::Wait;
use crate::share::{LockFacts, OwnerError, ProcessState, ShareError, StartMode, Verdict};
use crate::sys::proc::Process;
use crate::sys::sysv;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const REAL: [BackendKind; 3] = [BackendKind::Sysv, BackendKind::Posix, BackendKind::File];

#[test]
fn of_two_starters_at_the_same_instant_one_wins_and_the_other_names_it() {
    let mut starters = [Servant::hire(), Servant::hire()];
    let mut bench = Bench::new();
    for round in 0..200 {
        let key = bench.key();
        for starter in &mut starters {
            starter.tell(&format!("open {} {BASE} 0 Sysv ", key.0));
        }
        let answers = [starters[0].answer(), starters[1].answer()];
        let winners: Vec<usize> = (0..2).filter(|i| answers[*i] == "init").collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        let (winner, loser) = (winners[0], 1 - winners[0]);
        let named = format!("pid {}", starters[winner].pid());
        assert!(answers[loser].contains(&named), "round {round}: {answers:?}");
        assert_eq!(starters[winner].ask("close"), "closed");
    }
}

#[test]
fn a_stopped_owner_is_not_robbed() {
    let bench = Bench::new();
    let mut owner = Servant::hire();
    assert_eq!(owner.open(&bench), "init");
    owner.signal(libc::SIGSTOP);
    while Process::look(owner.pid()).state != ProcessState::Stopped {
        std::thread::yield_now();
    }
    let conf = crate::conf::ProcessConf { owner_wait_ms: 50, ..bench.conf() };
    let error = open(&conf, BASE).unwrap_err();
    let ShareError::Owner(OwnerError::Held { holder, waited_ms, .. }) = &error else { panic!("{error}") };
    assert_eq!((holder.pid, holder.state), (owner.pid(), ProcessState::Stopped));
    assert!(*waited_ms >= 50);
    assert!(error.to_string().contains(&format!("run `kill -CONT {}`", owner.pid())), "{error}");
    owner.signal(libc::SIGCONT);
    assert_eq!(owner.ask("touch"), "touched");
}

#[test]
fn the_pool_is_free_the_moment_its_owner_is_dead_and_not_reaped() {
    for backend in REAL {
        let bench = Bench::of(backend);
        let mut owner = Servant::hire();
        assert_eq!(owner.open(&bench), "init");
        owner.kill();
        // Its first thread may be a zombie while other threads are still being torn down.
        let threads = || std::fs::read_dir(format!("/proc/{}/task", owner.pid())).unwrap().count();
        while Process::look(owner.pid()).state != ProcessState::Zombie || threads() != 1 {
            std::thread::yield_now();
        }
        assert_eq!(bench.open().unwrap().start_mode(), StartMode::Resume, "{backend:?}");
        assert_eq!(Process::look(owner.pid()).state, ProcessState::Zombie, "nobody has reaped it");
    }
}

#[test]
fn a_forked_child_does_not_keep_the_pool_of_its_dead_parent() {
    for backend in REAL {
        let bench = Bench::of(backend);
        let mut owner = Servant::hire();
        assert_eq!(owner.open(&bench), "init");
        let child = owner.fork();
        owner.kill();
        let conf = crate::conf::ProcessConf { owner_wait_ms: 5000, ..bench.conf() };
        assert_eq!(open(&conf, BASE).unwrap().start_mode(), StartMode::Resume, "{backend:?}");
        assert_eq!(Process::look(child).state, ProcessState::Running, "the child is still there");
    }
}

#[test]
fn a_forked_child_that_drops_the_pool_leaves_its_parent_the_owner() {
    for backend in REAL {
        let bench = Bench::of(backend);
        let mut owner = Servant::hire();
        assert_eq!(owner.open(&bench), "init");
        let child = owner.fork_and_drop();
        // By now it has dropped the pool, and used the memory that replaced it.
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(Process::look(child).state, ProcessState::Running, "{backend:?}");
        assert_eq!(owner.ask("touch"), "touched");
        let verdict = bench.facts().verdict();
        assert!(matches!(&verdict, Verdict::Busy { holder } if holder.pid == owner.pid()), "{verdict:?}");
        assert!(Servant::hire().open(&bench).contains(&format!("pid {}", owner.pid())));
    }
}

#[test]
fn semaphores_removed_under_an_owner_let_nobody_in() {
    for backend in REAL {
        let bench = Bench::of(backend);
        let mut owner = Servant::hire();
        assert_eq!(owner.open(&bench), "init");
        bench.remove_semaphores();
        for _ in 0..3 {
            let error = bench.open().unwrap_err();
            let ShareError::Owner(OwnerError::Attached { writers, .. }) = &error else { panic!("{error}") };
            assert_eq!(writers.iter().map(|p| p.pid).collect::<Vec<_>>(), [owner.pid()], "{backend:?}");
            assert!(!bench.has_semaphores(), "a refused start leaves no set behind");
        }
        owner.kill();
        let conf = crate::conf::ProcessConf { owner_wait_ms: 5000, ..bench.conf() };
        assert_eq!(open(&conf, BASE).unwrap().start_mode(), StartMode::Resume);
    }
}

#[test]
fn a_base_removed_under_its_owner_is_dying_and_no_second_one_is_made() {
    for backend in REAL {
        let bench = Bench::of(backend);
        let mut owner = Servant::hire();
        assert_eq!(owner.open(&bench), "init");
        let segments = bench.home.open();
        let facts = segments.stat(bench.base()).unwrap().unwrap();
        segments.remove(bench.base(), &facts).unwrap();
        assert!(matches!(bench.facts().verdict(), Verdict::Busy { .. }), "{backend:?}");
        bench.remove_semaphores();
        assert_eq!(bench.facts().verdict(), Verdict::Dying, "{backend:?}");
        let error = bench.open().unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", owner.pid())), "{backend:?}: {error}");
        owner.kill();
        let conf = crate::conf::ProcessConf { owner_wait_ms: 5000, ..bench.conf() };
        assert_eq!(open(&conf, BASE).unwrap().start_mode(), StartMode::Init);
    }
}

#[test]
fn an_observer_is_no_rival_and_its_death_is_noticed() {
    let bench = Bench::new();
    drop(bench.open().unwrap());
    let mut observer = Servant::hire();
    assert_eq!(observer.ask(&format!("watch {}", bench.base().0)), "registered");
    assert_eq!(bench.facts().lock, LockFacts::Free { observers: 1 });
    drop(bench.open().unwrap());
    observer.kill();
    let conf = crate::conf::ProcessConf { owner_wait_ms: 5000, ..bench.conf() };
    drop(open(&conf, BASE).unwrap());
    while bench.facts().lock != (LockFacts::Free { observers: 0 }) {
        std::thread::yield_now();
    }
    // An uncounted observer is visible as a process that maps the segment read-only.
    let mut uncounted = Servant::hire();
    bench.remove_semaphores();
    assert_eq!(uncounted.ask(&format!("watch {}", bench.base().0)), "uncounted");
    drop(bench.open().unwrap());
    assert_eq!(uncounted.ask("unwatch"), "left");
    drop(bench.open().unwrap());
}

#[test]
fn kill_and_restart_at_once_on_a_gibibyte_always_resumes() {
    const GIB: u64 = 1 << 30;
    let bench = Bench::new();
    let conf = crate::conf::ProcessConf { owner_wait_ms: 20_000, ..bench.conf() };
    for round in 0..20 {
        let mut owner = Servant::hire();
        let answer = owner.ask(&format!("open {} {GIB} 20000 Sysv ", bench.base().0));
        assert_eq!(answer, if round == 0 { "init" } else { "resume" });
        assert_eq!(owner.ask("touch"), "touched");
        owner.kill();
        let next = open(&conf, GIB).unwrap();
        assert_eq!(next.start_mode(), StartMode::Resume, "round {round}");
        let attached = bench.home.open().stat(bench.base()).unwrap().unwrap().attached;
        assert_eq!(attached, Some(1), "the dead owner's mapping is gone when the next is let in");
    }
}

#[test]
fn the_same_process_cannot_open_a_pool_twice() {
    for backend in [BackendKind::Sysv, BackendKind::Heap] {
        let bench = Bench::of(backend);
        let _first = bench.open().unwrap();
        let error = bench.open().unwrap_err().to_string();
        assert!(error.contains("it opens the pool twice"), "{error}");
    }
}

#[test]
fn a_set_that_its_maker_did_not_come_to_mark_is_taken() {
    let bench = Bench::new();
    sysv::sem_create(bench.base(), 3, 0o600).unwrap();
    assert_eq!(bench.facts().lock, LockFacts::Free { observers: 0 });
    assert_eq!(bench.open().unwrap().start_mode(), StartMode::Init);
}

#[test]
fn a_start_that_is_let_in_by_a_newer_set_is_seen_by_the_older_owner() {
    let bench = Bench::new();
    let take = || OwnerLock::take(bench.base(), 0o600, Whose::Own, Wait::ms(0));
    let older = take().unwrap();
    assert!(older.is_named().unwrap());
    bench.remove_semaphores();
    assert!(!older.is_named().unwrap());
    assert!(matches!(take(), Err(OwnerError::Held { .. })), "it was taken by this program");
    // A starter in another process.
    crate::share::claim::forget(bench.base());
    let newer = take().unwrap();
    assert!(newer.is_named().unwrap() && !older.is_named().unwrap());
    drop(older);
    assert!(matches!(take(), Err(OwnerError::Held { .. })), "the older one gives back its own lock alone");
}

#[test]
fn who_takes_a_lock_over_and_who_took_it_see_each_other() {
    let bench = Bench::new();
    let take = || OwnerLock::take(bench.base(), 0o600, Whose::Own, Wait::ms(0));
    let free = LockFacts::Free { observers: 0 };
    let elder = take().unwrap();
    assert!(matches!(take(), Err(OwnerError::Held { .. })), "it was taken by this program");
    // The state that another copy of the library in this process would see, and that the next
    // program sees.
    let forget = || crate::share::claim::forget(bench.base());
    forget();
    let younger = take().unwrap();
    assert!(younger.is_named().unwrap() && !elder.is_named().unwrap());
    drop(elder);
    assert!(matches!(bench.facts().lock, LockFacts::Held { .. }), "there is nothing left to give back");
    drop(younger);
    assert_eq!(bench.facts().lock, free);
    // A value that abandons the lock at once leaves it as it was.
    let elder = take().unwrap();
    forget();
    take().unwrap().abandon();
    assert!(elder.is_named().unwrap());
    for _ in 0..5 {
        forget();
        std::mem::forget(take().unwrap());
    }
    forget();
    drop(take().unwrap());
    assert_eq!(bench.facts().lock, free, "however many programs there were");
}

#[test]
fn the_lock_outlives_the_thread_that_took_it() {
    let bench = Bench::new();
    let lock = || OwnerLock::take(bench.base(), 0o600, Whose::Own, Wait::ms(0));
    let held = std::thread::scope(|scope| scope.spawn(lock).join().unwrap()).unwrap();
    assert!(matches!(bench.facts().lock, LockFacts::Held { .. }));
    drop(held);
    assert_eq!(bench.facts().lock, LockFacts::Free { observers: 0 });
}

#[test]
fn whatever_is_done_to_the_semaphores_there_are_never_two_owners() {
    let mut starters = [Servant::hire(), Servant::hire()];
    let (mut opened, mut refused) = (0, 0);
    for (_, backend) in (0..300).zip(REAL.iter().cycle()) {
        let bench = Bench::of(*backend);
        let key = bench.base();
        for starter in &mut starters {
            starter.tell(&format!("open {} {BASE} 0 {backend:?} {}", key.0, bench.home.dir.display()));
        }
        // Another process runs `ipcrm -S` meanwhile.
        let done = AtomicBool::new(false);
        let answers = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if let Ok(Some(semid)) = sysv::sem_find(key) {
                        let _ = sysv::sem_remove(semid);
                    }
                }
            });
            let answers = starters.each_mut().map(Servant::answer);
            done.store(true, Ordering::Relaxed);
            answers
        });
        let owners = answers.iter().filter(|answer| !answer.starts_with("refused")).count();
        assert!(owners <= 1, "{answers:?}");
        opened += owners;
        refused += 2 - owners;
        for starter in &mut starters {
            starter.ask("close");
        }
    }
    assert!(refused >= 300 && opened != 0, "{opened} opened, {refused} refused");
}

#[test]
fn an_owner_that_closes_is_detached_before_the_next_is_let_in() {
    let bench = Bench::new();
    let mut owner = Servant::hire();
    for _ in 0..100 {
        assert!(!owner.open(&bench).starts_with("refused"));
        owner.tell("close");
        loop {
            match bench.open() {
                Ok(_) => break,
                Err(ShareError::Owner(OwnerError::Held { .. })) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(owner.answer(), "closed");
    }
}

#[test]
fn an_owner_that_leaves_in_time_is_waited_for() {
    let bench = Bench::new();
    let mut owner = Servant::hire();
    assert_eq!(owner.open(&bench), "init");
    let conf = crate::conf::ProcessConf { owner_wait_ms: 20_000, ..bench.conf() };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| open(&conf, BASE).map(|pool| pool.start_mode()).unwrap());
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiting.is_finished());
        assert_eq!(owner.ask("close"), "closed");
        assert_eq!(waiting.join().unwrap(), StartMode::Resume);
    });
}

#[test]
fn the_base_stays_out_of_forks_and_core_dumps_as_configured() {
    for (dump, dumped) in [(CoreDump::None, false), (CoreDump::Header, true), (CoreDump::Full, true)] {
        let bench = Bench::new();
        let pool = open(&crate::conf::ProcessConf { core_dump: dump, ..bench.conf() }, BASE).unwrap();
        let start = pool.base().span(0, 1).unwrap().as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mine = maps.split_once(&format!("{start:x}-")).unwrap().1;
        let flags = mine.lines().find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.contains(" dc"), "{flags}");
        assert_eq!(!flags.contains(" dd"), dumped, "{dump:?}: {flags}");
    }
}
