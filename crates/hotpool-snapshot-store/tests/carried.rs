//! Sets are carried to a store and back. A set is whole or absent in the store and in the folder,
//! whatever is killed, damaged or missing.

mod support;

use hotpool::snapshot::{Chain, Set, SetError, list};
use hotpool_snapshot_store::{Fence, Moved, Settings, Store, StoreError, Taking};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use support::moto::Moto;
use support::{Ground, Other, sets};

/// Takes the token of the process by force, and sends a set.
fn put(store: &Store, set: &Set, told: impl FnMut(Moved)) -> Result<usize, StoreError> {
    Fence::take(store, &set.info().process, Taking::default().by_force())?.put(set, told)
}

fn names(store: &Store) -> Vec<String> {
    store.list().unwrap().into_iter().map(|stored| stored.name).collect()
}

fn name(set: &Set) -> String {
    set.path().file_name().unwrap().to_str().unwrap().into()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// What the children of these tests do.
#[test]
fn child() {
    let Some((what, store, local)) = support::order() else { return };
    let set = Set::open(&local).unwrap();
    assert_eq!(what, "put");
    println!("begins");
    put(&store, &set, |_| ()).unwrap();
}

#[test]
fn a_set_comes_back_as_it_was_with_those_it_builds_on() {
    for ground in Ground::all() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = ground.store("a/b");
        assert!(matches!(store.get("zone", there.path(), |_| ()), Err(StoreError::NoSet { .. })));
        let first = sets::write(here.path(), "zone", 1, None);
        let second = sets::write(here.path(), "zone", 2, Some(&first));
        let other = sets::write(here.path(), "match", 3, None);

        // The parent is sent first, though only the child was named.
        let mut told = Vec::new();
        assert_eq!(put(&store, &second, |moved| told.push(moved)).unwrap(), 2);
        let last = told.last().unwrap();
        assert!(last.done == last.total && last.total > second.stored().0, "{last:?}");
        assert_eq!(put(&store, &second, |_| ()).unwrap(), 0);
        assert_eq!(put(&store, &other, |_| ()).unwrap(), 1);
        assert_eq!(names(&store), [name(&first), name(&second), name(&other)]);
        let stored = store.list().unwrap();
        assert_eq!(stored[1].contents.as_ref().unwrap().parent(), Some(first.id()));
        assert_eq!(
            stored[1].bytes,
            sets::files(second.path()).values().map(|file| file.len() as u64).sum::<u64>()
        );
        assert!(ground.store("a").list().unwrap().is_empty());

        let brought = store.get("zone", there.path(), |_| ()).unwrap();
        assert_eq!(brought.id(), second.id());
        assert_eq!(sets::files(brought.path()), sets::files(second.path()));
        Chain::open(brought.path()).unwrap().verify(|_| ()).unwrap();
        assert_eq!(list(there.path()).unwrap().len(), 2);
        // What is there is not brought again.
        let mut total = u64::MAX;
        store.get("zone", there.path(), |moved| total = moved.total).unwrap();
        assert_eq!(total, u64::MAX);
    }
}

/// Large parts go in pieces; the block here has 20 MiB.
#[test]
fn large_parts_go_in_pieces() {
    for ground in Ground::all() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let set = sets::write_of(here.path(), "zone", 1, None, 80);
        put(&ground.store("x"), &set, |_| ()).unwrap();
        let brought = ground.store("x").get("zone", there.path(), |_| ()).unwrap();
        assert_eq!(sets::files(brought.path()), sets::files(set.path()));
    }
}

#[test]
fn what_is_damaged_or_missing_in_the_store_is_an_error_and_leaves_nothing() {
    for ground in Ground::all() {
        let here = tempfile::tempdir().unwrap();
        let set = sets::write(here.path(), "zone", 1, None);
        // A bit of a chunk, of a head, of a table, and of a foot.
        for (at, file) in
            [(0x1000, "block-0000.part"), (20, "base.part"), (262_210, "base.part"), (262_240, "base.part")]
        {
            let prefix = format!("flip-{at}");
            let (store, there) = (ground.store(&prefix), tempfile::tempdir().unwrap());
            put(&store, &set, |_| ()).unwrap();
            ground.change(&format!("{prefix}/{}/{file}", name(&set)), |bytes| bytes[at] ^= 1);
            let error = store.get("zone", there.path(), |_| ()).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged { key, .. } if key.ends_with(file)), "{error}");
            assert!(is_empty(there.path()), "{file} {at}");
        }
        let (store, there) = (ground.store("cut"), tempfile::tempdir().unwrap());
        put(&store, &set, |_| ()).unwrap();
        ground.change(&format!("cut/{}/base.part", name(&set)), |bytes| bytes.truncate(1_000));
        assert!(matches!(store.get("zone", there.path(), |_| ()), Err(StoreError::Damaged { .. })));
        assert!(is_empty(there.path()));

        // A set that lacks a part is none: the next put sends it again.
        ground.remove(&format!("cut/{}/base.part", name(&set)));
        assert_eq!(names(&store), [""; 0]);
        assert_eq!(put(&store, &set, |_| ()).unwrap(), 1);
        store.get("zone", there.path(), |_| ()).unwrap();

        // A damaged manifest is listed, and is no set of the process.
        ground.change(&format!("cut/{}/manifest.toml", name(&set)), |bytes| bytes[9] ^= 1);
        let listed = store.list().unwrap();
        assert!(matches!(listed[0].contents, Err(SetError::Manifest { .. })));
        assert!(matches!(store.get("zone", there.path(), |_| ()), Err(StoreError::NoSet { .. })));
    }
}

