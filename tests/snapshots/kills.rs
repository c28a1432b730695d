//! Children that save or restore, and are killed.

use super::Bench;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{RestoreOptions, SaveOptions, restore_pool, save_pool};
use hotpool::share::{Home, observe, remove_pool};
use hotpool::snapshot::{Chain, latest, list};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, StartMode};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs as the child that the arguments ask for; returns whether they do.
pub fn child() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, verb, backend, base, blocks, dir, shelf] = &arguments[..] else { return false };
    if !["child-save", "child-restore"].contains(&verb.as_str()) {
        return false;
    }
    let conf = conf_of(backend, base, blocks, dir);
    let shelf = PathBuf::from(shelf);
    println!("begins");
    let done = match verb.as_str() {
        "child-save" => save_pool(conf.base_key, &Home::of(&conf), &shelf, &SaveOptions::default())
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => {
            let set = latest(&shelf, "crash").unwrap().unwrap();
            let chain = Chain::open(&set).unwrap();
            restore_pool(&chain, &conf, &RestoreOptions::default())
                .map(drop)
                .map_err(|error| error.to_string())
        }
    };
    if let Err(error) = done {
        println!("{error}");
        std::process::exit(3);
    }
    true
}

/// Returns the configuration that a child gets in its arguments.
pub fn conf_of(backend: &str, base: &str, blocks: &str, dir: &str) -> ProcessConf {
    let key = |digits: &str| Key(u32::from_str_radix(digits, 16).unwrap());
    let blocks: Vec<Key> = blocks.split(',').map(key).collect();
    let mut conf = ProcessConf::new("crash", key(base), Bytes(512 << 10), &blocks);
    conf.backend = BackendKind::ALL.into_iter().find(|kind| kind.name() == backend).unwrap();
    conf.dir = dir.into();
    conf.owner_wait_ms = 0;
    conf
}

/// Returns the arguments of a child.
pub fn arguments(verb: &str, conf: &ProcessConf, shelf: &Path) -> Vec<OsString> {
    let blocks: Vec<String> = conf.shm_keys.iter().map(|key| format!("{:x}", key.0)).collect();
    let words = [verb, conf.backend.name(), &format!("{:x}", conf.base_key.0), &blocks.join(",")];
    let words = words.into_iter().map(OsString::from);
    words.chain([conf.dir.clone().into(), shelf.into()]).collect()
}

/// Starts a child, which has begun when this returns.
fn start(bench: &Bench, verb: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments(verb, &bench.conf, &bench.shelf()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 7];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(&line, b"begins\n");
    child
}

/// Kills a child after a random part of `whole`; returns whether it was still at work.
fn kill(mut child: Child, whole: Duration) -> bool {
    std::thread::sleep(whole.mul_f64(fastrand::f64()));
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// Lets a child end by itself; returns how long it took and what it said.
fn finish(mut child: Child) -> (bool, Duration, String) {
    let began = Instant::now();
    let said: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    (child.wait().unwrap().success(), began.elapsed(), said.join("\n"))
}

/// What a killed restore has left under the base key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Nothing,
    Draft,
    Pool,
}

fn left(bench: &Bench) -> Left {
    let facts = observe(bench.conf.base_key, &bench.home()).unwrap();
    match facts.head() {
        None => Left::Nothing,
        Some(head) if head.is_incomplete() => Left::Draft,
        Some(_) => Left::Pool,
    }
}

