//! A server that dies because of its own state, restarted under each policy: real processes and
//! real segments.
//!
//! The server walks over its objects before it calls `ready()`. On a poisoned object it aborts or
//! panics.

#[path = "harness/own_keys.rs"]
mod own_keys;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::key_plan::post_mortem;
use hotpool::conf::{OnCrashLoop, OnTorn, ProcessConf};
use hotpool::pool::{StartEnd, Sweep};
use hotpool::share::{Home, Verdict, observe, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolError, PoolObject, StartMode};
use own_keys::own_keys;
use std::process::{Command, Output};
use std::time::Duration;

const OBJECTS: u64 = 1000;
const POISON: u64 = 444;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
struct Monster {
    number: u64,
    poisoned: u64,
    rest: [u64; 30],
}

/// A second type.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Other {
    number: u64,
}

/// A pool with its own keys. All its segments are removed at the end of the test.
struct Site {
    conf: ProcessConf,
    /// How the server walks over its objects, and how it dies.
    way: &'static str,
}

impl Site {
    fn new() -> Self {
        let base = own_keys(16);
        let mut site = Site { conf: conf(base), way: "abort" };
        site.conf.resume.max_crash_resumes = 3;
        site
    }

    fn key(&self) -> Key {
        self.conf.base_key
    }

    /// Runs the server in its own process until it ends.
    fn serve(&self) -> Output {
        let resume = &self.conf.resume;
        let settings = format!(
            "{} {} {} {} {} {} {}",
            self.key().0,
            resume.max_crash_resumes,
            resume.crash_window_sec,
            resume.on_crash_loop.name(),
            resume.on_torn.name(),
            resume.must_be_hot,
            self.way
        );
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "server", "--nocapture"]).env("HOTPOOL_TEST_SERVER", settings);
        command.output().unwrap()
    }

    /// Creates the objects, one of them poisoned, and runs the server `times` times until it dies.
    fn crash(&self, times: u32) {
        let mut pool = MemoryPoolMgr::open(&self.conf).unwrap();
        pool.add_type::<Monster>().unwrap();
        for number in 0..OBJECTS {
            let poisoned = u64::from(number == POISON);
            pool.alloc_keyed(number, Monster { number, poisoned, rest: [number; 30] }).unwrap();
        }
        pool.ready().unwrap();
        pool.close().unwrap();
        for _ in 0..times {
            assert!(died(&self.serve()));
        }
    }

    fn epoch(&self, key: Key) -> u64 {
        observe(key, &Home::sysv()).unwrap().head().unwrap().epoch
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for key in [self.key(), post_mortem(self.key())] {
            if let Err(error) = remove_pool(key, &Home::sysv(), false) {
                eprintln!("{error}");
            }
        }
    }
}

fn conf(base: u32) -> ProcessConf {
    ProcessConf::new("zone", Key(base), Bytes(1 << 20), &[Key(base + 1), Key(base + 2)])
}

/// Runs as the server if this process was launched as one.
#[test]
fn server() {
    let Ok(settings) = std::env::var("HOTPOOL_TEST_SERVER") else { return };
    let words: Vec<&str> = settings.splitn(7, ' ').collect();
    let mut conf = conf(words[0].parse().unwrap());
    conf.resume.max_crash_resumes = words[1].parse().unwrap();
    conf.resume.crash_window_sec = words[2].parse().unwrap();
    conf.resume.on_crash_loop = OnCrashLoop::ALL.into_iter().find(|p| p.name() == words[3]).unwrap();
    conf.resume.on_torn = OnTorn::ALL.into_iter().find(|p| p.name() == words[4]).unwrap();
    conf.resume.must_be_hot = words[5] == "true";
    let mut pool = match MemoryPoolMgr::open(&conf) {
        Ok(pool) => pool,
        Err(error) => {
            println!("refused: {error}");
            return;
        }
    };
    pool.add_type::<Monster>().unwrap();
    go_through(&mut pool, words[6]);
    pool.ready().unwrap();
    let quarantined = pool.quarantined();
    println!("served {} {:?} {quarantined:?}", pool.len::<Monster>(), pool.start_mode());
}

