//! A refusal changes nothing: neither the bytes, nor the kernel's record of the segment, nor the
//! semaphores.

use crate::layout::{Frozen, MAGIC_GONE};
use crate::share::testing::{
    BASE, Bench, MADE_AT, give_segment_away, give_semaphores_away, is_root, open, word,
};
use crate::share::{OwnerError, ShareError, Verdict};
use crate::sys::sysv;
use crate::units::Key;

/// Creates a pool, changes it by `spoil`, and shows that it is refused and unchanged.
fn refused_unchanged(spoil: impl FnOnce(&Bench, &Frozen)) -> Verdict {
    let bench = Bench::new();
    drop(bench.open().unwrap());
    bench.remove_semaphores();
    let segment = bench.raw();
    spoil(&bench, &segment.region().at::<Frozen>(0).unwrap());
    drop(segment);
    let before = bench.image();
    let error = bench.open().unwrap_err();
    let ShareError::Refused { verdict, facts } = &error else { panic!("{error}") };
    assert_eq!(bench.image(), before, "{error}");
    assert!(!bench.has_semaphores(), "{error}");
    assert!(error.to_string().contains(&bench.base().to_string()), "{error}");
    assert!(error.to_string().ends_with(&verdict.next(facts)), "{error}");
    verdict.clone()
}

fn resign(frozen: &Frozen) {
    frozen.check.store(frozen.sum());
}

#[test]
fn what_is_not_a_pool_of_ours_is_refused_and_stays_as_it_is() {
    let name = |verdict: Verdict| format!("{verdict:?}").split([' ', '{']).next().unwrap().to_string();
    type Spoil = fn(&Bench, &Frozen);
    let rows: [(&str, Spoil); 9] = [
        ("Foreign", |_, frozen| frozen.magic.store(0x1234)),
        ("Foreign", |_, frozen| frozen.magic.store(0)),
        ("Gone", |_, frozen| frozen.magic.store(MAGIC_GONE)),
        ("Corrupt", |_, frozen| frozen.pool_id[0].store(1)),
        ("Corrupt", |_, frozen| {
            frozen.key.store(1);
            resign(frozen);
        }),
        ("Corrupt", |_, frozen| {
            frozen.bytes.store(1);
            resign(frozen);
        }),
        ("Incompatible", |_, frozen| {
            frozen.layout.store(9);
            resign(frozen);
        }),
        ("Foreign", |_, frozen| {
            frozen.kind.store(crate::layout::BLOCK_KIND);
            resign(frozen);
        }),
        ("Corrupt", |bench, _| word(&bench.raw().region(), 64 + 192 + 8).store(99)),
    ];
    for (wanted, spoil) in rows {
        assert_eq!(name(refused_unchanged(spoil)), wanted);
    }
}

#[test]
fn a_base_keeps_the_size_that_it_was_made_with() {
    let bench = Bench::new();
    drop(bench.open().unwrap());
    let share = open(&bench.conf(), 2 * BASE).unwrap();
    assert_eq!((share.start_mode(), share.base().len()), (crate::share::StartMode::Resume, BASE));
}

#[test]
fn a_creation_of_another_size_that_was_cut_is_refused() {
    let bench = Bench::new();
    drop(bench.open().unwrap());
    word(&bench.raw().region(), 0).store(crate::layout::MAGIC_MAKING);
    word(&bench.raw().region(), MADE_AT).store(0);
    let before = bench.image();
    let error = open(&bench.conf(), 2 * BASE).unwrap_err();
    assert!(error.to_string().contains("has the size 64K, but the configuration requires 128K"), "{error}");
    assert_eq!(bench.image(), before);
}

#[test]
fn a_mode_wider_than_configured_is_refused_and_a_narrower_one_is_not() {
    let mut conf = Bench::new().conf();
    let bench = Bench::new();
    conf.base_key = bench.base();
    conf.mode = 0o640;
    drop(open(&conf, BASE).unwrap());
    let before = bench.image();
    let error = bench.open().unwrap_err();
    assert!(error.to_string().contains("has mode 0640, which is wider than the configured 0600"), "{error}");
    assert_eq!(bench.image(), before);
    conf.mode = 0o660;
    drop(open(&conf, BASE).unwrap());
}

#[test]
fn a_segment_of_another_user_is_refused_unread() {
    if !is_root() {
        return;
    }
    let verdict = refused_unchanged(|bench, _| {
        let facts = bench.home.open().stat(bench.base()).unwrap().unwrap();
        give_segment_away(facts.id as i32, 4711);
    });
    assert_eq!(verdict, Verdict::WrongOwner { found: 4711, wanted: 0 });
}

fn foreign_set(bench: &Bench) -> String {
    let error = bench.open().unwrap_err();
    assert!(matches!(&error, ShareError::Owner(OwnerError::Foreign { .. })), "{error}");
    assert!(matches!(bench.facts().verdict(), Verdict::Foreign { .. }));
    assert!(bench.has_semaphores(), "a stranger's set stays");
    error.to_string()
}

#[test]
fn semaphores_of_a_stranger_under_our_key_are_refused() {
    let bench = Bench::new();
    sysv::sem_create(bench.base(), 1, 0o600).unwrap();
    assert!(foreign_set(&bench).contains("the set has size 1, not 4"));

    let bench = Bench::new();
    let semid = sysv::sem_create(bench.base(), 3, 0o600).unwrap();
    sysv::sem_set(semid, 2, 7).unwrap();
    assert!(foreign_set(&bench).contains("the third semaphore of the set is 7"));
    assert_eq!(sysv::sem_value(semid, 0).unwrap(), 0);
}

#[test]
fn semaphores_of_an_earlier_build_have_no_place_and_are_used() {
    let bench = Bench::new();
    let semid = sysv::sem_create(bench.base(), 3, 0o600).unwrap();
    sysv::sem_set(semid, 2, 0x4850).unwrap();
    drop(bench.open().unwrap());
    assert_eq!(sysv::sem_find(bench.base()).unwrap(), Some(semid));
    assert_eq!(bench.facts().verdict(), Verdict::Clean);
}

#[test]
fn semaphores_of_another_user_are_refused() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    drop(bench.open().unwrap());
    give_semaphores_away(sysv::sem_find(bench.base()).unwrap().unwrap(), 4711);
    let error = bench.open().unwrap_err();
    assert!(error.to_string().contains("uid 4711"), "{error}");
    assert_eq!(bench.facts().verdict(), Verdict::Clean, "a tool reads them all the same");
}

#[test]
fn key_zero_names_nothing() {
    let mut conf = Bench::new().conf();
    conf.base_key = Key(0);
    assert!(matches!(open(&conf, BASE), Err(ShareError::Owner(OwnerError::System { .. }))));
}
