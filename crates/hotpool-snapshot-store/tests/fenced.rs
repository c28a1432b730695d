//! One host at a time holds the token of a process, and one that lost it finds out and sends no set.

mod support;

use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use hotpool_snapshot_store::{Fence, FenceState, Settings, Store, StoreError, Taking, owner};
use std::io::BufRead;
use std::time::{Duration, Instant};
use support::moto::Moto;
use support::{Ground, Other, sets};

const LEASE: Duration = Duration::from_millis(900);

fn short() -> Taking {
    Taking::default().lease(LEASE)
}

fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

fn is_lost(fence: &Fence) -> bool {
    matches!(fence.state(), FenceState::Lost { .. })
}

/// A host: it takes tokens and says what it has, as its standard input says.
#[test]
fn child() {
    let Some((_, store, _)) = support::order() else { return };
    let mut fence = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["take", process] => match Fence::take(&store, process, short().at_once()) {
                Ok(taken) => {
                    println!(">held {}", taken.epoch());
                    fence = Some(taken);
                }
                Err(StoreError::Owned { .. }) => println!(">refused"),
                Err(error) => println!(">{error}"),
            },
            ["drop"] => {
                fence = None;
                println!(">dropped");
            }
            ["state"] => println!(">{:?}", fence.as_ref().unwrap().state()),
            _ => println!(">unknown: {line}"),
        }
    }
}

fn host(ground: &Ground, prefix: &str) -> Other {
    Other::start("fence", ground, prefix, std::path::Path::new("/"))
}

#[test]
fn a_second_owner_is_refused_and_told_who_the_first_is() {
    for ground in Ground::all() {
        let (one, two) = (ground.store("x"), ground.store("x"));
        assert_eq!(owner(&one, "zone").unwrap(), None);
        let first = Fence::take(&one, "zone", short()).unwrap();
        assert_eq!((first.epoch(), first.state()), (1, FenceState::Held));
        for taking in [short(), short().at_once()] {
            let text = Fence::take(&two, "zone", taking).unwrap_err().to_string();
            let pid = format!("(pid {})", std::process::id());
            for part in ["host ", &pid, "since 20", " until 20", "hotpool fence take", "--force"] {
                assert!(text.contains(part), "{text} lacks {part}");
            }
        }
        // Other processes are free, and a token that was given back is.
        drop(Fence::take(&two, "match", short()).unwrap());
        drop(first);
        let token = owner(&two, "zone").unwrap().unwrap();
        assert!(!token.held && token.epoch == 1, "{token:?}");
        assert_eq!(Fence::take(&two, "zone", short().at_once()).unwrap().epoch(), 2);
        let name = Fence::take(&two, "my zone", short());
        assert!(matches!(name, Err(StoreError::Name { .. })));
    }
}

/// Two processes take the same token at the same time, 100 times in each kind of store.
#[test]
fn of_two_that_race_exactly_one_holds_the_token() {
    for ground in Ground::all() {
        let store = ground.store("x");
        let mut hosts = [host(&ground, "x"), host(&ground, "x")];
        let mut wins = [0, 0];
        for round in 0..100 {
            // Half of the tokens are new, and half were given back.
            let process = format!("zone-{}", round / 2);
            hosts.iter_mut().for_each(|host| host.tell(&format!("take {process}")));
            let answers = hosts.each_mut().map(|host| host.answer());
            let held = format!("held {}", round % 2 + 1);
            let winner = answers.iter().position(|answer| *answer == held).expect("one holds it");
            assert_eq!(answers[1 - winner], "refused", "round {round}: {answers:?}");
            let token = owner(&store, &process).unwrap().unwrap();
            assert_eq!((token.pid, token.held), (hosts[winner].0.id(), true));
            wins[winner] += 1;
            assert_eq!(hosts[winner].ask("drop"), "dropped");
        }
        assert_eq!(wins[0] + wins[1], 100);
    }
}

#[test]
fn a_dead_owner_is_followed_after_its_lease_and_a_living_one_is_not() {
    for ground in Ground::all() {
        let store = ground.store("x");
        let mut first = host(&ground, "x");
        assert_eq!(first.ask("take zone"), "held 1");
        let began = Instant::now();
        assert!(matches!(Fence::take(&store, "zone", short()), Err(StoreError::Owned { .. })));
        assert!(began.elapsed() < LEASE, "a renewal shows that the owner lives");
        first.kill();
        // The wall clock of the dead owner means nothing, nor does its number on another host.
        set_in_token(&ground, "renewed = ", "renewed = 1000");
        set_in_token(&ground, "boot = ", "boot = 'another host'");
        let began = Instant::now();
        let second = Fence::take(&store, "zone", short()).unwrap();
        assert!(began.elapsed() >= LEASE, "only {:?}", began.elapsed());
        assert_eq!((second.epoch(), second.state()), (2, FenceState::Held));
    }
}

/// Replaces a line of the token of `zone`.
fn set_in_token(ground: &Ground, begins: &str, with: &str) {
    ground.change("x/zone.owner", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let line = text.lines().find(|line| line.starts_with(begins)).unwrap();
        *bytes = text.replace(line, with).into_bytes();
    });
}