/// Walks over every object to write it, and dies on a poisoned one.
fn go_through(pool: &mut MemoryPoolMgr, way: &str) {
    let change = |monster: &mut Monster| match (monster.poisoned, way) {
        (0, _) => {}
        (_, "abort") => std::process::abort(),
        _ => panic!("poisoned object"),
    };
    let ids: Vec<Id<Monster>> = pool.iter::<Monster>().map(|(id, _)| id).collect();
    match way {
        "abort" | "for_each" => pool.for_each::<Monster>(|_, monster| change(monster)),
        "iter_mut" => {
            for (_, mut monster) in pool.iter_mut::<Monster>() {
                change(&mut monster);
            }
        }
        "iter_mut, folded" => pool.iter_mut::<Monster>().for_each(|(_, mut monster)| change(&mut monster)),
        "sweep" => {
            let mut sweep = Sweep::default();
            while !pool.sweep::<Monster>(&mut sweep, 100, |_, monster| change(monster)) {}
        }
        "get_mut" => ids.iter().for_each(|id| change(&mut pool.get_mut(*id).unwrap())),
        "get_mut_by_key" => (0..OBJECTS).for_each(|number| {
            pool.get_mut_by_key::<Monster>(number).iter_mut().for_each(|monster| change(monster));
        }),
        "get_several_mut" => ids.iter().for_each(|id| {
            pool.get_several_mut([*id]).unwrap().iter_mut().for_each(|monster| change(monster));
        }),
        "view_mut" => {
            let mut view = pool.view_mut::<Monster>();
            ids.iter().for_each(|id| change(&mut view.get_mut(*id).unwrap()));
        }
        "views_mut" => {
            pool.add_type::<Other>().unwrap();
            let (_, mut monsters) = pool.views_mut::<(Other, Monster)>();
            ids.iter().for_each(|id| change(&mut monsters.get_mut(*id).unwrap()));
        }
        _ => panic!("{way} is no way"),
    }
}

/// All ways to write an object through a guard or walk.
const WAYS: [&str; 9] = [
    "for_each",
    "iter_mut",
    "iter_mut, folded",
    "sweep",
    "get_mut",
    "get_mut_by_key",
    "get_several_mut",
    "view_mut",
    "views_mut",
];

/// Returns whether the server died by a signal, or by a panic of the test function.
fn died(output: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt;
    output.status.signal().is_some() || output.status.code() == Some(101)
}

/// Returns the rest of the line in which the server printed `word`.
fn said(output: &Output, word: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once(&format!("{word} ")));
    line.unwrap_or_else(|| panic!("no {word} in {text}")).1.to_string()
}

#[test]
fn without_the_breaker_the_crash_loop_never_ends() {
    let mut site = Site::new();
    site.conf.resume.max_crash_resumes = 0;
    site.crash(6);
    assert!(died(&site.serve()));
}

#[test]
fn fail_refuses_with_the_reason_and_changes_nothing() {
    let site = Site::new();
    site.crash(3);
    let epoch = site.epoch(site.key());
    let refusal = said(&site.serve(), "refused:");
    let wanted = "[zone]: 3 owners in a row died before ready(), the first ";
    assert!(refusal.starts_with(wanted), "{refusal}");
    assert!(refusal.contains(&format!("hotpool postmortem --key {}", site.key())), "{refusal}");
    assert_eq!(site.epoch(site.key()), epoch, "a refused start is not counted");
    said(&site.serve(), "refused:");

    let error = MemoryPoolMgr::open(&site.conf).unwrap_err();
    let PoolError::CrashLoop { crashes: 3, since, wait, .. } = error else { panic!("{error}") };
    assert!(since <= 60 && wait > 200, "{since} {wait}");
}

