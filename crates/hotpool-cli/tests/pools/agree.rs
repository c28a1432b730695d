//! Disagreements between the ini and an existing pool: what the start does, and what `ls` and
//! `doctor` report. There is one test for each row of the table in `docs/operating.md`, in the same
//! order.

use crate::bench::{Bench, raw};
use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, HugePages, Place, ProcessConf, TypeConf};
use hotpool::share::{Home, observe};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolError, PoolObject, StartMode};
use std::fs;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Player {
    gold: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Large {
    words: [u64; 10_000],
}

/// Creates the pool of `conf` with a player, and closes it.
fn fill(conf: &ProcessConf) {
    let mut pool = MemoryPoolMgr::open(conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.alloc(Player { gold: 7 }).unwrap();
    pool.close().unwrap();
}

/// Creates a closed pool with a player.
fn waiting() -> (Bench, ProcessConf) {
    let bench = Bench::new();
    let conf = bench.conf(0);
    fill(&conf);
    (bench, conf)
}

/// Returns a copy of a configuration with a change.
fn changed(conf: &ProcessConf, change: impl FnOnce(&mut ProcessConf)) -> ProcessConf {
    let mut conf = conf.clone();
    change(&mut conf);
    conf
}

/// Returns the code and the message of a refused start.
fn refusal(conf: &ProcessConf) -> (&'static str, String) {
    match MemoryPoolMgr::open(conf).map(|pool| pool.resume_report().clone()) {
        Err(PoolError::Disagrees(found)) => (found.rule.code, found.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Returns the mode of a start, its number of objects, and the codes of the disagreements it reports.
fn start(conf: &ProcessConf) -> (StartMode, u64, Vec<&'static str>) {
    let pool = MemoryPoolMgr::open(conf).unwrap_or_else(|error| panic!("{error}"));
    let report = pool.resume_report();
    let told = report.told.iter().map(|one| one.rule.code).collect();
    (pool.start_mode(), report.objects(), told)
}

fn is_hot(conf: &ProcessConf) {
    assert_eq!(start(conf), (StartMode::Resume, 1, vec![]));
}

/// Writes an ini for `conf`, for `ls` and `doctor`.
fn ini(bench: &Bench, conf: &ProcessConf) -> String {
    let keys: Vec<String> = conf.shm_keys.iter().map(Key::to_string).collect();
    let mut text = format!(
        "[common]\nProcessList = {0}\n[{0}]\nBaseKey = {1}\nBlockSize = {2}\nShmKeys = {3}\nBackend = {4}\nMode = {5:o}\n\
         UndoSize = {6}\nHugePages = {7}\n",
        conf.name,
        conf.base_key,
        conf.block_size,
        keys.join(", "),
        conf.backend.name(),
        conf.mode,
        conf.undo_size,
        conf.memory.huge_pages.name()
    );
    if conf.backend == BackendKind::File {
        text += &format!("Dir = {}\n", conf.dir.display());
    }
    if let Some(name) = &conf.former_name {
        text += &format!("FormerName = {name}\n");
    }
    text += &format!("[{}.types]\n", conf.name);
    for of in &conf.types {
        let size = of.object_bytes.map_or(String::new(), |bytes| format!(" x {bytes}"));
        text += &format!("{} = {}{size}\n", of.name, of.capacity);
    }
    let path = bench.folder().join("agree.ini");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Checks that `ls` and `doctor` report this code with this severity, and that `ls` prints `words`.
fn tools_say(bench: &Bench, conf: &ProcessConf, code: &str, severity: &str, words: &str) {
    let ini = ini(bench, conf);
    let ls = bench.hotpool(&["ls", "--conf", &ini]);
    assert!(ls.out.contains(words), "{words}\n{}{}", ls.out, ls.err);
    let json = bench.hotpool(&["ls", "--json", "--conf", &ini]).json();
    let said = json["pools"][0]["disagreements"].as_array().unwrap().clone();
    let found = said.iter().find(|one| one["code"] == code).unwrap_or_else(|| panic!("{json:#}"));
    assert_eq!(found["severity"], severity);
    let is_refused = severity == "refused";
    assert_eq!(ls.code != 0, is_refused, "{}", ls.out);
    assert_eq!(ls.out.contains("the next start is refused"), is_refused, "{}", ls.out);
    doctor_says(bench, &ini, code, if is_refused { "error" } else { "warning" });
}

fn doctor_says(bench: &Bench, ini: &str, code: &str, severity: &str) {
    let json = bench.hotpool(&["doctor", "--json", "--conf", ini]).json();
    let found = json["findings"].as_array().unwrap().iter().find(|one| one["check"] == code).cloned();
    assert_eq!(found.unwrap_or_else(|| panic!("{code}: {json:#}"))["severity"], severity);
}

/// Checks that `ls` reports no disagreement.
fn tools_are_quiet(bench: &Bench, conf: &ProcessConf) {
    let json = bench.hotpool(&["ls", "--json", "--conf", &ini(bench, conf)]).json();
    assert_eq!(json["pools"][0]["disagreements"].as_array().unwrap().len(), 0, "{json:#}");
}

fn type_conf(name: &str, object_bytes: Option<u64>) -> TypeConf {
    let place = Place { section: "zone.types".into(), key: name.into(), ..Place::default() };
    TypeConf { name: name.into(), capacity: 1, object_bytes, place }
}

/// Returns whether a key has no segment on a backend.
fn is_empty(key: Key, home: &Home) -> bool {
    observe(key, home).unwrap().segment.is_none()
}

#[test]
fn the_pool_of_another_process_is_refused_unless_it_is_a_former_name() {
    let (bench, conf) = waiting();
    let mut world = bench.conf(1);
    world.name = "world".into();
    fill(&world);
    // The keys of the two processes are swapped.
    let swapped = changed(&world, |conf| conf.name = "zone".into());
    let (code, said) = refusal(&swapped);
    assert_eq!(code, "other-process");
    let key = world.base_key;
    assert_eq!(
        said,
        format!(
            "[zone] BaseKey: the pool under {key} belongs to the process \"world\", not to \"zone\"; give each process the \
             BaseKey of its own pool; if \"world\" was renamed, write FormerName = world; if the pool is no longer needed, \
             run `hotpool rm --key {key}`"
        )
    );
    assert_eq!(refusal(&changed(&conf, |conf| conf.name = "world".into())).0, "other-process");
    tools_say(&bench, &swapped, "other-process", "refused", "belongs to the process \"world\"");
    is_hot(&conf);
    is_hot(&world);
    // Rename the process.
    let renamed = changed(&world, |conf| conf.name = "city".into()).former_name("world");
    is_hot(&renamed);
    tools_are_quiet(&bench, &renamed);
}

#[test]
fn a_changed_backend_is_refused_while_the_old_one_has_the_pool() {
    let (bench, conf) = waiting();
    let posix = conf.clone().backend(BackendKind::Posix);
    let key = conf.base_key;
    let (code, said) = refusal(&posix);
    assert_eq!(code, "other-backend");
    assert_eq!(
        said,
        format!(
            "[zone] Backend: the pool of zone waits under {key} in System V memory, but the ini names /dev/shm; set \
             Backend = sysv, or give up its objects with `hotpool rm --key {key}` and start cold"
        )
    );
    assert!(is_empty(key, &Home::of(&posix)), "a segment was created");
    let file = conf.clone().backend(BackendKind::File).dir(bench.folder());
    assert_eq!(refusal(&file).0, "other-backend");
    assert!(is_empty(key, &Home::of(&file)), "a segment was created");
    tools_say(&bench, &posix, "other-backend", "refused", "waits under");
    is_hot(&conf);
    assert_eq!(bench.hotpool(&["rm", "--key", &key.to_string(), "--yes"]).code, 0);
    assert_eq!(start(&posix), (StartMode::Init, 0, vec![]), "the remedy works");
}

#[test]
fn the_pool_of_another_process_on_another_backend_does_not_refuse_a_start() {
    let (bench, conf) = waiting();
    let first = changed(&conf, |conf| conf.name = "world".into()).backend(BackendKind::Posix);
    let (mode, objects, _) = start(&first);
    assert_eq!((mode, objects), (StartMode::Init, 0));
    is_hot(&conf);
    let host = bench.hotpool(&["ls"]);
    let key = conf.base_key;
    assert_eq!(
        host.out.lines().filter(|line| line.starts_with(&format!(" {key} "))).count(),
        2,
        "{}",
        host.out
    );
    assert!(host.out.contains(&format!("{key} exists in System V memory and in /dev/shm")), "{}", host.out);
    // Removing one pool leaves the other, and the semaphores of both.
    let answer = bench.hotpool(&["rm", "--key", &key.to_string(), "--yes"]);
    assert!(answer.code == 0 && !answer.out.contains("semaphores"), "{}", answer.out);
    assert!(!raw::is_there(key) && raw::has_semaphores(key));
    assert!(!is_empty(key, &Home::of(&first)));
    let ini = ini(&bench, &first);
    let answer = bench.hotpool(&["rm", "--conf", &ini, "--yes"]);
    assert!(answer.code == 0 && answer.out.contains("semaphores"), "{}", answer.out);
    assert!(is_empty(key, &Home::of(&first)) && !raw::has_semaphores(key));
}

#[test]
fn a_changed_folder_is_refused_until_the_pool_in_the_old_one_is_given_up() {
    let bench = Bench::new();
    let (old, new) = (bench.folder().join("old"), bench.folder().join("new"));
    fs::create_dir(&old).and_then(|()| fs::create_dir(&new)).unwrap();
    let conf = bench.conf(0).backend(BackendKind::File).dir(old);
    fill(&conf);
    let moved = conf.clone().dir(new.clone());
    // System V memory has nothing either, and cannot name the folder.
    let to_sysv = changed(&conf, |conf| (conf.backend, conf.dir) = (BackendKind::Sysv, "".into()));
    for other in [&moved, &to_sysv] {
        tools_say(&bench, other, "other-dir", "refused", "was in another folder");
        let (code, said) = refusal(other);
        assert_eq!(code, "other-dir");
        assert!(said.contains("set Backend = file and the Dir of that pool to resume it"), "{said}");
        assert!(is_empty(other.base_key, &Home::of(other)), "the refused start has created a base");
        is_hot(&conf);
    }
    // A slash at the end is no other folder, and one that was emptied is told.
    for file in fs::read_dir(&conf.dir).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let slash = conf.clone().dir(format!("{}/", conf.dir.display()));
    tools_say(&bench, &slash, "semaphores-alone", "told", "an earlier owner has left semaphores");
    assert_eq!(refusal(&moved).0, "other-dir");
    assert_eq!(start(&slash), (StartMode::Init, 0, vec!["semaphores-alone"]));
    // The remedy works.
    let given_up = ini(&bench, &moved);
    fs::remove_dir_all(&conf.dir).unwrap();
    let rm = bench.hotpool(&["rm", "--conf", &given_up, "--yes"]);
    assert_eq!(rm.code, 0, "{}{}", rm.out, rm.err);
    assert_eq!(start(&moved), (StartMode::Init, 0, vec![]));
    MemoryPoolMgr::open(&moved).unwrap().destroy().unwrap();
    // A first start has no earlier owner.
    assert_eq!(start(&moved), (StartMode::Init, 0, vec![]));
}

#[test]
fn a_changed_base_key_is_refused_while_the_old_base_has_the_blocks() {
    let (bench, conf) = waiting();
    let moved = changed(&conf, |conf| conf.base_key = bench.base(1));
    let (code, said) = refusal(&moved);
    assert_eq!(code, "other-base");
    let (block, key) = (conf.shm_keys[0], conf.base_key);
    assert_eq!(
        said,
        format!(
            "[zone] ShmKeys: {block} is a block of the pool of zone under {key}; set BaseKey = {key} to resume that pool, or \
             give up its objects with `hotpool rm --key {key}`"
        )
    );
    assert!(is_empty(moved.base_key, &Home::sysv()) && !raw::has_semaphores(moved.base_key));
    tools_say(&bench, &moved, "other-base", "refused", "has the block");
    is_hot(&conf);
    assert_eq!(bench.hotpool(&["rm", "--key", &key.to_string(), "--yes"]).code, 0);
    assert_eq!(start(&moved), (StartMode::Init, 0, vec![]), "the remedy works");
}

#[test]
fn a_block_key_moved_to_another_process_is_refused() {
    let (bench, conf) = waiting();
    let mut world = bench.conf(1);
    world.name = "world".into();
    fill(&world);
    // Now world names block 1 of zone.
    let mut more = world.clone();
    more.shm_keys.push(conf.shm_keys[1]);
    let (code, said) = refusal(&more);
    assert_eq!(code, "other-base");
    assert!(
        said.contains(&format!(
            "{} is a block of the pool of zone under {}",
            conf.shm_keys[1], conf.base_key
        ))
    );
    assert!(said.contains("choose another key for world"), "{said}");
    is_hot(&conf);
    is_hot(&world);
}

#[test]
fn a_pool_of_the_same_name_under_another_key_is_reported() {
    let bench = Bench::new();
    let conf = changed(&bench.conf(0), |conf| conf.name = format!("zone_{:x}", bench.base(0).0));
    fill(&conf);
    let moved = changed(&conf, |conf| {
        (conf.base_key, conf.shm_keys) = (bench.base(1), vec![bench.block(1, 0)]);
    });
    let words = format!("there is no pool under {}, but one with the name", moved.base_key);
    tools_say(&bench, &moved, "same-name", "told", &words);
    assert_eq!(start(&moved), (StartMode::Init, 0, vec![]), "a start does not touch another pool");
}

#[test]
fn another_block_size_is_refused() {
    let (bench, mut conf) = waiting();
    conf.block_size = Bytes(128 << 10);
    let (code, said) = refusal(&conf);
    assert_eq!(code, "block-size");
    assert!(said.contains("have 64K, but the ini requires 128K; set it back to 64K"), "{said}");
    tools_say(&bench, &conf, "block-size", "refused", "have 64K, but the ini requires 128K");
    is_hot(&bench.conf(0));
}

#[test]
fn a_dropped_block_is_refused_if_used_and_reported_if_empty() {
    let (bench, conf) = waiting();
    let without = |number: usize| {
        let keys: Vec<Key> =
            conf.shm_keys.iter().copied().filter(|key| *key != conf.shm_keys[number]).collect();
        changed(&conf, |conf| conf.shm_keys = keys)
    };
    let (code, said) = refusal(&without(0));
    assert_eq!(code, "block-dropped");
    assert!(said.contains("the ini no longer names block"), "{said}");
    tools_say(&bench, &without(0), "block-dropped", "refused", "the ini no longer names block");
    is_hot(&conf);
    tools_say(&bench, &without(1), "block-given-up", "told", "the pool gives it up");
    assert_eq!(start(&without(1)), (StartMode::Resume, 1, vec!["block-given-up"]));
    assert_eq!(start(&without(1)), (StartMode::Resume, 1, vec![]), "a block given up is not reported again");
    is_hot(&conf);
}

#[test]
fn reordered_and_additional_keys_are_not_a_disagreement() {
    let (bench, mut conf) = waiting();
    conf.shm_keys.reverse();
    conf.shm_keys.insert(0, bench.block(0, 2));
    tools_are_quiet(&bench, &conf);
    is_hot(&conf);
}

#[test]
fn another_undo_size_is_reported() {
    let (bench, mut conf) = waiting();
    conf.undo_size = Bytes(128 << 10);
    tools_say(&bench, &conf, "undo-size", "told", "keeps its undo log of 64K, but the ini requires 128K");
    assert_eq!(start(&conf), (StartMode::Resume, 1, vec!["undo-size"]));
}

#[test]
fn a_wider_mode_is_reported_and_a_narrower_one_refused() {
    let (bench, mut conf) = waiting();
    conf.mode = 0o660;
    tools_say(&bench, &conf, "mode", "told", "keeps its mode 0600, but the ini requires 0660");
    assert_eq!(start(&conf), (StartMode::Resume, 1, vec!["mode"]));

    let wide = bench.conf(1).mode(0o660);
    fill(&wide);
    let narrow = wide.clone().mode(0o600);
    let said = MemoryPoolMgr::open(&narrow).map(drop).unwrap_err().to_string();
    assert!(said.contains("has mode 0660, which is wider than the configured 0600"), "{said}");
    is_hot(&wide);
}

#[test]
fn other_pages_than_those_of_the_pool_are_reported() {
    let (bench, mut conf) = waiting();
    conf.memory.huge_pages = HugePages::On;
    tools_say(&bench, &conf, "pages", "told", "keeps its small pages, but the ini has HugePages = on");
    assert_eq!(start(&conf), (StartMode::Resume, 1, vec!["pages"]));
}

#[test]
fn another_object_size_is_reported_and_refused_by_add_type() {
    let (bench, mut conf) = waiting();
    conf.types = vec![type_conf("player", Some(16))];
    tools_say(&bench, &conf, "object-size", "told", "have 8 bytes, but the ini states 16");
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    assert_eq!(pool.resume_report().told[0].rule.code, "object-size");
    let said = pool.add_type::<Player>().unwrap_err().to_string();
    assert!(said.contains("states an object size of 16 bytes, but in this build it is 8 bytes"), "{said}");
}

#[test]
fn a_type_that_the_program_never_adds_is_reported_by_ready() {
    let (_bench, mut conf) = waiting();
    conf.types = vec![type_conf("player", None), type_conf("monstre", None)];
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Player>().unwrap();
    assert!(pool.resume_report().told.is_empty());
    pool.ready().unwrap();
    pool.ready().unwrap();
    let told: Vec<String> = pool.resume_report().told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "[zone.types] monstre: the program has not added a type monstre, so this line has no effect; correct the name, or \
          remove the line"
        ]
    );
}

#[test]
fn a_type_that_no_program_adds_is_reported_by_the_tools() {
    let (bench, mut conf) = waiting();
    conf.types = vec![type_conf("player", None), type_conf("monstre", None)];
    tools_are_quiet(&bench, &conf);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.ready().unwrap();
    tools_say(&bench, &conf, "never-added", "told", "monstre: the program has not added a type monstre");
    pool.close().unwrap();
    tools_say(&bench, &conf, "never-added", "told", "monstre: the program has not added a type monstre");
}

#[test]
fn a_type_with_objects_that_nothing_names_is_reported() {
    let (bench, mut conf) = waiting();
    tools_are_quiet(&bench, &conf);
    conf.types = vec![type_conf("monster", None)];
    tools_say(&bench, &conf, "left-behind", "told", "holds 1 object of player, which the ini does not name");
    conf.types.clear();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.ready().unwrap();
    let told: Vec<String> = pool.resume_report().told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [format!(
            "[zone] types: the pool under {} holds 1 object of player, but the program has not added the type; add the type, or \
             free its objects with a build that has it: they keep their memory",
            conf.base_key
        )]
    );
    pool.add_type::<Player>().unwrap();
    let all: Vec<_> = pool.iter::<Player>().map(|(id, _)| id).collect();
    all.into_iter().for_each(|id| assert!(pool.free(id)));
    pool.close().unwrap();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.ready().unwrap();
    assert!(pool.resume_report().told.is_empty(), "no type is left behind");
}

#[test]
fn an_object_too_large_for_the_undo_log_is_reported() {
    let bench = Bench::new();
    let conf = changed(&bench.conf(0), |conf| conf.block_size = Bytes(256 << 10));
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Large>().unwrap();
    pool.close().unwrap();
    tools_say(&bench, &conf, "never-updated", "told", "an object of large has 80000 bytes");
    assert_eq!(start(&conf), (StartMode::Resume, 0, vec!["never-updated"]));
}

#[test]
fn a_pool_of_an_unlisted_process_is_reported_by_doctor() {
    let bench = Bench::new();
    // This test has its own world and zone of the key plan.
    let zone = 0x48d0_0000 | (std::process::id() & 0xff) << 12;
    let conf = |process: u32, name: &str| {
        let base = zone | process << 8;
        ProcessConf::new(name, Key(base), Bytes(64 << 10), &[Key(base + 1)])
    };
    struct Sweep([ProcessConf; 2]);
    impl Drop for Sweep {
        fn drop(&mut self) {
            self.0
                .iter()
                .flat_map(|conf| conf.shm_keys.iter().chain([&conf.base_key]))
                .for_each(|key| raw::remove(*key));
        }
    }
    let sweep = Sweep([conf(1, "zone"), conf(2, "world")]);
    let [listed, gone] = &sweep.0;
    fill(listed);
    fill(gone);
    let ini = ini(&bench, listed);
    doctor_says(&bench, &ini, "not-listed", "warning");
    let said = bench.hotpool(&["doctor", "--conf", &ini]).out;
    assert!(
        said.contains(&format!(
            "the pool of world under {} lies in the key range of this ini",
            gone.base_key
        ))
    );
    assert_eq!(bench.hotpool(&["rm", "--key", &gone.base_key.to_string(), "--yes"]).code, 0);
    let said = bench.hotpool(&["doctor", "--conf", &ini]).out;
    assert!(!said.contains("not-listed"), "{said}");
}