#[test]
fn a_dead_owner_of_this_machine_is_followed_at_once() {
    for ground in Ground::all() {
        let store = ground.store("x");
        let mut first = host(&ground, "x");
        assert_eq!(first.ask("take zone"), "held 1");
        let pid = first.0.id();
        first.kill();
        // The same number in another container may belong to a process that lives.
        set_in_token(&ground, "pid_namespace = ", "pid_namespace = 'pid:[1]'");
        let elsewhere = Fence::take(&store, "zone", short().at_once());
        assert!(matches!(elsewhere, Err(StoreError::Owned { .. })), "{elsewhere:?}");
        let here = std::fs::read_link("/proc/self/ns/pid").unwrap();
        set_in_token(&ground, "pid_namespace = ", &format!("pid_namespace = '{}'", here.display()));
        // A process that has the number now may be the owner.
        set_in_token(&ground, "pid = ", &format!("pid = {}", std::process::id()));
        let living = Fence::take(&store, "zone", short().at_once());
        assert!(matches!(living, Err(StoreError::Owned { .. })), "{living:?}");
        set_in_token(&ground, "pid = ", &format!("pid = {pid}"));
        assert_eq!(Fence::take(&store, "zone", short().at_once()).unwrap().epoch(), 2);
    }
}

#[test]
fn an_owner_finds_out_at_its_next_renewal_that_another_took_over() {
    for ground in Ground::all() {
        let (one, two) = (ground.store("x"), ground.store("x"));
        let here = tempfile::tempdir().unwrap();
        let set = sets::write(here.path(), "zone", 1, None);
        let mut first = Fence::take(&one, "zone", short()).unwrap();
        let watch = first.watch();
        assert_eq!(watch(), None);
        let second = Fence::take(&two, "zone", short().by_force()).unwrap();
        assert_eq!(second.epoch(), 2);
        let took = until("the first finds out", || is_lost(&first));
        assert!(took < LEASE, "{took:?}");
        let FenceState::Lost { to: Some(to) } = first.state() else { panic!() };
        assert_eq!(to.epoch, 2);
        assert!(watch().unwrap().contains("stop this process"));
        assert!(matches!(first.put(&set, |_| ()), Err(StoreError::Lost { .. })));
        assert!(matches!(first.sweep(), Err(StoreError::Lost { .. })));
        assert!(matches!(first.drop_older(1), Err(StoreError::Lost { .. })));
        assert!(one.list().unwrap().is_empty());
        // What the first gives back is not its own any more.
        drop(first);
        assert!(owner(&one, "zone").unwrap().unwrap().held);
        assert_eq!(second.state(), FenceState::Held);
        second.confirm().unwrap();
    }
}

#[test]
fn a_token_that_is_lost_during_an_upload_leaves_no_set() {
    for ground in Ground::all() {
        let (one, two) = (ground.store("x"), ground.store("x"));
        let here = tempfile::tempdir().unwrap();
        let set = sets::write(here.path(), "zone", 1, None);
        // No renewal of its own notices it before the manifest.
        let mut first = Fence::take(&one, "zone", Taking::default().lease(Duration::from_secs(600))).unwrap();
        let mut second = None;
        let result = first.put(&set, |_| {
            second.get_or_insert_with(|| Fence::take(&two, "zone", short().by_force()).unwrap());
        });
        assert!(matches!(result, Err(StoreError::Lost { .. })), "{result:?}");
        assert!(one.list().unwrap().is_empty());
        let mut second = second.unwrap();
        assert_eq!(second.sweep().unwrap(), 1);
        assert_eq!(ground.keys("x"), ["zone.owner"]);
        assert_eq!(second.put(&set, |_| ()).unwrap(), 1);
    }
}

#[test]
fn an_owner_that_was_stopped_finds_out_when_it_goes_on() {
    for ground in Ground::all() {
        let store = ground.store("x");
        let mut first = host(&ground, "x");
        assert_eq!(first.ask("take zone"), "held 1");
        first.signal("-STOP");
        let second = Fence::take(&store, "zone", short()).unwrap();
        assert_eq!(second.epoch(), 2);
        first.signal("-CONT");
        until("the first finds out", || {
            let state = first.ask("state");
            // Its own clock tells it before the store does.
            assert!(state == "Unsure" || state.starts_with("Lost"), "{state}");
            state.starts_with("Lost")
        });
        second.confirm().unwrap();
    }
}

#[test]
fn an_owner_is_unsure_while_the_store_does_not_answer() {
    let Some(mut moto) = Moto::start() else { return };
    let patience = moto.settings().patience(Duration::from_secs(1));
    let store = Store::open_with("s3://test/x", &patience).unwrap();
    let mut fence = Fence::take(&store, "zone", short()).unwrap();
    let watch = fence.watch();
    moto.signal("-STOP");
    assert_eq!(fence.state(), FenceState::Held);
    until("unsure", || fence.state() == FenceState::Unsure);
    assert!(watch().unwrap().contains("did not answer"));
    assert!(matches!(fence.confirm(), Err(StoreError::Lost { .. })));
    moto.signal("-CONT");
    until("held again", || fence.state() == FenceState::Held);
    assert_eq!(watch(), None);

    // The next server knows of no token.
    let port = moto.port;
    moto.kill();
    until("unsure", || fence.state() == FenceState::Unsure);
    let _moto = Moto::at(port).unwrap();
    until("lost", || fence.state() == FenceState::Lost { to: None });
    let here = tempfile::tempdir().unwrap();
    let set = sets::write(here.path(), "zone", 1, None);
    assert!(matches!(fence.put(&set, |_| ()), Err(StoreError::Lost { .. })));
}