#[test]
fn fail_lets_a_start_through_when_the_window_has_passed_or_another_policy_is_set() {
    let mut site = Site::new();
    site.crash(3);
    said(&site.serve(), "refused:");
    site.conf.resume.crash_window_sec = 1;
    std::thread::sleep(Duration::from_millis(1100));
    assert!(died(&site.serve()), "the window has passed, so the start is allowed");
    site.conf.resume.crash_window_sec = 300;
    said(&site.serve(), "refused:");
    site.conf.resume.max_crash_resumes = 0;
    assert!(died(&site.serve()), "the breaker is switched off");
}

#[test]
fn starts_that_end_cleanly_are_not_crashes() {
    let site = Site::new();
    site.crash(2);
    for _ in 0..5 {
        drop(MemoryPoolMgr::open(&site.conf).unwrap());
    }
    assert!(died(&site.serve()));
    said(&site.serve(), "refused:");
}

#[test]
fn a_ready_start_ends_the_crash_loop() {
    let site = Site::new();
    site.crash(2);
    let mut pool = MemoryPoolMgr::open(&site.conf).unwrap();
    pool.ready().unwrap();
    drop(pool);
    assert!(died(&site.serve()) && died(&site.serve()) && died(&site.serve()));
    said(&site.serve(), "refused:");
}

#[test]
fn quarantine_keeps_every_object_except_the_poisoned_one() {
    let mut site = Site::new();
    site.conf.resume.on_crash_loop = OnCrashLoop::Quarantine;
    site.crash(3);
    let served = said(&site.serve(), "served");
    assert!(served.starts_with("999 Resume [1:444v1]"), "{served}");

    let mut pool = MemoryPoolMgr::open(&site.conf).unwrap();
    pool.add_type::<Monster>().unwrap();
    assert!(pool.get_by_key::<Monster>(POISON).is_none());
    assert!((0..OBJECTS).filter(|n| *n != POISON).all(|n| pool.get_by_key::<Monster>(n).is_some()));
    let [object] = pool.quarantined()[..] else { panic!() };
    assert_eq!(pool.quarantined_object::<Monster>(object.typed().unwrap()).unwrap().number, POISON);
    pool.drop_quarantined(object).unwrap();
    pool.ready().unwrap();
    drop(pool);
    assert!(said(&site.serve(), "served").starts_with("999 Resume []"));
}

#[test]
fn an_object_that_is_only_read_is_found_by_its_note() {
    let mut site = Site::new();
    site.conf.resume.on_crash_loop = OnCrashLoop::Quarantine;
    site.conf.resume.max_crash_resumes = 1;
    site.crash(0);
    let mut pool = MemoryPoolMgr::open(&site.conf).unwrap();
    pool.add_type::<Monster>().unwrap();
    let victim = pool.find::<Monster>(7).unwrap();
    pool.note_object(victim);
    // A panic that drops the pool leaves the same state as a death.
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _pool = pool;
        std::panic::resume_unwind(Box::new("poisoned object"));
    }));
    assert!(panics.is_err());
    let pool = MemoryPoolMgr::open(&site.conf).unwrap();
    assert_eq!(pool.quarantined(), [victim.handle()]);
    assert_eq!(pool.resume_report().crash_loop.unwrap().crashes, 1);
}