#[test]
fn a_missing_parent_is_an_error_and_leaves_nothing() {
    for ground in Ground::all() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = sets::write(here.path(), "zone", 1, None);
        let second = sets::write(here.path(), "zone", 2, Some(&first));
        let store = ground.store("x");
        put(&store, &second, |_| ()).unwrap();
        ground.remove(&format!("x/{}/manifest.toml", name(&first)));
        let error = store.get("zone", there.path(), |_| ()).unwrap_err();
        assert!(matches!(&error, StoreError::NoParent { parent, .. } if parent == first.id()), "{error}");
        assert!(is_empty(there.path()));
    }
}

#[test]
fn a_local_set_with_a_flipped_bit_is_not_sent() {
    let ground = Ground::Files(tempfile::tempdir().unwrap());
    let here = tempfile::tempdir().unwrap();
    let set = sets::write(here.path(), "zone", 1, None);
    let part = set.path().join("block-0000.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&part, bytes).unwrap();
    assert!(matches!(put(&ground.store("x"), &set, |_| ()), Err(StoreError::Set(SetError::Part { .. }))));
    assert_eq!(names(&ground.store("x")), [""; 0]);
}

/// An uploader is killed 50 times in each kind of store, anywhere between its start and its end.
#[test]
fn a_killed_upload_leaves_the_set_whole_or_absent() {
    const KILLS: u32 = 50;
    for ground in Ground::all() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let set = sets::write(here.path(), "zone", 1, None);
        let began = Instant::now();
        let mut whole = Other::start("put", &ground, "whole", set.path());
        assert!(whole.0.wait().unwrap().success());
        let takes = began.elapsed();
        let (mut absent, mut random) = (0, fastrand::Rng::with_seed(7));
        for round in 0..KILLS {
            let prefix = format!("kill-{round}");
            let mut child = Other::start("put", &ground, &prefix, set.path());
            std::thread::sleep(takes.mul_f64(random.f64()));
            child.kill();
            let store = ground.store(&prefix);
            let local = there.path().join(&prefix);
            match names(&store).as_slice() {
                [] => {
                    absent += 1;
                    let mut fence = Fence::take(&store, "zone", Taking::default().by_force()).unwrap();
                    fence.sweep().unwrap();
                    drop(fence);
                    let left = ground.keys(&prefix);
                    assert!(
                        left.iter().all(|key| key.starts_with("zone.owner") && !key.contains('/')),
                        "{left:?}"
                    );
                    assert!(matches!(store.get("zone", &local, |_| ()), Err(StoreError::NoSet { .. })));
                    assert_eq!(put(&store, &set, |_| ()).unwrap(), 1);
                }
                _ => assert_eq!(put(&store, &set, |_| ()).unwrap(), 0),
            }
            let brought = store.get("zone", &local, |_| ()).unwrap();
            assert_eq!(sets::files(brought.path()), sets::files(set.path()));
            fs::remove_dir_all(&local).unwrap();
        }
        assert!((1..=KILLS).contains(&absent), "{absent} of {KILLS} kills left no set");
    }
}

#[test]
fn a_server_that_dies_is_an_error_and_the_next_try_works() {
    let Some(mut moto) = Moto::start() else { return };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let set = sets::write_of(here.path(), "zone", 1, None, 80);
    let settings = moto.settings().patience(Duration::from_millis(500));
    let store = Store::open_with("s3://test/x", &settings).unwrap();
    let mut dead = false;
    let error = put(&store, &set, |moved| {
        if moved.done > 0 && !dead {
            moto.kill();
            dead = true;
        }
    });
    let error = error.unwrap_err();
    assert!(dead && matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("AWS_ENDPOINT_URL"), "{error}");
    assert!(matches!(store.list(), Err(StoreError::Unreachable { .. })));
    assert!(matches!(store.get("zone", there.path(), |_| ()), Err(StoreError::Unreachable { .. })));

    let port = moto.port;
    let moto = Moto::at(port).unwrap();
    assert_eq!(put(&store, &set, |_| ()).unwrap(), 1);
    assert_eq!(store.get("zone", there.path(), |_| ()).unwrap().id(), set.id());
    drop(moto);
}

#[test]
fn what_is_no_store_is_refused_with_a_hint() {
    for (url, hint) in [
        ("zone", "relative URL"),
        ("ftp://x/y", "write s3://"),
        ("http://example.invalid/x", "no scheme of a store"),
        ("file://host/x", "write s3://"),
    ] {
        let error = Store::open(url).unwrap_err();
        assert!(matches!(error, StoreError::Url { .. }) && error.to_string().contains(hint), "{error}");
    }
    let unknown = Settings::default().option("AWS_NO_SUCH", "1");
    let error = Store::open_with("s3://test/x", &unknown).unwrap_err();
    assert!(error.to_string().contains("set AWS_ACCESS_KEY_ID"), "{error}");
    let Some(moto) = Moto::start() else { return };
    let store = Store::open_with("s3://nowhere/x", &moto.settings()).unwrap();
    let error = store.list().unwrap_err();
    assert!(matches!(error, StoreError::Absent { .. }), "{error}");
}