#[test]
fn the_health_of_a_pool_says_that_another_host_has_it() {
    let ground = Ground::Files(tempfile::tempdir().unwrap());
    let (one, two) = (ground.store("x"), ground.store("x"));
    let mut conf = ProcessConf::new("zone", Key(1), Bytes(64 << 10), &[Key(2)]);
    conf.backend = hotpool::conf::BackendKind::Heap;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let first = Fence::take(&one, "zone", short()).unwrap();
    pool.also_watch(first.watch());
    assert!(pool.health().is_good(), "{}", pool.health());
    let second = Fence::take(&two, "zone", short().by_force()).unwrap();
    until("the pool says it", || !pool.health().is_good());
    assert!(pool.health().to_string().contains("now belongs to host"), "{}", pool.health());
    drop((first, second));
}

#[test]
fn old_sets_are_dropped_and_those_that_others_need_are_not() {
    for ground in Ground::all() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = ground.store("x");
        let old = sets::write(here.path(), "zone", 1, None);
        let full = sets::write(here.path(), "zone", 2, None);
        let change = sets::write(here.path(), "zone", 3, Some(&full));
        let last = sets::write(here.path(), "zone", 4, Some(&change));
        let other = sets::write(here.path(), "match", 0, None);
        let mut fence = Fence::take(&store, "zone", short()).unwrap();
        for set in [&old, &last] {
            fence.put(set, |_| ()).unwrap();
        }
        assert!(matches!(fence.put(&other, |_| ()), Err(StoreError::OtherProcess { .. })));
        Fence::take(&store, "match", short()).unwrap().put(&other, |_| ()).unwrap();

        // What other processes left is not swept, nor is a whole set.
        ground.remove(&format!("x/{}/manifest.toml", other.path().file_name().unwrap().to_str().unwrap()));
        assert_eq!(fence.sweep().unwrap(), 0);
        assert_eq!(fence.drop_older(9).unwrap(), [""; 0]);
        let dropped = fence.drop_older(1).unwrap();
        assert_eq!(dropped, [old.path().file_name().unwrap().to_str().unwrap()]);
        assert_eq!(store.list().unwrap().len(), 3);
        assert_eq!(fence.drop_older(0).unwrap(), [""; 0]);
        assert_eq!(store.get("zone", there.path(), |_| ()).unwrap().id(), last.id());

        // A newer format: unknown what it needs.
        let newer = format!("x/{}/manifest.toml", last.path().file_name().unwrap().to_str().unwrap());
        ground.change(&newer, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap().replace("format = 1\n", "format = 9\n");
            let (body, _) = text.rsplit_once("\n# crc32c ").unwrap();
            *bytes = format!("{body}\n# crc32c {:08x}\n", crc32c::crc32c(body.as_bytes())).into_bytes();
        });
        assert!(matches!(fence.drop_older(1), Err(StoreError::Needed { .. })));
    }
}

#[test]
fn a_damaged_token_is_an_error_that_names_it() {
    for ground in Ground::all() {
        let store = ground.store("x");
        drop(Fence::take(&store, "zone", short()).unwrap());
        let changes: [(&str, &str); 4] = [
            ("epoch", "epoc"),
            ("\"zone\"", "\"match\""),
            ("format = 1", "format = 2"),
            ("lease_ms = ", "lease_ms = 99999"),
        ];
        for (from, to) in changes {
            let mut kept = Vec::new();
            ground.change("x/zone.owner", |bytes| {
                kept.clone_from(bytes);
                *bytes = String::from_utf8(bytes.clone()).unwrap().replace(from, to).into_bytes();
            });
            for taking in [short(), short().by_force()] {
                let error = Fence::take(&store, "zone", taking).unwrap_err();
                assert!(
                    matches!(&error, StoreError::Token { key, .. } if key.ends_with("x/zone.owner")),
                    "{error}"
                );
            }
            ground.change("x/zone.owner", |bytes| *bytes = kept);
        }
        assert_eq!(Fence::take(&store, "zone", short()).unwrap().epoch(), 2);
    }
}

#[test]
fn a_store_without_conditional_writes_is_refused() {
    let Some(moto) = Moto::start() else { return };
    let settings: Settings = moto.settings().option("AWS_CONDITIONAL_PUT", "disabled");
    let store = Store::open_with("s3://test/x", &settings).unwrap();
    let error = Fence::take(&store, "zone", short()).unwrap_err();
    assert!(matches!(error, StoreError::Unconditional { .. }), "{error}");
}
