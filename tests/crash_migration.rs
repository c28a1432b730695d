//! New builds that are killed at random moments of a large migration, and old builds that come back
//! (G12). A release build kills 500 of them; `HOTPOOL_ROUNDS` sets another number.

#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::conf::ProcessConf;
use hotpool::inspect::verify_pool;
use hotpool::object::FixedStr;
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolError, PoolObject};
use own_keys::own_keys;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const HEROES: u64 = 20_000;
const ROLE: &str = "HOTPOOL_TEST_MIGRATES";

mod old {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed)]
    pub(crate) struct Hero {
        pub(crate) hp: u32,
        pub(crate) online: bool,
        pub(crate) name: FixedStr<16>,
    }
}

mod new {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "hero", keyed)]
    pub(crate) struct Hero {
        pub(crate) name: FixedStr<24>,
        pub(crate) hp: u64,
        #[pool(default = 9)]
        pub(crate) mana: u32,
        pub(crate) online: bool,
    }
}

fn conf(base: u32) -> ProcessConf {
    let keys: Vec<Key> = (1..=4).map(|at| Key(base + at)).collect();
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(4 << 20), &keys);
    conf.owner_wait_ms = 60_000;
    conf
}

fn name<const N: usize>(number: u64) -> FixedStr<N> {
    FixedStr::try_from(&*format!("hero {number}")).unwrap()
}

/// Runs as the new build, if this process was launched as one: migrates, then is ready.
#[test]
fn new_build() {
    let Ok(base) = std::env::var(ROLE) else { return };
    let mut pool = MemoryPoolMgr::open(&conf(base.parse().unwrap())).unwrap();
    println!("begins");
    pool.add_type::<new::Hero>().unwrap();
    pool.ready().unwrap();
    println!("ready");
    std::io::stdin().lock().lines().for_each(drop);
}

struct Site(u32);

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(Key(self.0), &Home::sysv(), false));
    }
}

impl Site {
    fn fill(&self) {
        drop(remove_pool(Key(self.0), &Home::sysv(), false));
        let mut pool = MemoryPoolMgr::open(&conf(self.0)).unwrap();
        pool.add_type::<old::Hero>().unwrap();
        for number in 0..HEROES {
            let hero = old::Hero { hp: number as u32, online: number % 2 == 0, name: name(number) };
            pool.alloc_keyed(number, hero).unwrap();
        }
        pool.ready().unwrap();
    }

    /// Starts a new build and kills it some time after it has begun. Returns whether it was ready.
    fn kill_a_new_build(&self, after: Duration) -> bool {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "new_build", "--nocapture"]).env(ROLE, self.0.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("begins")), "it ended before it had begun");
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        lines.any(|line| line.ends_with("ready"))
    }

    /// Starts the old build. Returns whether it was refused.
    fn old_build(&self) -> bool {
        let mut pool = MemoryPoolMgr::open(&conf(self.0)).unwrap();
        match pool.add_type::<old::Hero>() {
            Ok(()) => {}
            Err(PoolError::TypeChanged { .. }) => return true,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(pool.len::<old::Hero>() as u64, HEROES);
        for (_, hero) in pool.iter::<old::Hero>() {
            let number = u64::from(hero.hp);
            assert_eq!(*hero, old::Hero { hp: number as u32, online: number % 2 == 0, name: name(number) });
            assert_eq!(pool.get_by_key::<old::Hero>(number), Some(hero));
        }
        false
    }

    fn new_build_finds_all(&self) {
        let mut pool = MemoryPoolMgr::open(&conf(self.0)).unwrap();
        pool.add_type::<new::Hero>().unwrap();
        assert_eq!(pool.len::<new::Hero>() as u64, HEROES);
        for (_, hero) in pool.iter::<new::Hero>() {
            let expected =
                new::Hero { name: name(hero.hp), hp: hero.hp, mana: 9, online: hero.hp.is_multiple_of(2) };
            assert_eq!(*hero, expected);
            assert_eq!(pool.get_by_key::<new::Hero>(hero.hp), Some(hero));
        }
    }
}

#[test]
fn a_killed_upgrade_loses_nothing_and_the_old_build_can_come_back() {
    let fast = if cfg!(debug_assertions) { 20 } else { 500 };
    let rounds: u32 = std::env::var("HOTPOOL_ROUNDS").map_or(fast, |rounds| rounds.parse().unwrap());
    let most = if cfg!(debug_assertions) { 120_000 } else { 12_000 };
    let site = Site(own_keys(8));
    site.fill();
    let (mut came_back, mut decided) = (0, 0);
    for round in 0..rounds {
        let was_ready =
            site.kill_a_new_build(Duration::from_micros(most * u64::from(round) / u64::from(rounds)));
        let report = verify_pool(Key(site.0), &Home::sysv()).unwrap();
        assert!(report.is_sound(), "round {round}: {report}");
        if round % 2 == 0 {
            site.new_build_finds_all();
        }
        let refused = site.old_build();
        assert!(refused || !was_ready, "round {round}: the old build started after ready");
        match refused {
            false => came_back += 1,
            true => {
                decided += 1;
                site.new_build_finds_all();
                site.fill();
            }
        }
    }
    println!(
        "{rounds} kills of an upgrade: the old build came back after {came_back}, {decided} were decided"
    );
}