#[test]
fn cold_keeps_the_whole_state_under_the_post_mortem_keys() {
    let mut site = Site::new();
    site.conf.resume.on_crash_loop = OnCrashLoop::Cold;
    site.crash(3);
    assert!(said(&site.serve(), "served").starts_with("0 Init []"));
    assert!(said(&site.serve(), "served").starts_with("0 Resume []"), "the new pool resumes as any other");

    // The copy is a pool: a program can open it and finds everything.
    let copy = post_mortem(site.key());
    assert_eq!(observe(copy, &Home::sysv()).unwrap().verdict(), Verdict::Crashed);
    let keys = [post_mortem(Key(site.key().0 + 1)), post_mortem(Key(site.key().0 + 2))];
    let conf = ProcessConf::new("zone", copy, Bytes(1 << 20), &keys);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Monster>().unwrap();
    assert_eq!(pool.start_mode(), StartMode::Resume);
    for number in 0..OBJECTS {
        let poisoned = u64::from(number == POISON);
        let monster = Monster { number, poisoned, rest: [number; 30] };
        assert_eq!(pool.get_by_key::<Monster>(number), Some(&monster));
    }
    // No handle from the copy resolves in the new pool, although all slots are in use again.
    let mut new = MemoryPoolMgr::open(&site.conf).unwrap();
    new.add_type::<Monster>().unwrap();
    for number in 0..OBJECTS {
        new.alloc_keyed(number, Monster { number, poisoned: 0, rest: [0; 30] }).unwrap();
    }
    assert!(pool.iter::<Monster>().all(|(old, _)| new.get(old).is_none()));
    let ends: Vec<StartEnd> = pool.starts().iter().map(|start| start.end).collect();
    assert_eq!(ends, [StartEnd::Closed, StartEnd::Died, StartEnd::Died, StartEnd::Died, StartEnd::Open]);
}

#[test]
fn a_pool_recreated_in_place_keeps_its_undo_log_size() {
    let mut site = Site::new();
    site.conf.resume.on_crash_loop = OnCrashLoop::Cold;
    site.crash(3);
    // The base has no room for a longer undo log.
    site.conf.undo_size = Bytes(1 << 20);
    let mut pool = MemoryPoolMgr::open(&site.conf).unwrap();
    assert_eq!(pool.start_mode(), StartMode::Init);
    pool.add_type::<Monster>().unwrap();
    let told = |pool: &MemoryPoolMgr| pool.resume_report().told.clone();
    let at_once = told(&pool);
    pool.close().unwrap();
    let pool = MemoryPoolMgr::open(&site.conf).unwrap();
    assert_eq!(
        (at_once.len(), &at_once),
        (1, &told(&pool)),
        "the start that moves the pool aside reports it as well"
    );
    assert!(at_once[0].to_string().contains("keeps its undo log of 64K"), "{}", at_once[0]);
}

#[test]
fn a_second_crash_loop_does_not_overwrite_the_first_copy() {
    let mut site = Site::new();
    site.conf.resume.on_crash_loop = OnCrashLoop::Cold;
    site.crash(3);
    assert!(said(&site.serve(), "served").starts_with("0 Init []"));
    let copied = site.epoch(post_mortem(site.key()));
    let mut pool = MemoryPoolMgr::open(&site.conf).unwrap();
    pool.add_type::<Monster>().unwrap();
    pool.alloc_keyed(1, Monster { number: 1, poisoned: 1, rest: [0; 30] }).unwrap();
    pool.close().unwrap();
    assert!((0..3).all(|_| died(&site.serve())));
    let refusal = said(&site.serve(), "refused:");
    assert!(refusal.contains(&format!("hotpool rm --key {}", post_mortem(site.key()))), "{refusal}");
    assert_eq!(site.epoch(post_mortem(site.key())), copied);
    remove_pool(post_mortem(site.key()), &Home::sysv(), false).unwrap();
    assert!(said(&site.serve(), "served").starts_with("0 Init []"));
}