pub fn restore(backend: BackendKind, rounds: u32) {
    let bench = Bench::new(backend);
    bench.fill();
    let saved =
        save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default()).unwrap();
    let chain = Chain::open(saved.set.unwrap().path()).unwrap();
    bench.destroy();
    let (done, whole, _) = finish(start(&bench, "child-restore"));
    assert!(done && left(&bench) == Left::Pool);
    bench.check();
    bench.destroy();
    let mut found = [0; 3];
    for round in 0..rounds {
        let running = kill(start(&bench, "child-restore"), whole.mul_f64(1.1));
        let state = left(&bench);
        assert!(running || state == Left::Pool, "round {round}: {state:?}");
        found[state as usize] += 1;
        match (state, round % 3) {
            (Left::Pool, _) => bench.check(),
            (_, 0) => {
                let pool = MemoryPoolMgr::open(&bench.conf).unwrap();
                assert_eq!(pool.start_mode(), StartMode::Init, "round {round}: {state:?}");
                assert!(pool.verify().is_sound());
            }
            (_, 1) => {
                restore_pool(&chain, &bench.conf, &RestoreOptions::default()).unwrap();
                bench.check();
            }
            (_, _) => {
                remove_pool(bench.conf.base_key, &bench.home(), false).unwrap();
                drafts_are_old(&bench);
                assert_eq!(bench.left(), [""; 0], "round {round}: {state:?} and hotpool rm");
                continue;
            }
        }
        bench.destroy();
        drafts_are_old(&bench);
        assert_eq!(bench.left(), [""; 0], "round {round}: {state:?}");
    }
    println!("restore, {}: nothing {}, a draft {}, a pool {}", backend.name(), found[0], found[1], found[2]);
    assert!(found[1] != 0, "no kill came in the middle");
}

/// Removes the files without a name of a pool that a killed creation has left, which the next creation
/// would remove.
fn drafts_are_old(bench: &Bench) {
    for entry in std::fs::read_dir(bench.dir.path().join("pool")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".hotpool-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

pub fn save(backend: BackendKind, rounds: u32) {
    let bench = Bench::new(backend);
    bench.fill();
    let (done, whole, _) = finish(start(&bench, "child-save"));
    assert!(done && list(&bench.shelf()).unwrap().len() == 1);
    let (mut cut, mut whole_sets) = (0, 0);
    for round in 0..rounds {
        std::fs::remove_dir_all(bench.shelf()).unwrap();
        let _ = kill(start(&bench, "child-save"), whole.mul_f64(1.1));
        let sets = list(&bench.shelf()).unwrap();
        let entries = std::fs::read_dir(bench.shelf()).map_or(0, Iterator::count);
        cut += u32::from(entries > sets.len());
        for set in &sets {
            whole_sets += 1;
            let chain = Chain::open(&set.path).unwrap();
            chain.verify(|_| ()).unwrap();
        }
        if round % 5 == 0 {
            bench.check();
        }
        // The next save finds the lock free, and removes what the killed one has left.
        let saved = save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default());
        assert!(saved.is_ok(), "round {round}: {saved:?}");
        let hidden = |name: &str| name.starts_with('.');
        let names = std::fs::read_dir(bench.shelf()).unwrap().flatten();
        let names: Vec<String> =
            names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // One that was killed before it had its lock counts as new for a minute.
        let locked = names.iter().filter(|name| hidden(name));
        assert!(locked.clone().count() <= 1, "{names:?}");
        for name in locked {
            assert!(!bench.shelf().join(name).join("lock").exists(), "{names:?}");
        }
    }
    println!("save, {}: {cut} cut, {whole_sets} whole", backend.name());
    assert!(cut != 0, "no kill came in the middle");
    bench.check();
    bench.destroy();
    assert_eq!(bench.left(), [""; 0]);
}

/// Runs two restores at once: one makes the pool, and the other is told that it exists or is being made.
pub fn two_restores(backend: BackendKind, rounds: u32) {
    let bench = Bench::new(backend);
    bench.fill();
    save_pool(bench.conf.base_key, &bench.home(), &bench.shelf(), &SaveOptions::default()).unwrap();
    bench.destroy();
    for round in 0..rounds.div_ceil(4) {
        let both = [start(&bench, "child-restore"), start(&bench, "child-restore")].map(finish);
        let won = both.iter().filter(|(done, ..)| *done).count();
        assert_eq!(won, 1, "round {round}: {both:?}");
        let (_, _, said) = both.iter().find(|(done, ..)| !done).unwrap();
        assert!(said.contains("is owned by pid") || said.contains("restore with `--replace`"), "{said}");
        bench.check();
        bench.destroy();
        assert_eq!(bench.left(), [""; 0], "round {round}");
    }
}
