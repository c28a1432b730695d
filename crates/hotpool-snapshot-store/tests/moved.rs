//! A zone moves between two IPC namespaces, which share nothing but a store. Handles and keys hold, and
//! of two starters at once, one is refused.
//!
//! `STORE_MOVE_MIB=400 cargo test --release -p hotpool-snapshot-store --test moved -- --nocapture`
//! moves a larger zone and prints the times.

mod support;

use hotpool::conf::ProcessConf;
use hotpool::pool::{RestoreOptions, SaveOptions, restore_pool, save_pool};
use hotpool::share::Home;
use hotpool::snapshot::Chain;
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, StartMode};
use hotpool_snapshot_store::{Fence, Store, StoreError, Taking};
use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Ground, Other};

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 1, keyed)]
struct Item {
    value: u64,
    rest: [u64; 61],
}

impl Item {
    fn new(value: u64) -> Item {
        Item { value, rest: std::array::from_fn(|at| value.wrapping_mul(at as u64 | 1)) }
    }
}

fn items() -> u64 {
    let mib: u64 = std::env::var("STORE_MOVE_MIB").map_or(24, |mib| mib.parse().unwrap());
    (mib << 20) / 512
}

/// Each namespace has all keys to itself.
fn conf() -> ProcessConf {
    let bytes = Bytes((items() * 300 + (8 << 20)).next_multiple_of(4096));
    ProcessConf::new("zone", Key(0x7d34_0000), bytes, &[Key(0x7d34_0001), Key(0x7d34_0002)])
}

/// A host: what it runs, and the token while it runs it.
struct Host<'a> {
    store: &'a Store,
    local: &'a Path,
    pool: Option<MemoryPoolMgr>,
    fence: Option<Fence>,
}

impl Host<'_> {
    /// Takes the token, and restores the zone if there is a set of it.
    fn start(&mut self) -> String {
        let began = Instant::now();
        let fence = match Fence::take(self.store, "zone", Taking::default().at_once()) {
            Err(StoreError::Owned { .. }) => return "refused".into(),
            fence => fence.unwrap(),
        };
        match self.store.get("zone", &self.local.join("sets"), |_| ()) {
            Err(StoreError::NoSet { .. }) => {}
            set => {
                let chain = Chain::open(set.unwrap().path()).unwrap();
                restore_pool(&chain, &conf(), &RestoreOptions::default()).unwrap();
            }
        }
        let mut pool = MemoryPoolMgr::open(&conf()).unwrap();
        pool.add_type::<Item>().unwrap();
        pool.also_watch(fence.watch());
        let mode = if pool.start_mode() == StartMode::Resume { "hot" } else { "cold" };
        (self.pool, self.fence) = (Some(pool), Some(fence));
        format!("{mode} {}", began.elapsed().as_millis())
    }

    /// Fills the zone, and notes the handles.
    fn fill(&mut self) -> String {
        let pool = self.pool.as_mut().unwrap();
        let mut lines = String::new();
        for value in 0..items() {
            let id = pool.alloc_keyed(value, Item::new(value)).unwrap();
            // Every third is gone again, so that its handle is stale.
            let is_free = value % 3 == 0 && pool.free(id);
            lines += &format!("{value} {} {is_free}\n", id.to_bits());
        }
        pool.ready().unwrap();
        std::fs::write(self.local.join("../handles"), lines).unwrap();
        "filled".into()
    }

    /// Checks every object by its handle and by its key.
    fn check(&mut self) -> String {
        let pool = self.pool.as_mut().unwrap();
        let text = std::fs::read_to_string(self.local.join("../handles")).unwrap();
        for line in text.lines() {
            let mut words = line.split(' ');
            let mut next = || words.next().unwrap();
            let (value, bits, is_free) = (next().parse().unwrap(), next().parse().unwrap(), next() == "true");
            let id = Id::<Item>::from_bits(bits).unwrap();
            let expected = Item::new(value);
            assert_eq!(pool.get(id), (!is_free).then_some(&expected));
            assert_eq!(pool.find::<Item>(value), (!is_free).then_some(id));
        }
        assert!(pool.verify().is_sound() && pool.health().is_good(), "{}", pool.health());
        format!("sound {}", text.lines().count())
    }

    /// Closes the zone, sends it, and gives the token back.
    fn leave(&mut self) -> String {
        let began = Instant::now();
        self.pool.take().unwrap().close().unwrap();
        let conf = conf();
        let sets = self.local.join("sets");
        let saved = save_pool(conf.base_key, &Home::of(&conf), &sets, &SaveOptions::default()).unwrap();
        let set = saved.set.unwrap();
        assert_eq!(self.fence.as_mut().unwrap().put(&set, |_| ()).unwrap(), 1);
        self.fence = None;
        format!("left {} {}", began.elapsed().as_millis(), set.stored().0)
    }
}

/// What a host does.
#[test]
fn child() {
    let Some((_, store, local)) = support::order() else { return };
    let mut host = Host { store: &store, local: &local, pool: None, fence: None };
    for line in std::io::stdin().lock().lines() {
        let answer = match line.unwrap().as_str() {
            "start" => host.start(),
            "fill" => host.fill(),
            "check" => host.check(),
            "leave" => host.leave(),
            other => other.into(),
        };
        println!(">{answer}");
    }
}

fn may_unshare() -> bool {
    let tried = Command::new("unshare").args(["--ipc", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        support::skipped("this process may not run `unshare --ipc`: no zone moves between namespaces");
    }
    may
}

fn number(answer: &str, at: usize) -> u64 {
    answer.split(' ').nth(at).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_zone_moves_between_hosts_and_one_of_two_starters_is_refused() {
    if !may_unshare() {
        return;
    }
    for ground in Ground::all() {
        let folder = tempfile::tempdir().unwrap();
        let host = |name: &str| {
            let local = folder.path().join(name);
            std::fs::create_dir(&local).unwrap();
            Other::start_under(&["unshare", "--ipc"], "host", &ground, "x", &local)
        };
        let (mut a, mut b, mut c) = (host("a"), host("b"), host("c"));
        assert!(a.ask("start").starts_with("cold"));
        assert_eq!(a.ask("fill"), "filled");
        assert_eq!(b.ask("start"), "refused");
        let left = a.ask("leave");

        // Two start at once.
        let began = Instant::now();
        b.tell("start");
        c.tell("start");
        let answers = [b.answer(), c.answer()];
        let winner = answers.iter().position(|answer| answer.starts_with("hot")).expect("one resumes");
        assert_eq!(answers[1 - winner], "refused", "{answers:?}");
        let took = Duration::from_millis(number(&left, 1)) + began.elapsed();
        let winner = [&mut b, &mut c].into_iter().nth(winner).unwrap();
        assert_eq!(winner.ask("check"), format!("sound {}", items()));
        let (to, bytes) = (ground.url("x"), number(&left, 2));
        println!(
            "{to}: {bytes} bytes; left in {} ms, then {answers:?} ms; in all {took:?}",
            number(&left, 1)
        );
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}