#[test]
fn a_move_aside_killed_anywhere_leaves_the_pool_or_the_copy_complete() {
    let mut site = Site::new();
    site.crash(3);
    site.conf.resume.on_crash_loop = OnCrashLoop::Cold;
    for delay in (0..60).map(|step| Duration::from_micros(700 * step)) {
        let mut server = {
            let settings = format!("{} 3 300 cold report false abort", site.key().0);
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "server"]).env("HOTPOOL_TEST_SERVER", settings);
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        std::thread::sleep(delay);
        server.kill().unwrap();
        server.wait().unwrap();
    }
    let output = site.serve();
    let served = said(&output, "served");
    assert!(served.starts_with("0 "), "{served}");
    let copy = post_mortem(site.key());
    let keys = [post_mortem(Key(site.key().0 + 1)), post_mortem(Key(site.key().0 + 2))];
    let mut pool = MemoryPoolMgr::open(&ProcessConf::new("zone", copy, Bytes(1 << 20), &keys)).unwrap();
    pool.add_type::<Monster>().unwrap();
    assert_eq!(pool.iter::<Monster>().count() as u64, OBJECTS);
}

#[test]
fn must_be_hot_never_creates_a_pool() {
    let mut site = Site::new();
    site.conf.resume.must_be_hot = true;
    let refusal = said(&site.serve(), "refused:");
    let wanted = format!(
        "[zone] MustBeHot = yes refuses a cold start, but there is no segment under {}; \
         to start cold on purpose, start once with MustBeHot = no",
        site.key()
    );
    assert_eq!(refusal, wanted);
    assert_eq!(observe(site.key(), &Home::sysv()).unwrap().verdict(), Verdict::Absent, "nothing was created");

    site.conf.resume.must_be_hot = false;
    drop(MemoryPoolMgr::open(&site.conf).unwrap());
    site.conf.resume.must_be_hot = true;
    let refusal = said(&site.serve(), "refused:");
    assert!(refusal.contains("has never had a type"), "{refusal}");

    site.conf.resume.must_be_hot = false;
    assert!(said(&site.serve(), "served").starts_with("0 Init"));
    site.conf.resume.must_be_hot = true;
    assert!(said(&site.serve(), "served").starts_with("0 Resume"));
}

#[test]
fn an_object_torn_by_a_real_crash_is_in_quarantine_after_the_next_start() {
    let mut site = Site::new();
    site.conf.resume.max_crash_resumes = 0;
    site.conf.resume.on_torn = OnTorn::Quarantine;
    site.crash(1);
    // The server writes its objects through guards, and died while it held the guard of the
    // poisoned object.
    let served = said(&site.serve(), "served");
    assert!(served.starts_with("999 Resume [") && served.matches('v').count() == 1, "{served}");
    let mut pool = MemoryPoolMgr::open(&site.conf).unwrap();
    pool.add_type::<Monster>().unwrap();
    assert!(pool.get_by_key::<Monster>(POISON).is_none() && pool.get_by_key::<Monster>(POISON + 1).is_some());
    assert!(pool.release(pool.quarantined()[0]).is_ok(), "the object is kept");
    assert_eq!(pool.get_by_key::<Monster>(POISON).unwrap().poisoned, 1);
}

/// A panic leaves the same evidence as an abort: the breaker finds the object that panics in each
/// start.
#[test]
fn quarantine_finds_the_panicking_object_for_every_way_to_write_it() {
    for way in WAYS {
        let mut site = Site::new();
        site.conf.resume.on_crash_loop = OnCrashLoop::Quarantine;
        site.way = way;
        site.crash(3);
        for start in 4..7 {
            let served = said(&site.serve(), "served");
            assert!(served.starts_with("999 Resume [1:444v1]"), "{way}: start {start}: {served}");
        }
    }
}

#[test]
fn an_object_torn_by_a_panic_is_in_quarantine_after_the_next_start() {
    for way in WAYS {
        let mut site = Site::new();
        site.conf.resume.max_crash_resumes = 0;
        site.conf.resume.on_torn = OnTorn::Quarantine;
        site.way = way;
        site.crash(1);
        let served = said(&site.serve(), "served");
        assert!(served.starts_with("999 Resume [1:444v1]"), "{way}: {served}");
    }
}
