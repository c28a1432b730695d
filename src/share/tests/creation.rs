//! A creation is all or nothing: if interrupted, it is begun again, and a complete segment is never
//! created again.

use crate::conf::{BackendKind, ProcessConf};
use crate::layout::{BaseHeader, Frozen, MAGIC_MAKING, MAGIC_READY, RUN_READY};
use crate::share::owner::OwnerLock;
use crate::share::owner_set::Whose;
use crate::share::testing::{BASE, Bench, MADE, MADE_AT, OWNED_AT, Servant, open, word};
use crate::share::wait::Wait;
use crate::share::{PoolSegments, ShareError, StartMode, Verdict, remove_pool};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const ALL: [BackendKind; 4] = [BackendKind::Sysv, BackendKind::Posix, BackendKind::File, BackendKind::Heap];

#[test]
fn a_pool_is_made_once_and_resumed_ever_after() {
    for backend in ALL {
        let bench = Bench::of(backend);
        assert_eq!(bench.facts().verdict(), Verdict::Absent);
        let made = bench.open().unwrap();
        assert_eq!(made.start_mode(), StartMode::Init);
        assert_eq!(made.found().verdict(), Verdict::Absent);
        let id = made.pool_id();
        word(&made.base(), OWNED_AT).store(77);
        drop(made);
        assert_eq!(bench.facts().verdict(), Verdict::Clean, "{backend:?}");
        let again =
            PoolSegments::open(&bench.conf(), BASE, &mut |_| panic!("a resume makes nothing")).unwrap();
        assert_eq!((again.start_mode(), again.pool_id()), (StartMode::Resume, id), "{backend:?}");
        assert_eq!(word(&again.base(), MADE_AT).load(), MADE);
        assert_eq!(word(&again.base(), OWNED_AT).load(), 77);
        again.base().at::<BaseHeader>(0).unwrap().run.store(RUN_READY);
        drop(again);
        let crashed = bench.open().unwrap();
        assert_eq!(crashed.found().verdict(), Verdict::Crashed);
        assert_eq!(crashed.start_mode(), StartMode::Resume);
    }
}

#[test]
fn the_first_store_marks_and_the_last_one_commits() {
    let bench = Bench::new();
    let mut seen = 0;
    let pool = PoolSegments::open(&bench.conf(), BASE, &mut |region| {
        let frozen = region.at::<Frozen>(0).unwrap();
        seen = frozen.magic.load();
        assert_eq!(frozen.check.load(), frozen.sum());
    })
    .unwrap();
    assert_eq!(seen, MAGIC_MAKING);
    assert_eq!(pool.base().at::<Frozen>(0).unwrap().magic.load(), MAGIC_READY);
    assert_ne!(pool.pool_id(), [0, 0]);
}

#[test]
fn a_creation_cut_in_its_middle_is_begun_again_from_zeros() {
    for backend in ALL {
        let bench = Bench::of(backend);
        let cut = catch_unwind(AssertUnwindSafe(|| {
            PoolSegments::open(&bench.conf(), BASE, &mut |region| {
                (64..256).step_by(8).for_each(|at| word(region, at).store(u64::MAX));
                panic!("cut here");
            })
        }));
        assert!(cut.is_err());
        assert_eq!(bench.facts().verdict(), Verdict::Unfinished, "{backend:?}");
        let pool = bench.open().unwrap();
        assert_eq!(pool.start_mode(), StartMode::Init);
        assert_eq!(pool.found().verdict(), Verdict::Unfinished);
    }
}

#[test]
fn a_creation_cut_before_its_first_store_is_begun_again() {
    for backend in ALL {
        let bench = Bench::of(backend);
        // A start takes the semaphores before it creates the base, and a kill leaves them.
        drop(OwnerLock::take(bench.base(), 0o600, Whose::Own, Wait::ms(0)).unwrap());
        drop(bench.home.open().create(bench.base(), BASE, 0o600).unwrap());
        assert_eq!(bench.facts().verdict(), Verdict::Unfinished, "{backend:?}");
        assert_eq!(bench.open().unwrap().start_mode(), StartMode::Init, "{backend:?}");
    }
}

/// Without semaphores, a System V segment of zeros may be foreign, and no creation of hotpool
/// leaves one: a start and the tools do not touch it. A file has a name of hotpool, and its
/// semaphores end with their IPC namespace.
#[test]
fn zeros_without_semaphores_are_a_strangers_unless_their_name_is_ours() {
    for backend in &ALL[..3] {
        let bench = Bench::of(*backend);
        drop(bench.home.open().create(bench.base(), BASE, 0o600).unwrap());
        if *backend != BackendKind::Sysv {
            assert_eq!(bench.facts().verdict(), Verdict::Unfinished, "{backend:?}");
            assert_eq!(bench.open().unwrap().start_mode(), StartMode::Init, "{backend:?}");
            continue;
        }
        let before = bench.image();
        let told = bench.facts().verdict();
        assert!(matches!(&told, Verdict::Foreign { why } if why.contains("no owner semaphores")), "{told:?}");
        for _ in 0..2 {
            let Err(ShareError::Refused { verdict, .. }) = bench.open() else { panic!("it was taken") };
            assert_eq!(verdict, told);
            assert!(remove_pool(bench.base(), &bench.home, false).is_err(), "rm leaves it alone, too");
        }
        assert!(!bench.has_semaphores() && bench.image() == before);
    }
}

/// A stranger may also have a segment of zeros under a key of `ShmKeys`.
#[test]
fn the_first_start_takes_no_block_of_zeros() {
    let mut bench = Bench::new();
    let key = bench.key();
    drop(bench.home.open().create(key, BASE, 0o600).unwrap());
    let mut pool = bench.open().unwrap();
    assert!(pool.add_block(key, 0, BASE).is_err());
    drop(pool);
    bench.open().unwrap().add_block(key, 0, BASE).expect("an earlier start may have left it");
}

#[test]
fn a_creation_cut_before_it_had_a_size_is_begun_again() {
    let bench = Bench::of(BackendKind::Posix);
    std::fs::File::create(format!("/dev/shm/hotpool-{:08x}", bench.base().0)).unwrap();
    let pool = open(&bench.conf(), BASE).unwrap();
    assert_eq!((pool.start_mode(), pool.base().len()), (StartMode::Init, BASE));
}

/// The time of a complete start, in which a kill can hit.
fn time_of_a_start(backend: BackendKind) -> Duration {
    let bench = Bench::of(backend);
    let mut starter = Servant::hire();
    let begin = Instant::now();
    starter.open(&bench);
    begin.elapsed()
}

#[test]
fn a_start_killed_at_any_moment_is_no_hindrance_to_the_next() {
    let (mut begun, mut made) = (0, 0);
    let whole = ALL[..3].iter().map(|backend| time_of_a_start(*backend)).max().unwrap();
    for (round, backend) in (0..240_u32).zip(ALL[..3].iter().cycle()) {
        let bench = Bench::of(*backend);
        let mut starter = Servant::hire();
        starter.tell(&format!("open {} {BASE} 0 {backend:?} {}", bench.base().0, bench.home.dir.display()));
        std::thread::sleep(whole * round / 160);
        starter.kill();
        let conf = ProcessConf { owner_wait_ms: 5000, ..bench.conf() };
        let next = open(&conf, BASE).unwrap();
        assert_eq!(word(&next.base(), MADE_AT).load(), MADE);
        match next.start_mode() {
            StartMode::Init => begun += 1,
            StartMode::Resume => made += 1,
        }
    }
    assert!(begun != 0 && made != 0, "{begun} cut, {made} complete: the kills miss the creation");
}
